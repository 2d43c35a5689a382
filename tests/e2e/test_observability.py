"""One upload is followed from the request to the worker: by its request id in the logs, by its trace in the spans."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.stack import Stack, running_stack

pytestmark = pytest.mark.slow
FILE = b"Date;Description;Amount;Currency\n2026-03-01;NETFLIX.COM;-12.99;EUR\n"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """An OTLP endpoint, and what it was sent."""
    received: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


def spans(received: list[ExportTraceServiceRequest]) -> set[tuple[str, str, bytes]]:
    """(service, name, trace id) of every span."""
    found = set()
    for request in list(received):
        for resource in request.resource_spans:
            service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            found |= {(service, span.name, span.trace_id) for scope in resource.scope_spans for span in scope.spans}
    return found


def logged(stack: Stack, part: str) -> list[dict[str, object]]:
    lines = (stack.data_dir / "logs" / f"{part}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_an_upload_is_followed_into_the_worker(
    tmp_path: Path, collector: tuple[str, list[ExportTraceServiceRequest]]
) -> None:
    endpoint, received = collector
    with running_stack(
        tmp_path / "data",
        SORTATION_EMBEDDINGS="off",
        SORTATION_OTLP_ENDPOINT=endpoint,
        OTEL_BSP_SCHEDULE_DELAY="100",
    ) as stack:
        stack.new_tenant()
        stack.upload(FILE, **{"X-Request-Id": "follow-me-0001"})
        stack.wait_until(stack.idle)

        def traced() -> set[bytes]:
            seen = spans(received)
            asked = {trace for service, name, trace in seen if service == "sortation-api" and "imports" in name}
            worked = {
                trace for service, name, trace in seen if (service, name) == ("sortation-worker", "job records:ingest")
            }
            sorted_ = {trace for _, name, trace in seen if name == "job records:process"}
            return asked & worked & sorted_

        stack.wait_until(lambda: bool(traced()))
        assert {"INSERT", "SELECT"} & {name.split(" ")[0] for _, name, _ in spans(received)}, "psycopg is traced"
        [asked] = [
            line
            for line in logged(stack, "api")
            if (line["event"], line.get("request_id")) == ("request", "follow-me-0001")
        ]
        assert asked["tenant_id"] == stack.tenant_id
        worked = [line for line in logged(stack, "worker") if line.get("request_id") == "follow-me-0001"]
        assert {line["stream"] for line in worked if line["event"] == "job done"} == {
            "records:ingest",
            "records:process",
        }
        assert all(line["tenant_id"] == stack.tenant_id and line["job_id"] for line in worked)
