"""How much one request may hold, and how long the database may take over it."""

from __future__ import annotations

import gzip
import io
import json
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from core.domain.conditions import MAX_DEPTH, MAX_LEAVES, MAX_LITERAL, MAX_VALUES
from core.domain.nesting import MAX_NESTING
from core.errors import Conflict, Transient
from entrypoints.api.app import create_app
from entrypoints.api.blueprint import MAX_PARAMETERS
from entrypoints.api.limits import Kind
from entrypoints.api.responses import MAX_LIMIT
from entrypoints.console.guard import MAX_FORM_BYTES
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant

DEEP = [MAX_NESTING + 1, 254, 600, 980, 1_020]
LEAF = {"field": "text", "op": "contains", "value": "x"}


def nested(depth: int, leaf: str = '"x"') -> str:
    return '{"a":' * depth + leaf + "}" * depth


def call(api: Api, method: str, path: str, body: str, kind: str = "application/json") -> Any:
    return api.call(method, path, data=body.encode(), content_type=kind)


@pytest.mark.parametrize("leaf", ['"x"', r'"\u0000"'])
@pytest.mark.parametrize("depth", DEEP)
def test_no_body_is_nested_so_deeply_that_it_breaks_what_reads_it(api: Api, depth: int, leaf: str) -> None:
    deep = nested(depth, leaf)
    rule = '{"name": "x", "when": {"field": "text", "op": "equals", "value": "x"}, "then": {"review": true}}'
    for method, path, body in (
        ("POST", "/connections", f'{{"connector": "csv", "name": "x", "config": {deep}}}'),
        ("POST", "/rules", f'{{"name": "x", "when": {deep}, "then": {{"review": true}}}}'),
        ("POST", "/rules", f'{{"name": "x", "when": {deep.replace("a", "not")}, "then": {{"review": true}}}}'),
        ("POST", "/rules", f'{{"name": "x", "when": {{"type": "recurring", "params": {deep}}}, "then": {{}}}}'),
        (
            "POST",
            "/rules/test",
            f'{{"rule": {rule}, "records": [{{"occurred_at": "2026-01-01", "attributes": {deep}}}]}}',
        ),
        ("PATCH", "/tenant", f'{{"settings": {deep}}}'),
        ("PATCH", "/records/00000000-0000-7000-8000-000000000000", f'{{"attributes": {deep}}}'),
    ):
        answer = call(api, method, path, body)
        assert answer.status_code in (400, 422), (path, answer.text)
        assert answer.json["code"] in ("invalid", "malformed_json")


def test_what_is_nested_less_deeply_is_taken(api: Api) -> None:
    lines = f'{{"occurred_at": "2026-01-01", "text": "x", "attributes": {nested(MAX_NESTING - 1)}}}'
    assert call(api, "POST", "/records", lines, "application/x-ndjson").status_code == 202
    api.drain()
    [record] = api.get("/records")["items"]
    changed = f'{{"attributes": {nested(MAX_NESTING - 1)}}}'
    assert call(api, "PATCH", f"/records/{record['id']}", changed).status_code == 200
    assert call(api, "PATCH", f"/records/{record['id']}", f'{{"attributes": {nested(MAX_NESTING)}}}').status_code == 422


@pytest.mark.parametrize("depth", DEEP)
def test_a_record_that_is_nested_too_deeply_is_refused_alone(api: Api, depth: int) -> None:
    good, deep = '{"occurred_at": "2026-01-01", "text": "%s"}', '{"occurred_at": "2026-01-01", "text": "b", "raw": %s}'
    lines = "\n".join([good % "a", deep % nested(depth), good % "c"])
    answer = call(api, "POST", "/records", lines, "application/x-ndjson")
    assert answer.status_code == 202
    api.drain()
    imported = api.get(f"/imports/{answer.json['id']}")
    assert (imported["status"], imported["refusals"][0]["position"]) == ("done", 2)
    assert "nested" in imported["refusals"][0]["reason"]
    assert {record["text"] for record in api.get("/records")["items"]} == {"a", "c"}


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip"])
@pytest.mark.parametrize(
    "path", ["/categories", "/records", "/imports", f"/webhooks/{'0' * 8}-0000-7000-8000-{'0' * 12}"]
)
def test_nothing_is_unpacked(api: Api, path: str, coding: str) -> None:
    bomb = gzip.compress(bytes(1 << 20))
    answer = api.call("POST", path, data=bomb, content_type="application/json", headers={"Content-Encoding": coding})
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_forms_of_pages_are_bounded(api: Api) -> None:
    """For whoever: they are read before anybody is known."""
    client = api.client.application.test_client()
    just = {"email": "x" * (MAX_FORM_BYTES - len("email="))}
    large = {"email": f"{just['email']}x"}
    assert client.post("/sign-in", data=just).status_code == 403, "it was read, and is none of our forms"
    assert client.post("/sign-in", data=large).status_code == 413
    parts = {f"field{n}": "x" for n in range(1_001)}
    assert client.post("/sign-in", data=parts, content_type="multipart/form-data").status_code == 413
    chunked: dict[str, Any] = {
        "input_stream": io.BytesIO(b"email=" + b"x" * MAX_FORM_BYTES),
        "environ_overrides": {"wsgi.input_terminated": True},
        "content_type": "application/x-www-form-urlencoded",
    }
    assert client.post("/sign-in", **chunked).status_code == 413


def test_queries_and_pages_are_bounded(api: Api) -> None:
    assert api.call("GET", f"/records?limit={MAX_LIMIT}").status_code == 200
    assert api.call("GET", f"/records?limit={MAX_LIMIT + 1}").status_code == 422
    assert api.call("GET", "/records?" + "status=failed&" * MAX_PARAMETERS).status_code == 200
    many = api.call("GET", "/records?" + "&".join(f"a{n}=1" for n in range(MAX_PARAMETERS + 1)))
    assert (many.status_code, "errors" in many.json) == (422, False), "nor is the answer larger than what was asked"
    assert api.call("GET", f"/records?text={'x' * 513}").status_code == 422


@pytest.mark.parametrize(
    "when",
    [
        {"all": [LEAF] * (MAX_LEAVES + 1)},
        {"all": [{"any": [LEAF] * (MAX_LEAVES // 2)}] * 3},
        {"field": "text", "op": "in", "value": ["x"] * (MAX_VALUES + 1)},
        {"field": "text", "op": "regex", "value": "x" * (MAX_LITERAL + 1)},
        {"field": "text", "op": "regex", "value": "((((a{50}){50}){50}){50})"},
        {"field": "text", "op": "regex", "value": r"(\pL{1,50}){1,20}"},
        {"any": [{"field": "text", "op": "regex", "value": rf"\pL{{1,8}}{n}"} for n in range(499)]},
        json.loads('{"not":' * MAX_DEPTH + json.dumps(LEAF) + "}" * MAX_DEPTH),
        "not " * 200 + 'text contains "x"',
        " or ".join(['text contains "x"'] * (MAX_LEAVES + 1)),
    ],
    ids=[
        "leaves",
        "leaves below",
        "values",
        "regex",
        "program",
        "large program",
        "large programs",
        "depth",
        "text depth",
        "text leaves",
    ],
)
def test_conditions_are_bounded(api: Api, when: Any) -> None:
    began = time.process_time()
    answer = api.call("POST", "/rules", {"name": "x", "when": when, "then": {"review": True}})
    assert (answer.status_code, answer.json["code"]) == (422, "rule_invalid"), answer.text[:300]
    assert time.process_time() - began < 2


def test_a_tenant_has_so_many_rules(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.usecases.shared.rule_drafts.MAX_RULES", len(api.get("/rules")["items"]) + 1)
    rule = {"name": "x", "when": LEAF, "then": {"review": True}}
    api.post("/rules", rule, 201)
    refused = api.call("POST", "/rules?confirm=true", rule)
    assert (refused.status_code, refused.json["code"]) == (409, Conflict.code)


def test_the_regexes_of_all_rules_have_a_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    present = api.container.matcher().weight(api.container.list_rules(api.actor), 1 << 30)
    monkeypatch.setattr("core.usecases.shared.rule_drafts.MAX_WEIGHT", present + 15_000)

    def sent(method: str, path: str, value: str, **more: Any) -> Any:
        when = {"field": "text", "op": "regex", "value": value}
        return api.call(method, path, {"when": when, **more})

    new = {"name": "x", "then": {"review": True}}
    made = [sent("POST", "/rules?confirm=true", rf"\pL{{1,5}}{n}", **new) for n in range(3)]
    assert [answer.status_code for answer in made] == [201, 201, 409]
    assert "memory" in made[2].text
    path = f"/rules/{made[0].get_json()['id']}?confirm=true"
    assert sent("PATCH", path, r"\pL{1,9}x").status_code == 409
    assert sent("PATCH", path, "short").status_code == 200
    assert sent("POST", "/rules?confirm=true", r"\pL{1,5}2", **new).status_code == 201
    literal = {"field": "text", "op": "contains", "value": "shop"}
    monkeypatch.setattr("core.usecases.shared.rule_drafts.MAX_WEIGHT", 1)
    assert api.call("POST", "/rules?confirm=true", new | {"when": literal}).status_code == 201


def test_writing_rules_is_costly(api: Api) -> None:
    for endpoint in ("rules.create_rule", "rules.change_rule", "rules.order_rules"):
        view = api.client.application.view_functions[endpoint]
        assert getattr(view, "limited", None) is Kind.COSTLY


# --- The database ---


def shown(services: Container, setting: str) -> list[str]:
    engines = (services.app_engine(), services.system_engine(), services.renewal_engine())
    found = []
    for engine in engines:
        with engine.connect() as connection:
            found.append(str(connection.execute(text(f"SHOW {setting}")).scalar_one()))
    return found


def test_no_statement_and_no_idle_transaction_lasts(make_container: Callable[..., Container]) -> None:
    services = make_container(embeddings="off")
    assert shown(services, "statement_timeout") == ["5min"] * 3
    assert shown(services, "idle_in_transaction_session_timeout") == ["10min"] * 3
    api = new_tenant(services, create_app(services).test_client())
    quick = make_container(embeddings="off", statement_seconds=0.3)
    began = time.monotonic()
    with pytest.raises(Transient, match="took too long"), quick.uow().begin(api.actor) as tx:
        tx._connection.execute(text("SELECT pg_sleep(30)"))
    assert time.monotonic() - began < 10


def test_who_waits_for_a_lock_waits_in_vain_for_so_long(
    make_container: Callable[..., Container], superuser: psycopg.Connection[Any]
) -> None:
    services = make_container(embeddings="off", statement_seconds=0.5)
    api = new_tenant(services, create_app(services).test_client())
    with superuser.transaction():
        superuser.execute("SELECT 1 FROM tenants FOR UPDATE")
        answer = api.call("PATCH", "/tenant", {"name": "Another"})
    assert (answer.status_code, answer.json["code"]) == (503, "transient")
    assert "took too long" in answer.json["detail"]
    assert api.call("PATCH", "/tenant", {"name": "Another"}).status_code == 200
