"""What Stripe's servers have in common: forms with brackets, errors, lists in pages, signatures."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

MOST_PER_PAGE = 100
_PARTS = re.compile(r"[^\[\]]+")


class Refused(Exception):
    """An answer with this status, which names the parameter."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param, self.code, self.status = param, code, status

    def body(self, kind: str = "invalid_request_error") -> dict[str, Any]:
        told = {"type": kind, "message": str(self), "param": self.param, "code": self.code}
        return {"error": {name: value for name, value in told.items() if value is not None}}


def missing(thing: str, id: str, param: str) -> Refused:
    return Refused(f"No such {thing}: '{id}'", param=param, code="resource_missing")


def nested(form: Mapping[str, str]) -> dict[str, Any]:
    """`{"a[b][0][c]": "x"}` is `{"a": {"b": [{"c": "x"}]}}`."""
    tree: dict[str, Any] = {}
    for name, value in form.items():
        *above, last = _PARTS.findall(name)
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return {name: _with_lists(value) for name, value in tree.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(one) for name, one in value.items()}
    return list(inner.values()) if all(name.isdecimal() for name in inner) else inner


def check(params: Mapping[str, Any], *, needs: Iterable[str] = (), may: Iterable[str] = ()) -> None:
    """Raises `Refused` unless it has all of the former, and nothing else than both."""
    needs = list(needs)
    if lacking := [name for name in needs if name not in params]:
        raise Refused(f"Missing required param: {lacking[0]}.", param=lacking[0], code="parameter_missing")
    if unknown := sorted(set(params) - {*needs, *may}):
        raise Refused(f"Received unknown parameter: {unknown[0]}", param=unknown[0], code="parameter_unknown")


def page(url: str, newest: Sequence[dict[str, Any]], params: Mapping[str, Any], most: int) -> dict[str, Any]:
    """The page that is asked for, of at most so many."""
    limit = int(params.get("limit", 10))
    if not 1 <= limit <= MOST_PER_PAGE:
        raise Refused("Invalid integer", param="limit", code="parameter_invalid_integer")
    start = 0
    if after := params.get("starting_after"):
        ids = [one["id"] for one in newest]
        if after not in ids:
            raise missing("object", after, "starting_after")
        start = ids.index(after) + 1
    end = start + min(limit, most)
    return {"object": "list", "url": url, "has_more": end < len(newest), "data": list(newest[start:end])}


def signature(body: bytes, secret: str, at: datetime) -> str:
    """The header of a delivery, as Stripe's documentation tells to make it."""
    seconds = int(at.timestamp())
    made = hmac.new(secret.encode(), b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={made}"
