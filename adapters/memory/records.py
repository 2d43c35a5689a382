"""Records: what imports bring in and stages decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from adapters.memory import record_reads, rule_runs
from adapters.memory.approvals import MemoryExamples
from adapters.memory.filters import matches
from adapters.memory.record_changes import decided, tell_decided, write
from adapters.memory.state import KeptRecord, Workspace, as_json, check_version, many, one
from core.domain.approvals import Example, group_key
from core.domain.decisions import Decision, Stage
from core.domain.events import EventType, NewEvent
from core.domain.evidence import party_key
from core.domain.facets import Facets
from core.domain.learning import Arrival
from core.domain.records import DECIDED_BY_PERSON, Draft, Record, RecordStatus, Snapshot, normalise, similarity_text
from core.domain.rule_history import Past
from core.errors import Invalid
from ports.record_storage import Restored, Stored
from ports.storage import RecordFilter

_SHOWN = tuple(name for name in Record.__slots__ if name not in ("raw", "tenant_id"))
_IMPORTED = {"reason": "human: imported as approved", "stages": []}

StagedDraft = tuple[UUID, Draft, date]


class MemoryRecords:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._state = workspace.state
        self._records = workspace.state.records

    def store(
        self,
        drafts: Sequence[StagedDraft],
        *,
        connection_id: UUID,
        import_id: UUID,
        categories: Mapping[str, UUID] | None = None,
    ) -> Stored:
        if drafts and connection_id not in self._state.connections:
            raise Invalid("the connection or a category does not exist")
        about = {"import_id": import_id, "connection_id": connection_id}
        staged = _without_superseded(drafts)
        there = self._by_key(connection_id)
        self._rename_posted(staged, there)
        gone = self._former_keys(connection_id)
        gone |= {(account, external_id) for c, account, external_id in self._state.tombstones if c == connection_id}
        added: list[tuple[UUID, Draft]] = []
        for id, draft, day in staged:
            key = (draft.account, draft.external_id)
            if key in there or key in gone or (draft.account, draft.pending_external_id) in gone:
                continue
            assert draft.external_id is not None  # noqa: S101 - the contract
            self._records[id] = KeptRecord(record=self._new(id, draft, draft.external_id, about), day=day)
            there[key] = id
            added.append((id, draft))
            self._at.tell(NewEvent(type=EventType.INGESTED, subject_id=id, payload=about))
        updated = self._post(staged, there, import_id)
        for id, draft in added:
            if categories is not None and draft.category and normalise(draft.category) in categories:
                self._approve(id, categories[normalise(draft.category)], import_id)
        inserted = tuple(id for id, _ in added)
        to_sort = tuple(id for id in inserted if self._records[id].record.status is RecordStatus.INGESTED)
        return Stored(inserted=inserted, open=to_sort, known=len(drafts) - len(inserted), updated=updated)

    def known(self, connection_id: UUID, keys: Sequence[tuple[str, str]]) -> int:
        there = self._by_key(connection_id).keys() | self._former_keys(connection_id)
        return sum(1 for key in keys if key in there or (connection_id, *key) in self._state.tombstones)

    def open_between(self, import_id: UUID, first: UUID, last: UUID) -> Sequence[Snapshot]:
        return [
            record_reads.snapshot(r, asked=False)
            for r in self._open()
            if r.import_id == import_id and first <= r.id <= last and not r.reasoning_trace
        ]

    def open_among(self, ids: Sequence[UUID]) -> Sequence[Record]:
        wanted = set(ids)
        return [r for r in self._open() if r.id in wanted]

    def decide(
        self, decisions: Sequence[Decision], said: Mapping[UUID, Arrival] | None = None, version: int = 0
    ) -> Sequence[UUID]:
        changed = []
        for decision in sorted(decisions, key=lambda d: d.record_id):
            kept = self._records.get(decision.record_id)
            if kept is None or kept.record.status is not RecordStatus.INGESTED:
                continue
            self._at.check_category(decision.category_id)
            write(self._at, decided(kept.record, decision))
            changed.append(decision.record_id)
            if said and decision.record_id in said:
                self._state.arrivals[decision.record_id] = said[decision.record_id], version
            if decision.status is not RecordStatus.INGESTED:
                tell_decided(self._at, decision)
                skipped = decision.status is RecordStatus.PROCESSED and decision.category_id is None
                stage = decision.stage.value if decision.stage else ""
                self._count(stage, "skipped" if skipped else decision.status.value)
        return changed

    def snapshots(self, where: RecordFilter, *, before: UUID | None, limit: int) -> Sequence[Snapshot]:
        return record_reads.snapshots(self._state, where, before=before, limit=limit)

    def count(self, where: RecordFilter) -> int:
        return sum(matches(kept, where) for kept in self._records.values())

    def tally(self, where: RecordFilter) -> Mapping[tuple[str, str | None], int]:
        found = (kept.record for kept in self._records.values() if matches(kept, where))
        return Counter((record.status.value, record.stage) for record in found)

    def facets(self, where: RecordFilter, *, most: int, values: int) -> Facets:
        return record_reads.facets(self._state, where, most=most, values=values)

    def past(self, asked: Sequence[tuple[UUID, str, date]], limit: int) -> Sequence[Sequence[Past]]:
        return record_reads.past(self._state, asked, limit)

    def amounts(self, category: str, currency: str, limit: int) -> Sequence[Decimal]:
        return record_reads.amounts(self._state, category, currency, limit)

    def redecide(self, run_id: UUID, decisions: Sequence[tuple[Decision, int]]) -> Sequence[UUID]:
        return rule_runs.redecide(self._at, run_id, decisions)

    def restore(self, run_id: UUID, *, after: UUID | None, limit: int) -> Restored:
        return rule_runs.restore(self._at, run_id, after=after, limit=limit)

    def get(self, id: UUID, *, lock: bool = False) -> Record:  # noqa: ARG002
        return one(self._records, id, "record").record

    def get_many(self, ids: Sequence[UUID], *, lock: bool = False) -> Sequence[Record]:  # noqa: ARG002
        return [kept.record for kept in many(self._records, ids, "record")]

    def present(self, ids: Collection[UUID]) -> Sequence[Record]:
        return [self._records[id].record for id in sorted(set(ids)) if id in self._records]

    def page(self, where: RecordFilter, *, after: UUID | None, limit: int) -> Sequence[Mapping[str, Any]]:
        found = (
            self._records[id].record
            for id in sorted(self._records)
            if (after is None or id > after) and matches(self._records[id], where)
        )
        return [_shown(record) for record, _ in zip(found, range(limit), strict=False)]

    def latest(
        self, where: RecordFilter, *, before: tuple[date, UUID] | None, limit: int
    ) -> Sequence[tuple[date, Mapping[str, Any]]]:
        places = sorted(((kept.day, id) for id, kept in self._records.items() if matches(kept, where)), reverse=True)
        following = [place for place in places if before is None or place < before]
        return [(day, _shown(self._records[id].record)) for day, id in following[:limit]]

    def update(self, changed: Sequence[Record]) -> None:
        stored = self.get_many([r.id for r in changed])
        for was, now in zip(stored, changed, strict=True):
            check_version(was.version, now.version)
            self._at.check_category(now.category_id)
        for was, now in zip(stored, changed, strict=True):
            write(
                self._at,
                replace(
                    was,
                    category_id=now.category_id,
                    status=now.status,
                    stage=now.stage,
                    confidence=now.confidence,
                    reasoning_trace=as_json(now.reasoning_trace),
                    tags=tuple(now.tags),
                    attributes=as_json(now.attributes),
                    failure=now.failure,
                ),
            )

    def delete(self, id: UUID, version: int | None) -> None:
        check_version(self.get(id).version, version)
        self._bury(id)
        self._remove(id, {})

    def expire(self, before: date, *, after: UUID | None, limit: int) -> Sequence[UUID]:
        old = sorted(id for id, kept in self._records.items() if kept.day < before and (after is None or id > after))
        for id in old[:limit]:
            self._bury(id)
            self._remove(id, None)
        return old[:limit]

    def undo_import(self, import_id: UUID) -> tuple[int, int]:
        imported = [kept.record for kept in self._records.values() if kept.record.import_id == import_id]
        removed = 0
        for record in sorted(imported, key=lambda r: r.id):
            history = (record.reasoning_trace or {}).get("reason") == "human: imported as approved"
            if record.status not in DECIDED_BY_PERSON or (record.status is RecordStatus.APPROVED and history):
                self._remove(record.id, {"import_id": import_id})
                removed += 1
        return removed, len(imported) - removed

    def _by_key(self, connection_id: UUID) -> dict[tuple[str, str | None], UUID]:
        mine = (kept.record for kept in self._records.values() if kept.record.connection_id == connection_id)
        return {(r.account, r.external_id): r.id for r in mine}

    def _former_keys(self, connection_id: UUID) -> set[tuple[str, str | None]]:
        return {
            (kept.record.account, kept.former_external_id)
            for kept in self._records.values()
            if kept.former_external_id is not None and kept.record.connection_id == connection_id
        }

    def _rename_posted(self, staged: Sequence[StagedDraft], there: dict[tuple[str, str | None], UUID]) -> None:
        """A posted record that got a new id keeps what it was while it was pending."""
        for _, draft, _ in staged:
            old, new = (draft.account, draft.pending_external_id), (draft.account, draft.external_id)
            if draft.pending_external_id is None or draft.external_id is None or old not in there or new in there:
                continue
            kept = self._records[there[old]]
            if kept.record.pending:
                there[new] = there.pop(old)
                self._records[kept.record.id] = replace(
                    kept,
                    record=replace(kept.record, external_id=draft.external_id),
                    former_external_id=draft.pending_external_id,
                )

    def _new(self, id: UUID, draft: Draft, external_id: str, about: Mapping[str, UUID]) -> Record:
        return Record(
            id=id,
            tenant_id=self._at.tenant_id,
            connection_id=about["connection_id"],
            import_id=about["import_id"],
            kind=draft.kind,
            account=draft.account,
            external_id=external_id,
            occurred_at=draft.occurred_at,
            text=draft.text,
            counterparty=draft.counterparty,
            amount=draft.amount,
            currency=draft.currency,
            attributes=as_json(draft.attributes),
            raw=as_json(draft.raw),
            pending=draft.pending,
            status=RecordStatus.INGESTED,
            category_id=None,
            stage=None,
            confidence=None,
            threshold=None,
            model_version=None,
            selection_probability=None,
            reasoning_trace=None,
            failure=None,
            tags=(),
            created_at=self._at.now,
            updated_at=self._at.now,
            version=1,
        )

    def _post(
        self, staged: Sequence[StagedDraft], there: Mapping[tuple[str, str | None], UUID], import_id: UUID
    ) -> int:
        posted = {(d.account, d.external_id): (id, d, day) for id, d, day in staged if not d.pending}
        updated = 0
        for key, (id, draft, day) in posted.items():
            kept = self._records.get(there[key]) if key in there else None
            if kept is None or not kept.record.pending or kept.record.id == id:
                continue
            was = kept.record
            self._records[was.id] = replace(kept, day=day)
            write(
                self._at,
                replace(
                    was,
                    occurred_at=draft.occurred_at,
                    text=draft.text,
                    counterparty=draft.counterparty,
                    amount=draft.amount,
                    currency=draft.currency,
                    attributes={**was.attributes, **as_json(draft.attributes)},
                    raw=as_json(draft.raw),
                    pending=False,
                ),
            )
            about = {"import_id": import_id, "change": "posted"}
            self._at.tell(NewEvent(type=EventType.UPDATED, subject_id=was.id, payload=about))
            updated += 1
        return updated

    def _approve(self, id: UUID, category_id: UUID, import_id: UUID) -> None:
        """History that came with its category: a person decided it, and it teaches."""
        self._at.check_category(category_id)
        kept = self._records[id]
        record = replace(
            kept.record,
            status=RecordStatus.APPROVED,
            category_id=category_id,
            stage=Stage.HUMAN.value,
            confidence=1.0,
            selection_probability=1.0,
            reasoning_trace=_IMPORTED,
        )
        self._records[id] = replace(kept, record=record)
        example = Example(
            id=id,
            tenant_id=self._at.tenant_id,
            record_id=id,
            text=similarity_text(record.text, record.counterparty),
            category_id=category_id,
            created_at=self._at.now,
            group_key=group_key(record),
            party_key=party_key(record.counterparty),
        )
        MemoryExamples(self._at).put([example])
        self._count(Stage.HUMAN.value, RecordStatus.APPROVED.value)
        about = {"category_id": category_id, "verdict": "approve", "import_id": import_id}
        self._at.tell(NewEvent(type=EventType.TX_APPROVED, subject_id=id, payload=about))

    def _open(self) -> Iterator[Record]:
        for id in sorted(self._records):
            record = self._records[id].record
            if record.status is RecordStatus.INGESTED:
                yield replace(record, raw={})

    def _count(self, stage: str, status: str) -> None:
        day = self._at.now.astimezone(ZoneInfo(self._at.time_zone)).date()
        self._state.counts[day, stage, status] = self._state.counts.get((day, stage, status), 0) + 1

    def _bury(self, id: UUID) -> None:
        kept = self._records[id]
        for external_id in (kept.record.external_id, kept.former_external_id):
            if external_id is not None:
                self._state.tombstones[kept.record.connection_id, kept.record.account, external_id] = self._at.now

    def _remove(self, id: UUID, about: Mapping[str, Any] | None) -> None:
        """With what hangs on it, and an event unless `about` is None."""
        del self._records[id]
        for approval in [a for a in self._state.approvals.values() if a.record_id == id]:
            del self._state.approvals[approval.id]
            for key in [key for key in self._state.skips if key[1] == approval.id]:
                del self._state.skips[key]
        for kept in [k for k in self._state.examples.values() if k.example.record_id == id]:
            del self._state.examples[kept.example.id]
        self._state.arrivals.pop(id, None)
        for key in [key for key in self._state.changes if key[1] == id]:
            del self._state.changes[key]
        for key in [key for key in self._state.receipt_matches if key[1] == id]:
            del self._state.receipt_matches[key]
        if about is not None:
            self._at.tell(NewEvent(type=EventType.DELETED, subject_id=id, payload=about))


def _without_superseded(drafts: Sequence[StagedDraft]) -> Sequence[StagedDraft]:
    """The drafts but for pending ones that another of the batch posts under a new id."""
    posted = {(draft.account, draft.pending_external_id) for _, draft, _ in drafts if draft.pending_external_id}
    return [d for d in drafts if not (d[1].pending and (d[1].account, d[1].external_id) in posted)]


def _shown(record: Record) -> dict[str, Any]:
    shown = {name: getattr(record, name) for name in _SHOWN}
    return shown | {"status": record.status.value, "tags": list(record.tags)}
