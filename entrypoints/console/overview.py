"""The overview: how it goes, at a glance, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response

from adapters.charts.svg import COLOURS, draw
from core.domain.dashboard import Dashboard
from core.domain.permissions import Permission
from core.domain.report_tables import Chart, ChartKind
from core.usecases.promise import Promise
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.learned import FIRST
from entrypoints.console.shell import show
from ports.storage import RecordFilter

blp = Blueprint("overview", __name__)
MONTHS = 3
"""Of what spot checks say, the present one among them."""
_PARTS = {
    "rules": "Rules",
    "similarity": "Similarity",
    "llm": "Language model",
    "human": "Asked of a person",
    "history": "Came sorted",
    "other": "Skipped or failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of what came somebody decided."""

    title: str
    records: int
    share: float
    colour: str


@blp.get("/")
@page_for(Permission.RECORDS_READ)
def overview() -> Response:
    found = container().show_dashboard(me())
    return show(
        "overview/overview.html",
        dashboard=found,
        first=not (found.records or found.queue.size or container().latest_records(me(), RecordFilter(), limit=1)),
        lessons=container().count_lessons(me(), most=FIRST),
        enough=FIRST,
        days=draw(_days(found)),
        promise=draw(_promise(container().show_promise(me(), months=MONTHS))),
        split=_split(found),
        months=MONTHS,
    )


def _split(dashboard: Dashboard) -> Sequence[Share]:
    """Who decided what came, most of them first, each in the colour that it has in the chart by day."""
    sums = ((title, sum(getattr(day, part) for day in dashboard.days)) for part, title in _PARTS.items())
    there = zip(((title, n) for title, n in sums if n), COLOURS, strict=False)
    shares = [Share(title=title, records=n, share=n / dashboard.records, colour=c) for (title, n), c in there]
    return sorted(shares, key=lambda one: -one.records)


def _promise(promise: Promise) -> Chart:
    """How right each stage is where it decides alone, by spot checks, against what is promised."""
    rows = [("In all", promise.overall), *((_PARTS[standing.stage], found) for standing, found in promise.stages)]
    known = [(title, found.estimate) for title, found in rows if found.decided]
    return Chart(
        kind=ChartKind.RANGES,
        title="Promised and measured",
        description=f"{promise.promised:.1%} promised. "
        + "; ".join(
            f"{title}: {found.precision:.1%} right, {found.low:.1%} to {found.high:.1%}"
            if found
            else f"{title}: unknown"
            for title, found in known
        ),
        labels=tuple(title for title, _ in known),
        series={"right": [found.precision if found else None for _, found in known]},
        band=[(found.low, found.high) if found else None for _, found in known],
        target=promise.promised,
        share=True,
    )


def _days(dashboard: Dashboard) -> Chart:
    """Who decided what came, day by day."""
    days = dashboard.days
    series = {title: tuple(float(getattr(day, part)) for day in days) for part, title in _PARTS.items()}
    return Chart(
        kind=ChartKind.STACKED,
        title="Records by day, and who decided them",
        description="; ".join(f"{title}: {sum(values):,.0f}" for title, values in series.items()),
        labels=tuple(f"{day.day.day} {day.day:%b}" for day in days),
        series={title: values for title, values in series.items() if any(values)},
    )
