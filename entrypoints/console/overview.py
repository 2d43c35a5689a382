"""The overview: how it goes, at a glance, and what to do next."""

from __future__ import annotations

from flask import Blueprint, Response

from adapters.charts.svg import stacked
from core.domain.dashboard import Dashboard
from core.domain.permissions import Permission
from core.domain.report_tables import Chart, ChartKind
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.learned import FIRST
from entrypoints.console.shell import show

blp = Blueprint("overview", __name__)
_PARTS = {
    "rules": "Rules",
    "similarity": "Similarity",
    "llm": "Language model",
    "human": "Asked of a person",
    "history": "Came sorted",
    "other": "Skipped or failed",
}


@blp.get("/")
@page_for(Permission.RECORDS_READ)
def overview() -> Response:
    found = container().show_dashboard(me())
    chart = stacked(_days(found))
    lessons = container().count_lessons(me(), most=FIRST)
    return show(
        "overview/overview.html",
        dashboard=found,
        first=found.records == 0,
        lessons=lessons,
        enough=FIRST,
        chart=chart,
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
