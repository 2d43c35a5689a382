"""The console's pages of members, invitations and roles."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from core.domain.identity import providers_from
from core.domain.permissions import GRANTABLE, ROLE_PERMISSIONS, Permission, Role
from core.domain.plans import catalog_from
from core.domain.tenants import Membership, User
from entrypoints.api.app import create_app
from entrypoints.console.settings.words import AREAS, ROLES
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.console_support import HOSTILE, IMAGE, browser_of, is_harmless
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser

MEMBERS, INVITE = "/settings/members", "/settings/members/invite"


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, invite_limit="4/hour")
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def owner(api: Api) -> Browser:
    return browser_of(api, Role.OWNER)


@pytest.fixture
def viewer(api: Api) -> Browser:
    return browser_of(api, Role.VIEWER)


def id_of(api: Api, email: str) -> UUID:
    return UUID(next(one["user_id"] for one in api.get("/members")["items"] if one["email"] == email))


def role_of(api: Api, email: str) -> str:
    return str(next(one["role"] for one in api.get("/members")["items"] if one["email"] == email))


def page_of(api: Api, role: Role) -> str:
    return f"{MEMBERS}/{id_of(api, f'{role}@example.org')}"


def add(api: Api, name: str, email: str, role: Role = Role.VIEWER, granted_by: str | None = None) -> UUID:
    user = User(id=api.container.ids().new(), email=email, name=name, created_at=api.container.clock().now())
    with api.container.uow().begin(api.actor) as tx:
        tx.members.add(user, Membership(tenant_id=api.tenant_id, user_id=user.id, role=role, granted_by=granted_by))
        tx.commit()
    return user.id


def link_on(page: TestResponse) -> str:
    found = re.search(rf"{ORIGIN}(/invitations/[\w-]+)", page.text)
    assert found is not None
    return found[1]


def ask(browser: Browser, email: str, role: str = "viewer") -> TestResponse:
    return browser.send(INVITE, {"email": email, "role": role})


def test_settings_begin_where_everybody_may_look(api: Api, viewer: Browser, owner: Browser) -> None:
    page = viewer.open("/settings")
    assert page.status_code in (200, 303)
    page = viewer.open(MEMBERS)
    assert 'href="/settings" aria-current="page" data-go="s"' in page.text
    assert f'href="{MEMBERS}" aria-current="page">Members</a>' in page.text
    assert "/settings/keys" not in page.text
    assert 'href="/settings/keys">API keys</a>' in owner.open(MEMBERS).text


def test_members_are_listed_with_how_they_come_in(api: Api, owner: Browser) -> None:
    add(api, HOSTILE[:80], "hostile@example.org")
    page = owner.open(MEMBERS)
    assert is_harmless(page)
    assert "owner@example.org</span><span>password without a second factor</span><span>last here" in page.text
    assert "hostile@example.org</span><span>no way in yet</span><span>not here lately" in page.text
    assert "What each role may do" in page.text
    theirs = owner.open(f"{MEMBERS}/{id_of(api, 'hostile@example.org')}")
    assert is_harmless(theirs)
    assert "not lately, as far as sessions are kept" in theirs.text


def test_a_viewer_sees_who_is_there_and_changes_nothing(api: Api, owner: Browser, viewer: Browser) -> None:
    ask(owner, "new@example.org")
    page = viewer.open(MEMBERS)
    assert "owner@example.org" in page.text
    assert "new@example.org" in page.text
    assert [word in page.text for word in ("second factor", "/invite", "/renew", "/revoke")] == [False] * 4
    theirs = viewer.open(page_of(api, Role.OWNER))
    assert theirs.status_code == 200
    assert [word in theirs.text for word in ("second factor", '/role"', "/remove", "/sign-out")] == [False] * 3 + [True]
    assert f'action="{page_of(api, Role.OWNER)}/sign-out"' not in theirs.text
    assert viewer.open(INVITE).status_code == 403
    before = page_of(api, Role.OWNER)
    for act, fields in (("role", {"role": "viewer", "was": "owner"}), ("sign-out", {}), ("remove", {})):
        refused = viewer.send(MEMBERS, fields, f"{before}/{act}")
        assert refused.status_code == 403, act
    assert "members:write" in viewer.send(MEMBERS, {}, f"{before}/remove").text
    assert role_of(api, "owner@example.org") == "owner"
    assert viewer.send(MEMBERS, {"email": "x@example.org", "role": "viewer"}, INVITE).status_code == 403


def test_a_long_list_is_filtered_and_shown_in_parts(api: Api, owner: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        add(api, f"Person {number}", f"p{number}@example.org", Role.REVIEWER if number % 2 else Role.VIEWER)
    monkeypatch.setattr("entrypoints.console.settings.members.SHOWN", 3)
    seen, address = [], f"{MEMBERS}?role=reviewer"
    while address:
        page = owner.open(address)
        seen += re.findall(r"<span>(p\d@example.org)</span>", page.text)
        _, there, rest = page.text.partition('href="/settings/members?')
        address = f"{MEMBERS}?{rest.split(chr(34))[0]}".replace("&amp;", "&") if there else ""
    assert seen == [f"p{number}@example.org" for number in (1, 3, 5, 7)]
    assert re.findall(r"<span>(p\d@example.org)</span>", owner.open(f"{MEMBERS}?q=PERSON+4").text) == ["p4@example.org"]
    assert "Nobody fits" in owner.open(f"{MEMBERS}?q=nobody+like+it").text
    assert owner.open(f"{MEMBERS}?after=x").status_code == 422


def test_a_role_is_changed_and_two_do_not_overwrite_each_other(api: Api, owner: Browser, viewer: Browser) -> None:
    page = page_of(api, Role.VIEWER)
    changed = owner.send(page, {"role": "admin", "was": "viewer"}, f"{page}/role")
    assert (changed.status_code, changed.headers["Location"]) == (303, page)
    assert "Ada is an admin from now on." in owner.open(page).text
    late = owner.send(page, {"role": "reviewer", "was": "viewer"}, f"{page}/role")
    assert (late.status_code, "Somebody made them an admin meanwhile" in late.text) == (409, True)
    assert 'value="reviewer" checked' in late.text
    assert role_of(api, "viewer@example.org") == "admin"
    assert owner.send(page, {"role": "king", "was": "admin"}, f"{page}/role").status_code == 422
    assert "Settings" in viewer.open(INVITE).text, "the role holds from the next request on"


def test_admins_leave_owners_alone_and_the_last_owner_stays(api: Api, owner: Browser) -> None:
    admin, theirs = browser_of(api, Role.ADMIN), page_of(api, Role.OWNER)
    page = admin.open(theirs)
    assert "Only owners change what concerns owners." in page.text
    assert 'name="role"' not in page.text
    refused = admin.send(MEMBERS, {"role": "viewer", "was": "owner"}, f"{theirs}/role")
    assert (refused.status_code, "Only an owner makes or unmakes owners." in refused.text) == (403, True)
    for act in ("remove", "sign-out"):
        assert admin.send(MEMBERS, {}, f"{theirs}/{act}").status_code == 403
    own = page_of(api, Role.ADMIN)
    assert 'value="owner"' not in admin.open(own).text
    refused = admin.send(own, {"role": "owner", "was": "admin"}, f"{own}/role")
    assert (refused.status_code, role_of(api, "admin@example.org")) == (403, "admin")
    owner.send(MEMBERS, {}, f"{MEMBERS}/{id_of(api, OWNER)}/remove")
    assert "this is the only one" in owner.open(theirs).text
    kept = owner.send(MEMBERS, {"role": "viewer", "was": "owner"}, f"{theirs}/role")
    assert (kept.status_code, "A tenant keeps at least one owner" in kept.text) == (409, True)
    assert owner.send(MEMBERS, {}, f"{theirs}/remove").status_code == 409
    assert role_of(api, "owner@example.org") == "owner"


def test_who_is_removed_is_out_and_what_they_made_ends(api: Api, owner: Browser) -> None:
    admin, page = browser_of(api, Role.ADMIN), page_of(api, Role.ADMIN)
    made = admin.send(
        "/settings/keys/new", {"name": "Hers", "scopes": "records:read", "lasts": "30"}, "/settings/keys/new"
    )
    assert made.status_code == 200
    ask(admin, "guest@example.org")
    shown = owner.open(page)
    assert ">Hers</a>)" in shown.text
    assert "and 1 open invitation" in shown.text
    ended = owner.send(page, {}, f"{page}/sign-out")
    assert (ended.status_code, admin.open(MEMBERS).status_code) == (303, 303)
    assert "Signed out in 1 place." in owner.open(page).text
    gone = owner.send(page, {}, f"{page}/remove")
    assert (gone.status_code, gone.headers["Location"]) == (303, MEMBERS)
    listed = owner.open(MEMBERS)
    assert "Ada is no member any more." in listed.text
    assert "guest@example.org" not in listed.text
    assert owner.open(page).status_code == 404
    assert "revoked" in owner.open("/settings/keys?state=ended").text


def test_everybody_may_leave_and_goes_on_where_else_they_belong(api: Api, owner: Browser, viewer: Browser) -> None:
    page = page_of(api, Role.VIEWER)
    assert "Leave A tenant" in viewer.open(page).text
    other = new_tenant(api.container, api.client, "Quay Books")
    user = api.container.people().user_of_email("viewer@example.org")
    assert user is not None
    with other.container.uow().begin(other.actor) as tx:
        tx.members.add(user, Membership(tenant_id=other.tenant_id, user_id=user.id, role=Role.REVIEWER))
        tx.commit()
    left = viewer.send(page, {}, f"{page}/remove")
    assert (left.status_code, left.headers["Location"]) == (303, "/")
    assert "You left A tenant. This is Quay Books." in viewer.open("/").text
    here = f"{MEMBERS}/{user.id}"
    left = viewer.send(here, {}, f"{here}/remove")
    assert (left.status_code, left.headers["Location"]) == (303, "/sign-in")
    assert viewer.open(MEMBERS).status_code == 303
    assert "viewer@example.org" not in owner.open(MEMBERS).text


def test_the_link_of_an_invitation_is_shown_once_and_lets_somebody_in(api: Api, owner: Browser) -> None:
    assert "No mail server is set up" in owner.open(INVITE).text
    made = ask(owner, " New@example.org ", "reviewer")
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store")
    link = link_on(made)
    listed = owner.open(MEMBERS)
    assert "new@example.org" in listed.text
    assert link not in listed.text
    [invitation] = api.get("/invitations")["items"]
    anew = owner.send(MEMBERS, {}, f"{MEMBERS}/invitations/{invitation['id']}/renew")
    assert (anew.status_code, anew.headers["Cache-Control"]) == (200, "no-store")
    guest = Browser(api.client.application)
    assert guest.open(link).status_code == 422
    assert guest.send(link_on(anew), {"name": "New", "password": PASSWORD}).status_code == 303
    assert role_of(api, "new@example.org") == "reviewer"
    api.container.seal_events()
    assert link_on(anew) not in owner.open("/events").text


def test_an_invitation_is_revoked_and_says_when_it_expired(api: Api, owner: Browser) -> None:
    link = link_on(ask(owner, "new@example.org"))
    [invitation] = api.get("/invitations")["items"]
    revoke = f"{MEMBERS}/invitations/{invitation['id']}/revoke"
    assert owner.send(MEMBERS, {}, revoke).headers["Location"] == MEMBERS
    assert Browser(api.client.application).open(link).status_code == 422
    assert "Nobody is asked to join just now." in owner.open(MEMBERS).text
    again = owner.send(MEMBERS, {}, revoke)
    assert (again.status_code, "This invitation is revoked" in again.text) == (409, True)
    assert owner.send(MEMBERS, {}, f"{MEMBERS}/invitations/{api.tenant_id}/renew").status_code == 404
    ask(owner, "old@example.org")
    with api.container.app_engine().begin() as connection:
        connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{api.tenant_id}', true)")
        connection.exec_driver_sql(
            "UPDATE invitations SET expires_at = now() - interval '1 hour' WHERE tenant_id = %s", (api.tenant_id,)
        )
    assert "<span>expired <time" in owner.open(MEMBERS).text


def test_what_does_not_hold_is_told_beside_what_was_typed(api: Api) -> None:
    admin = browser_of(api, Role.ADMIN)
    assert 'value="owner"' not in admin.open(INVITE).text
    api.container.invite(api.actor, "taken@example.org", Role.VIEWER)
    for email, role, status, said in (
        ("no address", "viewer", 422, "Not a valid email address."),
        (IMAGE, "viewer", 422, "&#34;&gt;&lt;img src=x"),
        ("x@example.org", "", 422, 'id="role-error"'),
        ("x@example.org", "owner", 403, "Only an owner makes or unmakes owners"),
        (OWNER, "viewer", 409, "This person is a member already"),
        ("taken@example.org", "viewer", 409, "This address has an open invitation"),
    ):
        page = ask(admin, email, role)
        assert (page.status_code, said in page.text) == (status, True), (email, role)
        assert "<img src=x" not in page.text
        assert f'value="{email}"' in page.text or email == IMAGE
    assert len(api.get("/invitations")["items"]) == 1


def test_invitations_by_pages_count_as_those_by_the_api(api: Api, owner: Browser) -> None:
    assert [ask(owner, f"p{number}@example.org").status_code for number in range(3)] == [200] * 3
    assert api.call("POST", "/invitations", {"email": "p3@example.org", "role": "viewer"}).status_code == 201
    refused = ask(owner, "p4@example.org")
    assert (refused.status_code, "Too many invitations were sent lately" in refused.text) == (429, True)
    assert 'value="p4@example.org"' in refused.text
    [first, *_] = api.get("/invitations")["items"]
    refused = owner.send(MEMBERS, {}, f"{MEMBERS}/invitations/{first['id']}/renew")
    assert (refused.status_code, "Try again in" in refused.text) == (429, True)
    assert api.call("POST", "/invitations", {"email": "p5@example.org", "role": "viewer"}).status_code == 429


def test_where_mails_are_sent_and_providers_say_who_is_who(make_container: Callable[..., Container]) -> None:
    written = {"key": "acme", "title": "Acme <b>", "issuer": "https://id.example", "client_id": "x"}
    container = make_container(
        embeddings="off",
        public_url=ORIGIN,
        smtp_url="smtp://127.0.0.1:1",
        oidc_providers=tuple(providers_from([written])),
    )
    api = new_tenant(container, create_app(container).test_client())
    owner = browser_of(api, Role.OWNER)
    granted = add(api, "Ben", "ben@example.org", granted_by="https://id.example")
    container.people().add_identity("https://id.example", "ben", granted, container.clock().now())
    container.people().add_identity("https://gone.example", "ben", granted, container.clock().now())
    theirs = owner.open(f"{MEMBERS}/{granted}").text
    assert "<dd>groups at Acme &lt;b&gt;</dd>" in theirs
    assert "<dd>https://gone.example, Acme &lt;b&gt;</dd>" in theirs
    assert "the role is what the groups say again" in theirs
    assert "They get a mail with a link" in owner.open(INVITE).text
    sent = ask(owner, "new@example.org")
    assert (sent.status_code, sent.headers["Location"]) == (303, MEMBERS)
    page = owner.open(MEMBERS)
    assert "A mail with a link is on its way to new@example.org." in page.text
    assert ">Send anew</button>" in page.text


def test_what_is_of_another_tenant_is_not_found(api: Api, owner: Browser) -> None:
    other = new_tenant(api.container, api.client, "Quay Books")
    stranger = add(other, "Eve", "eve@example.org")
    invitation = other.post("/invitations", {"email": "guest@example.org", "role": "viewer"}, 201)["id"]
    assert owner.open(f"{MEMBERS}/{stranger}").status_code == 404
    for path, fields in {
        f"{stranger}/role": {"role": "admin", "was": "viewer"},
        f"{stranger}/sign-out": {},
        f"{stranger}/remove": {},
        f"invitations/{invitation}/renew": {},
        f"invitations/{invitation}/revoke": {},
    }.items():
        assert owner.send(MEMBERS, fields, f"{MEMBERS}/{path}").status_code == 404, path
    assert role_of(other, "eve@example.org") == "viewer"
    assert len(other.get("/invitations")["items"]) == 1


def test_the_table_of_roles_is_that_of_the_core(api: Api, viewer: Browser) -> None:
    page = viewer.open(f"{MEMBERS}/roles").text
    rows = {
        found[1]: found[0].count("visually-hidden")
        for row in page.split("<tr>")
        if (code := re.search(r"<code[^>]*>([a-z]+:[a-z]+)</code>", row)) and (found := (row, code[1]))
    }
    assert rows == {permission.value: len(Role) for permission in GRANTABLE}
    for row in page.split("<tr>"):
        if code := re.search(r"<code[^>]*>([a-z]+:[a-z]+)</code>", row):
            said = re.findall(r'<span class="visually-hidden">(yes|no)</span>', row)
            assert said == ["yes" if Permission(code[1]) in ROLE_PERMISSIONS[role] else "no" for role in Role]
    assert list(ROLES) == list(Role)
    worded = [permission for _, permissions in AREAS for permission in permissions]
    assert sorted(worded) == sorted(GRANTABLE)


def test_where_no_seat_is_left_it_says_what_the_plan_holds(make_container: Callable[..., Container]) -> None:
    plans = catalog_from([{"key": "free", "title": f"Small: see {HOSTILE}", "limits": {"seats": 1}}])
    container = make_container(embeddings="off", public_url=ORIGIN, plans=plans, base_plan="free")
    owner = browser_of(new_tenant(container, create_app(container).test_client()), Role.OWNER)
    refused = owner.send(INVITE, {"email": "new@example.org", "role": "viewer"})
    assert (refused.status_code, is_harmless(refused)) == (402, True)
    said = html.unescape(refused.text)
    told = f"The plan Small: see {HOSTILE} holds 1 people. Remove somebody, revoke an invitation, or order more seats."
    assert told in said
