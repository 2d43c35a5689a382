"""Signing in at the console: over real storage, with what browsers send and keep."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.console.guard import FORM_COOKIE, MAX_FORM_BYTES, SESSION_COOKIE
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant

ORIGIN = "https://sort.example"
OWNER, PASSWORD, OTHER = "owner@example.com", "canary correct horse battery", "canary staple correct horse"


class Browser:
    """Keeps cookies, and sends forms as they stand on a page."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def open(self, path: str) -> TestResponse:
        return self.client.get(path, base_url=ORIGIN)

    def token(self, page: str) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.open(page).text)
        assert found is not None, page
        return found.group(1)

    def send(self, page: str, fields: Mapping[str, str], to: str = "", **options: object) -> TestResponse:
        form = {"form_token": self.token(page), **fields}
        headers = options.pop("headers", {"Origin": ORIGIN})
        return self.client.post(to or page, data=form, base_url=ORIGIN, headers=headers)  # type: ignore[arg-type]

    def sign_in(self, password: str = PASSWORD, email: str = OWNER, to: str = "/account") -> TestResponse:
        return self.send("/sign-in", {"email": email, "password": password, "next": to})

    def cookie(self, name: str) -> str | None:
        found = self.client.get_cookie(name, domain="sort.example")
        return None if found is None else found.value


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def app(api: Api) -> Flask:
    user = api.container.list_members(api.actor)[0][0]
    api.container.people().put_password(user.id, api.container.hasher().hash(PASSWORD), api.container.clock().now())
    app: Flask = api.client.application
    return app


def test_a_person_signs_in_looks_around_and_signs_out(app: Flask) -> None:
    browser = Browser(app)
    sent = browser.open("/account")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/sign-in?next=/account")
    answer = browser.sign_in()
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    page = browser.open("/account")
    assert page.status_code == 200
    assert "A tenant" in page.text
    assert OWNER in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert browser.open("/sign-in?next=/account").headers["Location"] == "/account"
    secret = browser.cookie(SESSION_COOKIE)
    assert browser.send("/account", {}, "/sign-out").headers["Location"] == "/sign-in"
    assert browser.cookie(SESSION_COOKIE) is None
    browser.client.set_cookie(SESSION_COOKIE, secret or "", domain="sort.example", secure=True)
    assert browser.open("/account").status_code == 303, "a copied cookie is of no use any more"


def test_every_sign_in_is_another_session(app: Flask) -> None:
    browser = Browser(app)
    browser.sign_in()
    first = browser.cookie(SESSION_COOKIE)
    browser.client.delete_cookie(SESSION_COOKIE, domain="sort.example")
    browser.client.set_cookie(SESSION_COOKIE, "planted", domain="sort.example", secure=True)
    browser.sign_in()
    assert browser.cookie(SESSION_COOKIE) not in (first, "planted", None)


@pytest.mark.parametrize(
    ("email", "password"), [(OWNER, OTHER), ("nobody@example.com", PASSWORD), ("", ""), ("'; --", "x" * 10_000)]
)
def test_who_is_refused_learns_nothing(app: Flask, email: str, password: str) -> None:
    browser = Browser(app)
    refused = browser.sign_in(password, email)
    assert refused.status_code == 401
    assert "The e-mail address or the password is wrong" in refused.text
    assert password == "" or password not in refused.text
    assert browser.cookie(SESSION_COOKIE) is None


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "", "/\tx"]
)
def test_nobody_is_sent_to_another_site(app: Flask, to: str) -> None:
    assert Browser(app).sign_in(to=to).headers["Location"] == "/"


def test_a_form_of_another_site_is_refused(app: Flask) -> None:
    browser = Browser(app)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}):
        refused = browser.send("/sign-in", {"email": OWNER, "password": PASSWORD}, headers=headers)
        assert refused.status_code == 403
        assert "open the page again" in refused.text
    fresh, bare = Browser(app), {"email": OWNER, "password": PASSWORD}
    assert fresh.client.post("/sign-in", data=bare, base_url=ORIGIN).status_code == 403
    token = re.search(r'value="([0-9a-f]{64})"', browser.open("/sign-in").text)
    assert token is not None
    stolen = bare | {"form_token": token.group(1)}
    fresh.open("/sign-in")
    assert fresh.cookie(FORM_COOKIE) is not None
    assert fresh.client.post("/sign-in", data=stolen, base_url=ORIGIN).status_code == 403
    browser.sign_in()
    assert browser.client.post("/account/sessions", base_url=ORIGIN).status_code == 403
    assert browser.open("/account").status_code == 200


def test_what_no_text_can_hold_is_refused(app: Flask) -> None:
    refused = Browser(app).sign_in(email="a\x00@example.com")
    assert (refused.status_code, "NUL" in refused.text) == (422, True)
    browser = Browser(app)
    browser.sign_in()
    by_script = {"X-Form-Token": browser.token("/account"), "Origin": ORIGIN}
    form = {"present": "a\x00", "password": OTHER}
    refused = browser.client.post("/account/password", data=form, base_url=ORIGIN, headers=by_script)
    assert (refused.status_code, "NUL" in refused.text) == (422, True)
    in_parts = {"base_url": ORIGIN, "headers": by_script, "content_type": "multipart/form-data"}
    refused = browser.client.post("/account/password", data=form, **in_parts)
    assert (refused.status_code, "NUL" in refused.text) == (422, True)
    large = {"present": "a" * (MAX_FORM_BYTES + 1), "password": OTHER}
    refused = browser.client.post("/account/password", data=large, base_url=ORIGIN, headers=by_script)
    assert refused.status_code == 413
    assert browser.client.post("/account/password", data=large, **in_parts).status_code == 413
    stranger = Browser(app)
    by_script = {"X-Form-Token": stranger.token("/sign-in"), "Origin": ORIGIN}
    file = {"email": OWNER, "password": PASSWORD, "file": (io.BytesIO(bytes(MAX_FORM_BYTES)), "a.bin")}
    assert stranger.client.post("/sign-in", data=file, base_url=ORIGIN, headers=by_script).status_code == 413


def test_sessions_open_no_api_and_keys_open_no_page(app: Flask, api: Api) -> None:
    browser = Browser(app)
    browser.sign_in()
    assert browser.open("/api/v1/me").status_code == 401
    operator = api.container.settings().operator_key
    for key in (api.key, operator):
        answer = app.test_client().get("/account", base_url=ORIGIN, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 303


def test_sessions_are_listed_and_ended_from_another(app: Flask) -> None:
    here, there = Browser(app), Browser(app)
    there.client.environ_base["HTTP_USER_AGENT"] = "Other <b>browser</b>"
    here.sign_in()
    there.sign_in()
    page = here.open("/account").text
    assert "Other &lt;b&gt;browser&lt;/b&gt;" in page
    found = re.search(r'action="(/account/sessions/[0-9a-f-]{36})"', page)
    assert found is not None
    assert here.send("/account", {}, found.group(1)).status_code == 303
    assert there.open("/account").status_code == 303
    assert here.open("/account").status_code == 200
    there.sign_in()
    assert here.send("/account", {}, "/account/sessions").headers["Location"] == "/sign-in"
    assert there.open("/account").status_code == 303


def test_the_password_is_changed_at_the_account(app: Flask) -> None:
    here, there = Browser(app), Browser(app)
    here.sign_in()
    there.sign_in()
    wrong = here.send("/account", {"present": OTHER, "password": OTHER}, "/account/password")
    assert (wrong.status_code, "password is wrong" in wrong.text) == (401, True)
    short = here.send("/account", {"present": PASSWORD, "password": "short"}, "/account/password")
    assert (short.status_code, "12 to 128 characters" in short.text) == (422, True)
    assert here.send("/account", {"present": PASSWORD, "password": OTHER}, "/account/password").status_code == 303
    assert here.open("/account").status_code == 200
    assert there.open("/account").status_code == 303
    assert there.sign_in(OTHER).status_code == 303


def test_who_is_invited_by_the_api_joins_at_the_console(app: Flask, api: Api) -> None:
    made = api.post("/invitations", {"email": "New@example.com", "role": "reviewer"}, 201)
    assert (made["email"], made["role"], made["url"].startswith(f"{ORIGIN}/invitations/")) == (
        "new@example.com",
        "reviewer",
        True,
    )
    assert [one["id"] for one in api.get("/invitations")["items"]] == [made["id"]]
    path = made["url"].removeprefix(ORIGIN)
    browser = Browser(app)
    assert "new@example.com" in browser.open(path).text
    assert browser.send(path, {"name": "New", "password": "short"}).status_code == 422
    for name in ("x" * 81, "New\n\nCall 0800 1234"):
        assert browser.send(path, {"name": name, "password": PASSWORD}).status_code == 422
    assert browser.send(path, {"name": "New", "password": PASSWORD}).status_code == 303
    assert "reviewer" in browser.open("/account").text
    used = Browser(app).open(path)
    assert (used.status_code, "This link was used already" in used.text) == (422, True)
    assert api.get("/invitations")["items"] == []
    person = next(member for member in api.get("/members")["items"] if member["email"] == "new@example.com")
    changed = api.call("PATCH", f"/members/{person['user_id']}", {"role": "admin"})
    assert changed.json["role"] == "admin"
    assert api.call("DELETE", f"/members/{person['user_id']}").status_code == 204
    assert browser.open("/account").status_code == 303
    api.container.seal_events()
    [joined] = api.get("/events?type=MEMBER_JOINED")["items"]
    assert (joined["actor"], joined["address"]) == ("New", "127.0.0.1")


def test_programs_make_no_owners(api: Api) -> None:
    owner = api.get("/members")["items"][0]
    for answer in (
        api.call("POST", "/invitations", {"email": "new@example.com", "role": "owner"}),
        api.call("PATCH", f"/members/{owner['user_id']}", {"role": "viewer"}),
        api.call("DELETE", f"/members/{owner['user_id']}"),
    ):
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    refused = api.call("POST", "/invitations", {"email": OWNER, "role": "viewer"})
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    gone = api.call("DELETE", f"/invitations/{owner['user_id']}")
    assert (gone.status_code, gone.json["code"]) == (404, "not_found")


def test_an_admin_signs_a_member_out_of_the_tenant(app: Flask, api: Api) -> None:
    path = api.post("/invitations", {"email": "new@example.com", "role": "reviewer"}, 201)["url"].removeprefix(ORIGIN)
    member, owner = Browser(app), Browser(app)
    member.send(path, {"name": "New", "password": PASSWORD})
    owner.sign_in()
    people = {one["email"]: one["user_id"] for one in api.get("/members")["items"]}
    theirs = f"/members/{people['new@example.com']}/sessions"
    assert member.open("/account").status_code == 200
    assert [api.call("DELETE", theirs).status_code for _ in range(2)] == [204, 204]
    assert member.open("/account").status_code == 303
    refused = api.call("DELETE", f"/members/{people[OWNER]}/sessions")
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert owner.open("/account").status_code == 200
    unknown = api.call("DELETE", f"/members/{api.tenant_id}/sessions")
    assert (unknown.status_code, unknown.json["code"]) == (404, "not_found")
    api.container.seal_events()
    [told] = api.get("/events?type=SESSION_ENDED")["items"]
    assert (told["subject_id"], told["payload"]) == (people["new@example.com"], {"sessions": 1})
    assert told["actor"].startswith("key ")


def test_without_local_accounts_no_password_opens_anything(make_container: Callable[..., Container]) -> None:
    container = make_container(embeddings="off", public_url=ORIGIN, local_accounts="off")
    browser = Browser(create_app(container))
    assert 'type="password"' not in browser.open("/sign-in").text
    assert browser.open("/password").status_code == 404


def test_pages_may_load_nothing_from_elsewhere_and_are_framed_by_nobody(app: Flask) -> None:
    page = Browser(app).open("/sign-in")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert "<script" not in page.text
    for asset in re.findall(r'href="(/[^"]+\.css[^"]*)"', page.text):
        assert Browser(app).open(asset).status_code == 200
    missing = Browser(app).open("/nothing/here")
    assert missing.status_code == 404


@pytest.mark.parametrize("role", list(Role))
def test_roles_come_as_they_were_given(api: Api, role: Role) -> None:
    expected = 403 if role is Role.OWNER else 201
    assert api.call("POST", "/invitations", {"email": "x@example.com", "role": role.value}).status_code == expected


def test_a_form_of_one_tenant_does_not_act_in_another(app: Flask, api: Api) -> None:
    other = api.container.create_tenant("Another tenant", owner_email=OWNER)[0]
    browser = Browser(app)
    browser.sign_in()
    browser.send("/account", {}, f"/enter/{api.tenant_id}")
    form = {"form_token": browser.token("/settings/members/invite"), "email": "guest@example.org", "role": "viewer"}
    browser.send("/account", {}, f"/enter/{other.id}")
    late = browser.client.post("/settings/members/invite", data=form, base_url=ORIGIN, headers={"Origin": ORIGIN})
    assert (late.status_code, "too old: open the page again" in late.text) == (403, True)
    assert "guest@example.org" not in browser.open("/settings/members").text
    assert browser.send("/settings/members/invite", form | {"form_token": browser.token("/account")}).status_code < 400
