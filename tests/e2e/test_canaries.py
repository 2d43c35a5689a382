"""Every kind of secret goes through the whole service, where it is right and where it is wrong, by sources, providers
and a plugin that send it back. Then it shows nowhere: in no log or span, in no row of the database or key of the
broker, in no metric, answer or output of a command, but where it is meant to be given out."""

from __future__ import annotations

import base64
import html
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pyotp
import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook

from adapters.embedded.postgres import DatabaseUrls
from tests.canaries import broker, files, tables
from tests.e2e.canary_world import METRICS_KEY, Browser, World, running_world
from tests.e2e.leaky_plugin import WAYS
from tests.stubs.oauth_server import CLIENT_ID, CLIENT_SECRET
from tests.stubs.scripted_http import Answer, Asked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
OWNER, CHANGED = "owner@example.com", "canary staple horse correct"
STREAM = {
    "name": "entries",
    "path": "/entries",
    "records": "$.data",
    "pagination": {"type": "none"},
    "fields": {"external_id": "$.id", "text": "$.text", "occurred_at": "$.at"},
}
ENTRIES = Answer(json={"data": [{"id": "1", "text": "an entry of no shop", "at": "2026-03-01"}]})


@pytest.fixture
def world(tmp_path: Path, database: DatabaseUrls) -> Iterator[World]:
    with running_world(tmp_path, database) as world:
        yield world


def test_no_secret_shows_anywhere(world: World, database: DatabaseUrls) -> None:
    tenant(world)
    for part in (
        programs,
        people,
        providers_of_identity,
        mail_that_is_refused,
        sources,
        tokens,
        webhooks,
        plugin,
        model,
    ):
        part(world)
        world.stack.wait_until(world.stack.idle)
    commands(world)
    for path in ("/events", "/jobs", "/jobs/dead", "/connections", "/api-keys", "/records", "/imports", "/tenant"):
        world.ask("GET", path)
    scraped = httpx2.get(
        f"{world.stack.url}/metrics", headers={"Authorization": f"Bearer {METRICS_KEY}"}, trust_env=False, timeout=60
    )
    assert scraped.status_code == 200
    assert world.spans
    places = [
        *tables(database.superuser),
        *broker(world.stack.services()["broker_url"]),
        *((place, content) for place, content in files(world.stack.data_dir) if is_told(place)),
        *(("spans", content) for content in world.spans),
        ("metrics", scraped.text),
        *world.outputs,
    ]
    shown = world.canaries.shown_in_all(places)
    assert not shown, "\n".join(sorted({re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", one) for one in shown}))


def is_told(place: str) -> bool:
    """Not what holds the addresses of the services, for their owner alone, nor the broker's own copy."""
    return place != "services.json" and not place.startswith(("valkey/", "postgres/"))


def tenant(world: World) -> None:
    settings = {"spot_check_share": 0.0, "llm_threshold": 0.9}
    body = {"name": "Canary", "owner_email": OWNER, "settings": settings}
    key = world.stack.environment["SORTATION_OPERATOR_KEY"]
    status, made = world.stack.call("POST", "/api/v1/tenants", body, key=key)
    assert status == 201, made
    world.stack.key, world.stack.tenant_id = world.canaries.plant("API key", made["api_key"]), made["tenant"]["id"]
    wrong = world.canaries.plant("wrong operator key", "canary-wrong-operator-key")
    world.ask("POST", "/tenants", body, key=wrong)


def programs(world: World) -> None:
    """Keys of the API: made, rotated, revoked, made up, and sent where they don't belong."""
    made = world.make("API key", "/api-keys", {"name": "first", "scopes": ["records:read"]})
    again = world.make("API key", f"/api-keys/{made['id']}/rotate", {})
    headers = {"Idempotency-Key": "canary-free-1"}
    status, once = world.stack.call(
        "POST", "/api/v1/api-keys", {"name": "kept", "scopes": ["records:read"]}, headers=headers
    )
    assert status == 201
    key = world.canaries.plant("API key", once["api_key"])
    world.ask("DELETE", f"/api-keys/{again['id']}")
    for used in (again["api_key"], world.canaries.plant("made up key", "sort_live_canary_0123456789"), f"{key}x"):
        world.ask("GET", "/records", key=used)
    world.ask("GET", f"/records?api_key={key}")
    world.ask("GET", f"/records/{key}")
    world.ask("GET", "/records", headers={"X-Request-Id": key[:8], "Cookie": f"key={key}"})
    world.ask("POST", "/records", f'{{"api_key": "{key}"'.encode(), headers={"Content-Type": "application/json"})
    world.ask("POST", "/api-keys", {"name": "x", "scopes": [key]})


def people(world: World) -> None:
    password = world.canaries.plant("password", "canary correct horse battery")
    other = world.canaries.plant("password", CHANGED)
    wrong = world.canaries.plant("wrong password", "canary wrong horse battery")
    browser = Browser(world)
    browser.send("/password", email=OWNER)
    reset = mailed_link(world)
    world.canaries.plant("password link", reset.rpartition("/")[2])
    assert browser.send(reset, password="short").status_code == 422
    assert browser.send(reset, password=password).status_code == 303
    assert browser.open(reset).status_code == 422
    for said, expected in ((wrong, 401), (password, 303)):
        browser = Browser(world)
        assert browser.send("/sign-in", email=OWNER, password=said, next="/account").status_code == expected
    assert browser.send("/account", "/account/password", present=wrong, password=other).status_code == 401
    browser.send("/account", "/account/password", present=password, password=other)
    world.ask("POST", "/invitations", {"email": "new@example.com", "role": "reviewer"})
    invitation = mailed_link(world)
    token = world.canaries.plant("invitation link", invitation.rpartition("/")[2])
    guest = Browser(world)
    guest.open(f"/sign-in/acme?invitation={token}")
    assert guest.send(invitation, name="New", password=password).status_code == 303
    browser.open(f"/invitations/{token[:-3]}")
    second_factor(world, guest, password)


def second_factor(world: World, browser: Browser, password: str) -> None:
    page = browser.open("/account/second-factor").text
    key = world.canaries.plant("key of one-time codes", re.findall(r">([A-Z2-7]{32})<", page)[0])
    world.canaries.plant("key of one-time codes, in hexadecimal digits", base64.b32decode(key).hex())
    enrolment = world.canaries.plant("enrolment", re.findall(r'name="enrolment" value="([^"]+)"', page)[0])
    form = {"enrolment": enrolment, "code": pyotp.TOTP(key).now(), "password": password}
    codes = re.findall(r"<li>([A-Z2-7-]{29})</li>", browser.send("/account/second-factor", **form).text)
    assert len(codes) == 8
    for code in codes:
        world.canaries.plant("recovery code", code)
        world.canaries.plant("recovery code, without hyphens", code.replace("-", ""))
    again = Browser(world)
    assert again.send("/sign-in", email="new@example.com", password=password, next="/").status_code == 303
    wrong = world.canaries.plant("wrong recovery code", f"{codes[0][:-4]}CNRY")
    for code, expected in ((wrong, 401), (codes[0], 303), (codes[0], 401)):
        assert again.send("/second-factor", code=code, next="/account").status_code == expected
    again.send("/account", "/account/second-factor/remove", code=codes[1])


def mailed_link(world: World) -> str:
    """The path of the link in the next mail."""
    world.stack.wait_until(lambda: bool(world.mailbox.came), seconds=60)
    text = world.mailbox.came.pop().get_content()
    return next(line for line in text.splitlines() if line.startswith(world.stack.url)).removeprefix(world.stack.url)


def providers_of_identity(world: World) -> None:
    """An OpenID provider that is linked to a password and asked, one that sends back what it got, and bearer tokens."""
    world.issuer.claims = {"sub": "sub-1", "email": OWNER, "email_verified": True}

    def answered(browser: Browser, sent: str) -> httpx2.Response:
        asked = dict(parse_qsl(urlsplit(sent).query))
        world.issuer.nonce = world.canaries.plant("nonce", asked["nonce"])
        state = world.canaries.plant("state", asked["state"])
        code = world.canaries.plant("code", f"canary-code-{len(world.canaries.known)}")
        world.issuer.id_token = world.canaries.plant("id token", world.issuer.token(nonce=asked["nonce"]))
        return browser.open(f"/sign-in/acme/callback?code={code}&state={state}")

    def come_back(expected: int) -> None:
        browser = Browser(world)
        page = answered(browser, browser.open("/sign-in/acme?next=/account").headers["Location"])
        assert page.status_code == expected
        world.outputs.append(("page of the callback", page.text))

    owner = Browser(world)
    assert owner.send("/sign-in", email=OWNER, password=CHANGED, next="/account").status_code == 303
    wrong = world.canaries.plant("wrong password", "canary wrong donkey battery")
    assert owner.send("/account", "/account/link/acme", password=wrong).status_code == 401
    going_on = owner.send("/account", "/account/link/acme", password=CHANGED).text
    page = answered(owner, html.unescape(re.findall(r'content="0; url=([^"]+)"', going_on)[0])).text
    found = world.canaries.plant("who was found", re.findall(r'name="found" value="([^"]+)"', page)[0])
    assert owner.send("/account", "/account/link", found=f"{found}x").status_code == 422
    assert owner.send("/account", "/account/link", found=found).status_code == 303
    come_back(303)

    def echo(asked: Asked) -> Answer:
        told = f"{asked.headers} {asked.body.decode()}"
        return Answer(status=400, json={"error": told, "error_description": told})

    world.issuer.server.script("POST", "/token", echo)
    come_back(401)
    world.issuer.server.script("POST", "/token", lambda asked: Answer(status=500, content=asked.body))
    come_back(503)
    for claims in ({}, {"exp": 1}, {"aud": "another"}, {"iss": "https://other.example"}):
        token = world.issuer.token(**{"audience": "sortation", **claims})
        world.canaries.plant("bearer token", token)
        world.ask("GET", "/me", key=token, headers={"X-Tenant-Id": world.stack.tenant_id})
    world.ask("GET", "/me", key=world.canaries.plant("bearer token", "canary.bearer.token-of-nobody"))


def mail_that_is_refused(world: World) -> None:
    password = "canary-smtp-password"
    plain = base64.b64encode(f"\0sortation\0{password}".encode()).decode()
    world.mailbox.refused["refused@example.com"] = f"550 no, you are {password} or {plain}"
    world.ask("POST", "/invitations", {"email": "refused@example.com", "role": "viewer"})


def connect(world: World, connector: str, **config: Any) -> str:
    body = {"connector": connector, "name": f"{connector} {len(world.outputs)}", "config": config}
    return str(world.ask("POST", "/connections", body)["id"])


def look_at(world: World, connection: str) -> None:
    for path in ("", "/health", "/log", "/deliveries"):
        world.ask("GET", f"/connections/{connection}{path}")


def use(world: World, connection: str) -> None:
    """All that asks its source."""
    world.ask("POST", f"/connections/{connection}/check")
    world.ask("GET", f"/connections/{connection}/streams")
    world.ask("POST", f"/connections/{connection}/sync")
    world.stack.wait_until(world.stack.idle)
    look_at(world, connection)


def echoing(status: int) -> Callable[[Asked], Answer]:
    return lambda asked: Answer(status=status, json={"error": f"{asked.headers}", "you": asked.headers})


def sources(world: World) -> None:
    key = world.canaries.plant("key of a source", "canary/key+of a söurce".replace("ö", "o"))
    config = {"base_url": world.source.url, "streams": [STREAM], "key_header": "X-Api-Key", "key_prefix": "Token "}
    world.source.script("GET", "/entries", ENTRIES)
    connection = connect(world, "rest-key", **config, api_key=key)
    use(world, connection)
    for status in (200, 400, 401, 500):
        world.source.script("GET", "/entries", echoing(status))
        use(world, connection)
        world.ask("POST", f"/connections/{connection}/resume")
    for wrong in ({"api_key": [key]}, {"api_key": key, "key_header": key}, {key: 1, "api_key": key}):
        world.ask("POST", "/connections", {"connector": "rest-key", "name": "x", "config": {**config, **wrong}})
    world.ask("POST", "/connections", {"connector": "nobody", "name": "x", "config": {"api_key": key}})
    world.ask("POST", "/connections/check", {"connector": "rest-key", "config": {**config, "api_key": key}})


def tokens(world: World) -> None:
    world.canaries.plant("OAuth client secret", CLIENT_SECRET)
    url = world.provider.url
    connection = connect(
        world,
        "rest-oauth2",
        base_url=world.source.url,
        streams=[STREAM],
        authorize_url=f"{url}/authorize",
        token_url=f"{url}/token",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        scope="",
    )

    def sign_in(**instead: str) -> None:
        _, begun = world.stack.call("POST", f"/api/v1/connections/{connection}/oauth/start")
        query = {**world.provider.sign_in(begun["url"]), **instead}
        for name in ("state", "code"):
            world.canaries.plant(f"OAuth {name}", query[name])
        page = httpx2.get(f"{world.stack.url}/api/v1/oauth/callback", params=query, trust_env=False, timeout=30)
        world.outputs.append(("page of the callback", page.text))
        keep()

    def keep() -> None:
        for token in world.provider.tokens:
            world.canaries.plant("access token", token.access_token)
            if token.refresh_token:
                world.canaries.plant("refresh token", token.refresh_token)

    sign_in(code="canary-wrong-code")
    sign_in()
    world.source.script("GET", "/entries", ENTRIES)
    use(world, connection)
    for status in (200, 401, 500):
        world.source.script("GET", "/entries", echoing(status))
        use(world, connection)
        keep()
        world.ask("POST", f"/connections/{connection}/resume")
    for fault in (400, 500):
        world.provider.fault = fault
        use(world, connection)
        world.ask("POST", f"/connections/{connection}/resume")
    world.provider.fault = 0
    keep()


def webhooks(world: World) -> None:
    secret, other = (
        world.canaries.plant("webhook secret", f"whsec_{base64.b64encode(text.encode()).decode()}")
        for text in ("canary-webhook-secret-01", "canary-webhook-secret-02")
    )
    connection = connect(world, "webhook", webhook_secret=secret)
    world.ask("POST", f"/connections/{connection}/webhook-secret", {"secret": other})
    world.ask("POST", f"/connections/{connection}/webhook-secret", {"secret": "canary no base64"})
    for number, used in enumerate((secret, other, f"whsec_{base64.b64encode(b'canary-webhook-secret-03').decode()}")):
        for body in (b'{"text": "a record", "occurred_at": "2026-03-01"}', b"no JSON"):
            id, now = f"msg_{number}_{len(body)}", datetime.now(UTC)
            signature = StandardWebhook(used).sign(id, now, body.decode())
            world.canaries.plant("signature", signature.partition(",")[2])
            headers = {
                "webhook-id": id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": signature,
            }
            world.ask("POST", f"/webhooks/{connection}", body, headers=headers)
    world.stack.wait_until(world.stack.idle)
    look_at(world, connection)


def plugin(world: World) -> None:
    for way in WAYS:
        key = world.canaries.plant(f"key of a plugin that {way}", f"canary-plugin-key-{way}")
        use(world, connect(world, "leaky", api_key=key, way=way))
    world.ask("POST", "/connections/check", {"connector": "leaky", "config": {"api_key": key, "way": "raises"}})
    world.ask("GET", "/connectors")


def model(world: World) -> None:
    """A model whose server sends back the key that it refuses."""
    world.llm.behave("401", "403", "429", "500", "400", "html")
    for n in range(6):
        record = {"text": f"Unheard of number {n}", "occurred_at": "2026-03-01", "amount": "-1", "currency": "EUR"}
        world.ask("POST", "/records", {"records": [record]})
        world.stack.wait_until(world.stack.idle)
    assert any("canary-llm-key" in request["headers"]["authorization"] for request in world.llm.requests)
    for record in world.ask("GET", "/records")["items"]:
        world.ask("GET", f"/records/{record['id']}")


def commands(world: World) -> None:
    password = world.canaries.plant("wrong database password", "canary-wrong-database-password")
    away = f"postgresql://somebody:{password}@127.0.0.1:1/nowhere"
    world.command("secrets", "rotate")
    world.command("jobs", "list")
    world.command("plugin", "doctor")
    world.command("events", "verify")
    nowhere = {f"SORTATION_{name}DATABASE_URL": away for name in ("", "APP_", "SYSTEM_")}
    world.command("secrets", "rotate", **nowhere)
    world.command("migrate", **nowhere)
    world.command("api", SORTATION_BROKER_URL=f"amqp://{password}@127.0.0.1:1", **nowhere)
    world.command("relay", SORTATION_PROFILE="prod", SORTATION_OPERATOR_KEY="canary-weak", **nowhere)
    archive = world.stack.data_dir / "export.zip"
    world.command("tenants", "export", world.stack.tenant_id, str(archive))
    with zipfile.ZipFile(archive) as opened:
        world.outputs += [(f"export {name}", opened.read(name).decode()) for name in opened.namelist()]
    os.unlink(archive)
