"""Reports: asked for, their history, and their files."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request
from werkzeug.http import quote_etag

from core.domain.permissions import Permission
from core.domain.report_periods import Period, Span
from core.domain.reports import Format, ReportRun, ReportSpec, file_name, spec_to_json
from core.domain.tenants import Actor
from core.errors import NotFound
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional, fails_with
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import fields_of, page, polled
from entrypoints.api.schemas.base import page_of
from entrypoints.api.schemas.reports import NewReportSchema, ReportRunSchema, ReportsQuerySchema
from entrypoints.api.state import actor, container

blp = Blueprint("reports", "Reports and their files.", "/reports")
_TYPES = {
    Format.CSV: "text/csv",
    Format.JSON: "application/json",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.HTML: "text/html",
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
"""Of a file that is a page: it does nothing but show itself, wherever it is opened."""


@blp.route("", "POST")
@limited(Kind.COSTLY)
@needs(Permission.REPORTS_RUN)
@fails_with(404)
@blp.body(NewReportSchema)
@blp.answer(202, ReportRunSchema)
def start_report(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Has a report made in the background, by a definition or as said here. How far it is stands in its `status`."""
    run = container().start_report(posting(), **body)
    return run_out(run), {"Location": f"/api/v1/reports/{run.id}"}


@blp.route("")
@needs(Permission.REPORTS_READ)
@blp.query(ReportsQuerySchema)
@blp.answer(200, page_of(ReportRunSchema))
def list_reports(query: dict[str, Any]) -> dict[str, Any]:
    """Reports that were made or are being made, newest first."""
    limit = query.pop("limit")
    found = container().list_reports(actor(), limit=limit + 1, **query)
    shown = page(found, limit, lambda run: str(run.id))
    return shown | {"items": [run_out(run) for run in shown["items"]]}


@blp.route("/<uuid:report_id>")
@needs(Permission.REPORTS_READ)
@conditional
@blp.answer(200, ReportRunSchema)
def get_report(report_id: UUID) -> dict[str, Any]:
    """A report: what it is of, how far it is, and where its files are."""
    polled()
    return run_out(container().get_report(actor(), report_id))


@blp.route("/<uuid:report_id>/files/<string:format>")
@limited(Kind.COSTLY)
@needs(Permission.REPORTS_READ)
@fails_with(409)
@conditional
@blp.answer(200, description="The file. Its ETag is its SHA-256.", content_type="application/octet-stream")
def get_report_file(report_id: UUID, format: str) -> Response:
    """A file of a report that is done: csv, json, xlsx or html."""
    return report_file(actor(), report_id, format)


def report_file(actor: Actor, report_id: UUID, format: str, *, shown: bool = False) -> Response:
    """To be kept, or to be shown where it is a page. Raises `NotFound`, or `Conflict` while it is being made."""
    if format not in {one.value for one in Format}:
        raise NotFound("there is no such format")
    known = {one.format.value: one.sha256 for one in container().get_report(actor, report_id).files}
    if format in known and request.if_none_match.contains_weak(known[format]):
        return Response(status=304, headers={"ETag": quote_etag(known[format])})
    run, file, pieces = container().open_report_file(actor, report_id, Format(format))
    headers = {
        "Content-Disposition": f'{"inline" if shown else "attachment"}; filename="{file_name(run, file.format)}"',
        "Content-Security-Policy": _POLICY,
        "Content-Length": str(file.bytes),
    }
    response = Response(pieces, headers=headers, mimetype=_TYPES[file.format])
    response.set_etag(file.sha256)
    return response


def run_out(run: ReportRun) -> dict[str, Any]:
    span = run.spec.span(run.today)
    files = [
        {
            **fields_of(one, "path"),
            "format": one.format.value,
            "name": file_name(run, one.format),
            "href": f"/api/v1/reports/{run.id}/files/{one.format.value}",
        }
        for one in run.files
    ]
    return {
        **fields_of(run, "tenant_id", "today"),
        "spec": spec_out(run.spec),
        "since": span.since,
        "until": span.until,
        "files": files,
    }


def spec_out(spec: ReportSpec) -> dict[str, Any]:
    """As it may be sent again."""
    told = spec_to_json(spec)
    if "statuses" in (where := told["where"]):
        where["status"] = where.pop("statuses")
    return told | {
        "period": _period_out(spec.period),
        "compare": None if spec.compare is None else _period_out(spec.compare),
    }


def _period_out(period: Period) -> dict[str, str]:
    if isinstance(period, Span):
        return {"since": period.since.isoformat(), "until": period.until.isoformat()}
    return {"relative": period.value}
