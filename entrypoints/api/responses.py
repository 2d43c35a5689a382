"""JSON out: orjson bytes, pages with a cursor, entity tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import orjson
from flask import Response, g, request
from flask.json.provider import JSONProvider

from core.errors import Invalid, VersionMismatch

T = TypeVar("T")
MAX_LIMIT = 500
DEFAULT_LIMIT = 50
_ETAG = re.compile(r'"([^"]*)"')
_VERSION = re.compile(r"[0-9]{1,9}")


def dumps(value: Any) -> bytes:
    """JSON as the API writes it: Decimals as texts without an exponent, ids and instants as texts, sets sorted."""
    return orjson.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class OrjsonProvider(JSONProvider):
    """What Flask's `jsonify` goes through."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return json_response(self._prepare_response_obj(args, kwargs))


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dumps(value), status, headers, mimetype="application/json")


def page(rows: Sequence[T], limit: int, cursor: Callable[[T], str]) -> dict[str, Any]:
    """A page out of the `limit + 1` rows that were asked for: the one too many only tells that there is more."""
    items = rows[:limit]
    return {"items": items, "next": cursor(items[-1]) if len(rows) > limit else None}


def plain_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of one statement under names that are `str` itself: orjson takes no subclass for a key."""
    if not rows:
        return []
    names = [str(name) for name in rows[0]]
    return [dict(zip(names, row.values(), strict=True)) for row in rows]


def part(rows: Sequence[Mapping[str, Any]], query: Mapping[str, Any], id: str = "id") -> dict[str, Any]:
    """A page out of a whole list: what comes after the row with the id `after`. Raises `Invalid` when there is none."""
    if query["after"] is not None:
        places = [place for place, row in enumerate(rows) if row[id] == query["after"]]
        if not places:
            raise Invalid("after is the `next` of the page before", fields={"after": ["Not in this list."]})
        rows = rows[places[0] + 1 :]
    return page(rows, query["limit"], lambda row: str(row[id]))


def fields_of(thing: Any, *left_out: str) -> dict[str, Any]:
    """A dataclass's fields by name, as they are."""
    return {name: getattr(thing, name) for name in type(thing).__slots__ if name not in left_out}


def tagged(version: int) -> None:
    """The answer carries the version of its thing as ETag; a GET with that If-None-Match gets 304."""
    g.etag = str(version)
    g.conditional = True


def versioned(version: int) -> None:
    """As `tagged`, but never 304: for what shows more than the version covers, as counters or another's name."""
    g.etag = str(version)


def polled() -> None:
    """The answer's ETag is made of its content, so that polling for progress costs 304s."""
    g.conditional = True


def apply_etag(response: Response) -> Response:
    """Sets the ETag that the view asked for; 304 when the client has it already."""
    if not 200 <= response.status_code < 300 or ("etag" not in g and "conditional" not in g):
        return response
    if "etag" in g:
        response.set_etag(g.etag)
    else:
        response.add_etag()
    etag, _ = response.get_etag()
    if "conditional" in g and etag and request.method in ("GET", "HEAD") and request.if_none_match.contains_weak(etag):
        return Response(status=304, headers={"ETag": response.headers["ETag"]})
    return response


def if_match() -> int | None:
    """The version that If-Match asks for; None when the change is unconditional.

    Raises `Invalid` for a malformed header, `VersionMismatch` for a tag that no version of ours ever had.
    """
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    tag = _ETAG.fullmatch(given.strip())
    if tag is None:
        raise Invalid('If-Match holds one ETag as it was answered, such as "3"')
    if _VERSION.fullmatch(tag[1]) is None:
        raise VersionMismatch
    return int(tag[1])
