"""What operators and newcomers see: probes, metrics, documentation, request logs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from core.errors import Transient
from entrypoints.api.access import access_of
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant


@pytest.fixture
def app(make_container: Callable[..., Container]) -> Flask:
    return create_app(make_container(embeddings="off"))


@pytest.fixture
def api(app: Flask) -> Api:
    return new_tenant(app.extensions["sortation"], app.test_client())


def test_alive_and_ready(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client, services = app.test_client(), app.extensions["sortation"]
    assert client.get("/readyz").json["status"] == "degraded"
    monkeypatch.setattr(services.broker(), "reachable", lambda: True)
    assert client.get("/readyz").json["status"] == "ready"
    monkeypatch.setattr(services.system(), "ready", lambda: False)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/livez").status_code == 200


def test_metrics(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.upload()
    api.get(f"/records/{api.get('/records')['items'][0]['id']}")
    api.call("GET", "/nothing/at/all")
    text = api.call("GET", "//metrics").text
    for line in (
        'sortation_http_requests_total{method="GET",route="/api/v1/records/<uuid:record_id>",status="200"} 1.0',
        'sortation_http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'sortation_jobs{status="done",stream="records:ingest"} 1.0',
        'sortation_jobs_dead{stream="records:ingest"} 0.0',
        'sortation_jobs_oldest_seconds{stream="records:ingest"} 0.0',
        'sortation_jobs_retries{stream="records:ingest"} 0.0',
        "sortation_database_up 1.0",
    ):
        assert line in text
    assert re.search(r'sortation_http_request_seconds_bucket\{le="[^"]+",method="GET",route="/api/v1/records"\}', text)
    assert re.search(r'sortation_records_decided_total\{stage="[^"]*",status="needs_review"\} 2\.0', text)

    def fail() -> Any:
        raise Transient

    monkeypatch.setattr(api.container.system(), "stream_stats", fail)
    answer = api.call("GET", "//metrics")
    assert answer.status_code == 200
    assert "sortation_database_up 0.0" in answer.text
    assert "sortation_jobs{" not in answer.text


def test_the_openapi_document_describes_every_route(app: Flask) -> None:
    document = app.test_client().get("/api/openapi.json").json
    assert document["openapi"].startswith("3.1")
    paths = {
        path: {name: operation for name, operation in item.items() if name != "parameters"}
        for path, item in document["paths"].items()
    }
    described = {(path, method) for path, operations in paths.items() for method in operations}
    served = {
        (re.sub(r"<(?:uuid|string):(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
        if rule.rule.startswith("/api/v1")
    }
    assert described == served
    ids = []
    for path, operations in paths.items():
        for method, operation in operations.items():
            ids.append(operation["operationId"])
            assert operation["summary"], (path, method)
            headers = {p["name"] for p in operation["parameters"] if p["in"] == "header"}
            public = not operation["security"]
            assert "Idempotency-Key" not in headers or (method == "post" and not public)
            many = path in ("/api/v1/records/category", "/api/v1/records/withdraw")  # versions stand in the body
            assert ("If-Match" in headers or many) == ("412" in operation["responses"])
            assert ("If-None-Match" in headers) == ("304" in operation["responses"])
            assert "401" in operation["responses"] or public, (path, method)
            assert operation["responses"].keys() >= {"429", "500"}, (path, method)
            assert operation["responses"].keys() & {"422", "4XX"}, (path, method)
            assert "default" not in operation["responses"], "a document that allows every answer tells of none"
    assert len(set(ids)) == len(ids)
    for answer in document["components"]["responses"].values():
        assert answer["content"].keys() == {"application/problem+json"}
    assert not [name for name in document["components"]["schemas"] if re.search(r"\d$", name)]
    references = set(re.findall(r'"#/components/schemas/(\w+)"', app.test_client().get("/api/openapi.json").text))
    assert references <= document["components"]["schemas"].keys()
    permission = access_of(app, "records.list_records").permission
    assert document["paths"]["/api/v1/records"]["get"]["x-permission"] == permission


def test_the_docs_page_loads_nothing_from_elsewhere(app: Flask) -> None:
    client = app.test_client()
    page = client.get("/api/docs")
    assert page.status_code == 200
    assert "'self'" in page.headers["Content-Security-Policy"]
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(sources) == 4
    for source in sources:
        assert source.startswith("/api/docs/")
        asset = client.get(source)
        assert asset.status_code == 200
        assert len(asset.data) > 50
    assert "/api/openapi.json" in client.get("/api/docs/start.js").text
    assert client.get("/api/docs/assets/..%2f__init__.py").status_code == 404


def test_a_request_is_one_line_and_all_lines_in_between_carry_its_ids(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: dict[str, Any] = {}
    monkeypatch.setattr(api.container, "list_rules", lambda actor: bound.update(get_contextvars()) or [])
    with capture_logs() as logs:
        api.get("/rules", **{"X-Request-Id": "abc"})
    [line] = [entry for entry in logs if entry["event"] == "request"]
    assert line["ms"] > 0
    assert {k: line[k] for k in ("method", "route", "status")} == {
        "method": "GET",
        "route": "/api/v1/rules",
        "status": 200,
    }
    assert bound == {"request_id": "abc", "tenant_id": str(api.tenant_id)}
