"""The repository of records; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from core.domain.decisions import Decision
from core.domain.facets import Facets
from core.domain.learning import Arrival
from core.domain.record_filters import RecordFilter
from core.domain.records import Draft, Record, Snapshot
from core.domain.rule_history import Past


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of a batch of drafts: the ids of new records in the drafts' order, and of those of them that are to
    be sorted (`open`); how many were `known` already, twice in the batch, or deleted before; and how many records,
    pending so far, were posted (`updated`)."""

    inserted: tuple[UUID, ...]
    known: int
    updated: int
    open: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What became of some changes of a rule run: how many records were `restored`, how many `kept` as somebody made
    them since; the `last` one's id (None when there was nothing left to undo); and by how much the restored ones change
    the `hits` of rules."""

    restored: int
    kept: int
    last: UUID | None
    hits: Mapping[UUID, int]


class Records(Protocol):
    def store(
        self,
        drafts: Sequence[tuple[UUID, Draft, date]],
        *,
        connection_id: UUID,
        import_id: UUID,
        categories: Mapping[str, UUID] | None = None,
    ) -> Stored:
        """Adds what is new, with an `INGESTED` event each; posts what was pending (`UPDATED`), in place also where it
        got a new id, and then knows it by both; leaves alone what is known or was deleted. Each comes with its new id
        (rising) and its calendar day in the tenant's time zone, and carries an external_id. With `categories`
        (normalised names to ids), drafts that name one are stored as approved by a person, with an example and a
        `TX_APPROVED` event each."""
        ...

    def known(self, connection_id: UUID, keys: Sequence[tuple[str, str]]) -> int:
        """How many of these (account, external_id) are stored or were deleted."""
        ...

    def open_between(self, import_id: UUID, first: UUID, last: UUID) -> Sequence[Snapshot]:
        """The import's records in that range of ids that are still `ingested` and that no stage was asked about, by
        id."""
        ...

    def snapshots(self, where: RecordFilter, *, before: UUID | None, limit: int) -> Sequence[Snapshot]:
        """Records in short, the newest (highest id) first; `before` is the last id of the page before."""
        ...

    def facets(self, where: RecordFilter, *, most: int, values: int) -> Facets:
        """How many records in the filter have each value of each facet, each facet without its own part of the filter
        (a month without `since` and `until`): the `values` commonest. Of more than `most` records (of the import, where
        one is named) only the newest are looked at."""
        ...

    def count(self, where: RecordFilter) -> int: ...

    def tally(self, where: RecordFilter) -> Mapping[tuple[str, str | None], int]:
        """How many there are, by status and the stage that decided (None: none did)."""
        ...

    def past(self, asked: Sequence[tuple[UUID, str, date]], limit: int) -> Sequence[Sequence[Past]]:
        """For each (record, party, day), in order, the latest `limit` other records on or before that day whose
        counterparty (or text, where they have none) is `party`, the latest first, then by falling id."""
        ...

    def amounts(self, category: str, currency: str, limit: int) -> Sequence[Decimal]:
        """Amounts in `currency` of the latest `limit` records that people put into the category with this key, the
        latest day first, then by falling id; empty for an unknown category."""
        ...

    def open_among(self, ids: Sequence[UUID]) -> Sequence[Record]:
        """Those of these records that are still `ingested`, by id, `raw` left empty."""
        ...

    def decide(
        self, decisions: Sequence[Decision], said: Mapping[UUID, Arrival] | None = None, version: int = 0
    ) -> Sequence[UUID]:
        """Writes decisions to records that are still `ingested`, with their approval items, a `PROCESSED` event each
        and the counters of the day; returns the ids of the records that changed, rising. A decision with `open_stage`
        only keeps its trace so far and raises no event. Of what changed is noted what the ensemble of
        that `version` `said` of it, by record, as `Lessons.arrive` does."""
        ...

    def redecide(self, run_id: UUID, decisions: Sequence[tuple[Decision, int]]) -> Sequence[UUID]:
        """Writes decisions to records that were decided before, for a rule run: where the record still has the version
        that comes with the decision, is `processed`, `needs_review` or `failed`, and the decision's category (if any)
        still exists. Attributes that are there stay. Its open approval goes, and comes anew if the decision asks for
        one. Notes what was before and is now among the run's changes, with a `PROCESSED` event each that names the
        run. Returns the ids of the records that changed, rising."""
        ...

    def restore(self, run_id: UUID, *, after: UUID | None, limit: int) -> Restored:
        """Undoes the run's next `limit` changes, in the order of the records' ids: each record that nobody changed
        since gets back all that the run changed, and its open approval, with an `UPDATED` event (`change`: `undone`).
        An earlier run whose result that was can then be undone as if the later one had not been."""
        ...

    def get(self, id: UUID, *, lock: bool = False) -> Record:
        """With `lock` nobody else changes it until the transaction ends. Lock its open approval, if it matters, first
        (`Approvals.open_of`): all that change both do it in this order, so that none waits for another in a circle."""
        ...

    def get_many(self, ids: Sequence[UUID], *, lock: bool = False) -> Sequence[Record]:
        """In the order of `ids`; raises `NotFound` when one is missing."""
        ...

    def present(self, ids: Collection[UUID]) -> Sequence[Record]:
        """Those of these records that are there (still), by rising id."""
        ...

    def page(self, where: RecordFilter, *, after: UUID | None, limit: int) -> Sequence[Mapping[str, Any]]:
        """Records by rising id, as mappings of `Record`'s fields but for `raw` and `tenant_id`: lists are hot, and
        these go out as they are. `after` is the last id of the page before."""
        ...

    def latest(
        self, where: RecordFilter, *, before: tuple[date, UUID] | None, limit: int
    ) -> Sequence[tuple[date, Mapping[str, Any]]]:
        """Records as `page` gives them, each with the calendar day on which it occurred in the tenant's time zone: the
        latest day first, then by falling id. `before` is the place of the last one of the page before."""
        ...

    def update(self, changed: Sequence[Record]) -> None:
        """Writes category, status, stage, confidence, trace, tags, attributes and failure, guarded by version, which
        then rises; raises `VersionMismatch` or `NotFound`."""
        ...

    def delete(self, id: UUID, version: int | None) -> None:
        """Removes the record with its approval and example, leaving a tombstone, so that no import brings it back; with
        a `DELETED` event. Receipts that were linked to it are so no longer."""
        ...

    def expire(self, before: date, *, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Removes, as `delete` does but without telling it, the next `limit` records by rising id, above `after`, that
        occurred before that day; returns their ids, rising."""
        ...

    def undo_import(self, import_id: UUID) -> tuple[int, int]:
        """Removes the records that the import added, with what hangs on them and a `DELETED` event each, but for those
        that a person decided since; returns (removed, kept). No tombstones: the same file may come again."""
        ...
