"""Files of rows whose categories are known, as what the learner is asked about and taught, without storage."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from adapters.onnx.embedder import OnnxEmbedder
from core.domain.learning import Arrival, Lesson
from core.domain.records import normalise
from entrypoints.evaluating.rows import Columns, Row, read_rows

Vector = Sequence[float]
_NOWHERE = UUID(int=0)
_CATEGORIES = 1 << 64
"""Where the categories' ids begin, after those of all records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A row as a record: a `Sortable` that no database knows."""

    id: UUID
    text: str
    occurred_at: date
    amount: Decimal | None
    attributes: Mapping[str, str]
    connection_id: UUID = _NOWHERE
    kind: str = "transaction"
    account: str = ""
    counterparty: str = ""
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows in their order, and of each its record and its category; `vectors` by the records' ids."""

    rows: Sequence[Row]
    records: Sequence[Purchase]
    categories: Sequence[UUID]
    vectors: Mapping[UUID, Vector]

    def lesson(self, place: int, weight: float, arrival: Arrival | None = None) -> Lesson:
        record = self.records[place]
        return Lesson(
            record=record,
            category_id=self.categories[place],
            weight=weight,
            vector=self.vectors[record.id],
            arrival=arrival,
        )


class Reader:
    """Reads files by the options of the command line; equal names of categories are one category in all of them."""

    def __init__(self, options: argparse.Namespace) -> None:
        context = tuple(name for name in options.context.split(",") if name)
        self.columns = Columns(
            text=options.text, category=options.category, context=context, amount=options.amount, date=options.date
        )
        self.dated = options.date is not None
        self._embedder = OnnxEmbedder()
        self._category_of: dict[str, UUID] = {}
        self._read = 0

    def read(self, file: Path, rows: int | None = None, *, shuffled: bool = False) -> Rows:
        """The first `rows`; `shuffled` ones where there are no dates, as then their order means nothing."""
        found: Sequence[Row] = read_rows(file, self.columns)[:rows]
        if shuffled and not self.dated:
            found = random.Random(0).sample(found, len(found))
        records = [self._record(row) for row in found]
        texts = {normalise(record.text): None for record in records}
        vector_of = dict(zip(texts, self._embedder.embed(list(texts)), strict=True))
        return Rows(
            rows=found,
            records=records,
            categories=[self._category(row.category) for row in found],
            vectors={record.id: vector_of[normalise(record.text)] for record in records},
        )

    def _record(self, row: Row) -> Purchase:
        self._read += 1
        return Purchase(
            id=UUID(int=self._read),
            text=row.text,
            occurred_at=row.occurred_at,
            amount=row.amount,
            attributes=row.attributes,
        )

    def _category(self, name: str) -> UUID:
        return self._category_of.setdefault(name, UUID(int=_CATEGORIES + len(self._category_of)))


@dataclass(slots=True)
class Past:
    """Lessons that were had; `earlier` as an ensemble asks for them."""

    seed: int
    lessons: list[Lesson] = field(default_factory=list)

    def earlier(self, count: int, of: int, seed: int) -> Sequence[Lesson]:
        latest = self.lessons[-of:] if of else []
        if count >= len(latest):
            return latest
        return [latest[place] for place in sorted(random.Random(self.seed + seed).choices(range(len(latest)), k=count))]


def of_text(row: Row) -> tuple[str, ...]:
    return (normalise(row.text),)


def with_context(name: str) -> Callable[[Row], tuple[str, ...]]:
    """What a row is remembered by: its text and one field."""

    def key(row: Row) -> tuple[str, ...]:
        return (normalise(row.text), str(row.attributes.get(name, "")))

    return key


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """With the options that name columns."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--text", required=True, metavar="COL")
    parser.add_argument("--category", required=True, metavar="COL")
    parser.add_argument("--context", default="", metavar="COL,COL")
    parser.add_argument("--amount", metavar="COL")
    parser.add_argument("--date", metavar="COL")
    parser.add_argument("--json", action="store_true")
    return parser
