"""What a report is made of: tables, of which the first is the report itself, and charts of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

Value = str | int | float | Decimal | date | Mapping[str, Any] | tuple[str, ...] | None


class ColumnKind(StrEnum):
    TEXT = "text"
    WORDS = "words"
    """Several texts."""
    OBJECT = "object"
    """A JSON object."""
    INSTANT = "instant"
    """Or a date, where no more is known."""
    DATE = "date"
    COUNT = "count"
    MONEY = "money"
    NUMBER = "number"
    SHARE = "share"
    """0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`key` is its name in files for programs, `title` in those for people."""

    key: str
    title: str
    kind: ColumnKind = ColumnKind.TEXT


PERIOD = Column(key="period", title="From", kind=ColumnKind.DATE)
SHARE_DECIMALS = 4


def counted(key: str, title: str) -> Column:
    return Column(key=key, title=title, kind=ColumnKind.COUNT)


def share_of(key: str, title: str) -> Column:
    return Column(key=key, title=title, kind=ColumnKind.SHARE)


def amount_of(key: str, title: str) -> Column:
    return Column(key=key, title=title, kind=ColumnKind.MONEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows in a total order, each with a value for each column; read anew each time that they are gone through where
    they are very many."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: Iterable[Sequence[Value]]


class ChartKind(StrEnum):
    BARS = "bars"
    STACKED = "stacked"
    LINES = "lines"
    DONUT = "donut"
    RANGES = "ranges"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`series` by name, a value (None: none) for each of the `labels`; a donut has one. `band` is the interval of a
    line, or of ranges: its low and its high end at each label. `target` is what ranges are held against."""

    kind: ChartKind
    title: str
    description: str
    labels: tuple[str, ...]
    series: Mapping[str, Sequence[float | None]]
    band: Sequence[tuple[float, float] | None] = ()
    target: float | None = None
    share: bool = False
    """Whether values are shares, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`about` says in words what it was made of, by what; nothing in it tells when. `in_all` is what it comes to, where
    that can be told: a row for each currency, or one of numbers of things."""

    kind: str
    title: str
    about: Mapping[str, Any]
    tables: Sequence[Table]
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()
    in_all: Table | None = None

    @property
    def all_tables(self) -> Sequence[Table]:
        return self.tables if self.in_all is None else [*self.tables, self.in_all]
