"""What a page is asked by its address: filters, and where a list goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import request

from core.errors import Invalid

T = TypeVar("T")


def asked(name: str, read: Callable[[str], T], what: str) -> T | None:
    """That parameter, None where it is left out. Raises `Invalid`, which says what it should be."""
    given = request.args.get(name, "").strip()
    if not given:
        return None
    try:
        return read(given)
    except ValueError:
        raise Invalid(f"{name}: this is no {what}", fields={name: [f"This is no {what}."]}) from None


def asked_id(name: str) -> UUID | None:
    return asked(name, UUID, "id")


def asked_number(name: str) -> int | None:
    """From 0 to what PostgreSQL can count."""

    def read(given: str) -> int:
        if not (given.isascii() and given.isdecimal() and len(given) <= 18):
            raise ValueError(given)
        return int(given)

    return asked(name, read, "number")


def asked_day(name: str, zone: ZoneInfo, days: int = 0) -> datetime | None:
    """When the day begins in the zone, so many days later."""
    return asked(name, lambda given: day_in(given, zone, days), "day, as 2026-05-31")


def day_in(written: str, zone: ZoneInfo, days: int = 0) -> datetime:
    """When the day begins in the zone, so many days later. Raises `ValueError`."""
    try:
        return datetime.combine(date.fromisoformat(written) + timedelta(days=days), time(), zone)
    except OverflowError:
        raise ValueError(written) from None


def following(path: str, after: object, **others: str | None) -> str:
    """The address of the next page of a list, with the same filters."""
    given: Mapping[str, object] = {**others, "after": after}
    return f"{path}?{urlencode({name: value for name, value in given.items() if value})}"
