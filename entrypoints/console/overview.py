"""The overview: how it goes, at a glance, and what to do next."""

from __future__ import annotations

from flask import Blueprint, Response

from core.domain.permissions import Permission
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import show

blp = Blueprint("overview", __name__)
FIRST_ANSWERS = 10
"""Answers after which somebody new has seen what review is."""


@blp.get("/")
@page_for(Permission.RECORDS_READ)
def overview() -> Response:
    found = container().show_dashboard(me())
    return show("overview/overview.html", dashboard=found, first=found.records == 0)
