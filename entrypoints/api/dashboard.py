"""How well it goes: what is decided alone, and whether that keeps the promise."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.domain.connections import ImportProgress
from core.domain.dashboard import Dashboard
from core.domain.decisions import Stage
from core.domain.permissions import Permission
from core.domain.promise import Figures
from core.domain.tenants import STAGES
from core.errors import NotFound
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional
from entrypoints.api.idempotency import posting
from entrypoints.api.responses import fields_of, polled
from entrypoints.api.schemas.dashboard import (
    DashboardQuerySchema,
    DashboardSchema,
    LearnedSchema,
    PromiseQuerySchema,
    PromiseSchema,
    StandingSchema,
)
from entrypoints.api.state import actor, container

blp = Blueprint("dashboard", "How well it goes.", "/dashboard")


@blp.route("")
@needs(Permission.TENANT_READ)
@conditional
@blp.query(DashboardQuerySchema)
@blp.answer(200, DashboardSchema)
def show_dashboard(query: dict[str, Any]) -> dict[str, Any]:
    """What came and who decided it by day, whether that keeps the promise, what waits for a person, what the LLM took
    this month, and how connections do. It is computed anew every few seconds: `as_of` says from when it is."""
    polled()
    shown: Dashboard = container().show_dashboard(actor(), days=query["days"])
    return {
        "as_of": shown.as_of,
        "time_zone": shown.time_zone,
        "records": shown.records,
        "automation": shown.automation,
        "days": [fields_of(day) | {"records": day.records} for day in shown.days],
        "promise": _figures(shown.promise) | {"promised": shown.promised, "since": shown.promise_since},
        "queue": {
            "size": shown.queue.size,
            "oldest_seconds": _waiting(shown.queue.oldest, shown.as_of),
            "median_seconds": _waiting(shown.queue.median, shown.as_of),
        },
        "llm": fields_of(shown.llm) | {"month": f"{shown.llm.month:%Y-%m}"},
        "connections": dict(shown.connections),
    }


@blp.route("/learned")
@needs(Permission.TENANT_READ)
@conditional
@blp.answer(200, LearnedSchema)
def show_learned() -> dict[str, Any]:
    """What was learned of people's answers so far: how many teach, what waits that is like them, how many rules are
    proposed, and what was decided alone of each of the latest imports."""
    polled()
    shown = container().show_learned(actor())
    return {
        "lessons": [{"category_id": id, "count": count} for id, count in shown.lessons.items()],
        "taught": shown.count,
        "learned": shown.had,
        "waiting": shown.waiting,
        "alike": shown.alike,
        "proposed_rules": len(shown.proposed),
        "similarity_alone": shown.alone,
        "deliveries": [_delivery(one) for one in shown.deliveries],
    }


@blp.route("/promise")
@needs(Permission.TENANT_READ)
@blp.query(PromiseQuerySchema)
@blp.answer(200, PromiseSchema)
def show_promise(query: dict[str, Any]) -> dict[str, Any]:
    """What share is decided alone, and how right that is by people's spot checks: in all, by stage, and by month. An
    estimate with its interval is evidence, never proof."""
    shown = container().show_promise(actor(), months=query["months"])
    return {
        "promised": shown.promised,
        "since": shown.since,
        "overall": _figures(shown.overall),
        "stages": [fields_of(standing) | _figures(figures) for standing, figures in shown.stages],
        "months": [{"month": f"{month:%Y-%m}"} | _figures(figures) for month, figures in shown.months],
    }


@blp.route("/promise/<string:stage>/reset", "POST")
@needs(Permission.TENANT_WRITE)
@blp.answer(200, StandingSchema)
def reset_promise(stage: str) -> dict[str, Any]:
    """Lets a stage that was tightened decide as before, and begins its test anew."""
    if stage not in list(Stage):
        raise NotFound("no such stage decides alone")
    return fields_of(container().reset_promise(posting(), Stage(stage)))


def _waiting(since: datetime | None, now: datetime) -> int | None:
    return None if since is None else max(0, int((now - since).total_seconds()))


def _figures(figures: Figures) -> dict[str, Any]:
    found = figures.estimate
    return {
        "decided": figures.decided,
        "automated": figures.automated,
        "automation": figures.automation,
        "checked": found.checked if found else 0,
        "precision": found.precision if found else None,
        "interval": [found.low, found.high] if found else None,
        "status": figures.keeping,
        "words": figures.words,
        "to_tell": figures.to_tell,
    }


def _delivery(one: ImportProgress) -> dict[str, Any]:
    imported = one.imported
    return {
        "import_id": imported.id,
        "filename": imported.filename,
        "created_at": imported.created_at,
        **{stage: one.count("processed", stage=stage) for stage in STAGES},
        "asked": one.asked,
        "automation": one.automation,
    }
