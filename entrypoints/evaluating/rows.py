"""Rows whose categories are known, out of a CSV file or a tenant's history, and the records that they become."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import orjson

from core.domain.learning import Lesson
from core.errors import UnreadableFile

_FIRST_DAY = date(2000, 1, 1)
"""Of rows without a date: all alike, since their order is what counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of the columns: text and category, `context` (each becomes an attribute), amount and date."""

    text: str
    category: str | None = None
    context: tuple[str, ...] = ()
    amount: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`category` is its name, or a key, as `Life` knows it."""

    text: str
    category: str
    occurred_at: date | datetime
    attributes: Mapping[str, Any]
    amount: Decimal | None = None
    currency: str | None = None
    counterparty: str = ""
    account: str = ""
    kind: str = "transaction"

    def written(self, external_id: str, *, approved: bool) -> bytes:
        """As a line of the JSON connector."""
        record: dict[str, object] = {
            "text": self.text,
            "counterparty": self.counterparty,
            "account": self.account,
            "kind": self.kind,
            "occurred_at": self.occurred_at.isoformat(),
            "external_id": external_id,
            "attributes": self.attributes,
        }
        if self.amount is not None:
            record |= {"amount": str(self.amount), "currency": self.currency}
        if approved:
            record["category"] = self.category
        return orjson.dumps(record) + b"\n"


def row_of(lesson: Lesson, category: str) -> Row:
    """What a record was when it came, with the category that people gave it."""
    record = lesson.record
    return Row(
        text=record.text,
        category=category,
        occurred_at=record.occurred_at,
        attributes=record.attributes,
        amount=record.amount,
        currency=record.currency,
        counterparty=record.counterparty,
        account=record.account,
        kind=record.kind,
    )


def read_rows(file: Path, columns: Columns) -> list[Row]:
    """The rows in the file's order; `.csv.gz` too. Raises `UnreadableFile` for a missing column or a bad value."""
    try:
        with (
            gzip.open(file, "rt", encoding="utf-8-sig", newline="")
            if file.suffix == ".gz"
            else file.open(encoding="utf-8-sig", newline="")
        ) as opened:
            return list(_rows(file, csv.DictReader(opened), columns))
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, csv.Error) as error:
        raise UnreadableFile(f"{file}: {error}") from error


def _rows(file: Path, reader: csv.DictReader[str], columns: Columns) -> Iterator[Row]:
    wanted: Sequence[str | None] = (columns.text, columns.category, *columns.context, columns.amount, columns.date)
    there = reader.fieldnames or ()
    if missing := [name for name in wanted if name is not None and name not in there]:
        raise UnreadableFile(f"{file} has no column {missing[0]!r}; it has {', '.join(there)}")
    for number, row in enumerate(reader, 2):
        text = (row[columns.text] or "").strip()
        category = (row[columns.category] or "").strip() if columns.category else ""
        if not text or (columns.category and not category):
            continue
        yield Row(
            text=text,
            category=category,
            occurred_at=_day(row[columns.date], file, number) if columns.date else _FIRST_DAY,
            attributes={name: value for name in columns.context if (value := (row[name] or "").strip())},
            amount=_amount(row[columns.amount], file, number) if columns.amount else None,
        )


def _amount(value: str | None, file: Path, number: int) -> Decimal | None:
    if not value:
        return None
    try:
        return Decimal(value.replace(",", ""))
    except InvalidOperation:
        raise UnreadableFile(f"{file}, line {number}: {value!r} is no amount") from None


def _day(value: str | None, file: Path, number: int) -> date:
    try:
        return date.fromisoformat((value or "")[:10])
    except ValueError:
        raise UnreadableFile(f"{file}, line {number}: {value!r} is no date such as 2026-05-31") from None
