"""Linking a provider to an account that has a password: at the console, with what browsers send and keep."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import oidc_provider_mock
import pytest
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from core.domain.identity import providers_from
from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.console.guard import SESSION_COOKIE
from entrypoints.console.identity import KEPT_COOKIE
from entrypoints.container import Container
from tests.integration.api_support import Api, member_by_provider, new_tenant
from tests.integration.test_console_second_factor import enrol
from tests.integration.test_console_sign_in import ORIGIN, OTHER, OWNER, PASSWORD, Browser
from tests.integration.test_identity import known_as
from tests.stubs.issuer import CLIENT_ID, IssuerStub

Make = Callable[..., Api]


@pytest.fixture
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        stub.claims |= {"sub": "owner-there", "email": "somebody@elsewhere.example", "name": "Ada at work"}
        yield stub


@pytest.fixture
def make(make_container: Callable[..., Container]) -> Make:
    """A tenant whose owner has a password, and these providers."""

    def made(*written: dict[str, Any], **settings: object) -> Api:
        providers = tuple(providers_from(list(written)))
        container = make_container(embeddings="off", public_url=ORIGIN, oidc_providers=providers, **settings)
        api = new_tenant(container, create_app(container).test_client())
        user = container.list_members(api.actor)[0][0]
        container.people().put_password(user.id, container.hasher().hash(PASSWORD), container.clock().now())
        return api

    return made


def signed_in(api: Api) -> Browser:
    browser = Browser(api.client.application)
    assert browser.sign_in().status_code == 303
    return browser


def sent_to(answer: TestResponse) -> str:
    """Where the page goes on by itself."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    assert found is not None, answer.text
    return html.unescape(found.group(1))


def begin(browser: Browser, issuer: IssuerStub, password: str = PASSWORD, **fields: str) -> str:
    """The address that the provider sends the browser back to."""
    sent = sent_to(browser.send("/account", {"password": password, **fields}, "/account/link/acme"))
    assert sent.startswith(f"{issuer.url}/authorize?")
    asked = dict(parse_qsl(urlsplit(sent).query))
    issuer.nonce = asked["nonce"]
    return f"/sign-in/acme/callback?code=code-1&state={asked['state']}"


def confirmed(browser: Browser, asked: TestResponse) -> TestResponse:
    """Yes, sent by the page that asks."""
    assert asked.status_code == 200, asked.text
    fields = dict(re.findall(r'type="hidden" name="([a-z_]+)" value="([^"]+)"', asked.text))
    return browser.client.post("/account/link", data=fields, base_url=ORIGIN, headers={"Origin": ORIGIN})


def issuers(api: Api) -> list[str]:
    """That the owner is linked to."""
    user = api.container.people().user_of_email(OWNER)
    assert user is not None
    return list(api.container.people().linked_issuers(user.id))


def by_provider(api: Api, issuer: IssuerStub) -> tuple[Browser, TestResponse]:
    browser = Browser(api.client.application)
    asked = dict(parse_qsl(urlsplit(browser.open("/sign-in/acme?next=/account").headers["Location"]).query))
    issuer.nonce = asked["nonce"]
    return browser, browser.open(f"/sign-in/acme/callback?code=code-2&state={asked['state']}")


def test_who_has_a_password_links_a_real_provider_and_signs_in_by_it(make: Make) -> None:
    user = oidc_provider_mock.User(sub="ada-there", claims={"email": "ada@work.example", "name": "Ada Lovelace"})
    with oidc_provider_mock.run_server_in_thread(user_claims=[user], require_nonce=True) as server:
        url = f"http://localhost:{server.server_port}"
        written = {"key": "mock", "title": "Mock", "issuer": url, "client_id": "c", "client_secret": "s"}
        api = make(written)
        browser, other = signed_in(api), signed_in(api)

        def come_from(sent: str) -> TestResponse:
            back = httpx2.post(sent, data={"sub": "ada-there"}, follow_redirects=False).headers["location"]
            assert back.startswith(f"{ORIGIN}/sign-in/mock/callback?")
            return browser.open(back.removeprefix(ORIGIN))

        refused = come_from(browser.open("/sign-in/mock").headers["Location"])
        assert (refused.status_code, "ask for an invitation" in refused.text) == (403, True)
        asked = come_from(sent_to(browser.send("/account", {"password": PASSWORD}, "/account/link/mock")))
        assert "Ada Lovelace" in asked.text
        assert issuers(api) == []
        former = browser.cookie(SESSION_COOKIE)
        assert confirmed(browser, asked).headers["Location"] == "/account"
        assert browser.cookie(SESSION_COOKIE) != former
        assert other.open("/account").status_code == 303, "all other sessions have ended"
        assert issuers(api) == [url]
        page = browser.open("/account").text
        assert 'action="/account/unlink"' in page
        assert 'action="/account/link/mock"' not in page
        browser = Browser(api.client.application)
        back = come_from(browser.open("/sign-in/mock?next=/account").headers["Location"])
        assert (back.status_code, back.headers["Location"]) == (303, "/account")
        assert OWNER in browser.open("/account").text
        api.container.seal_events()
        [linked] = api.get("/events?type=IDENTITY_LINKED")["items"]
        assert (linked["payload"], linked["actor"]) == ({"via": url}, OWNER)


def test_what_was_linked_is_unlinked(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer, audiences=[CLIENT_ID]))
    mine = signed_in(api)
    confirmed(mine, mine.open(begin(mine, issuer)))
    theirs, _ = by_provider(api, issuer)
    again, _ = by_provider(api, issuer)
    token = {"Authorization": f"Bearer {issuer.token()}"}
    assert api.client.get("/api/v1/me", headers=token).status_code == 200
    assert 'action="/account/link/' not in theirs.open("/account").text
    unlinked = theirs.send("/account", {"issuer": issuer.url}, "/account/unlink")
    assert (unlinked.status_code, unlinked.headers["Location"]) == (303, "/sign-in"), "its own session is over"
    assert again.open("/account").status_code == 303
    assert mine.open("/account").status_code == 200
    assert issuers(api) == []
    assert api.client.get("/api/v1/me", headers=token).status_code == 403
    assert by_provider(api, issuer)[1].status_code == 403
    missing = mine.send("/account", {"issuer": issuer.url}, "/account/unlink")
    assert missing.status_code == 404
    confirmed(mine, mine.open(begin(mine, issuer)))
    assert by_provider(api, issuer)[1].status_code == 303, "and linked anew"
    kept = mine.send("/account", {"issuer": issuer.url}, "/account/unlink")
    assert kept.headers["Location"] == "/account"
    api.container.seal_events()
    assert len(api.get("/events?type=IDENTITY_UNLINKED")["items"]) == 2


def test_who_has_no_password_keeps_the_provider(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    member_by_provider(api, issuer, Role.REVIEWER)
    browser, _ = by_provider(api, issuer)
    page = browser.open("/account").text
    assert "Acme" in page
    assert "/account/unlink" not in page
    refused = browser.send("/account", {"issuer": issuer.url}, "/account/unlink")
    assert (refused.status_code, "nothing would be left" in refused.text) == (409, True)
    forbidden = browser.send("/account", {"password": PASSWORD}, "/account/link/acme")
    assert forbidden.status_code == 403
    assert browser.open("/account").status_code == 200


def test_the_password_is_asked_for_and_so_is_the_code(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer), second_factor="required")
    browser = signed_in(api)
    early = browser.send("/account/second-factor", {"password": PASSWORD}, "/account/link/acme")
    assert early.headers["Location"] == "/account/second-factor", "first what is required"
    _, codes = enrol(browser)
    assert 'id="code-acme"' in browser.open("/account").text
    for fields in ({"password": OTHER, "code": codes[0]}, {"password": PASSWORD, "code": "000000"}, {"code": codes[0]}):
        with capture_logs() as logged:
            refused = browser.send("/account", fields, "/account/link/acme")
        assert refused.status_code == 401
        assert "wrong" in refused.text
        assert browser.cookie(KEPT_COOKIE) is None
        assert [line["event"] for line in logged if line["event"].endswith("refused")] == ["refused"]
    asked = browser.open(begin(browser, issuer, code=codes[0]))
    assert "without a code" in asked.text
    assert confirmed(browser, asked).status_code == 303
    theirs, back = by_provider(api, issuer)
    assert (back.status_code, back.headers["Location"]) == (303, "/account"), "the second factor is the provider's"
    assert theirs.open("/account").status_code == 200


def test_no_other_browser_and_no_other_session_answers(make: Make, issuer: IssuerStub) -> None:
    """Somebody has a browser that is signed in open the address with which their own sign-in at the provider ends."""
    api = make(known_as(issuer))
    attacker, victim = signed_in(api), signed_in(api)
    planted = begin(attacker, issuer)
    assert victim.open(planted).status_code == 422, "it began nothing"
    begin(victim, issuer)
    assert victim.open(planted).status_code == 422, "it began something else"
    assert issuer.codes == [], "no code was used up for it"
    kept = attacker.cookie(KEPT_COOKIE)
    victim.client.set_cookie(KEPT_COOKIE, kept or "", domain="sort.example", secure=True)
    refused = victim.open(planted)
    assert (refused.status_code, issuer.codes) == (422, []), "nor does what another session began, even with its cookie"
    mine = begin(victim, issuer)
    asked = victim.open(mine)
    found = dict(re.findall(r'type="hidden" name="(found)" value="([^"]+)"', asked.text))
    foreign = attacker.send("/account", found, "/account/link")
    assert foreign.status_code == 422, "and what one session is asked no other answers"
    bare = victim.client.post("/account/link", data=found, base_url=ORIGIN)
    assert bare.status_code == 403, "nor does another site answer"
    assert issuers(api) == []


def test_who_signed_out_meanwhile_links_nothing(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    browser = signed_in(api)
    back = begin(browser, issuer)
    asked = begin(browser, issuer)
    browser.send("/account", {}, "/sign-out")
    with capture_logs() as logged:
        assert browser.open(asked).status_code == 401
    assert [line["provider"] for line in logged if line["event"] == "sign-in refused"] == ["acme"]
    browser.sign_in()
    for late in (back, asked):
        assert browser.open(late).status_code == 422
    assert issuer.codes == []
    assert issuers(api) == []


def test_an_answer_is_good_once(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    browser = signed_in(api)
    back = begin(browser, issuer)
    kept = browser.cookie(KEPT_COOKIE)
    asked = browser.open(back)
    assert browser.cookie(KEPT_COOKIE) is None
    assert browser.open(back).status_code == 422, "what the browser kept is gone"
    assert confirmed(browser, asked).status_code == 303
    browser.send("/account", {"issuer": issuer.url}, "/account/unlink")
    browser.client.set_cookie(KEPT_COOKIE, kept or "", domain="sort.example", secure=True)
    assert browser.open(back).status_code == 422, "and of no use to the session that went on"
    fields = dict(re.findall(r'type="hidden" name="(found)" value="([^"]+)"', asked.text))
    assert browser.send("/account", fields, "/account/link").status_code == 422
    assert issuers(api) == []


def test_an_identity_of_somebody_else_is_refused_on_a_page_that_says_so(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    member_by_provider(api, issuer, Role.REVIEWER)
    browser = signed_in(api)
    refused = browser.open(begin(browser, issuer))
    assert (refused.status_code, "somebody else here already" in refused.text) == (409, True)
    assert issuers(api) == []
    assert browser.open("/account").status_code == 200
    issuer.claims |= {"sub": "owner-there"}
    confirmed(browser, browser.open(begin(browser, issuer)))
    twice = browser.send("/account", {"password": PASSWORD}, "/account/link/acme")
    assert (twice.status_code, "linked to your account already" in twice.text) == (409, True)


def test_what_the_provider_refuses_is_told_and_links_nothing(make: Make, issuer: IssuerStub) -> None:
    api = make(known_as(issuer))
    browser = signed_in(api)
    state = dict(parse_qsl(urlsplit(begin(browser, issuer)).query))["state"]
    denied = browser.open(f"/sign-in/acme/callback?error=access_denied&state={state}")
    assert (denied.status_code, "you did not sign in there" in denied.text) == (401, True)
    back = begin(browser, issuer)
    issuer.id_token = issuer.token(nonce="another")
    assert browser.open(back).status_code == 401
    assert issuers(api) == []
    assert browser.send("/account", {"password": PASSWORD}, "/account/link/nobody").status_code == 404


def test_where_passwords_open_nothing_there_is_nothing_to_link_to(
    make: Make, make_container: Callable[..., Container], issuer: IssuerStub
) -> None:
    api = make(known_as(issuer))
    browser = signed_in(api)
    providers = tuple(providers_from([known_as(issuer)]))
    container = make_container(embeddings="off", public_url=ORIGIN, oidc_providers=providers, local_accounts="off")
    off = Browser(create_app(container))
    off.client.set_cookie(SESSION_COOKIE, browser.cookie(SESSION_COOKIE) or "", domain="sort.example", secure=True)
    assert "/account/link" not in off.open("/account").text
    for path in ("/account/link/acme", "/account/link", "/account/unlink"):
        assert off.send("/account", {"password": PASSWORD, "issuer": issuer.url}, path).status_code == 404
