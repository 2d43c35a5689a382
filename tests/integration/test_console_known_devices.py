"""Browsers that people are known by, at the console: strangers lock an account, and nobody out who was there before."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie

import pytest
from flask import Flask

from core.domain.people import FREE_FAILURES, KnownDevice, hash_browser_secret
from entrypoints.api.app import create_app
from entrypoints.api.auth import DEVICE_COOKIE
from entrypoints.console.guard import SESSION_COOKIE
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.test_console_second_factor import enrol
from tests.integration.test_console_sign_in import ORIGIN, OTHER, OWNER, PASSWORD, Browser

BEN = "ben@example.com"


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, sign_in_limit="1000/minute")
    api = new_tenant(container, create_app(container).test_client())
    container.create_tenant("Quay Books", owner_email=BEN)
    for email in (OWNER, BEN):
        user = container.people().user_of_email(email)
        assert user is not None
        container.people().put_password(user.id, container.hasher().hash(PASSWORD), container.clock().now())
    return api


@pytest.fixture
def app(api: Api) -> Flask:
    app: Flask = api.client.application
    return app


def away(browser: Browser) -> Browser:
    """The session is over, and the browser none the wiser."""
    browser.client.delete_cookie(SESSION_COOKIE, domain="sort.example")
    return browser


def guess(browser: Browser, times: int = FREE_FAILURES) -> None:
    for _ in range(times):
        assert away(browser).sign_in(OTHER).status_code == 401


def signs_in(browser: Browser) -> bool:
    """With the right password."""
    answer = away(browser).sign_in()
    if answer.status_code == 401:
        assert "the account is locked" in answer.text
        return False
    assert (answer.status_code, answer.location) == (303, "/account")
    return browser.open("/account").status_code == 200


def locked(api: Api) -> bool:
    account = api.container.people().account(OWNER)
    assert account is not None
    return account.locked(api.container.clock().now())


def devices(api: Api, email: str = OWNER) -> list[KnownDevice]:
    user = api.container.people().user_of_email(email)
    assert user is not None
    return list(api.container.people().devices(user.id))


def known_as(browser: Browser, secret: str | None) -> Browser:
    browser.client.set_cookie(DEVICE_COOKIE, secret or "", domain="sort.example", secure=True, path="/")
    return browser


def test_who_was_here_before_is_let_in_while_a_stranger_keeps_the_account_locked(app: Flask, api: Api) -> None:
    known, stranger = Browser(app), Browser(app)
    assert signs_in(known)
    assert known.send("/account", {}, "/sign-out").status_code == 303, "which forgets no browser"
    guess(stranger)
    assert locked(api)
    assert signs_in(known)
    assert not signs_in(Browser(app)), "a new browser waits, as before"
    assert not signs_in(stranger)
    guess(known)
    [device] = devices(api)
    assert (device.failures, device.locked(api.container.clock().now())) == (FREE_FAILURES, True)
    assert not signs_in(known), "now it is as any other"
    api.container.people().lock(device.user_id, None)
    assert signs_in(known)
    api.container.seal_events()
    told = api.get("/events?type=ACCOUNT_LOCKED")["items"]
    assert [event["payload"].get("known_device") for event in told] == [None, True]


def test_the_cookie_stays_with_this_host_and_says_nothing(app: Flask, api: Api) -> None:
    browser = Browser(app)
    answer = browser.sign_in()
    cookies = SimpleCookie[str]()
    for header in answer.headers.getlist("Set-Cookie"):
        cookies.load(header)
    kept = cookies[DEVICE_COOKIE]
    assert DEVICE_COOKIE.startswith("__Host-")
    assert (kept["path"], kept["domain"], kept["samesite"]) == ("/", "", "Strict")
    assert kept["secure"]
    assert kept["httponly"]
    assert kept["max-age"] == str(365 * 86_400)
    assert (len(kept.value), set(kept.value) <= set("0123456789abcdef")) == (64, True)
    assert [device.secret_hash for device in devices(api)] == [hash_browser_secret(kept.value)]
    away(browser).sign_in()
    assert browser.cookie(DEVICE_COOKIE) not in (None, kept.value)
    assert len(devices(api)) == 1
    assert DEVICE_COOKIE not in str(Browser(app).sign_in(OTHER).headers)


def test_it_opens_nothing_and_is_nobody_elses(app: Flask, api: Api) -> None:
    known, bens = Browser(app), Browser(app)
    assert signs_in(known)
    bens.sign_in(email=BEN)
    secret, of_ben = known.cookie(DEVICE_COOKIE), bens.cookie(DEVICE_COOKIE)
    thief = known_as(Browser(app), secret)
    assert thief.open("/account").status_code == 303
    thief.client.set_cookie(SESSION_COOKIE, secret or "", domain="sort.example", secure=True, path="/")
    assert thief.open("/account").status_code == 303
    headers = {"Authorization": f"Bearer {secret}"}
    assert app.test_client().get("/api/v1/me", base_url=ORIGIN, headers=headers).status_code == 401
    guess(known_as(Browser(app), of_ben))
    assert (locked(api), [device.failures for device in devices(api, BEN)]) == (True, [0])
    for strange in (of_ben, "x" * 64, "", known.cookie(SESSION_COOKIE), OWNER):
        assert not signs_in(known_as(Browser(app), strange))
    assert signs_in(known)


def test_a_second_factor_is_asked_for_there_too_and_nobody_holds_it_up(app: Flask, api: Api) -> None:
    known, there = Browser(app), Browser(app)
    there.sign_in()
    known.sign_in()
    _, codes = enrol(known)
    [device] = devices(api)
    assert device.secret_hash == hash_browser_secret(known.cookie(DEVICE_COOKIE) or ""), "no other is known any more"
    known.send("/account", {}, "/sign-out")
    former = known.cookie(DEVICE_COOKIE)
    assert known.sign_in().location == "/second-factor?next=/account"
    assert known.cookie(DEVICE_COOKIE) == former, "half of the way makes nobody known"
    assert known.send("/second-factor", {"code": codes[0], "next": "/account"}).location == "/account"
    known.send("/account", {}, "/sign-out")
    guess(Browser(app))
    assert known.sign_in().location == "/second-factor?next=/account"
    guess(Browser(app), 2)
    assert known.send("/second-factor", {"code": "000000"}).status_code == 401
    assert [device.failures for device in devices(api)] == [1]
    assert known.send("/second-factor", {"code": codes[1], "next": "/account"}).location == "/account"
    assert locked(api)
    assert known.open("/account").status_code == 200


def test_a_changed_password_and_signing_out_everywhere_forget_it(app: Flask, api: Api) -> None:
    here, there = Browser(app), Browser(app)
    assert signs_in(here)
    assert signs_in(there)
    assert len(devices(api)) == 2
    form = {"present": PASSWORD, "password": OTHER}
    assert here.send("/account", form, "/account/password").status_code == 303
    assert [one.secret_hash for one in devices(api)] == [hash_browser_secret(here.cookie(DEVICE_COOKIE) or "")]
    back = {"present": OTHER, "password": PASSWORD}
    assert here.send("/account", back, "/account/password").status_code == 303
    guess(Browser(app))
    assert not signs_in(there)
    assert here.send("/account", {}, "/account/sessions").location == "/sign-in"
    assert devices(api) == []
    assert not signs_in(here)
