"""Links to what ids name: where there is a page for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import current_app
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from core.domain.jobs import Stream

_OF_FIELDS = {
    "connection_id": "/connections/{id}",
    "record_id": "/records/{id}",
    "rule_id": "/rules/{id}",
    "run_id": "/rules/runs/{id}",
    "category_id": "/categories/{id}",
    "job_id": "/jobs/{id}",
    "evaluation_id": "/settings/promise/trials/{id}",
    "receipt_id": "/receipts/{id}",
    "proposal_id": "/rules/proposals/{id}",
}
_OF_STREAMS: Mapping[str, Mapping[str, str]] = {Stream.GENERATE: {"run_id": "/reports/{id}"}}
"""What is called so there alone."""


def existing(path: str) -> str | None:
    """The path, where the console has a page for it."""
    try:
        current_app.url_map.bind("localhost").match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return None
    return path


def page_of(template: str, id: object) -> str | None:
    """The page of the thing with that id, `{id}` in `template` being its place; None for what is no id."""
    try:
        return existing(template.format(id=UUID(str(id))))
    except ValueError:
        return None


def named_in(payload: Mapping[str, Any], stream: str = "") -> list[tuple[str, str]]:
    """(what it is, its page) of the things that a payload, of jobs of that stream, names by their ids."""
    places = {**_OF_FIELDS, **_OF_STREAMS.get(stream, {})}
    found = ((name, page_of(places[name], value)) for name, value in payload.items() if name in places)
    return [(name.removesuffix("_id"), path) for name, path in found if path is not None]
