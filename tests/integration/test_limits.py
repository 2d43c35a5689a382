"""How much one caller may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from adapters.embedded.valkey import EmbeddedValkey
from core.domain.permissions import ROLE_PERMISSIONS, Role
from entrypoints.api.app import create_app
from entrypoints.api.limits import Kind, address, count_caller, storage_uri
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser


def made(make_container: Callable[..., Container], **settings: object) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, **settings)
    return new_tenant(container, create_app(container).test_client())


def refused(answer: TestResponse) -> bool:
    if answer.status_code != 429:
        return False
    assert int(answer.headers["Retry-After"]) > 0
    return True


def test_each_credential_has_its_own_share_and_is_told_of_it(make_container: Callable[..., Container]) -> None:
    api = made(make_container, rate_limit="5/minute")
    other = new_tenant(api.container, api.client, "Other")
    answers = [api.call("GET", "/me") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers[:5]] == ["4", "3", "2", "1", "0"]
    assert answers[0].headers["RateLimit-Limit"] == "5"
    assert 0 < int(answers[0].headers["RateLimit-Reset"]) <= 61
    assert "Retry-After" not in answers[0].headers
    assert answers[5].json["code"] == "rate_limited"
    assert answers[5].mimetype == "application/problem+json"
    assert refused(answers[5])
    assert other.call("GET", "/me").status_code == 200
    assert all(api.client.get("/livez").status_code == 200 for _ in range(8)), "what touches nothing is not counted"
    probes = [api.client.get(probe).status_code for probe in ("/readyz", *["/metrics"] * 5)]
    assert probes == [200] * 5 + [429], "what asks the database is, by address"


@pytest.mark.parametrize("written", ["Bearer  {}", "bearer {}", "BEARER   {} "])
def test_a_credential_is_one_however_it_is_written(make_container: Callable[..., Container], written: str) -> None:
    api = made(make_container, rate_limit="2/minute")
    other = {"Authorization": written.format(api.key)}
    assert [api.call("GET", "/me", headers=more).status_code for more in ({}, other, {}, other)] == [200, 200, 429, 429]


def test_a_key_is_one_whatever_the_limit_took_its_token_for(make_container: Callable[..., Container]) -> None:
    api = made(make_container, rate_limit="3/minute")
    key = api.container.authenticate(api.key).id
    assert api.call("GET", "/me").status_code == 200
    with api.client.application.test_request_context():
        count_caller("key", key)
        count_caller("key", key)
    assert api.call("GET", "/me").status_code == 429


def test_where_no_token_is_read_all_of_an_address_count_together(make_container: Callable[..., Container]) -> None:
    api = made(make_container, rate_limit="3/minute")
    for path in ("/sign-in", "/api/docs"):
        away = {"REMOTE_ADDR": f"192.0.2.{len(path)}"}
        made_up = [{"Authorization": f"Bearer made up {n}"} for n in range(4)]
        codes = [api.client.get(path, headers=one, environ_base=away).status_code for one in made_up]
        assert codes == [200, 200, 200, 429], path


@pytest.mark.parametrize(
    ("seen", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "nowhere"),
        ("unix:", "unix:"),
    ],
)
def test_an_address_of_ipv6_counts_by_its_network(seen: str, counted: str) -> None:
    with Flask(__name__).test_request_context(environ_base={"REMOTE_ADDR": seen}):
        assert address() == counted


def test_guesses_from_all_over_a_network_count_together(make_container: Callable[..., Container]) -> None:
    api = made(make_container, refused_limit="2/minute")
    addresses = [f"2001:db8::{n}" for n in range(1, 4)]
    codes = [api.client.get("/api/v1/me", environ_base={"REMOTE_ADDR": one}).status_code for one in addresses]
    assert codes == [401, 401, 429]
    assert api.client.get("/api/v1/me", environ_base={"REMOTE_ADDR": "2001:db8:0:1::1"}).status_code == 401


def test_guesses_of_one_address_end_before_they_cost_a_query(make_container: Callable[..., Container]) -> None:
    api = made(make_container, refused_limit="3/minute")
    guess = {"Authorization": "Bearer sort_live_" + "x" * 51}
    assert [api.client.get("/api/v1/me", headers=guess).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert api.call("GET", "/me").status_code == 429, "whoever shares the address waits, too"
    away = api.client.get("/api/v1/me", headers=guess, environ_base={"REMOTE_ADDR": "192.0.2.9"})
    assert away.status_code == 401


def test_what_is_costly_has_a_limit_beside_the_other(make_container: Callable[..., Container]) -> None:
    api = made(make_container, costly_limit="2/minute")
    body = {"rules": []}
    assert [refused(api.call("POST", "/rules/preview", body)) for _ in range(3)] == [False, False, True]
    assert refused(api.call("GET", "/records/export")), "all that is costly counts together"
    rule = {"name": "x", "when": 'text contains "x"'}
    with_rule = {"verdict": "override", "category_id": api.category("housing.rent"), "rule": rule}
    assert refused(api.call("POST", f"/approvals/{uuid4()}", with_rule)), "a decision with a rule is, too"
    assert api.call("GET", "/records").status_code == 200


def test_sign_in_is_limited_by_address_whatever_is_guessed(make_container: Callable[..., Container]) -> None:
    api = made(make_container, sign_in_limit="3/minute")
    app = api.client.application
    codes = [Browser(app).sign_in(email=f"guess{n}@example.com").status_code for n in range(4)]
    assert codes == [401, 401, 401, 429]
    blocked = Browser(app).sign_in(PASSWORD, OWNER)
    assert (blocked.status_code, "Too many attempts" in blocked.text) == (429, True)
    assert Browser(app).open("/sign-in").status_code == 200


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Mode": "no-cors", "Site": "cross-site", "Dest": "image"}),
        ("GET", {"Mode": "no-cors"}),
        ("GET", {"Mode": "navigate", "Site": "cross-site", "Dest": "iframe"}),
        ("GET", {"Mode": "cors", "Site": "same-site", "Dest": "empty"}),
        ("POST", {"Mode": "navigate", "Site": "cross-site", "Dest": "document"}),
    ],
)
def test_other_sites_use_up_nobodys_attempts(
    make_container: Callable[..., Container], method: str, headers: dict[str, str]
) -> None:
    client = made(make_container, sign_in_limit="2/minute").client
    told = {f"Sec-Fetch-{name}": value for name, value in headers.items()}
    path = "/sign-in/acme" if method == "GET" else "/sign-in"
    assert [client.open(path, method=method, headers=told).status_code for _ in range(4)] == [403] * 4
    link = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    assert [client.get("/sign-in/acme", headers=link).status_code for _ in range(3)] == [404, 404, 429]


def test_invitations_are_limited_by_tenant_whoever_invites(make_container: Callable[..., Container]) -> None:
    api = made(make_container, invite_limit="3/hour")
    other = new_tenant(api.container, api.client, "Other")
    scopes = frozenset({"members:write", *(permission.value for permission in ROLE_PERMISSIONS[Role.VIEWER])})
    second = api.container.create_api_key(api.actor, name="second", scopes=scopes)
    again = replace(api, key=second.secret)
    callers = [api, again, api, again, api]
    codes = [
        one.call("POST", "/invitations", {"email": f"a{n}@example.org", "role": "viewer"}).status_code
        for n, one in enumerate(callers)
    ]
    assert codes == [201, 201, 201, 429, 429]
    assert api.call("GET", "/invitations").status_code == 200
    assert other.call("POST", "/invitations", {"email": "a@example.org", "role": "viewer"}).status_code == 201
    bare = api.client.post("/api/v1/invitations", json={"email": "b@example.org", "role": "viewer"})
    assert bare.status_code == 401, "who was not let in counts for nobody"


def test_links_for_one_address_are_limited_from_wherever_they_are_asked_for(
    make_container: Callable[..., Container],
) -> None:
    api = made(make_container, reset_limit="2/hour", smtp_url="smtp://127.0.0.1:1")

    def ask(email: str, number: int) -> int:
        browser = Browser(api.client.application)
        browser.client.environ_base = {**browser.client.environ_base, "REMOTE_ADDR": f"192.0.2.{number}"}
        return browser.send("/password", {"email": email}).status_code

    for email in (OWNER, "nobody@example.org"):
        written = (email, f" {email.upper()} ", email)
        assert [ask(one, number) for number, one in enumerate(written)] == [200, 200, 429], "known or not"


def test_deliveries_are_limited_by_connection(make_container: Callable[..., Container]) -> None:
    api = made(make_container, webhook_limit="2/minute")
    here, there = "/webhooks/00000000-0000-7000-8000-000000000001", "/webhooks/00000000-0000-7000-8000-000000000002"
    assert [api.client.post(f"/api/v1{here}").status_code for _ in range(3)] == [401, 401, 429]
    assert api.client.post(f"/api/v1{there}").status_code == 401


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[str]:
    server = EmbeddedValkey(tmp_path)
    try:
        yield server.start()
    finally:
        server.stop()


def test_processes_count_together(make_container: Callable[..., Container], valkey: str) -> None:
    settings = {"rate_limit": "5/minute", "broker_url": valkey}
    api = made(make_container, **settings)
    second = create_app(make_container(embeddings="off", **settings)).test_client()
    key = {"Authorization": f"Bearer {api.key}"}
    codes = [client.get("/api/v1/me", headers=key).status_code for _ in range(4) for client in (api.client, second)]
    assert codes == [200] * 5 + [429] * 3


def test_without_a_broker_each_process_counts_for_itself(make_container: Callable[..., Container]) -> None:
    api = made(make_container, rate_limit="2/minute", broker_url="redis://127.0.0.1:1/0")
    assert [api.call("GET", "/me").status_code for _ in range(3)] == [200, 200, 429]


def test_a_broker_that_goes_away_fails_no_request(make_container: Callable[..., Container], tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    api = made(make_container, broker_url=server.start())
    key = {"Authorization": f"Bearer {api.key}"}
    api.client.application.before_request(server.stop)  # counted by then, and not told yet how much is left
    assert api.client.get("/api/v1/me", headers=key).status_code == 200

    def ask(_: int) -> int:
        return api.client.application.test_client().get("/api/v1/me", headers=key).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(32))) == {200}


def test_a_person_is_one_whatever_sessions_they_have(make_container: Callable[..., Container]) -> None:
    api = made(make_container, rate_limit="8/minute", sign_in_limit="100/minute")
    user = api.container.list_members(api.actor)[0][0]
    api.container.people().put_password(user.id, api.container.hasher().hash(PASSWORD), api.container.clock().now())
    codes = []
    for number in range(4):
        away = {"REMOTE_ADDR": f"192.0.2.{number}"}
        browser = Browser(api.client.application)
        browser.client.environ_base = {**browser.client.environ_base, **away}
        browser.sign_in(PASSWORD, OWNER)
        codes += [browser.open("/account").status_code for _ in range(3)]
    assert (codes[:6], codes[-3:]) == ([200] * 6, [429] * 3)


@pytest.mark.parametrize(
    ("broker", "uri"),
    [
        (None, "memory://"),
        ("redis://:pw@valkey:6379/1", "redis://:pw@valkey:6379/1"),
        ("rediss://valkey/0", "rediss://valkey/0"),
        ("redis+socket:///run/valkey.sock", "redis+unix:///run/valkey.sock"),
        ("sentinel://a:1", "memory://"),
    ],
)
def test_the_broker_is_where_it_is_counted(broker: str | None, uri: str) -> None:
    assert storage_uri(broker) == uri


def test_whatever_proves_who_somebody_is_has_the_limit_of_sign_in(make_container: Callable[..., Container]) -> None:
    app: Flask = create_app(make_container(embeddings="off"))
    limited = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
        if getattr(app.view_functions[rule.endpoint], "limited", None) is Kind.SIGN_IN
    }
    assert limited == {
        "POST /sign-in",
        "GET /sign-in/<key>",
        "POST /sign-in/<key>",
        "GET /sign-in/<key>/callback",
        "POST /password",
        "POST /password/<token>",
        "POST /invitations/<token>",
        "POST /account/link/<key>",
        "POST /account/password",
        "POST /account/second-factor",
        "POST /account/second-factor/remove",
        "POST /second-factor",
    }
