"""Links to what ids name: where there is a page for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from flask import current_app
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from core.domain.jobs import Stream
from entrypoints.api.state import container
from entrypoints.console.guard import me

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
    """(what it is, its page) of the things that a payload, of jobs of that stream, names by their ids, and that are
    there still."""
    places = {**_OF_FIELDS, **_OF_STREAMS.get(stream, {})}
    found = {name: page_of(places[name], value) for name, value in payload.items() if name in places}
    there = still_there(found.values())
    return [(name.removesuffix("_id"), path) for name, path in found.items() if path in there]


def still_there(pages: Iterable[str | None]) -> frozenset[str]:
    """Those of the pages that are not of a record, rule, category or connection which is gone: they need no link."""
    paths = frozenset(path for path in pages if path is not None)
    wanted: dict[str, set[UUID]] = {kind: set() for kind in _FOUND}
    of: dict[str, tuple[str, UUID]] = {}
    for path in paths:
        _, kind, *rest = path.split("/")
        if kind in _FOUND and len(rest) == 1 and (id := _an_id(rest[0])) is not None:
            wanted[kind].add(id)
            of[path] = kind, id
    found = {kind: _FOUND[kind](ids) for kind, ids in wanted.items() if ids}
    return frozenset(path for path in paths if path not in of or of[path][1] in found[of[path][0]])


def _an_id(written: str) -> UUID | None:
    try:
        return UUID(written)
    except ValueError:
        return None


_FOUND: Mapping[str, Callable[[Collection[UUID]], Collection[UUID]]] = {
    "records": lambda ids: container().find_records(me(), ids),
    "rules": lambda ids: container().find_rules(me(), ids),
    "categories": lambda _: {category.id for category in container().list_categories(me())},
    "connections": lambda _: {connection.id for connection in container().list_connections(me())},
}
"""By how a page's path begins: which of the ids there are."""
