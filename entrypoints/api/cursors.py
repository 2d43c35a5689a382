"""Cursors of lists that are ordered by more than an id."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

from core.errors import Invalid

P = TypeVar("P")
K = TypeVar("K")


def write_cursor(place: float | date, id: UUID | str) -> str:
    """The place of an item in its list, and what tells it from others in that place."""
    written = place.isoformat() if isinstance(place, date) else repr(place)
    return base64.urlsafe_b64encode(f"{written},{id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[float, UUID]:
    """Raises `Invalid` for what `write_cursor` never wrote, as the others do."""
    return _read(cursor, _finite, UUID)


def read_group_cursor(cursor: str) -> tuple[float, str]:
    return _read(cursor, _finite, _group_key)


def read_time_cursor(cursor: str) -> tuple[datetime, UUID]:
    return _read(cursor, _instant, UUID)


def read_day_cursor(cursor: str) -> tuple[date, UUID]:
    return _read(cursor, date.fromisoformat, UUID)


def read_id_cursor(cursor: str) -> UUID:
    """Of a list that is ordered by ids: they are their own cursors."""
    try:
        return UUID(cursor)
    except ValueError:
        raise _not_a_cursor() from None


def _read(cursor: str, place: Callable[[str], P], id: Callable[[str], K]) -> tuple[P, K]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        first, _, second = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition(",")
        return place(first), id(second)
    except (ValueError, binascii.Error):
        raise _not_a_cursor() from None


def _not_a_cursor() -> Invalid:
    return Invalid("after is the `next` of the page before", fields={"after": ["Not a cursor."]})


def _finite(written: str) -> float:
    if not math.isfinite(number := float(written)):
        raise ValueError(written)
    return number


def _group_key(written: str) -> str:
    if "\x00" in written:
        raise ValueError(written)
    return written


def _instant(written: str) -> datetime:
    instant = datetime.fromisoformat(written)
    if instant.tzinfo is None:
        raise ValueError(written)
    return instant
