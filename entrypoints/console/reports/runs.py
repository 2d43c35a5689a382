"""A report that was asked for: how far it is, what it says, and its files."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint
from werkzeug.wrappers import Response

from adapters.charts.svg import draw
from core.domain.jobs import Job
from core.domain.permissions import Permission
from core.domain.report_tables import Report
from core.domain.reports import ReportRun, RunStatus
from core.errors import Invalid, NotFound
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import json_response, polled
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.reports import words
from entrypoints.console.reports.figures import MOST_ROWS, tables_of, totals_of
from entrypoints.console.reports.named import names_in
from entrypoints.console.shell import done, show

blp = Blueprint("report_runs", __name__)
_OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)


@blp.get("/reports/<uuid:run_id>")
@page_for(Permission.REPORTS_READ)
def report(run_id: UUID) -> Response:
    return _page(run_id)


@blp.get("/reports/<uuid:run_id>/state")
@page_for(Permission.REPORTS_READ)
def state(run_id: UUID) -> Response:
    """How far it is, for the page that is open."""
    polled()
    return json_response(_state(container().get_report(me(), run_id)))


@blp.post("/reports/<uuid:run_id>/again")
@limited(Kind.COSTLY)
@page_for(Permission.REPORTS_RUN)
def again(run_id: UUID) -> Response:
    """As it was asked for, whatever its definition says by now; one more of its definition, where that is alike."""
    run: ReportRun = container().get_report(me(), run_id)
    try:
        if _is_defined_so(run):
            made: ReportRun = container().start_report(me(), definition_id=run.definition_id)
        else:
            made = container().start_report(me(), name=run.name, spec=run.spec)
    except Invalid as error:
        return _page(run_id, str(error), error.status)
    return done(f"/reports/{made.id}", "The report is being made anew. You may leave this page; it goes on.")


def _page(run_id: UUID, error: str = "", status: int = 200) -> Response:
    found: tuple[ReportRun, Report | None] = container().read_report(me(), run_id)
    run, told = found
    kind, tables = run.spec.kind, [] if told is None else tables_of(run.spec.kind, told)
    return show(
        "reports/run.html",
        status,
        words=words,
        run=run,
        error=error,
        kind=words.KINDS[kind],
        facts=words.facts(run.spec, run.today, names_in(run.spec)),
        state=_state(run),
        report=told,
        tables=tables,
        most_rows=MOST_ROWS,
        totals=None if told is None else totals_of(kind, told),
        charts=[] if told is None else [(chart.title, draw(chart)) for chart in told.charts],
        defined=_definition_name(run),
        days=container().settings().report_retention_days,
    )


def _state(run: ReportRun) -> dict[str, Any]:
    job = _job(run)
    said = words.STATUSES_OF_RUNS[run.status][0]
    if run.status is RunStatus.QUEUED:
        said = "It waits for its turn."
    elif run.status is RunStatus.RUNNING:
        said = "It is being made."
    if run.status in _OPEN and job is not None and job.last_error:
        said = f"It did not work, and is tried again: {job.last_error}"
    return {"status": run.status.value, "said": said, "ended": run.status not in _OPEN}


def _job(run: ReportRun) -> Job | None:
    """None for who may not read jobs, and where it is kept no more."""
    if Permission.JOBS_READ not in me().permissions:
        return None
    try:
        found: Job = container().get_job(me(), run.job_id)
    except NotFound:
        return None
    return found


def _is_defined_so(run: ReportRun) -> bool:
    if run.definition_id is None:
        return False
    try:
        kept = container().get_report_definition(me(), run.definition_id)
    except NotFound:
        return False
    return (kept.name, kept.spec) == (run.name, run.spec)


def _definition_name(run: ReportRun) -> str | None:
    """None where it was made by none, or that is gone."""
    if run.definition_id is None:
        return None
    try:
        return str(container().get_report_definition(me(), run.definition_id).name)
    except NotFound:
        return None
