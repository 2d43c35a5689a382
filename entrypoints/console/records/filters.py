"""What a list of records is filtered by: read out of an address, and said in words."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from marshmallow import EXCLUDE, ValidationError
from werkzeug.datastructures import MultiDict

from entrypoints.api.records import record_filter
from entrypoints.api.schemas.records import RecordFilterSchema
from entrypoints.console.fields import said_of
from ports.storage import RecordFilter

STATUSES = {
    "needs_review": "To review",
    "processed": "Decided",
    "approved": "Approved",
    "overridden": "Corrected",
    "ingested": "New",
    "held": "Held",
    "failed": "Failed",
}
STAGES = {"rules": "Rules", "similarity": "Similarity", "llm": "Language model", "human": "A person"}
_NAMES = {
    "text": "Text",
    "category_id": "Category",
    "stage": "Decided by",
    "connection_id": "Connection",
    "import_id": "Import",
    "kind": "Kind",
    "account": "Account",
    "currency": "Currency",
    "month": "Month",
    "since": "From",
    "until": "To",
    "min_amount": "At least",
    "max_amount": "At most",
}
SELDOM = frozenset(_NAMES) - {"text", "category_id", "month"}
"""Those behind “More filters”."""
_MONTHS = 24
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A part of the filter in words, and the address of the list without it."""

    name: str
    value: str
    without: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """`given` is what the form shows, by name; `where` is None while something in it does not hold, which `errors`
    tell by name."""

    statuses: tuple[str, ...]
    given: Mapping[str, str]
    where: RecordFilter | None
    loaded: Mapping[str, Any]
    """The same as `where`, by the names of the API's parameters."""
    errors: Mapping[str, str]

    @property
    def any(self) -> bool:
        return bool(self.statuses or self.given)

    def address(self, path: str, **others: str | None) -> str:
        """The path with these filters; of `others`, those that are None leave theirs out."""
        left = {name: value for name, value in {**self.given, **others}.items() if value}
        pairs = [*(("status", status) for status in self.statuses), *left.items()]
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def chips(self, path: str, words: Mapping[str, Mapping[str, str]], view: str | None) -> list[Chip]:
        """`words` has, by filter, what values are called; `view` is the saved view that the list began with."""
        return [
            Chip(
                name=_NAMES[name],
                value=words.get(name, {}).get(value, value),
                without=self.address(path, view=view, **{name: None}),
            )
            for name, value in self.given.items()
        ]


def read_filters(args: MultiDict[str, str]) -> Filters:
    """What is blank is left out, and what the list does not know is none of its business."""
    given = {name: value for name in _NAMES if (value := args.get(name, "").strip().replace("\x00", ""))}
    statuses = tuple(dict.fromkeys(value for value in args.getlist("status") if value))
    asked: dict[str, object] = {**given, **({"status": statuses} if statuses else {})}
    errors: dict[str, str] = {}
    if month := given.get("month"):
        try:
            first, last = days_of(month)
            asked = {"since": first.isoformat(), "until": last.isoformat()} | asked
        except ValueError:
            errors["month"] = "Not a month, such as 2026-03."
    loaded: dict[str, Any] = {}
    try:
        loaded = RecordFilterSchema(unknown=EXCLUDE).load(asked)
    except ValidationError as error:
        errors |= said_of(error)
    known = tuple(status for status in statuses if status in STATUSES)
    where = None if errors else record_filter(dict(loaded))
    return Filters(statuses=known, given=given, where=where, loaded=loaded, errors=errors)


def days_of(month: str) -> tuple[date, date]:
    """Its first and its last day. Raises `ValueError`."""
    if not _MONTH.fullmatch(month):
        raise ValueError(month)
    year, number = int(month[:4]), int(month[5:])
    first = date(year, number, 1)
    return first, first.replace(day=calendar.monthrange(year, number)[1])


def months(today: date, chosen: str | None) -> list[tuple[str, str]]:
    """The last two years of months, and the chosen one, each with its name: the latest first."""
    last = today.year * 12 + today.month - 1
    written = {f"{number // 12}-{number % 12 + 1:02}" for number in range(last - _MONTHS + 1, last + 1)}
    if chosen and _MONTH.fullmatch(chosen):
        written.add(chosen)
    return [(month, named_month(month)) for month in sorted(written, reverse=True)]


def named_month(month: str) -> str:
    try:
        return f"{days_of(month)[0]:%B %Y}"
    except ValueError:
        return month
