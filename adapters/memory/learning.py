"""What is learned from, and what was learned."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from adapters.memory.state import KeptExample, Workspace
from core.domain.decisions import Stage
from core.domain.learning import Arrival, Lesson
from core.domain.records import Record, RecordStatus, text_digest
from core.errors import NotFound, Transient
from ports.learning_storage import StoredEnsemble

_IMPORTED = "human: imported as approved"


class MemoryEnsembles:
    def __init__(self, workspace: Workspace) -> None:
        self._tenant_id = workspace.actor.tenant_id
        self._state = workspace.state

    def stored(self) -> StoredEnsemble | None:
        kept = self._state.ensembles.get(self._tenant_id)
        return None if kept is None else kept[0]

    def arrays(self) -> tuple[bytes, Mapping[UUID, UUID]]:
        kept = self._state.ensembles.get(self._tenant_id)
        if kept is None:
            raise NotFound("nothing was learned yet")
        now: dict[UUID, UUID] = {}
        for alias, into in self._state.aliases.items():
            try:
                now[UUID(alias)] = into
            except ValueError:
                continue
        return kept[1], now | {id: id for id in self._state.categories}

    def put(self, ensemble: StoredEnsemble, arrays: bytes) -> None:
        stored = self.stored()
        if (stored.version if stored else ensemble.version - 1) != ensemble.version - 1:
            raise Transient("another worker learned meanwhile")
        self._state.ensembles[self._tenant_id] = ensemble, arrays


class MemoryLessons:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state

    def fresh(self, limit: int) -> Sequence[Lesson]:
        return [self._lesson(kept) for kept in self._kept(learned=False)[:limit]]

    def earlier(self, count: int, of: int, seed: int = 0) -> Sequence[Lesson]:
        latest = self._kept(learned=True)[-of:] if of else []
        if count < len(latest):
            chosen = sorted(random.Random(seed).sample(range(len(latest)), count))  # noqa: S311 - repeatable
            latest = [latest[i] for i in chosen]
        return [self._lesson(kept) for kept in latest]

    def latest(self, count: int) -> Sequence[Lesson]:
        every = sorted([*self._kept(learned=True), *self._kept(learned=False)], key=_place)
        return [self._past(kept) for kept in every[-count:]] if count else []

    def had(self) -> int:
        return len(self._kept(learned=True))

    def mark(self, learned: Mapping[UUID, UUID]) -> None:
        examples = (kept.example for kept in self._state.examples.values())
        same = {e.record_id for e in examples if e.record_id and learned.get(e.record_id) == e.category_id}
        self._set(same, learned=True)

    def unmark(self) -> None:
        self._set({kept.example.record_id for kept in self._state.examples.values()}, learned=False)

    def arrive(self, arrivals: Mapping[UUID, Arrival], version: int) -> None:
        self._state.arrivals |= {
            id: (arrival, version) for id, arrival in arrivals.items() if id in self._state.records
        }

    def arrived(self, version: int) -> int:
        return sum(1 for _, of in self._state.arrivals.values() if of == version)

    def latest_scores(self, limit: int) -> Sequence[float]:
        latest = (self._state.arrivals[id][0] for id in sorted(self._state.arrivals, reverse=True))
        return [arrival.score for arrival in latest if arrival.stacked][:limit]

    def prune(self, keep: int, window: int) -> None:
        asked = {a.record_id for a in self._state.approvals.values()}
        asked |= {k.example.record_id for k in self._state.examples.values() if k.example.record_id is not None}
        for id in sorted(self._state.arrivals, reverse=True)[keep:]:
            if id not in asked:
                del self._state.arrivals[id]
        learned = [k.example.record_id for k in self._kept(learned=True) if k.example.record_id is not None]
        for id in learned[: max(0, len(learned) - window)]:
            if id in self._state.arrivals:
                arrival, version = self._state.arrivals[id]
                self._state.arrivals[id] = replace(arrival, features=b""), version

    def _kept(self, *, learned: bool) -> list[KeptExample]:
        """By record, which is in the order of arrival."""
        found = {
            kept.example.record_id: kept
            for kept in self._state.examples.values()
            if kept.learned == learned and kept.example.record_id is not None
        }
        return [found[id] for id in sorted(found)]

    def _set(self, record_ids: Collection[UUID | None], *, learned: bool) -> None:
        for id, kept in self._state.examples.items():
            if kept.example.record_id in record_ids:
                self._state.examples[id] = replace(kept, learned=learned)

    def _past(self, kept: KeptExample) -> Lesson:
        """As a part of the history: whether an ensemble was asked does not matter."""
        record = self._record(kept)
        asked = self._imported(record) or self._answered(record)
        weight = 1 / record.selection_probability if asked and record.selection_probability else None
        return replace(self._lesson(kept), weight=weight, arrival=None)

    def _record(self, kept: KeptExample) -> Record:
        assert kept.example.record_id is not None  # noqa: S101 - those alone are lessons
        return self._state.records[kept.example.record_id].record

    def _imported(self, record: Record) -> bool:
        return (record.reasoning_trace or {}).get("reason") == _IMPORTED

    def _answered(self, record: Record) -> bool:
        return any(
            a.record_id == record.id and a.verdict is not None and a.withdrawn_at is None
            for a in self._state.approvals.values()
        )

    def _lesson(self, kept: KeptExample) -> Lesson:
        record = self._record(kept)
        noted = self._state.arrivals.get(record.id)
        stages = (record.reasoning_trace or {}).get("stages", ())
        similarity_asked = any(said["stage"] == Stage.SIMILARITY for said in stages)
        weight = None
        if self._imported(record) and record.status is RecordStatus.APPROVED:
            weight = 1.0
        elif noted is not None and similarity_asked and record.selection_probability and self._answered(record):
            weight = 1 / record.selection_probability
        digest = text_digest(kept.example.text)
        vector = self._state.embeddings.get((next(iter(self._state.serving.values()), ""), digest))
        return Lesson(
            record=replace(record, raw={}, reasoning_trace=None),
            category_id=kept.example.category_id,
            weight=weight,
            vector=vector,
            arrival=None if noted is None else noted[0],
        )


def _place(kept: KeptExample) -> UUID:
    assert kept.example.record_id is not None  # noqa: S101 - those alone are lessons
    return kept.example.record_id
