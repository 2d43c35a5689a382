"""Where a read of a stream is: the cursor that is stored with each batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Self

from plugins.rest.pages import At
from sortation import CursorInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`since` is the highest mark of the rounds that were read to their end, by which this round asks; `seen` that of
    this round so far. The order of objects is not known, so `since` moves at a round's end alone.

    `at` is the page to read next, and `before` the one before it, of which `back` objects were read once more. Of the
    page, the first `skip` objects are read if they still are what they were (`digest`).
    """

    identity: str
    since: Decimal | None = None
    seen: Decimal | None = None
    at: At = None
    before: At = None
    back: int = 0
    skip: int = 0
    digest: str = ""

    @classmethod
    def of(cls, cursor: Mapping[str, Any] | None, identity: str) -> Self:
        """Raises `CursorInvalid` for one that is not of this identity."""
        if cursor is None:
            return cls(identity=identity)
        if cursor.get("of") != identity:
            raise CursorInvalid("what is asked for has changed since")
        try:
            return cls(
                identity=identity,
                since=_mark(cursor.get("since")),
                seen=_mark(cursor.get("seen")),
                at=cursor.get("at"),
                before=cursor.get("before"),
                back=int(cursor.get("back", 0)),
                skip=int(cursor.get("skip", 0)),
                digest=str(cursor.get("digest", "")),
            )
        except (InvalidOperation, TypeError, ValueError):
            raise CursorInvalid from None

    def cursor(self) -> dict[str, Any]:
        """As it is stored; what is nothing is left out."""
        kept = {
            "of": self.identity,
            "since": _written(self.since),
            "seen": _written(self.seen),
            "at": self.at,
            "before": self.before,
            "back": self.back or None,
            "skip": self.skip or None,
            "digest": self.digest or None,
        }
        return {name: value for name, value in kept.items() if value is not None}

    def within(self, items: Sequence[Any], skip: int, seen: Decimal | None) -> Place:
        """After the first `skip` of the page's objects."""
        return replace(self, skip=skip, digest=digest(items[:skip]), seen=seen)

    def onward(self, at: At, seen: Decimal | None) -> Place:
        """After the whole page: at the next one, or where there is none, at the end of the round."""
        if at is None:
            marks = [mark for mark in (self.since, seen) if mark is not None]
            return Place(identity=self.identity, since=max(marks, default=None))
        return Place(identity=self.identity, since=self.since, seen=seen, at=at, before=self.at)

    def anew(self) -> Place:
        """The round's beginning."""
        return Place(identity=self.identity, since=self.since, seen=self.seen)


def digest(items: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(items, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _written(mark: Decimal | None) -> str | None:
    return None if mark is None else format(mark, "f")


def _mark(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)
