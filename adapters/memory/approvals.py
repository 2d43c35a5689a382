"""The review queue, the examples that its answers teach, and the cache of embeddings."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt

from adapters.memory.filters import lets_through
from adapters.memory.state import KeptExample, Workspace, many, page
from core.domain.approvals import Approval, ApprovalReason, Example, Group, of_group, place_of, quantile
from core.domain.evidence import AlikeExamples, EvidenceKind, Likeness
from core.domain.records import Record, text_digest
from core.domain.similarity import Neighbour
from core.errors import AlreadyDecided, Conflict, Invalid
from ports.review_storage import EVERYTHING, QueueFilter, Skips

_ASKED_AT_ONCE = 500
"""Searches whose similarities to all examples are held at once."""


class MemoryApprovals:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._approvals = workspace.state.approvals

    def get_many(self, ids: Sequence[UUID], *, lock: bool = False) -> Sequence[Approval]:  # noqa: ARG002
        return many(self._approvals, ids, "approval")

    def queue(
        self, *, after: tuple[float, UUID] | None, limit: int, where: QueueFilter = EVERYTHING
    ) -> Sequence[tuple[Approval, Record]]:
        waiting = sorted((-a.urgency, a.id) for a in self._open(where))
        if after is not None:
            waiting = [place for place in waiting if place > (-after[0], after[1])]
        return [self._with_record(self._approvals[id]) for _, id in waiting[:limit]]

    def groups(
        self, *, after: tuple[float, str] | None, limit: int, where: QueueFilter = EVERYTHING
    ) -> Sequence[Group]:
        groups = sorted(self._groups(where), key=lambda g: (-g.urgency, g.group_key))
        if after is not None:
            groups = [g for g in groups if (-g.urgency, g.group_key) > (-after[0], after[1])]
        return groups[:limit]

    def sample(self, limit: int) -> Sequence[Group]:
        return sorted(self._groups(), key=lambda g: g.group_key)[:limit]

    def _groups(self, where: QueueFilter = EVERYTHING) -> list[Group]:
        open_ones: dict[str, list[Approval]] = defaultdict(list)
        for approval in sorted(self._open(where), key=lambda a: (-a.urgency, a.id)):
            open_ones[approval.group_key].append(approval)
        return [self._group(items) for items in open_ones.values()]

    def of_group(self, group_key: str, limit: int, skips: Skips | None = None) -> Sequence[UUID]:
        return sorted(a.id for a in self._open(QueueFilter(group_key=group_key, skips=skips)))[:limit]

    def decided(
        self, *, withdrawn: bool, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[tuple[Approval, Record]]:
        found = {
            (a.decided_at, a.id): a
            for a in self._approvals.values()
            if a.decided_at is not None and (a.withdrawn_at is not None) == withdrawn
        }
        latest_first = [found[place] for place in sorted(found, reverse=True) if before is None or place < before]
        return [self._with_record(a) for a in latest_first[:limit]]

    def standing(self, record_ids: Sequence[UUID]) -> Sequence[Approval]:
        wanted = set(record_ids)
        return [a for a in page(self._approvals, None) if a.record_id in wanted and a.verdict and not a.withdrawn_at]

    def open_of(self, record_ids: Sequence[UUID]) -> Sequence[Approval]:
        wanted = set(record_ids)
        return [a for a in page(self._approvals, None) if a.record_id in wanted and a.verdict is None]

    def add(self, approvals: Sequence[Approval]) -> None:
        for approval in approvals:
            if approval.record_id not in self._state.records:
                raise Invalid("the record does not exist")
            if self.open_of([approval.record_id]):
                raise Conflict("this record waits for a person already")
            self._approvals[approval.id] = approval

    def decide(self, approvals: Sequence[Approval]) -> None:
        stored = self.get_many([a.id for a in approvals])
        if any(a.verdict is not None for a in stored):
            raise AlreadyDecided
        for was, now in zip(stored, approvals, strict=True):
            self._approvals[was.id] = replace(
                was,
                verdict=now.verdict,
                category_id=now.category_id,
                decided_by=now.decided_by,
                decided_at=now.decided_at,
                decided_agent=now.decided_agent,
            )

    def rank(self, urgencies: Mapping[str, float]) -> None:
        checks = [a for a in self._open() if a.reason is ApprovalReason.SPOT_CHECK]
        for a in self._open():
            if a.reason is not ApprovalReason.SPOT_CHECK and a.group_key in urgencies:
                self._approvals[a.id] = replace(a, urgency=urgencies[a.group_key])
        asked = sorted(a.urgency for a in self._open() if a.reason is not ApprovalReason.SPOT_CHECK)
        for a in checks if asked else ():
            self._approvals[a.id] = replace(a, urgency=quantile(asked, place_of(a.record_id)))

    def withdraw(self, ids: Sequence[UUID], *, by: str, at: datetime) -> None:
        stored = self.get_many(ids)
        if any(a.verdict is None or a.withdrawn_at is not None for a in stored):
            raise Conflict("nothing stands here that could be withdrawn")
        for was in stored:
            self._approvals[was.id] = replace(was, withdrawn_by=by, withdrawn_at=at)

    def sizes(self, group_keys: Sequence[str], skips: Skips | None = None) -> Mapping[str, int]:
        return Counter(a.group_key for a in self._open(QueueFilter(skips=skips)) if a.group_key in group_keys)

    def count_open(self, group_key: str | None = None, skips: Skips | None = None) -> int:
        return len(self._open(QueueFilter(group_key=group_key, skips=skips)))

    def skip(self, id: UUID, *, by: UUID, at: datetime) -> None:
        self.get_many([id])
        self._state.skips[by, id] = at

    def unskip(self, id: UUID, *, by: UUID) -> None:
        self._state.skips.pop((by, id), None)

    def _open(self, where: QueueFilter = EVERYTHING) -> list[Approval]:
        records, skips = self._state.records, where.skips
        found = [a for a in self._approvals.values() if a.verdict is None]
        found = [a for a in found if lets_through(where, a, records[a.record_id])]
        return found if skips is None else [a for a in found if self._skipped(a.id, skips) == skips.only]

    def _skipped(self, id: UUID, skips: Skips) -> bool:
        at = self._state.skips.get((skips.by, id))
        return at is not None and at > skips.since

    def _group(self, items: Sequence[Approval]) -> Group:
        """A group of its items, the most urgent first."""
        first, record = self._with_record(items[0])
        return Group(
            group_key=first.group_key,
            size=len(items),
            agreeing=sum(a.suggested_id == first.suggested_id for a in items),
            urgency=of_group(first.urgency, len(items)),
            first=first,
            record=record,
        )

    def _with_record(self, approval: Approval) -> tuple[Approval, Record]:
        return approval, self._state.records[approval.record_id].record


class MemoryExamples:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._examples = workspace.state.examples

    def put(self, examples: Sequence[Example]) -> None:
        for example in examples:
            self._at.check_category(example.category_id)
            if example.record_id is not None and example.record_id not in self._at.state.records:
                raise Invalid("the category or the record does not exist")
            former = self._of_record(example.record_id)
            id = example.id if former is None else former
            self._examples[id] = KeptExample(example=replace(example, id=id))
            if example.record_id is not None and self._at.example_of is not None:
                self._at.example_of[example.record_id] = id

    def forget(self, record_ids: Sequence[UUID]) -> None:
        for record_id in record_ids:
            if (id := self._of_record(record_id)) is not None:
                del self._examples[id]

    def list(self, *, after: UUID | None, limit: int) -> Sequence[Example]:
        return [kept.example for kept in page(self._examples, after)[:limit]]

    def alike(self, asked: Sequence[Likeness], most: int) -> Sequence[Sequence[AlikeExamples]]:
        return [[*self._like(one, most, of_party=False), *self._like(one, most, of_party=True)] for one in asked]

    def _like(self, asked: Likeness, most: int, *, of_party: bool) -> Iterator[AlikeExamples]:
        key = asked.party_key if of_party else asked.group_key
        examples = [kept.example for kept in self._examples.values()]
        like = [(self._day(e), e) for e in examples if key and key == (e.party_key if of_party else e.group_key)]
        like.sort(key=lambda pair: (pair[0] is None, pair[0] or date.min), reverse=True)
        seen, more = [(day, e) for day, e in like[:most] if e.record_id != asked.record_id], len(like) > most
        for kind in [EvidenceKind.SAME_COUNTERPARTY] if of_party else [EvidenceKind.ALIKE, EvidenceKind.SAME_TEXT]:
            days: dict[UUID, list[date | None]] = defaultdict(list)
            for day, e in seen:
                if kind is not EvidenceKind.SAME_TEXT or text_digest(e.text) == asked.text_digest:
                    days[e.category_id].append(day)
            for category_id in sorted(days):
                last = max((day for day in days[category_id] if day is not None), default=None)
                yield AlikeExamples(kind, category_id, len(days[category_id]), last, more)

    def _day(self, example: Example) -> date | None:
        kept = self._at.state.records.get(example.record_id) if example.record_id is not None else None
        return None if kept is None else kept.day

    def common(self, latest: int) -> Sequence[UUID]:
        newest = [self._examples[id].example.category_id for id in sorted(self._examples, reverse=True)[:latest]]
        return sorted(set(newest), key=lambda id: (-newest.count(id), id))

    def serving(self) -> str | None:
        model = self._at.state.serving.get(self._at.tenant_id)
        return model if any(model in kept.vectors for kept in self._examples.values()) else None

    def serve(self, model: str) -> bool:
        serving = self._at.state.serving
        if self._at.tenant_id not in serving or any(model not in kept.vectors for kept in self._examples.values()):
            return False
        serving[self._at.tenant_id] = model
        return True

    def without_embedding(self, model: str, limit: int) -> Sequence[Example]:
        return [kept.example for kept in page(self._examples, None) if model not in kept.vectors][:limit]

    def set_embeddings(self, model: str, vectors: Mapping[Example, Sequence[float]]) -> None:
        if vectors:
            self._at.state.serving.setdefault(self._at.tenant_id, model)
        for example, vector in vectors.items():
            kept = self._examples.get(example.id)
            if kept is not None and kept.example.text == example.text:
                self._examples[example.id] = replace(kept, vectors={**kept.vectors, model: as_stored(vector)})

    def forget_embeddings(self, model: str, limit: int) -> int:
        if self._at.state.serving.get(self._at.tenant_id) == model:
            return 0
        embedded = [id for id, kept in self._examples.items() if model in kept.vectors][:limit]
        for id in embedded:
            kept = self._examples[id]
            self._examples[id] = replace(kept, vectors={m: v for m, v in kept.vectors.items() if m != model})
        return len(embedded)

    def nearest(self, model: str, vectors: Sequence[Sequence[float]], k: int) -> Sequence[Sequence[Neighbour]]:
        embedded = [kept for id in sorted(self._examples) if model in (kept := self._examples[id]).vectors]
        if not embedded or not vectors:
            return [[] for _ in vectors]
        stored, asked = _unit([kept.vectors[model] for kept in embedded]), _unit(vectors)
        found: list[Sequence[Neighbour]] = []
        for first in range(0, len(asked), _ASKED_AT_ONCE):
            # Rounded, so that equal vectors tie, in whatever company they are multiplied.
            for similarities in np.round(asked[first : first + _ASKED_AT_ONCE] @ stored.T, 9):
                # Stable, and the examples are in the order of their ids: among equals the oldest comes first.
                best = np.argsort(-similarities, kind="stable")[:k]
                found.append([_neighbour(embedded[place].example, float(similarities[place])) for place in best])
        return found

    def _of_record(self, record_id: UUID | None) -> UUID | None:
        """The example of the record. What a transaction saw is remembered, as it puts thousands."""
        if record_id is None:
            return None
        by_record = self._at.example_of
        if by_record is None:
            by_record = {k.example.record_id: id for id, k in self._examples.items() if k.example.record_id is not None}
            self._at.example_of = by_record
        id = by_record.get(record_id)
        return id if id in self._examples else None


class MemoryEmbeddings:
    def __init__(self, workspace: Workspace) -> None:
        self._embeddings = workspace.state.embeddings

    def get(self, model: str, digests: Sequence[bytes]) -> Mapping[bytes, Sequence[float]]:
        return {d: self._embeddings[model, d] for d in digests if (model, d) in self._embeddings}

    def put(self, model: str, vectors: Mapping[bytes, Sequence[float]]) -> None:
        for digest, vector in vectors.items():
            self._embeddings.setdefault((model, digest), as_stored(vector))

    def forget(self, model: str, limit: int) -> int:
        mine = [key for key in self._embeddings if key[0] == model][:limit]
        for key in mine:
            del self._embeddings[key]
        return len(mine)


def as_stored(vector: Sequence[float]) -> Sequence[float]:
    """Its components as the database keeps them, a tenth of the size of a tuple; a stored one is kept as it is."""
    return vector if isinstance(vector, array) and vector.typecode == "f" else array("f", vector)


def _unit(vectors: Sequence[Sequence[float]]) -> npt.NDArray[np.float64]:
    matrix = np.array(vectors, dtype=np.float64)
    found: npt.NDArray[np.float64] = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return found


def _neighbour(example: Example, similarity: float) -> Neighbour:
    return Neighbour(example_id=example.id, category_id=example.category_id, text=example.text, similarity=similarity)
