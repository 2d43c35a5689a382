"""A second factor at the console: over real storage, with what browsers send and keep."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyotp
import pytest
from flask import Flask
from structlog.testing import capture_logs

from entrypoints.api.app import create_app
from entrypoints.console.guard import HALF_WAY_COOKIE, SESSION_COOKIE
from entrypoints.container import Container
from tests.integration.api_support import new_tenant
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser

Make = Callable[..., Flask]


@pytest.fixture
def make_app(make_container: Callable[..., Container]) -> Make:
    def make(**settings: object) -> Flask:
        container = make_container(embeddings="off", public_url=ORIGIN, **settings)
        api = new_tenant(container, create_app(container).test_client())
        user = container.list_members(api.actor)[0][0]
        container.people().put_password(user.id, container.hasher().hash(PASSWORD), container.clock().now())
        return api.client.application

    return make


def enrol(browser: Browser) -> tuple[pyotp.TOTP, list[str]]:
    page = browser.open("/account/second-factor").text
    key = re.search(r"<code[^>]*>([A-Z2-7]{32})</code>", page)
    enrolment = re.search(r'name="enrolment" value="([^"]+)"', page)
    assert key is not None, page
    assert enrolment is not None, page
    assert 'src="data:image/svg+xml' in page
    app = pyotp.TOTP(key.group(1))
    form = {"enrolment": enrolment.group(1), "code": app.now(), "password": PASSWORD}
    former = browser.cookie(SESSION_COOKIE)
    answer = browser.send("/account/second-factor", form)
    assert answer.status_code == 200, answer.text
    assert browser.cookie(SESSION_COOKIE) not in (former, None), "another session, as with a sign-in"
    return app, re.findall(r"<li>([A-Z2-7-]{29})</li>", answer.text)


def test_from_setting_it_up_to_losing_it(make_app: Make) -> None:
    app = make_app()
    first, second, before = Browser(app), Browser(app), Browser(app)
    first.sign_in()
    before.sign_in()
    phone, codes = enrol(first)
    assert len(codes) == 8
    assert before.open("/account").location == "/sign-in?next=/account", "it began without a second factor"
    assert "You have 8 recovery codes left." in first.open("/account").text

    halted = second.sign_in(to="/account#sessions")
    assert (halted.status_code, halted.location) == (303, "/second-factor?next=/account%23sessions")
    assert second.cookie(HALF_WAY_COOKIE)
    assert second.cookie(SESSION_COOKIE) is None, "a password alone begins no session"
    assert second.open("/account").status_code == 303
    wrong = second.send("/second-factor", {"code": phone.now(), "next": "/account"})
    assert (wrong.status_code, "used already" in wrong.text) == (401, True), "the code that set it up"
    let_in = second.send("/second-factor", {"code": codes[0], "next": "/account"})
    assert (let_in.status_code, let_in.location) == (303, "/account")
    assert not second.cookie(HALF_WAY_COOKIE)
    assert "You have 7 recovery codes left." in second.open("/account").text

    with capture_logs() as logged:
        refused = second.send("/account", {"code": "000000"}, to="/account/second-factor/remove")
    assert refused.status_code == 401
    assert [line.get("code") for line in logged if line["event"] == "refused"] == ["code_wrong"]
    removed = second.send("/account", {"code": codes[1]}, to="/account/second-factor/remove")
    assert (removed.status_code, removed.location) == (303, "/account")
    assert second.open("/account").status_code == 200
    assert first.open("/account").status_code == 303, "all others have ended"
    assert Browser(app).sign_in().location == "/account"


def test_who_did_not_begin_has_nothing_to_finish(make_app: Make) -> None:
    browser = Browser(make_app())
    assert browser.open("/second-factor").location == "/sign-in"
    browser.client.set_cookie(HALF_WAY_COOKIE, "made-up", domain="sort.example", secure=True)
    answer = browser.send("/second-factor", {"code": "000000"})
    assert (answer.status_code, answer.location) == (303, "/sign-in")


def test_the_operator_can_ask_everybody_for_one(make_app: Make) -> None:
    app = make_app(second_factor="required")
    browser = Browser(app)
    browser.sign_in()
    assert browser.open("/account").location == "/account/second-factor"
    assert browser.send("/account/second-factor", {}, to="/account/sessions").location == "/account/second-factor"
    _, codes = enrol(browser)
    assert browser.open("/account").status_code == 200
    another = Browser(app)
    another.sign_in()
    another.send("/second-factor", {"code": codes[0], "next": "/account"})
    assert another.open("/account").status_code == 200


def test_a_password_that_is_easily_guessed_is_not_taken(make_app: Make) -> None:
    browser = Browser(make_app())
    browser.sign_in()
    for easy in ("password12345", "qwertyuiop12", "owner1234567", "sortation1234"):
        form = {"present": PASSWORD, "password": easy}
        answer = browser.send("/account", form, to="/account/password")
        assert (answer.status_code, "easily guessed" in answer.text) == (422, True), easy
    form = {"present": PASSWORD, "password": "three red boats at dusk"}
    assert browser.send("/account", form, to="/account/password").status_code == 303
    assert Browser(browser.client.application).sign_in("three red boats at dusk", OWNER).status_code == 303
