"""A report that is kept under a name: what it is of, when it is made by itself, and what was made by it."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.domain.reports import ReportDefinition, ReportRun
from core.errors import Conflict, Invalid, VersionMismatch
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id, following
from entrypoints.console.fields import CHANGED, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.reports import words
from entrypoints.console.reports.forms import as_kept, as_sent, schedule_of, spec_of, wrong_at
from entrypoints.console.reports.named import names_in
from entrypoints.console.reports.new import ROWS, refused, report_form, sent_kind
from entrypoints.console.shell import done, show

blp = Blueprint("report_definition_pages", __name__)
PAGE = 20


@blp.get("/reports/definitions/<uuid:definition_id>")
@page_for(Permission.REPORTS_READ)
def definition(definition_id: UUID) -> Response:
    return _page(definition_id)


@blp.post("/reports/definitions/<uuid:definition_id>/run")
@limited(Kind.COSTLY)
@page_for(Permission.REPORTS_RUN)
def run(definition_id: UUID) -> Response:
    made: ReportRun = container().start_report(me(), definition_id=definition_id)
    return done(f"/reports/{made.id}", "The report is being made. You may leave this page; it goes on.")


@blp.get("/reports/definitions/<uuid:definition_id>/change")
@page_for(Permission.REPORTS_WRITE)
def changing(definition_id: UUID) -> Response:
    kept: ReportDefinition = container().get_report_definition(me(), definition_id)
    return report_form(as_kept(kept.spec, kept.name, kept.schedule), changed=kept, version=kept.version)


@blp.post("/reports/definitions/<uuid:definition_id>/change")
@page_for(Permission.REPORTS_WRITE)
def change(definition_id: UUID) -> Response:
    kept: ReportDefinition = container().get_report_definition(me(), definition_id)
    typed, version = as_sent(sent_kind()), sent_version()
    if request.form.get("do") == ROWS:
        return report_form(typed, changed=kept, version=version)
    try:
        schedule = schedule_of(typed)
        if schedule is not None and kept.schedule is not None:
            schedule = replace(schedule, paused=kept.schedule.paused)
        container().change_report_definition(
            me(), definition_id, version=version, name=typed["name"], spec=spec_of(typed), schedule=schedule
        )
    except Invalid as error:
        return report_form(typed, wrong=wrong_at(error), status=error.status, changed=kept, version=version)
    except Conflict as error:
        wrong = refused(typed, error, kept)
        return report_form(typed, wrong=wrong, status=error.status, changed=kept, version=version)
    except VersionMismatch:
        return report_form(typed, error=CHANGED, status=409, changed=kept, version=kept.version)
    return done(f"/reports/definitions/{definition_id}", "Saved. What was made by it so far stays as it is.")


@blp.post("/reports/definitions/<uuid:definition_id>/schedule")
@page_for(Permission.REPORTS_WRITE)
def pause(definition_id: UUID) -> Response:
    """Pauses the schedule, or has it go on."""
    kept: ReportDefinition = container().get_report_definition(me(), definition_id)
    paused = request.form.get("paused") == "1"
    if kept.schedule is None:
        return _page(definition_id, "It has no schedule.", 409)
    schedule = replace(kept.schedule, paused=paused)
    try:
        container().change_report_definition(me(), definition_id, version=sent_version(), schedule=schedule)
    except VersionMismatch:
        return _page(definition_id, CHANGED, 409)
    said = "Paused: it is made when asked for alone." if paused else "It is made by its schedule again."
    return done(f"/reports/definitions/{definition_id}", said)


@blp.post("/reports/definitions/<uuid:definition_id>/delete")
@page_for(Permission.REPORTS_WRITE)
def delete(definition_id: UUID) -> Response:
    try:
        container().delete_report_definition(me(), definition_id, version=sent_version())
    except VersionMismatch:
        return _page(definition_id, CHANGED, 409)
    return done("/reports", "It is kept no more. What was made by it stays in the history.")


def _page(definition_id: UUID, error: str = "", status: int = 200) -> Response:
    actor = me()
    kept: ReportDefinition = container().get_report_definition(actor, definition_id)
    runs = container().list_reports(actor, before=asked_id("after"), limit=PAGE + 1, definition_id=definition_id)
    tenant, now = container().get_tenant(actor), container().clock().now()
    return show(
        "reports/definition.html",
        status,
        words=words,
        definition=kept,
        facts=words.facts(kept.spec, now.astimezone(tenant.zone).date(), names_in(kept.spec)),
        zone=tenant.time_zone,
        runs=runs[:PAGE],
        more=following(f"/reports/definitions/{definition_id}", runs[PAGE - 1].id) if len(runs) > PAGE else None,
        error=error,
    )
