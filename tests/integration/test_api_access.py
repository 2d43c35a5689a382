"""Who may call what, over the whole URL map."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from werkzeug.routing import Rule

from core.domain.conditions import parse_condition
from core.domain.permissions import Permission, Role
from core.domain.proposals import Evidence, Proposal, ProposalStatus
from core.domain.tenants import Actor, Membership, User
from entrypoints.api import app as app_module
from entrypoints.api.access import access_of
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.contract.storage import an_evaluation
from tests.integration.api_support import Api, add_rule, new_tenant
from tests.receipt_files import PNG

NOBODY = "00000000-0000-7000-8000-000000000000"
REPORT = {"spec": {"kind": "llm"}}
BODIES: dict[str, Any] = {
    "change_receipt": {"merchant": "x"},
    "link_receipt": {"record_id": NOBODY},
    "change_member": {"role": "viewer"},
    "change_category": {"name": "Other"},
    "change_connection": {"name": "Other"},
    "change_definition": {"name": "Other"},
    "change_record": {"tags": ["x"]},
    "change_endpoint": {"name": "Other"},
    "change_rule": {"name": "Other"},
    "redeliver_failed": {"since": "2026-01-01T00:00:00Z"},
    "change_view": {"name": "Other"},
    "decide": {"verdict": "override", "category_id": NOBODY},
    "decide_group": {"verdict": "override", "category_id": NOBODY},
    "merge_category": {"into": NOBODY},
    "rotate_webhook_secret": {"secret": "whsec_another"},
}


@pytest.fixture
def app(make_container: Callable[..., Container]) -> Flask:
    return create_app(make_container(embeddings="off"))


@pytest.fixture
def api(app: Flask) -> Api:
    return new_tenant(app.extensions["sortation"], app.test_client(), "A")


@pytest.fixture
def other(app: Flask) -> Api:
    return new_tenant(app.extensions["sortation"], app.test_client(), "B")


def protected(app: Flask) -> list[tuple[Rule, str]]:
    return [
        (rule, method)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD"})
        if not (access_of(app, rule.endpoint).public or access_of(app, rule.endpoint).console)
    ]


def url_of(rule: Rule, **ids: str) -> str:
    url = rule.rule
    for argument in rule.arguments:
        for kind in ("uuid", "string"):
            url = url.replace(f"<{kind}:{argument}>", ids.get(argument, NOBODY))
    return url


def test_only_these_routes_are_public(app: Flask) -> None:
    public = {r.rule for r in app.url_map.iter_rules() if access_of(app, r.endpoint).public}
    assert public == {
        "/bootstrap/assets/<path:filename>",
        "/console/<string:wanted>/<path:name>",
        "/livez",
        "/readyz",
        "/metrics",
        "/api/docs",
        "/api/docs/start.js",
        "/api/docs/assets/<name>",
        "/api/openapi.json",
        "/api/v1/billing/webhook",
        "/api/v1/webhooks/<uuid:connection_id>",
        "/api/v1/oauth/callback",
    }


def test_an_undeclared_view_stops_the_start(
    make_container: Callable[..., Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module.health, "register", lambda app: app.add_url_rule("/bare", "bare", lambda: "hello"))
    with pytest.raises(RuntimeError, match="bare"):
        create_app(make_container())


def test_without_a_key_every_route_answers_401(app: Flask) -> None:
    client = app.test_client()
    for rule, method in protected(app):
        for headers in ({}, {"Authorization": "Bearer sort_live_nonsense"}, {"Authorization": "Basic eDp5"}):
            answer = client.open(url_of(rule), method=method, headers=headers)
            assert answer.status_code == 401, (rule, method)
            assert answer.json["code"] == "unauthenticated"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_without_the_scope_is_refused_by_every_route(app: Flask, api: Api) -> None:
    for rule, method in protected(app):
        permission = access_of(app, rule.endpoint).permission
        if permission in (None, Permission.OPERATOR):
            continue
        another = next(p for p in (Permission.JOBS_READ, Permission.RULES_READ) if p is not permission)
        key = app.extensions["sortation"].create_api_key(api.actor, name="narrow", scopes=frozenset({another.value}))
        narrow = Api(client=api.client, container=api.container, tenant_id=api.tenant_id, key=key.secret)
        answer = narrow.call(method, f"/{url_of(rule)}")
        assert answer.status_code == 403, (rule, method, answer.text)
        assert permission.value in answer.json["detail"]


def propose(api: Api, category_id: UUID) -> UUID:
    """An open proposal of the tenant."""
    when = parse_condition({"field": "text", "op": "contains", "value": "qwxz"})
    proposal = Proposal(
        id=api.container.ids().new(),
        tenant_id=api.tenant_id,
        key="a key",
        name="qwxz",
        when=when,
        category_id=category_id,
        evidence=Evidence(support=9, agreeing=9, expected=0.99),
        status=ProposalStatus.OPEN,
        rule_id=None,
        decided_by=None,
        decided_at=None,
        created_at=datetime.now(UTC),
        version=1,
    )
    with api.container.uow().begin(api.actor) as tx:
        tx.proposals.replace_open([proposal])
        tx.commit()
    return proposal.id


def member_of(api: Api) -> UUID:
    """Somebody who is a member of this tenant alone."""
    user = User(id=api.container.ids().new(), email="only@b.example", name="Only", created_at=datetime.now(UTC))
    with api.container.uow().begin(api.actor) as tx:
        tx.members.add(user, Membership(tenant_id=api.tenant_id, user_id=user.id, role=Role.VIEWER))
        tx.commit()
    return user.id


def evaluated(api: Api) -> UUID:
    """An evaluation that the tenant asked for."""
    evaluation = an_evaluation(api.container.ids().new(), api.actor)
    with api.container.uow().begin(api.actor) as tx:
        tx.evaluations.add(evaluation)
        tx.commit()
    return evaluation.id


def test_another_tenants_ids_are_not_found_on_any_route(app: Flask, api: Api, other: Api) -> None:
    category = other.category("food.groceries")
    imported, report = other.upload(), other.post("/reports", REPORT, 202)
    other.drain()
    webhook = {"kind": "webhook", "name": "Ops", "url": "https://hooks.example/in", "topics": ["failures"]}
    endpoint = other.post("/notifications/endpoints", webhook, 201)["id"]
    ids = {
        "endpoint_id": endpoint,
        "delivery_id": other.post(f"/notifications/endpoints/{endpoint}/test", None, 202)["id"],
        "view_id": other.post("/views", {"name": "Wool", "query": {"text": "wool"}, "shared": True}, 201)["id"],
        "user_id": str(member_of(other)),
        "invitation_id": other.post("/invitations", {"email": "b@example.org", "role": "viewer"}, 201)["id"],
        "key_id": other.get("/api-keys")["items"][0]["id"],
        "category_id": category,
        "connection_id": imported["connection_id"],
        "import_id": imported["id"],
        "record_id": other.get("/records")["items"][0]["id"],
        "receipt_id": other.call("POST", "/receipts", data=PNG).json["id"],
        "rule_id": add_rule(other, category)["id"],
        "approval_id": other.get("/approvals")["items"][0]["id"],
        "group_key": other.get("/approvals/groups")["items"][0]["group_key"],
        "job_id": imported["job_id"],
        "tenant_id": str(other.tenant_id),
        "run_id": other.post("/rules/runs", {}, 202)["id"],
        "proposal_id": str(propose(other, UUID(category))),
        "evaluation_id": str(evaluated(other)),
        "report_definition_id": other.post("/reports/definitions", {"name": "D", **REPORT}, 201)["id"],
        "report_id": report["id"],
        "format": "csv",
    }
    tried = 0
    for rule, method in protected(app):
        if not rule.arguments - {"stage"}:  # each tenant has all stages
            continue
        assert rule.arguments <= ids.keys(), f"no id for {rule}"
        url, body = f"/{url_of(rule, **ids)}", BODIES.get(rule.endpoint.partition(".")[2])
        if method == "GET" and "tenant_id" not in rule.arguments:
            unsaid = rule.endpoint.endswith("propose_rule")  # nothing is suggested: who asks names the category
            assert other.call(method, url).status_code == (422 if unsaid else 200), url
        answer = api.call(method, url, body)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found"), (method, url, answer.text)
        tried += 1
    assert tried == 80
    override = {"approval_id": ids["approval_id"], "verdict": "override", "category_id": category}
    for path, body in (
        ("/approvals/bulk", {"answers": [override]}),
        ("/records/category", {"records": [{"record_id": ids["record_id"], "category_id": category}]}),
        ("/records/withdraw", {"records": [{"record_id": ids["record_id"]}]}),
        ("/jobs/replay", {"ids": [ids["job_id"]]}),
        ("/rules/order", {"ids": [ids["rule_id"]]}),
        ("/rules/preview", {"rules": [{"id": ids["rule_id"], "enabled": False}]}),
        ("/rules/runs", {"rule_ids": [ids["rule_id"]]}),
    ):
        assert api.post(path, body, 404)["code"] == "not_found"
    for path in (f"/imports?connection_id={ids['connection_id']}", f"/records?connection_id={ids['connection_id']}"):
        answer = api.call("POST", path, data=b'{"occurred_at": "2026-01-01"}', content_type="application/x-ndjson")
        assert answer.status_code == 404, answer.text
    for path in (f"/records?import_id={ids['import_id']}", f"/events?subject_id={ids['record_id']}"):
        assert api.get(path)["items"] == []
    other_events = api.call("GET", f"/events?tenant_id={other.tenant_id}")
    assert other_events.status_code == 422
    assert other.get("/records")["items"][0]["version"] == 2  # and nothing of B changed


def test_the_operator_opens_the_operators_routes_only(app: Flask, api: Api) -> None:
    operator = Api(
        client=api.client,
        container=api.container,
        tenant_id=api.tenant_id,
        key=api.container.settings().operator_key,
    )
    made = operator.post("/tenants", {"name": "New", "time_zone": "Asia/Tokyo"}, 201)
    tenant_id = made["tenant"]["id"]
    assert made["api_key"].startswith("sort_live_")
    assert operator.get(f"/tenants/{tenant_id}")["time_zone"] == "Asia/Tokyo"
    assert operator.get(f"/tenants/{NOBODY}", 404)["code"] == "not_found"
    first = operator.get("/tenants?limit=1")
    second = operator.get(f"/tenants?limit=1&after={first['next']}")
    assert [t["name"] for t in first["items"] + second["items"]] == ["A", "New"]
    assert second["next"] is None
    assert operator.get("/me", 403)["code"] == "forbidden"
    assert operator.get("/events", 422)["errors"] == {"tenant_id": ["Missing."]}
    operator.container.seal_events()
    for path in ("/events", "//api/events"):
        assert operator.get(f"{path}?tenant_id={tenant_id}&type=TENANT_CREATED")["items"][0]["tenant_id"] == tenant_id
    assert operator.post("/tenants", {"name": "New"}, 422, **{"Idempotency-Key": "x"})["code"] == "invalid"
    assert api.get("/tenants", 404)["code"] == "not_found"


def test_a_revoked_or_expired_key_is_refused_at_once(api: Api) -> None:
    made = api.post("/api-keys", {"name": "short", "scopes": ["records:read"]}, 201)
    short = Api(client=api.client, container=api.container, tenant_id=api.tenant_id, key=made["api_key"])
    assert short.get("/records")["items"] == []
    assert short.get("/me")["scopes"] == ["records:read"]
    revoked = api.call("DELETE", f"/api-keys/{made['id']}")
    assert revoked.json["revoked_at"] is not None
    assert short.get("/records", 401)["code"] == "unauthenticated"
    soon = api.container.clock().now() + timedelta(milliseconds=1)
    expiring = api.container.create_api_key(
        api.actor, name="expiring", scopes=frozenset({"records:read"}), expires_at=soon
    )
    short.key = expiring.secret
    assert short.get("/records", 401)["code"] == "unauthenticated"


def test_a_key_is_rotated_while_the_former_one_serves_on(api: Api) -> None:
    made = api.post("/api-keys", {"name": "robot", "scopes": ["records:read"]}, 201)
    former = Api(client=api.client, container=api.container, tenant_id=api.tenant_id, key=made["api_key"])
    rotated = api.post(f"/api-keys/{made['id']}/rotate", {"overlap_seconds": 3600}, 201)
    latter = Api(client=api.client, container=api.container, tenant_id=api.tenant_id, key=rotated["api_key"])
    assert (rotated["name"], rotated["scopes"], rotated["expires_at"]) == ("robot", ["records:read"], None)
    assert former.get("/records")["items"] == latter.get("/records")["items"] == []
    at_once = api.post(f"/api-keys/{rotated['id']}/rotate", {"overlap_seconds": 0}, 201)
    assert latter.get("/records", 401)["code"] == "unauthenticated"
    assert api.post(f"/api-keys/{rotated['id']}/rotate", {}, 409)["code"] == "conflict"
    assert api.post(f"/api-keys/{at_once['id']}/rotate", {"overlap_seconds": -1}, 422)["code"] == "invalid"
    maker = api.post("/api-keys", {"name": "maker", "scopes": ["keys:write", "keys:read"]}, 201)
    narrow = Api(client=api.client, container=api.container, tenant_id=api.tenant_id, key=maker["api_key"])
    assert narrow.post(f"/api-keys/{at_once['id']}/rotate", {}, 403)["code"] == "forbidden"
    again = {"Idempotency-Key": "rotate-1"}
    first = api.post(f"/api-keys/{at_once['id']}/rotate", {}, 201, **again)
    second = api.post(f"/api-keys/{at_once['id']}/rotate", {}, 201, **again)
    assert (second["id"], second["api_key"]) == (first["id"], None)


def test_nobody_hands_out_more_than_they_have(api: Api) -> None:
    made = api.post("/api-keys", {"name": "maker", "scopes": ["keys:write", "keys:read"]}, 201)
    maker = Api(client=api.client, container=api.container, tenant_id=api.tenant_id, key=made["api_key"])
    assert maker.post("/api-keys", {"name": "more", "scopes": ["rules:write"]}, 403)["code"] == "forbidden"
    assert maker.post("/api-keys", {"name": "most", "scopes": ["operator"]}, 422)["code"] == "invalid"
    listed = maker.get("/api-keys")["items"]
    assert [key["name"] for key in listed] == ["first key", "maker"]
    assert not any("secret" in name or "hash" in name for name in listed[0])


def test_the_use_of_a_key_is_noted_once_in_a_while(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[Actor] = []
    monkeypatch.setattr(api.container, "touch_key", touched.append)
    for _ in range(3):
        api.get("/me")
    assert len(touched) == 1


def test_request_id_and_source_agent_travel_into_events(api: Api) -> None:
    headers = {"X-Request-Id": "order-17", "X-Source-Agent": "bookkeeper"}
    answer = api.call("POST", "/categories", {"name": "Boats"}, headers=headers)
    assert answer.headers["X-Request-Id"] == "order-17"
    api.container.seal_events()
    [event] = api.get("//api/events?type=CATEGORY_CREATED&source_agent=bookkeeper")["items"]
    assert (event["request_id"], event["actor"]) == ("order-17", "key first key")
    assert api.get("/me", 422, **{"X-Source-Agent": "Not OK"})["code"] == "invalid"
    made = api.call("GET", "/me", headers={"X-Request-Id": "not well formed"}).headers["X-Request-Id"]
    assert made != "not well formed"
