"""A report is asked for: first what kind, then of what; at once, or kept under a name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.categories import paths
from core.domain.permissions import Permission
from core.domain.report_periods import Granularity
from core.domain.reports import BY_TIME, OF_MONEY, OVER_RECORDS, ReportDefinition, ReportKind, ReportRun
from core.errors import Conflict, Invalid
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.console.asked import asked, asked_id
from entrypoints.console.guard import me, page_for
from entrypoints.console.records.filters import STAGES, STATUSES
from entrypoints.console.reports import words
from entrypoints.console.reports.forms import Typed, as_kept, as_sent, fresh, spec_and_schedule_of, spec_of, wrong_at
from entrypoints.console.shell import done, show
from entrypoints.console.words import as_sentence

blp = Blueprint("report_new", __name__)
ROWS = "rates"
"""The button that asks for room for more rates."""


@blp.get("/reports/new")
@page_for(Permission.REPORTS_RUN)
def new() -> Response:
    """Of a kind, or as a report was asked for before: by its run or by its definition."""
    if (definition_id := asked_id("definition")) is not None:
        kept: ReportDefinition = container().get_report_definition(me(), definition_id)
        return report_form(as_kept(kept.spec))
    if (run_id := asked_id("run")) is not None:
        run: ReportRun = container().get_report(me(), run_id)
        return report_form(as_kept(run.spec, run.name))
    kind = asked("kind", ReportKind, "kind of report")
    return show("reports/kinds.html", words=words) if kind is None else report_form(fresh(kind))


@blp.post("/reports/new")
@limited(Kind.COSTLY)
@page_for(Permission.REPORTS_RUN)
def start() -> AnyResponse:
    typed = as_sent(sent_kind())
    if request.form.get("do") == ROWS:
        return report_form(typed)
    try:
        run: ReportRun = container().start_report(me(), name=typed["name"], spec=spec_of(typed))
    except Invalid as error:
        return report_form(typed, wrong=wrong_at(error), status=error.status)
    return done(f"/reports/{run.id}", "The report is asked for.")


@blp.post("/reports/definitions")
@page_for(Permission.REPORTS_WRITE)
def keep() -> AnyResponse:
    typed = as_sent(sent_kind())
    try:
        spec, schedule = spec_and_schedule_of(typed)
        made: ReportDefinition = container().create_report_definition(
            me(), name=typed["name"], spec=spec, schedule=schedule
        )
    except Invalid as error:
        return report_form(typed, wrong=wrong_at(error), status=error.status)
    except Conflict as error:
        return report_form(typed, wrong=refused(typed, error), status=error.status)
    return done(f"/reports/definitions/{made.id}", f"“{made.name}” is kept.")


def sent_kind() -> ReportKind:
    """Raises `Invalid` for a form that is none of ours."""
    try:
        return ReportKind(request.form.get("kind", ""))
    except ValueError:
        raise Invalid("this form says not which kind of report it asks for: begin anew") from None


def refused(typed: Typed, error: Conflict, mine: ReportDefinition | None = None) -> Mapping[str, str]:
    """That a name is taken stands beside it."""
    name = " ".join(typed["name"].split())
    others = (one for one in container().list_report_definitions(me()) if mine is None or one.id != mine.id)
    if any(one.name == name for one in others):
        return {"name": "Another report has this name."}
    return {"": as_sentence(error)}


def report_form(
    typed: Typed,
    *,
    wrong: Mapping[str, str] | None = None,
    status: int = 200,
    changed: ReportDefinition | None = None,
    version: int = 0,
    error: str = "",
) -> Response:
    """As it was typed, with what does not hold; of a definition that is `changed`, whose `version` the form was made
    of."""
    actor, kind = me(), typed.kind
    over_records, by_time = kind in OVER_RECORDS, kind in BY_TIME
    categories = {} if not over_records else paths(container().list_categories(actor))
    connections = [] if not over_records else container().list_connections(actor)
    granularities = dict(words.GRANULARITIES)
    if kind is ReportKind.LLM:
        granularities = {one: granularities[one] for one in (Granularity.MONTH, Granularity.QUARTER, Granularity.YEAR)}
    tenant = container().get_tenant(actor)
    return show(
        "reports/form.html",
        status,
        words=words,
        kind=kind,
        typed=typed,
        wrong=wrong or {},
        error=error,
        changed=changed,
        version=version,
        periods=_periods(container().clock().now().astimezone(tenant.zone).date()),
        granularities=granularities if by_time else {},
        over_records=over_records,
        of_money=kind in OF_MONEY,
        categories=sorted(((str(id), name) for id, name in categories.items()), key=lambda pair: pair[1].casefold()),
        connections=sorted(((str(one.id), one.name) for one in connections), key=lambda pair: pair[1].casefold()),
        statuses=STATUSES,
        stages=STAGES,
        weekdays=list(enumerate(words.WEEKDAYS, start=1)),
        hours=[(hour, f"{hour}:00") for hour in range(24)],
        zone=tenant.time_zone,
    )


def _periods(today: date) -> list[tuple[str, str]]:
    return [(one.value, words.period(one, today)) for one in words.RELATIVES]
