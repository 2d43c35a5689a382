"""Whatever goes wrong is answered as a problem with a stable code."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from core.errors import Transient
from entrypoints.api.access import access_of
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.test_api_access import protected, url_of


@pytest.fixture
def app(make_container: Callable[..., Container]) -> Flask:
    return create_app(make_container(embeddings="off", max_upload_bytes=1 << 20))


@pytest.fixture
def api(app: Flask) -> Api:
    return new_tenant(app.extensions["sortation"], app.test_client())


def check(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json
    assert (answer.status_code, body["code"]) == (status, code), answer.text
    assert answer.mimetype == "application/problem+json"
    assert body["status"] == status
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert body["type"].endswith(code)
    assert body["title"]
    assert body["detail"]
    return body


def test_what_is_not_there(api: Api) -> None:
    check(api.call("GET", "/nothing"), 404, "not_found")
    check(api.call("GET", "/records/not-a-uuid"), 404, "not_found")
    check(api.call("GET", "//nothing"), 404, "not_found")
    answer = api.call("PUT", "/records")
    check(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
    check(api.call("OPTIONS", "/records"), 405, "method_not_allowed")


def test_bodies_that_cannot_be_read(api: Api) -> None:
    for body in (b"{", b"\xff", b'{"name": NaN}', b"[" * 100_000, b'{"name": "\\ud800"}'):
        check(api.call("POST", "/categories", data=body, content_type="application/json"), 400, "malformed_json")
    for body in (b'{"records": ', b"[" * 100_000, b'{"records": [NaN]}', b"\xff"):
        check(api.call("POST", "/records", data=body, content_type="application/json"), 400, "malformed_json")
    check(api.call("POST", "/categories", data=b"name=x", content_type="text/plain"), 415, "unsupported_media_type")
    check(api.call("POST", "/records", data=b"x", content_type="text/csv"), 415, "unsupported_media_type")
    check(api.call("POST", "/categories", [1]), 422, "invalid")
    large = b'{"name": "' + b"x" * (1 << 20) + b'"}'
    check(api.call("POST", "/categories", data=large, content_type="application/json"), 413, "payload_too_large")
    check(api.call("POST", "/imports", data=b"a;b\n" * (1 << 19)), 413, "payload_too_large")


def test_a_large_body_without_a_length_is_cut_off(api: Api) -> None:
    begin = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    pieces = iter([begin, *[b"a;b\n" * (1 << 14)] * 40])

    class Chunked(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            piece = next(pieces, b"")[: len(buffer)]
            buffer[: len(piece)] = piece
            return len(piece)

    environ = {"wsgi.input": Chunked(), "wsgi.input_terminated": True}
    check(api.call("POST", "/imports", environ_overrides=environ), 411, "length_required")
    multipart = "multipart/form-data; boundary=b"
    answer = api.call("POST", "/imports", environ_overrides=environ, content_type=multipart)
    check(answer, 413, "payload_too_large")


def test_fields_are_named(api: Api) -> None:
    body = check(api.call("POST", "/categories", {"nome": "x", "parent_id": 3}), 422, "invalid")
    assert body["errors"].keys() == {"name", "nome", "parent_id"}
    body = check(api.call("GET", "/records?limit=0&min_amount=1e99&since=yesterday"), 422, "invalid")
    assert body["errors"].keys() == {"limit", "min_amount", "since"}
    check(api.call("PATCH", "/tenant", {}), 422, "invalid")
    check(api.call("PATCH", "/tenant", {"settings": {"llm_threshold": 1.5}}), 422, "invalid")
    check(api.call("PATCH", "/tenant", {"time_zone": "Mars/Olympus"}), 422, "invalid")


def test_numbers_are_numbers(api: Api) -> None:
    for promise in ("0.9", True):
        check(api.call("PATCH", "/tenant", {"settings": {"promise": promise}}), 422, "invalid")
    key = api.post("/api-keys", {"name": "a program", "scopes": ["records:read"]}, 201)
    for seconds in ("3", 3.5, True):
        answer = api.call("POST", f"/api-keys/{key['id']}/rotate", {"overlap_seconds": seconds})
        assert check(answer, 422, "invalid")["errors"].keys() == {"overlap_seconds"}
    api.post(f"/api-keys/{key['id']}/rotate", {"overlap_seconds": 3.0}, 201)


def test_a_source_agent_is_named_as_one_whoever_calls(api: Api) -> None:
    for key in (api.key, api.container.settings().operator_key):
        headers = {"Authorization": f"Bearer {key}", "X-Source-Agent": "Not One"}
        check(api.client.get("/api/v1/events", headers=headers), 422, "invalid")


def test_unknown_and_repeated_query_parameters_are_refused_by_every_route(app: Flask, api: Api) -> None:
    operator = Api(
        client=api.client, container=api.container, tenant_id=api.tenant_id, key=api.container.settings().operator_key
    )
    for rule, method in protected(app):
        caller = operator if access_of(app, rule.endpoint).operator else api
        body = check(caller.call(method, f"/{url_of(rule)}?colour=red"), 422, "invalid")
        assert body["errors"] == {"colour": ["Unknown query parameter."]}
    check(api.call("GET", "/livez"), 404, "not_found")
    assert check(api.call("GET", "/records?limit=1&limit=2"), 422, "invalid")["errors"].keys() == {"limit"}
    assert api.get("/records?status=failed&status=held")["items"] == []


def test_nul_and_halves_of_surrogate_pairs_never_reach_the_storage(api: Api) -> None:
    check(api.call("GET", "/records?text=%00"), 422, "invalid")
    check(api.call("GET", "/approvals?group_key=a%00"), 422, "invalid")
    check(api.call("POST", "/categories", {"name": "a\x00"}), 422, "invalid")
    check(api.call("POST", "/categories", {"name": "Boats", "description": "a\x00"}), 422, "invalid")
    check(api.call("POST", "/connections", {"connector": "csv", "name": "x", "config": {"a\x00": 1}}), 422, "invalid")
    assert api.get("/records?text=%ED%A0%80")["items"] == []
    escaped = api.post("/categories", {"name": r"a backslash \u0000 is fine"}, 201)
    assert escaped["name"] == r"a backslash \u0000 is fine"
    uploaded = api.call(
        "POST", "/imports?filename=..%2F..%2Fevil%0Aname.csv", data=b"Date;Text;Amount\n2026-01-01;x;1\n"
    )
    assert uploaded.json["filename"] == "evilname.csv"


def test_an_unexpected_fault_says_nothing_and_is_logged(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise LookupError("the password is hunter2")

    monkeypatch.setattr(api.container, "list_records", fail)
    with capture_logs() as logs:
        answer = api.call("GET", "/records")
    check(answer, 500, "internal")
    assert "hunter2" not in answer.text
    [logged] = [line for line in logs if line["event"] == "unexpected"]
    assert "hunter2" in str(logged["exc_info"])
    [request] = [line for line in logs if line["event"] == "request"]
    assert (request["status"], request["route"], request["tenant_id"]) == (500, "/api/v1/records", str(api.tenant_id))


def test_a_passing_fault_says_when_to_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise Transient("the database does not answer", retry_after=7)

    monkeypatch.setattr(api.container, "list_records", fail)
    answer = api.call("GET", "/records")
    check(answer, 503, "transient")
    assert answer.headers["Retry-After"] == "7"


def test_every_answer_is_neither_sniffed_nor_stored(api: Api) -> None:
    for path in ("/me", "/nothing", "//livez"):
        headers = api.call("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_nothing_has_a_nul_in_its_name(api: Api) -> None:
    check(api.call("POST", "/approvals/groups/%00x", {"verdict": "approve"}), 404, "not_found")


def test_what_the_database_refuses_is_told_without_what_was_sent(api: Api) -> None:
    with pytest.raises(DBAPIError) as refused, api.container.app_engine().connect() as connection:
        connection.execute(text("SELECT CAST(:given AS integer) / 0"), {"given": "4242"})
    assert "4242" not in str(refused.value)
    assert "hidden" in str(refused.value)


def test_what_stands_in_a_row_is_in_no_error(api: Api) -> None:
    stated = "CREATE TEMPORARY TABLE t (a text PRIMARY KEY) ON COMMIT DROP; INSERT INTO t VALUES ('told'), ('told')"
    with pytest.raises(DBAPIError) as refused, api.container.system_engine().connect() as connection:
        connection.exec_driver_sql(stated)
    assert "duplicate key" in str(refused.value)
    assert "(told)" not in str(refused.value)
    assert "(told)" not in str(refused.value.orig)
