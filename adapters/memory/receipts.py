"""Receipts, and what they are matched with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from adapters.memory.state import KeptRecord, Workspace, check_version, one
from core.domain.receipt_matching import Window
from core.domain.receipts import Candidate, Match, MatchState, Receipt, RecordReceipt
from core.errors import Invalid
from ports.receipt_storage import Arrived, ReceiptFilter


class MemoryReceipts:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._receipts = workspace.state.receipts
        self._matches = workspace.state.receipt_matches
        self._linked = self._links_now()

    def add(self, receipt: Receipt, *, found_in: UUID | None = None) -> Receipt:  # noqa: ARG002
        same = next((id for id, kept in self._receipts.items() if kept.sha256 == receipt.sha256), None)
        if same is not None:
            return self.get(same)
        self._receipts[receipt.id] = receipt
        return receipt

    def get(self, id: UUID, *, lock: bool = False) -> Receipt:  # noqa: ARG002
        return replace(one(self._receipts, id, "receipt"), links=self._links(id))

    def hold(self, id: UUID, record_id: UUID) -> Receipt:  # noqa: ARG002
        return self.get(id)

    def get_many(self, ids: Sequence[UUID]) -> Sequence[Receipt]:
        return [self.get(id) for id in sorted(set(ids) & self._receipts.keys())]

    def list(self, where: ReceiptFilter, *, before: UUID | None, limit: int) -> Sequence[Receipt]:
        newest_first = (self.get(id) for id in sorted(self._receipts, reverse=True) if before is None or id < before)
        return [receipt for receipt in newest_first if _suits(receipt, where)][:limit]

    def update(self, receipt: Receipt) -> None:
        stored = self.get(receipt.id)
        check_version(stored.version, receipt.version)
        self._receipts[receipt.id] = replace(
            stored,
            said=receipt.said,
            by_person=receipt.by_person,
            state=receipt.state,
            failure=receipt.failure,
            version=stored.version + 1,
        )

    def delete(self, id: UUID, version: int | None) -> Receipt:
        receipt = self.get(id)
        check_version(receipt.version, version)
        self._remove(id)
        return receipt

    def expire(self, before: datetime, limit: int) -> Sequence[Receipt]:
        old = [r for r in self._all() if r.links == 0 and r.uploaded_at < before][:limit]
        for receipt in old:
            self._remove(receipt.id)
        return old

    def any_open(self) -> bool:
        return bool(self.open(after=None, limit=1))

    def unlinked(self) -> bool:
        return not self._linked <= self._links_now()

    def open(self, *, after: UUID | None, limit: int) -> Sequence[Receipt]:
        found = [r for r in self._all() if r.links == 0 and r.said.amount is not None]
        return [r for r in found if after is None or r.id > after][:limit]

    def candidates(
        self, windows: Mapping[UUID, Window], limit: int, arrived: Arrived | None = None
    ) -> Sequence[Candidate]:
        found: list[Candidate] = []
        for id, window in sorted(windows.items()):
            inside = [kept for kept in self._state.records.values() if _is_inside(kept, window)]
            if arrived is not None and not any(_came_with(kept, arrived) for kept in inside):
                continue
            mine = [_candidate(id, kept) for kept in inside if not self._is_decided(id, kept.record.id)]
            mine.sort(key=lambda c: (abs(abs(c.amount) - window.amount), abs(c.day - window.near), c.record_id))
            found += sorted(mine[:limit], key=lambda c: c.record_id)
        return found

    def suggest(self, suggestions: Mapping[UUID, Mapping[UUID, float]]) -> None:
        for receipt_id, found in suggestions.items():
            for key, match in list(self._matches.items()):
                if key[0] == receipt_id and match.state is MatchState.SUGGESTED and key[1] not in found:
                    del self._matches[key]
            if receipt_id not in self._receipts or self._links(receipt_id):
                continue
            for record_id, score in found.items():
                if record_id in self._state.records and not self._is_decided(receipt_id, record_id):
                    self._matches[receipt_id, record_id] = Match(
                        receipt_id=receipt_id,
                        record_id=record_id,
                        state=MatchState.SUGGESTED,
                        score=score,
                        decided_by=None,
                        decided_at=None,
                    )

    def matches(self, receipt_id: UUID, states: Sequence[MatchState]) -> Sequence[Match]:
        mine = [m for key, m in self._matches.items() if key[0] == receipt_id and m.state in states]
        return sorted(mine, key=lambda m: (m.score is None, -(m.score or 0.0), m.record_id))

    def matches_of(self, receipt_ids: Sequence[UUID], most: int) -> Mapping[UUID, Sequence[Match]]:
        found: dict[UUID, Sequence[Match]] = {}
        for id in receipt_ids:
            mine = self.matches(id, [MatchState.LINKED]) or self.matches(id, [MatchState.SUGGESTED])
            if mine:
                found[id] = mine[:most]
        return found

    def of_records(self, record_ids: Sequence[UUID], suggested: int) -> Mapping[UUID, Sequence[RecordReceipt]]:
        found: dict[UUID, Sequence[RecordReceipt]] = {}
        for record_id in sorted(set(record_ids)):
            mine = [m for key, m in self._matches.items() if key[1] == record_id]
            mine.sort(key=lambda m: (m.score is None, -(m.score or 0.0), m.receipt_id))
            linked = [m for m in mine if m.state is MatchState.LINKED]
            others = [m for m in mine if m.state is MatchState.SUGGESTED][:suggested]
            if linked or others:
                found[record_id] = [self._shown(match) for match in (*linked, *others)]
        return found

    def decide(self, receipt_id: UUID, record_id: UUID, state: MatchState, *, by: str, at: datetime) -> Match | None:
        if record_id not in self._state.records:
            raise Invalid("this record does not exist")
        before = self._matches.get((receipt_id, record_id))
        if before is not None and before.state is state:
            return before
        self._matches[receipt_id, record_id] = Match(
            receipt_id=receipt_id,
            record_id=record_id,
            state=state,
            score=before.score if before is not None else None,
            decided_by=by,
            decided_at=at,
        )
        if state is MatchState.LINKED:
            for key, match in list(self._matches.items()):
                if key[0] == receipt_id and match.state is MatchState.SUGGESTED:
                    del self._matches[key]
        return before

    def _all(self) -> Iterator[Receipt]:
        return (self.get(id) for id in sorted(self._receipts))

    def _links_now(self) -> set[tuple[UUID, UUID]]:
        return {key for key, match in self._matches.items() if match.state is MatchState.LINKED}

    def _links(self, id: UUID) -> int:
        return sum(key[0] == id and match.state is MatchState.LINKED for key, match in self._matches.items())

    def _is_decided(self, receipt_id: UUID, record_id: UUID) -> bool:
        match = self._matches.get((receipt_id, record_id))
        return match is not None and match.state is not MatchState.SUGGESTED

    def _shown(self, match: Match) -> RecordReceipt:
        receipt = self._receipts[match.receipt_id]
        return RecordReceipt(match=match, filename=receipt.filename, mime_type=receipt.mime_type, said=receipt.said)

    def _remove(self, id: UUID) -> None:
        del self._receipts[id]
        for key in [key for key in self._matches if key[0] == id]:
            del self._matches[key]


def _suits(receipt: Receipt, where: ReceiptFilter) -> bool:
    said = receipt.said
    bounds = (
        where.matched is None or (receipt.links > 0) is where.matched,
        where.since is None or (said.day is not None and said.day >= where.since),
        where.until is None or (said.day is not None and said.day <= where.until),
        where.min_amount is None or (said.amount is not None and said.amount >= where.min_amount),
        where.max_amount is None or (said.amount is not None and said.amount <= where.max_amount),
        where.currency is None or said.currency == where.currency,
        where.text is None or any(where.text.lower() in (name or "").lower() for name in _names(receipt)),
    )
    return all(bounds)


def _names(receipt: Receipt) -> tuple[str | None, str]:
    return receipt.said.merchant, receipt.filename


def _is_inside(kept: KeptRecord, window: Window) -> bool:
    amount = kept.record.amount
    return (
        amount is not None
        and window.lowest <= abs(amount) <= window.highest
        and window.since <= kept.day <= window.until
    )


def _came_with(kept: KeptRecord, arrived: Arrived) -> bool:
    return kept.record.import_id == arrived.import_id and arrived.first <= kept.record.id <= arrived.last


def _candidate(receipt_id: UUID, kept: KeptRecord) -> Candidate:
    record = kept.record
    assert record.amount is not None  # noqa: S101 - narrows the type
    return Candidate(
        receipt_id=receipt_id,
        record_id=record.id,
        amount=record.amount,
        currency=record.currency,
        day=kept.day,
        text=record.text,
        counterparty=record.counterparty,
    )
