"""The log of what matters to who answers for a tenant: with who, from where, with which program."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs

from core.domain.permissions import GRANTABLE, ROLE_PERMISSIONS, Role
from core.domain.tenants import Actor
from core.errors import Invalid, NotFound
from entrypoints.api.app import create_app
from entrypoints.api.auth import MAX_USER_AGENT, page
from entrypoints.cli.operating import at_command_line
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser

OPERATOR = at_command_line("a test")


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    return new_tenant(container, create_app(container).test_client(), "Harbour Books")


def told(api: Api, *types: str) -> list[dict[str, Any]]:
    api.container.seal_events()
    query = "&".join(f"type={type}" for type in types)
    found: list[dict[str, Any]] = api.get(f"/events?limit=500&{query}")["items"]
    return found


def test_an_export_is_told_with_what_went_out_and_no_personal_filter(api: Api) -> None:
    api.upload()
    everything = api.call("GET", "/records/export?format=ndjson", headers={"User-Agent": "a tool/1.0"})
    assert len(everything.text.splitlines()) == 2
    odd = {"User-Agent": "a" * 5_000}
    api.call("GET", "/records/export?format=csv&text=Ada+Lovelace&since=2026-01-01&status=approved", headers=odd)
    whole, part = told(api, "EXPORTED")
    assert whole["payload"] == {"what": "records", "records": 2, "filters": {}}
    assert (whole["actor"], whole["address"], whole["user_agent"]) == ("key first key", "127.0.0.1", "a tool/1.0")
    assert part["payload"]["filters"] == {"text": True, "since": "2026-01-01", "statuses": ["approved"]}
    assert "Ada" not in str(part)
    assert len(part["user_agent"]) == MAX_USER_AGENT


def test_what_the_operator_does_in_a_tenant_is_told_there(api: Api) -> None:
    services = api.container
    list(services.export_tenant(api.tenant_id, OPERATOR))
    list(services.export_person(OWNER, OPERATOR))
    services.reset_link(OWNER, OPERATOR)
    found = told(api, "EXPORTED", "PASSWORD_LINK_MADE")
    assert [(e["type"], e["payload"]) for e in found] == [
        ("EXPORTED", {"what": "tenant"}),
        ("EXPORTED", {"what": "person"}),
        ("PASSWORD_LINK_MADE", {}),
    ]
    for one in found:
        assert (one["actor"], one["address"], one["actor_id"]) == ("operator", None, None)
        assert one["user_agent"].startswith("sortation a test (")


@pytest.mark.parametrize("how", ["removed", "demoted"])
def test_nobody_comes_back_by_what_they_made(api: Api, how: str) -> None:
    services = api.container
    made = api.post("/invitations", {"email": "ada@example.org", "role": "admin"}, 201)
    Browser(api.client.application).send(made["url"].removeprefix(ORIGIN), {"name": "Ada", "password": PASSWORD})
    ada_id = next(m["user_id"] for m in api.get("/members")["items"] if m["email"] == "ada@example.org")
    permissions = ROLE_PERMISSIONS[Role.ADMIN]
    ada = Actor(tenant_id=api.tenant_id, name="Ada", user_id=UUID(ada_id), role=Role.ADMIN, permissions=permissions)
    scopes = frozenset(permission.value for permission in permissions)
    issued = services.create_api_key(ada, name="mine", scopes=scopes)
    by_key = Api(client=api.client, container=services, tenant_id=api.tenant_id, key=issued.secret)
    another = by_key.post("/api-keys", {"name": "another", "scopes": ["records:read"]}, 201)
    back = [services.invite(ada, "eve@example.org", Role.ADMIN).id]
    back.append(UUID(by_key.post("/invitations", {"email": "eva@example.org", "role": "admin"}, 201)["id"]))
    if how == "removed":
        assert api.call("DELETE", f"/members/{ada_id}").status_code == 204
    else:
        assert api.call("PATCH", f"/members/{ada_id}", {"role": "viewer"}).status_code == 200
    by_key.get("/me", 401)
    replace(by_key, key=another["api_key"]).get("/me", 401)
    assert api.get("/invitations")["items"] == []
    revoked = told(api, "KEY_REVOKED", "INVITATION_REVOKED")
    assert {e["subject_id"] for e in revoked} == {str(issued.key.id), another["id"], *map(str, back)}
    assert {e["payload"]["user_id"] for e in revoked} == {ada_id}


def test_a_person_who_was_erased_is_told_by_their_id(api: Api) -> None:
    made = api.post("/invitations", {"email": "ada@example.org", "role": "admin"}, 201)
    Browser(api.client.application).send(made["url"].removeprefix(ORIGIN), {"name": "Ada", "password": PASSWORD})
    user_id = next(m["user_id"] for m in api.get("/members")["items"] if m["email"] == "ada@example.org")
    api.container.erase_person("ada@example.org", OPERATOR)
    (erased,) = told(api, "PERSON_ERASED")
    assert (erased["subject_id"], erased["actor"]) == (user_id, "operator")


def test_who_is_touched_by_an_erasure_is_told_before_it(api: Api, superuser: psycopg.Connection[Any]) -> None:
    """Also a tenant that the person left, and one that they never joined."""
    services = api.container
    left, asked, strange = (new_tenant(services, api.client, name) for name in ("Left", "Asked", "Strange"))
    made = left.post("/invitations", {"email": "ada@example.org", "role": "admin"}, 201)
    Browser(api.client.application).send(made["url"].removeprefix(ORIGIN), {"name": "Ada", "password": PASSWORD})
    user_id = next(m["user_id"] for m in left.get("/members")["items"] if m["email"] == "ada@example.org")
    assert left.call("DELETE", f"/members/{user_id}").status_code == 204
    asked.post("/invitations", {"email": "ada@example.org", "role": "viewer"}, 201)
    list(services.export_person("ada@example.org", OPERATOR))
    superuser.execute("ALTER FUNCTION erase_person RENAME TO erase_nobody")
    with pytest.raises(Exception, match="erase_person"):
        services.erase_person("ada@example.org", OPERATOR)
    for tenant in (left, asked):
        whats = [(e["type"], e["subject_id"]) for e in told(tenant, "EXPORTED", "PERSON_ERASED")]
        assert whats == [("EXPORTED", user_id), ("PERSON_ERASED", user_id)]
    assert told(strange, "EXPORTED", "PERSON_ERASED") == []


@pytest.mark.parametrize("role", list(Role))
def test_the_operator_enters_for_minutes_seen_and_revocable(api: Api, role: Role) -> None:
    api.upload()
    issued = api.container.enter_as_operator(
        api.tenant_id, role, OPERATOR, minutes=15, reason="Ticket 4711:\n imports fail"
    )
    inside = Api(client=api.client, container=api.container, tenant_id=api.tenant_id, key=issued.secret)
    me = inside.get("/me")
    assert me["name"] == "operator"
    stays = {"keys:write", "members:write", "connections:write", "tenant:write"}
    assert not stays & set(me["scopes"]), "nothing by which to stay"
    assert inside.call("POST", "/api-keys", {"name": "x", "scopes": ["records:read"]}).status_code == 403
    assert inside.call("PATCH", "/tenant", {"name": "Mine"}).status_code == 403
    mine = {"connector": "webhook", "name": "Mine", "config": {"webhook_secret": "x" * 32}}
    assert inside.call("POST", "/connections", mine).status_code == 403
    listed = next(key for key in api.get("/api-keys")["items"] if key["id"] == str(issued.key.id))
    assert (listed["name"], listed["operators"]) == ("operator: Ticket 4711: imports fail", True)
    assert listed["expires_at"] is not None
    assert api.call("POST", f"/api-keys/{listed['id']}/rotate", {}).status_code == 409
    inside.call("GET", "/records/export?format=csv")
    (entered,) = told(api, "OPERATOR_ENTERED")
    assert entered["payload"] == {"role": role.value, "minutes": 15, "reason": "Ticket 4711: imports fail"}
    assert (entered["actor"], entered["subject_id"]) == ("operator", listed["id"])
    (exported,) = told(api, "EXPORTED")
    assert (exported["actor"], exported["actor_id"], exported["address"]) == ("operator", listed["id"], "127.0.0.1")
    assert api.call("DELETE", f"/api-keys/{listed['id']}").status_code == 200
    inside.get("/me", 401)


def test_the_operators_reading_of_the_log_is_told_once_an_hour(api: Api, superuser: psycopg.Connection[Any]) -> None:
    key = api.container.settings().operator_key
    operator = {"Authorization": f"Bearer {key}", "User-Agent": "a tool/1.0"}

    def read(tenant_id: UUID) -> int:
        return api.client.get(f"/api/v1/events?tenant_id={tenant_id}", headers=operator).status_code

    assert [read(api.tenant_id) for _ in range(3)] == [200] * 3
    (first,) = told(api, "OPERATOR_READ")
    assert (first["actor"], first["address"], first["user_agent"]) == ("operator", "127.0.0.1", "a tool/1.0")
    superuser.execute("UPDATE tenants SET operator_read_at = operator_read_at - interval '61 minutes'")
    assert [read(api.tenant_id) for _ in range(3)] == [200] * 3
    assert len(told(api, "OPERATOR_READ")) == 2
    assert read(api.container.ids().new()) == 200, "where there is no tenant, there is nobody to tell"


def test_the_operator_enters_for_a_reason_and_not_for_long(api: Api) -> None:
    for minutes, reason in ((0, "x"), (481, "x"), (15, " "), (15, "x" * 201)):
        with pytest.raises(Invalid):
            api.container.enter_as_operator(api.tenant_id, Role.VIEWER, OPERATOR, minutes=minutes, reason=reason)
    with pytest.raises(NotFound):
        api.container.enter_as_operator(api.container.ids().new(), Role.VIEWER, OPERATOR, minutes=1, reason="x")


def test_secrets_that_change_are_told_by_name_and_never_by_value(make_shop_api: Callable[..., Api]) -> None:
    api = make_shop_api()
    config = {"api_key": "canary-one"}
    made = api.post("/connections", {"connector": "shop", "name": "Shop", "config": config}, 201)
    path = f"/connections/{made['id']}"
    assert api.call("PATCH", path, {"name": "Other"}).status_code == 200
    assert api.call("PATCH", path, {"config": {"api_key": "canary-two"}}).status_code == 200
    assert api.call("POST", f"{path}/disable").status_code == 200
    found = told(api, "CONNECTION_CREATED", "CONNECTION_CHANGED", "CONNECTION_DISABLED")
    assert [e["payload"]["secrets"] for e in found] == [["api_key"], [], ["api_key"], ["api_key"]]
    assert found[2]["payload"]["changed"] == ["config"]
    assert "canary" not in str(found)


def test_changed_settings_are_told_by_name(api: Api) -> None:
    assert (
        api.call("PATCH", "/tenant", {"settings": {"record_retention_days": 365, "promise": 0.95}}).status_code == 200
    )
    assert api.call("PATCH", "/tenant", {"name": "Quay Books", "settings": {"promise": 0.9}}).status_code == 200
    assert [e["payload"] for e in told(api, "TENANT_CHANGED")] == [
        {"changed": ["record_retention_days"]},
        {"changed": ["name", "promise"]},
    ]


def test_guesses_and_what_they_lead_to_are_told(api: Api) -> None:
    user = api.container.people().user_of_email(OWNER)
    assert user is not None
    api.container.people().put_password(user.id, api.container.hasher().hash(PASSWORD), api.container.clock().now())
    browser = Browser(api.client.application)
    for _ in range(6):
        browser.sign_in("wrong horse battery")
    found = told(api, "SIGN_IN_FAILED", "ACCOUNT_LOCKED", "SIGNED_IN")
    assert [e["type"] for e in found] == ["SIGN_IN_FAILED"] * 5 + ["ACCOUNT_LOCKED", "SIGN_IN_FAILED"]
    locked = next(e for e in found if e["type"] == "ACCOUNT_LOCKED")
    assert locked["payload"]["failures"] == 5
    assert (locked["subject_id"], locked["address"]) == (str(user.id), "127.0.0.1")


def test_refused_keys_and_reached_limits_are_logged_without_the_key(make_container: Callable[..., Container]) -> None:
    container = make_container(embeddings="off", refused_limit="1/minute")
    api = new_tenant(container, create_app(container).test_client())
    issued = container.create_api_key(api.actor, name="old", scopes=frozenset(s.value for s in GRANTABLE))
    container.revoke_api_key(api.actor, issued.key.id)
    dead = Api(client=api.client, container=container, tenant_id=api.tenant_id, key=issued.secret)
    with capture_logs() as logged:
        dead.get("/me", 401)
        dead.get("/me", 429)
    refused = next(line for line in logged if line["event"] == "credential refused")
    assert (refused["tenant_id"], refused["api_key_id"]) == (str(api.tenant_id), str(issued.key.id))
    assert (refused["address"], refused["log_level"]) == ("127.0.0.1", "warning")
    reached = next(line for line in logged if line["event"] == "limit reached")
    assert (reached["address"], reached["endpoint"]) == ("127.0.0.1", "tenants.me")
    assert issued.secret not in str(logged)


def refusals(logged: list[MutableMapping[str, Any]]) -> list[dict[str, Any]]:
    """Of what was logged, what somebody was refused, as what a reader looks for."""
    wanted = ("event", "code", "permission", "tenant_id", "user_id", "api_key_id", "address")
    return [
        {name: line[name] for name in wanted if name in line} for line in logged if line["event"].endswith("refused")
    ]


def test_what_a_key_may_not_do_is_logged_once(api: Api) -> None:
    issued = api.container.create_api_key(api.actor, name="reader", scopes=frozenset({"records:read"}))
    reader = replace(api, key=issued.secret)
    with capture_logs() as logged:
        reader.get("/api-keys", 403)
        reader.get("/records")
        api.client.get("/api/v1/records")
    assert refusals(logged) == [
        {
            "event": "refused",
            "code": "forbidden",
            "permission": "keys:read",
            "tenant_id": str(api.tenant_id),
            "api_key_id": str(issued.key.id),
            "address": "127.0.0.1",
        }
    ]
    with capture_logs() as logged:
        owner = api.get("/members")["items"][0]["user_id"]
        api.call("DELETE", f"/members/{owner}")
    assert [line["code"] for line in refusals(logged)] == ["forbidden"], "also where a use case says it"


def test_what_a_person_is_refused_at_the_console_is_logged_once(api: Api) -> None:
    user = api.container.people().user_of_email(OWNER)
    assert user is not None
    api.container.people().put_password(user.id, api.container.hasher().hash(PASSWORD), api.container.clock().now())
    browser = Browser(api.client.application)
    with capture_logs() as logged:
        browser.sign_in("wrong horse battery")
    wrong = {"code": "sign_in_failed", "address": "127.0.0.1"}
    assert refusals(logged) == [{"event": "sign-in refused", **wrong}]
    browser.sign_in()
    who = {"tenant_id": str(api.tenant_id), "user_id": str(user.id)}
    with capture_logs() as logged:
        browser.send("/account", {"present": "wrong horse battery", "password": PASSWORD}, "/account/password")
    assert refusals(logged) == [{"event": "refused", **wrong, **who}]
    with capture_logs() as logged:
        browser.send("/account", {}, "/account/sessions", headers={"Origin": "https://evil.example"})
    assert refusals(logged) == [{"event": "refused", "code": "form_refused", "address": "127.0.0.1", **who}]
    with capture_logs() as logged:
        browser.client.post("/account/sessions", base_url=ORIGIN)
    assert [line["code"] for line in refusals(logged)] == ["form_refused"]


def test_a_page_that_says_not_what_it_refused_is_logged_all_the_same(api: Api) -> None:
    app = api.client.application

    @page
    def caught() -> tuple[str, int]:
        return "no", 401

    app.view_functions["signing_in.sign_in_page"] = caught
    with capture_logs() as logged:
        Browser(app).open("/sign-in")
    assert refusals(logged) == [{"event": "refused", "address": "127.0.0.1"}]


def test_going_to_another_tenant_is_a_sign_in_there(api: Api) -> None:
    other = new_tenant(api.container, api.client, "Quay Books")
    user = api.container.people().user_of_email(OWNER)
    assert user is not None
    api.container.people().put_password(user.id, api.container.hasher().hash(PASSWORD), api.container.clock().now())
    browser = Browser(api.client.application)
    browser.sign_in()
    browser.send("/account", {}, f"/enter/{other.tenant_id}")
    (here,), (there,) = told(api, "SIGNED_IN"), told(other, "SIGNED_IN")
    assert here["payload"] == there["payload"]
    assert (there["actor"], there["address"]) == (OWNER, "127.0.0.1")
