"""The repositories of reports: what was asked for, and what they are made of; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from core.domain.promise import Cell
from core.domain.record_filters import RecordFilter
from core.domain.recurrences import Payment
from core.domain.report_money import Conversion
from core.domain.report_periods import Granularity, Span
from core.domain.report_rows import Answers, PartySum, Sum
from core.domain.reports import ReportDefinition, ReportKind, ReportRun, RunStatus


class Reports(Protocol):
    def add_definition(self, definition: ReportDefinition) -> None:
        """Raises `Conflict` when another has its name."""
        ...

    def definition(self, id: UUID) -> ReportDefinition: ...

    def definitions(self) -> Sequence[ReportDefinition]:
        """By rising id."""
        ...

    def update_definition(self, definition: ReportDefinition) -> None:
        """Writes name, spec, schedule, `next_run_at` and `updated_at` if the stored version is the definition's, which
        then rises; raises `VersionMismatch`, `NotFound`, or `Conflict` when another has its name."""
        ...

    def delete_definition(self, id: UUID, version: int | None) -> None:
        """What was made by it stays. Raises `VersionMismatch`, `NotFound`."""
        ...

    def add(self, run: ReportRun) -> None: ...

    def get(self, id: UUID) -> ReportRun: ...

    def list(
        self,
        *,
        before: UUID | None,
        limit: int,
        definition_id: UUID | None = None,
        kind: ReportKind | None = None,
        status: RunStatus | None = None,
    ) -> Sequence[ReportRun]:
        """Newest first, of one definition, kind and status or of all; `before` is the last id of the page before."""
        ...

    def update(self, run: ReportRun) -> None:
        """Writes status, rows, files, failure and the end."""
        ...


class Figures(Protocol):
    """What reports are made of. Asked within one snapshot, all of it is of one moment. What comes as a sequence raises
    `Invalid` for more than `core.domain.report_rows.MOST_ROWS`."""

    def records(self, where: RecordFilter) -> Iterator[Mapping[str, Any]]:
        """The records by their day, then by id, as `Records.page` gives them but for `reasoning_trace`; read piece by
        piece."""
        ...

    def records_csv(self, where: RecordFilter, names: Mapping[UUID, str]) -> Iterator[bytes]:
        """The same as lines of CSV without a heading, in the columns of `core.domain.spreadsheets.RECORD_COLUMNS`, with
        categories by these names; texts as `core.domain.spreadsheets.cell` writes them."""
        ...

    def sums(self, where: RecordFilter, granularity: Granularity | None, *, by_category: bool) -> Sequence[Sum]:
        """None of a granularity: of the whole; where not `by_category`, all count as of none."""
        ...

    def parties(self, where: RecordFilter, conversion: Conversion | None, most: int) -> Sequence[PartySum]:
        """Of the `most` counterparties (or texts, where there are none) of each currency that amounts are told in, by
        how much moved to and from them, then by how many records; each in its own currencies."""
        ...

    def payments(self, where: RecordFilter, most: int) -> Iterator[tuple[str, str, Sequence[Payment]]]:
        """(party, currency, payments) of each party (or text) that has `OCCURRENCES` payments or more in a
        currency: the latest `most` of them."""
        ...

    def checks(self, span: Span) -> Sequence[Cell]:
        """Answered spot checks that were asked for in the span, by day (as a cell's month) and stage."""
        ...

    def answers(self, span: Span, granularity: Granularity) -> Sequence[Answers]:
        """What people answered in the span, withdrawn answers among them."""
        ...
