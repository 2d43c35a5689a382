"""What can be asked for, what is kept under a name, and what was made."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request

from core.domain.permissions import Permission
from core.domain.reports import ReportKind, RunStatus
from entrypoints.api.state import container
from entrypoints.console.asked import asked, asked_id, following
from entrypoints.console.guard import me, page_for
from entrypoints.console.reports import words
from entrypoints.console.shell import show

blp = Blueprint("report_lists", __name__)
LATEST, DEFINITIONS, PAGE = 8, 20, 25


@blp.get("/reports")
@page_for(Permission.REPORTS_READ)
def reports() -> Response:
    actor, after = me(), asked_id("after")
    rest = [one for one in container().list_report_definitions(actor) if after is None or one.id > after]
    kept = rest[:DEFINITIONS]
    latest = container().list_reports(actor, before=None, limit=LATEST + 1)
    return show(
        "reports/reports.html",
        words=words,
        definitions=kept,
        more_definitions=following("/reports", kept[-1].id) if len(rest) > DEFINITIONS else None,
        runs=latest[:LATEST],
        more_runs=len(latest) > LATEST,
        beyond=after is not None,
        zone=container().get_tenant(actor).time_zone,
    )


@blp.get("/reports/history")
@page_for(Permission.REPORTS_READ)
def history() -> Response:
    actor = me()
    kind = asked("kind", ReportKind, "kind of report")
    status = asked("status", RunStatus, "state of a report")
    definition_id = asked_id("definition")
    found = container().list_reports(
        actor, before=asked_id("after"), limit=PAGE + 1, definition_id=definition_id, kind=kind, status=status
    )
    given = {"kind": kind and kind.value, "status": status and status.value, "definition": _written(definition_id)}
    return show(
        "reports/history.html",
        words=words,
        runs=found[:PAGE],
        given=given,
        definitions=[(str(one.id), one.name) for one in container().list_report_definitions(actor)],
        more=following("/reports/history", found[PAGE - 1].id, **given) if len(found) > PAGE else None,
        beyond=any(given.values()) or "after" in request.args,
    )


def _written(id: UUID | None) -> str | None:
    return None if id is None else str(id)
