"""What it learned: what came of people's answers, and what is still to come of them."""

from __future__ import annotations

from flask import Blueprint, Response, get_template_attribute

from core.domain.categories import paths
from core.domain.permissions import Permission
from core.domain.tenants import STAGES
from core.usecases.learned import PROPOSED
from entrypoints.api.responses import json_response, polled
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import show

blp = Blueprint("learned", __name__)
FIRST = 10
"""Answers after which people are shown what came of them."""
_CATEGORIES, _RULES = 12, 5
"""The most that are named."""


@blp.get("/review/learned")
@page_for(Permission.TENANT_READ)
def learned() -> Response:
    found, dashboard = container().show_learned(me()), container().show_dashboard(me())
    return show(
        "review/learned.html",
        learned=found,
        first=FIRST,
        stages=STAGES,
        categories=list(found.lessons.items())[:_CATEGORIES],
        rules=found.proposed[:_RULES],
        most=PROPOSED,
        paths=paths(container().list_categories(me())),
        promised=dashboard.promised,
        figures=dashboard.promise,
    )


@blp.get("/review/learned/told")
@page_for(Permission.TENANT_READ)
def told() -> Response:
    """The same in a sentence, for pages that tell it."""
    polled()
    found = container().show_learned(me())
    words = get_template_attribute("review/parts.html", "told")(found)
    return json_response({"lessons": found.count, "told": " ".join(str(words).split())})


@blp.get("/review/learned/state")
@page_for(Permission.TENANT_READ)
def state() -> Response:
    """How much of it was learned, for the page that waits for it: asked for again and again."""
    polled()
    found = container().show_learning(me())
    return json_response({"lessons": found.lessons, "had": found.had})
