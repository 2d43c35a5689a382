"""Signing in by OpenID Connect, and bearer tokens at the API: over HTTP, with right tokens and wrong ones."""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import oidc_provider_mock
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from adapters.http.policy import parse_policy
from adapters.http.transport import GuardedTransport
from adapters.oidc.issuer import ANEW_SECONDS, METADATA_SECONDS, Issuer
from core.domain.identity import providers_from
from core.domain.oauth import url_safe
from core.domain.permissions import ROLE_PERMISSIONS, Role
from core.domain.tenants import Actor, Membership, User
from core.errors import Transient, Unauthenticated
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser
from tests.stubs.issuer import CLIENT_ID, IssuerStub
from tests.stubs.scripted_http import Answer

Make = Callable[..., Api]


@pytest.fixture
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


@pytest.fixture
def make(make_container: Callable[..., Container]) -> Make:
    def made(*written: dict[str, Any]) -> Api:
        settings = {"oidc_providers": tuple(providers_from(list(written))), "public_url": ORIGIN}
        container = make_container(embeddings="off", **settings)
        return new_tenant(container, create_app(container).test_client())

    return made


def known_as(issuer: IssuerStub, **fields: Any) -> dict[str, Any]:
    written = {"key": "acme", "title": "Acme", "issuer": issuer.url, "client_id": CLIENT_ID}
    return written | {"email_domains": ["*"]} | fields


def come_back(browser: Browser, issuer: IssuerStub, *, state: str | None = None) -> TestResponse:
    """What the browser gets after it was sent to the issuer and back."""
    sent = browser.open("/sign-in/acme?next=/account")
    assert sent.status_code == 303
    asked = dict(parse_qsl(urlsplit(sent.headers["Location"]).query))
    issuer.nonce = asked["nonce"]
    return browser.open(f"/sign-in/acme/callback?code=code-1&state={state or asked['state']}")


def test_a_person_signs_in_by_a_real_provider(make_container: Callable[..., Container]) -> None:
    user = oidc_provider_mock.User(sub="ada", claims={"email": OWNER, "email_verified": True, "name": "Ada Lovelace"})
    with oidc_provider_mock.run_server_in_thread(user_claims=[user], require_nonce=True) as server:
        url = f"http://localhost:{server.server_port}"
        written = {"key": "mock", "title": "Mock", "issuer": url, "client_id": "c", "client_secret": "s"}
        written["email_domains"] = ["example.com"]
        container = make_container(embeddings="off", public_url=ORIGIN, oidc_providers=tuple(providers_from([written])))
        api = new_tenant(container, create_app(container).test_client())
        browser = Browser(api.client.application)
        assert "Sign in with Mock" in browser.open("/sign-in").text
        sent = browser.open("/sign-in/mock?next=/account").headers["Location"]
        query = parse_qs(urlsplit(sent).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["redirect_uri"] == [f"{ORIGIN}/sign-in/mock/callback"]
        back = httpx2.post(sent, data={"sub": "ada"}, follow_redirects=False).headers["location"]
        assert back.startswith(f"{ORIGIN}/sign-in/mock/callback?")
        answer = browser.open(back.removeprefix(ORIGIN))
        assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
        assert "owner@example.com" in browser.open("/account").text
        again = browser.open(back.removeprefix(ORIGIN))
        assert again.status_code == 422, "what the browser kept is good once"
        denied = browser.open("/sign-in/mock").headers["Location"]
        back = httpx2.post(denied, data={"action": "deny"}, follow_redirects=False).headers["location"]
        state = parse_qs(urlsplit(denied).query)["state"][0]  # which this one leaves out, against RFC 6749
        refused = browser.open(f"{back.removeprefix(ORIGIN)}&state={state}")
        assert (refused.status_code, "you did not sign in there" in refused.text) == (401, True)


def test_who_has_a_verified_address_is_who_has_it_here_and_stays_so(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    browser = Browser(api.client.application)
    issuer.claims |= {"email": "Owner@Example.com"}
    assert come_back(browser, issuer).headers["Location"] == "/account"
    issuer.claims |= {"email": "renamed@example.com"}
    assert come_back(Browser(api.client.application), issuer).status_code == 303
    api.container.seal_events()
    signed_in = api.get("/events?type=SIGNED_IN")["items"]
    assert [event["payload"]["via"] for event in signed_in] == [issuer.url] * 2


@pytest.mark.parametrize(
    ("claims", "fields"),
    [
        ({"email": OWNER, "email_verified": False}, {}),
        ({"email": OWNER, "email_verified": None}, {}),
        ({"email": "stranger@example.com"}, {}),
        ({"email": OWNER}, {"email_domains": []}),
        ({"email": OWNER}, {"email_domains": ["example.org"]}),
    ],
)
def test_nobody_is_let_in_by_an_address_that_is_not_proved(
    make: Make, issuer: IssuerStub, claims: dict[str, Any], fields: dict[str, Any]
) -> None:
    api = make(known_as(issuer, **fields))
    issuer.claims |= claims
    refused = come_back(Browser(api.client.application), issuer)
    assert (refused.status_code, "ask for an invitation" in refused.text) == (403, True)


def wrong_tokens(issuer: IssuerStub, *, bearer: bool = False) -> dict[str, Callable[[], str]]:
    """Tokens of a sign-in, or for the API, each wrong in one way."""
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    right = {} if bearer else {"nonce": issuer.nonce}

    def hs256() -> str:
        # PyJWT refuses to sign with a public key, so it is done by hand.
        payload = issuer.token(**right).split(".")[1]
        signed = f"{url_safe(json.dumps({'alg': 'HS256', 'kid': 'k1'}).encode())}.{payload}"
        return f"{signed}.{url_safe(hmac.digest(issuer.public_pem(), signed.encode(), hashlib.sha256))}"

    return {
        "nonce": lambda: issuer.token(nonce="another"),
        "no nonce": lambda: issuer.token(),
        "audience": lambda: issuer.token(audience="another client", **right),
        "no audience": lambda: issuer.token(audience=None, **right),
        "issuer": lambda: issuer.token(iss="https://other.example", **right),
        "several audiences without azp": lambda: issuer.token(audience=[CLIENT_ID, "other"], **right),
        "azp": lambda: issuer.token(audience=[CLIENT_ID, "other"], azp="other", **right),
        "azp beside one audience": lambda: issuer.token(azp="other", **right),
        "alg none": lambda: issuer.token(key="", alg="none", **right),
        "HS256 with the public key": hs256,
        "an algorithm that was not named": lambda: issuer.token(key=issuer.curve, alg="ES256", kid="curve", **right),
        "expired": lambda: issuer.token(exp=now - 120, **right),
        "not yet": lambda: issuer.token(nbf=now + 600, **right),
        "no expiry": lambda: issuer.token(exp=None, **right),
        "nobody": lambda: issuer.token(sub=None, **right),
        "unknown kid": lambda: issuer.token(kid="k9", **right),
        "no kid among several keys": lambda: issuer.token(kid=None, **right),
        "another's key under a known kid": lambda: issuer.token(key=foreign, **right),
        "a shared key out of its own set": lambda: issuer.token(key="shared" * 8, alg="HS256", kid="shared", **right),
        "no token": lambda: "no.token.at all",
        "empty": lambda: "",
    }


@pytest.mark.parametrize("wrong", wrong_tokens(IssuerStub()))
def test_a_token_that_is_wrong_in_one_way_opens_nothing_and_is_logged(
    make: Make, issuer: IssuerStub, wrong: str
) -> None:
    api = make(known_as(issuer))
    issuer.claims |= {"email": OWNER}
    browser = Browser(api.client.application)
    sent = browser.open("/sign-in/acme")
    asked = dict(parse_qsl(urlsplit(sent.headers["Location"]).query))
    issuer.nonce = asked["nonce"]
    issuer.id_token = wrong_tokens(issuer)[wrong]()
    with capture_logs() as logs:
        refused = browser.open(f"/sign-in/acme/callback?code=c&state={asked['state']}")
    assert refused.status_code == 401, refused.text
    assert browser.cookie("__Host-sortation") is None
    assert any(entry["event"] == "sign-in refused" and entry["provider"] == "acme" for entry in logs)
    assert not any(issuer.id_token and issuer.id_token in str(entry) for entry in logs)


def test_a_sign_in_comes_back_to_the_browser_that_began_it(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    issuer.claims |= {"email": OWNER}
    here, there = Browser(api.client.application), Browser(api.client.application)
    assert come_back(here, issuer, state="another").status_code == 422
    sent = here.open("/sign-in/acme")
    state = dict(parse_qsl(urlsplit(sent.headers["Location"]).query))["state"]
    assert there.open(f"/sign-in/acme/callback?code=c&state={state}").status_code == 422
    assert issuer.codes == [], "no code was used up for it"
    assert there.open("/sign-in/nobody").status_code == 404


def test_groups_make_change_and_unmake_members(make_container: Callable[..., Container], issuer: IssuerStub) -> None:
    first = make_container(embeddings="off")
    api = new_tenant(first, create_app(first).test_client())
    groups = {
        "sort-admins": {"tenant": str(api.tenant_id), "role": "admin"},
        "sort-readers": {"tenant": str(api.tenant_id), "role": "viewer"},
    }
    provider = providers_from([known_as(issuer, groups=groups)])
    container = make_container(embeddings="off", public_url=ORIGIN, oidc_providers=tuple(provider))
    app = create_app(container)

    def role() -> str | None:
        people = {member["email"]: member["role"] for member in api.get("/members")["items"]}
        return people.get("ada@example.org")

    issuer.claims |= {"groups": ["sort-readers"]}
    assert come_back(browser := Browser(app), issuer).status_code == 303
    assert role() == "viewer"
    issuer.claims |= {"groups": ["sort-readers", "sort-admins"]}
    come_back(Browser(app), issuer)
    assert role() == "admin"
    issuer.claims |= {"groups": []}
    assert come_back(Browser(app), issuer).status_code == 403
    assert role() is None
    assert browser.open("/account").status_code == 303, "and the sessions from before are over"
    issuer.claims |= {"sub": "sub-2", "email": OWNER, "groups": ["sort-readers"]}
    come_back(Browser(app), issuer)
    owner = next(m for m in api.get("/members")["items"] if m["email"] == OWNER)
    assert owner["role"] == "owner", "what was given by hand is not the issuer's to change"


def accept_by_provider(browser: Browser, issuer: IssuerStub, url: str) -> TestResponse:
    page = url.removeprefix(ORIGIN)
    sent = browser.send(page, {"invitation": page.removeprefix("/invitations/")}, "/sign-in/acme")
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', sent.text)
    assert found is not None
    asked = dict(parse_qsl(urlsplit(html.unescape(found.group(1))).query))
    issuer.nonce = asked["nonce"]
    return browser.open(f"/sign-in/acme/callback?code=c&state={asked['state']}")


def test_an_invitation_is_accepted_by_who_has_its_address(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    made = api.post("/invitations", {"email": "ada@example.org", "role": "reviewer"}, 201)
    browser = Browser(api.client.application)
    page = made["url"].removeprefix(ORIGIN)
    invitation = {"invitation": page.removeprefix("/invitations/")}
    assert f'name="invitation" value="{invitation["invitation"]}"' in browser.open(page).text

    def come_back_from(url: str) -> TestResponse:
        assert url.startswith(f"{issuer.url}/authorize?"), url
        asked = dict(parse_qsl(urlsplit(url).query))
        issuer.nonce = asked["nonce"]
        return browser.open(f"/sign-in/acme/callback?code=c&state={asked['state']}")

    def accept(form_of: str = page, **claims: Any) -> TestResponse:
        issuer.claims |= claims
        sent = browser.send(form_of, invitation, "/sign-in/acme")
        assert sent.status_code == 200, "form-action holds against redirects: this page goes on by itself"
        found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', sent.text)
        assert found is not None
        return come_back_from(html.unescape(found.group(1)))

    issuer.claims |= {"email": "ada@example.org", "sub": "sub-1"}
    linked = browser.open(f"/sign-in/acme?{urlencode(invitation)}").headers["Location"]
    assert come_back_from(linked).status_code == 403, "no link makes anybody join"
    foreign = browser.client.post("/sign-in/acme", data=invitation, base_url=ORIGIN)
    assert foreign.status_code == 403, "nor does a form of another site"

    refused = accept(email="other@example.org", sub="sub-9")
    assert (refused.status_code, "for another address" in refused.text) == (403, True)
    assert accept(email="ada@example.org", sub="sub-1").status_code == 303
    assert "reviewer" in browser.open("/account").text
    assert accept("/account").status_code == 422, "an invitation is good once"


@pytest.mark.parametrize("code", ["access_denied", "call 0800 1234 at once"])
def test_an_error_is_told_in_our_words_to_who_began_the_sign_in(make: Make, issuer: IssuerStub, code: str) -> None:
    browser = Browser(make(known_as(issuer)).client.application)
    sent = browser.open("/sign-in/acme").headers["Location"]
    state = dict(parse_qsl(urlsplit(sent).query))["state"]
    for query, status in (({"state": state}, 401), ({"state": "another"}, 422), ({}, 422)):
        with capture_logs() as logs:
            answer = browser.open(f"/sign-in/acme/callback?{urlencode({'error': code, **query})}")
        assert answer.status_code == status
        assert "call 0800" not in answer.text
        refused = [entry for entry in logs if entry["event"] == "sign-in refused"]
        assert [entry["provider"] for entry in refused] == ["acme"]
        assert "call 0800" not in str(logs)


def signed_in(api: Api, issuer: IssuerStub, **claims: Any) -> None:
    """Somebody signed in at the console: from then on their bearer tokens speak for them."""
    issuer.claims |= claims
    assert come_back(Browser(api.client.application), issuer).status_code == 303


def bearer(api: Api, token: str, **headers: str) -> TestResponse:
    return api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}", **headers})


def test_bearer_tokens_speak_for_people_in_their_role(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer, audiences=["sortation-api"], authorized_parties=["https://app.example"]))
    issuer.claims |= {"email": OWNER}
    assert bearer(api, issuer.token(audience="sortation-api")).status_code == 403, "a token alone links nobody"
    signed_in(api, issuer)
    answer = bearer(api, issuer.token(audience="sortation-api"))
    assert answer.status_code == 200, answer.text
    assert answer.json["scopes"] == sorted(permission.value for permission in ROLE_PERMISSIONS[Role.OWNER])
    assert answer.json["api_key_id"] is None
    assert bearer(api, issuer.token(audience=["x", "sortation-api"])).status_code == 200
    assert bearer(api, issuer.token(audience=None, azp="https://app.example")).status_code == 200
    issuer.claims |= {"sub": "sub-2", "email": "stranger@example.org"}
    assert bearer(api, issuer.token(audience="sortation-api")).status_code == 403
    made = api.client.post(
        "/api/v1/invitations",
        json={"email": "second@example.org", "role": "owner"},
        headers={"Authorization": f"Bearer {issuer.token(audience='sortation-api', sub='sub-1', email=OWNER)}"},
    )
    assert made.status_code == 201, "an owner may make owners"


def test_who_is_in_several_tenants_names_one(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer, audiences=["sortation-api"]))
    other = new_tenant(api.container, api.client, "Other")
    foreign, _ = api.container.create_tenant("Foreign")
    signed_in(api, issuer, email=OWNER)
    token = issuer.token(audience="sortation-api")
    unnamed = bearer(api, token)
    assert (unnamed.status_code, "X-Tenant-Id" in unnamed.json["detail"]) == (403, True)
    for one in (api, other):
        named = bearer(api, token, **{"X-Tenant-Id": str(one.tenant_id)})
        assert named.json["tenant"]["id"] == str(one.tenant_id)
    assert bearer(api, token, **{"X-Tenant-Id": str(foreign.id)}).status_code == 403
    assert bearer(api, token, **{"X-Tenant-Id": "x"}).status_code == 422


@pytest.mark.parametrize("wrong", [w for w in wrong_tokens(IssuerStub()) if "nonce" not in w and "azp" not in w])
def test_a_bearer_token_that_is_wrong_in_one_way_is_refused(make: Make, issuer: IssuerStub, wrong: str) -> None:
    api = make(known_as(issuer, audiences=[CLIENT_ID]))
    signed_in(api, issuer, email=OWNER)
    assert bearer(api, issuer.token()).status_code == 200
    refused = bearer(api, wrong_tokens(issuer, bearer=True)[wrong]() or "a.b.c")
    assert (refused.status_code, refused.json["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"nonce": "n"}, {}),
        ({"nonce": ""}, {}),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, {}),
        ({"typ": "logout+jwt"}, {"typ": "at+jwt"}),
        ({"typ": "dpop+jwt"}, {"typ": "application/at+JWT"}),
        ({"typ": "ID"}, {"typ": None}),
        ({"exp": 25 * 3600}, {"exp": 24 * 3600}),
        ({"audience": "other", "azp": "app"}, {"audience": None, "azp": "app"}),
        ({"audience": ["other"], "azp": "app"}, {"audience": ["other", CLIENT_ID], "azp": "app"}),
        ({"audience": [], "azp": "app"}, {"audience": CLIENT_ID, "azp": "app"}),
        ({"audience": CLIENT_ID}, {"audience": "api"}),
    ],
)
def test_only_access_tokens_for_us_open_the_api(
    make: Make, issuer: IssuerStub, wrong: dict[str, Any], right: dict[str, Any]
) -> None:
    api = make(known_as(issuer, audiences=["api"], authorized_parties=["app"]))
    signed_in(api, issuer, email=OWNER)
    now = int(time.time())
    for claims, expected in ((wrong, 401), (right, 200)):
        asked = {"audience": "api", **claims}
        if "exp" in asked:
            asked["exp"] += now
        answer = bearer(api, issuer.token(**asked))
        assert answer.status_code == expected, answer.text


def test_tokens_are_for_sign_in_alone_unless_the_operator_says_otherwise(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    issuer.claims |= {"email": OWNER}
    assert bearer(api, issuer.token()).status_code == 401


def test_keys_are_never_shared_between_issuers(make: Make, issuer: IssuerStub) -> None:
    with IssuerStub() as evil:
        api = make(known_as(issuer, audiences=[CLIENT_ID]), known_as(evil, key="evil", audiences=[CLIENT_ID]))
        claims = {"email": OWNER, "email_verified": True}
        signed_in(api, issuer, **claims)
        now, user = api.container.clock().now(), api.container.list_members(api.actor)[0][0]
        api.container.people().add_identity(evil.url, "x", user.id, now)
        assert bearer(api, issuer.token(**claims)).status_code == 200
        evil.keys = {"k1": evil.keys["k1"], "evil": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        assert bearer(api, evil.token(**claims, sub="x")).status_code == 200, "it is trusted for its own"
        forged = evil.token(iss=issuer.url, key=evil.keys["evil"], kid="evil", **claims)
        assert bearer(api, forged).status_code == 401
        same_kid = evil.token(iss=issuer.url, key=evil.keys["k1"], kid="k1", **claims)
        assert bearer(api, same_kid).status_code == 401


def test_rotated_keys_are_found_and_made_up_ones_make_nobody_ask(issuer: IssuerStub) -> None:
    now = 1_000.0
    kept = Issuer(issuer.url, GuardedTransport(parse_policy(["127.0.0.1"])), clock=lambda: now)
    assert kept.key("k1") is kept.key("k1")
    for number in range(50):
        with pytest.raises(Unauthenticated):
            kept.key(f"made up {number}")
    assert issuer.fetched_keys() == 1
    issuer.keys["k2"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(Unauthenticated):
        kept.key("k2")
    now += ANEW_SECONDS + 1
    kept.key("k2")
    assert issuer.fetched_keys() == 2
    del issuer.keys["k1"]
    now += METADATA_SECONDS + 1
    with pytest.raises(Unauthenticated):
        kept.key("k1")


def test_an_issuer_that_is_away_keeps_nobody_out_whose_key_is_known(issuer: IssuerStub) -> None:
    now = 1_000.0
    transport = GuardedTransport(parse_policy(["127.0.0.1"]))
    kept = Issuer(issuer.url, transport, clock=lambda: now)
    kept.key("k1")
    issuer.server.script("GET", "/keys", Answer(status=503))
    now += METADATA_SECONDS + 1
    kept.key("k1")
    away = Issuer(issuer.url, transport)
    with pytest.raises(Transient):
        away.key("k1")
    issuer.server.script("GET", "/.well-known/openid-configuration", Answer(json={"issuer": "https://other.example"}))
    with pytest.raises(Transient, match="another issuer"):
        Issuer(issuer.url, transport).endpoint("token_endpoint")


def test_an_issuer_sends_us_to_no_address_of_our_own(issuer: IssuerStub) -> None:
    metadata = {"issuer": issuer.url, "jwks_uri": "http://169.254.169.254/keys", "token_endpoint": "http://[::1]:1/"}
    issuer.server.script("GET", "/.well-known/openid-configuration", Answer(json=metadata))
    kept = Issuer(issuer.url, GuardedTransport(parse_policy(["127.0.0.1"])))
    with pytest.raises(Transient):
        kept.key("k1")


def test_a_token_is_as_old_as_it_says(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer, audiences=[CLIENT_ID]))
    signed_in(api, issuer, email=OWNER)
    now = int(time.time())
    assert bearer(api, issuer.token(exp=now - 30)).status_code == 200, "clocks differ by a minute at most"
    assert bearer(api, issuer.token(exp=now - 61)).status_code == 401


def test_no_provider_leads_around_a_password(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    user = api.container.list_members(api.actor)[0][0]
    api.container.people().put_password(user.id, api.container.hasher().hash(PASSWORD), api.container.clock().now())
    browser = Browser(api.client.application)
    assert browser.sign_in().status_code == 303
    issuer.claims |= {"email": OWNER}
    refused = come_back(Browser(api.client.application), issuer)
    assert (refused.status_code, "you have a password here" in refused.text) == (403, True)
    assert not api.container.people().has_identity(user.id)
    made = api.post("/invitations", {"email": "ada@example.org", "role": "reviewer"}, 201)
    ada = User(id=api.container.ids().new(), email="ada@example.org", name="Ada", created_at=user.created_at)
    elsewhere, _ = api.container.create_tenant("Elsewhere")
    with api.container.uow().begin(Actor(tenant_id=elsewhere.id, name="x")) as tx:
        tx.members.add(ada, Membership(tenant_id=elsewhere.id, user_id=ada.id, role=Role.OWNER))
        tx.commit()
    api.container.people().put_password(ada.id, "hash", ada.created_at)
    issuer.claims |= {"email": "ada@example.org", "sub": "sub-7"}
    refused = accept_by_provider(Browser(api.client.application), issuer, made["url"])
    assert (refused.status_code, "you have a password here" in refused.text) == (403, True)


def test_what_groups_grant_is_open_by_their_provider_alone(
    make_container: Callable[..., Container], issuer: IssuerStub
) -> None:
    first = make_container(embeddings="off")
    api = new_tenant(first, create_app(first).test_client())
    groups = {"readers": {"tenant": str(api.tenant_id), "role": "viewer"}}
    provider = providers_from([known_as(issuer, groups=groups, audiences=[CLIENT_ID])])
    container = make_container(embeddings="off", public_url=ORIGIN, oidc_providers=tuple(provider))
    app = create_app(container)
    issuer.claims |= {"groups": ["readers"]}
    assert come_back(Browser(app), issuer).status_code == 303
    ada = container.people().user_of_email("ada@example.org")
    assert ada is not None
    former = issuer.token()
    container.people().put_password(ada.id, container.hasher().hash(PASSWORD), container.clock().now())
    assert Browser(app).sign_in(PASSWORD, "ada@example.org").status_code == 403
    issuer.claims |= {"groups": []}
    assert come_back(Browser(app), issuer).status_code == 403
    again = app.test_client().get("/api/v1/me", headers={"Authorization": f"Bearer {former}"})
    assert again.status_code == 403, "a token from before brings no role back"
    assert container.people().belongings(ada.id) == []


def test_groups_leave_a_tenant_its_last_owner(make_container: Callable[..., Container], issuer: IssuerStub) -> None:
    first = make_container(embeddings="off")
    tenant, _ = first.create_tenant("Harbour Books")
    groups = {
        "heads": {"tenant": str(tenant.id), "role": "owner"},
        "team": {"tenant": str(tenant.id), "role": "viewer"},
    }
    provider = providers_from([known_as(issuer, groups=groups)])
    container = make_container(embeddings="off", public_url=ORIGIN, oidc_providers=tuple(provider))
    app = create_app(container)
    for claimed in (["heads"], ["team"], []):
        issuer.claims |= {"groups": claimed}
        assert come_back(Browser(app), issuer).status_code == 303
        ada = container.people().user_of_email("ada@example.org")
        assert ada is not None
        assert [one.role for one in container.people().belongings(ada.id)] == [Role.OWNER], claimed
