"""The review queue, the examples that its answers teach, and the cache of embeddings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from adapters.memory.state import KeptExample, Workspace, many, page
from core.domain.approvals import Approval, Example
from core.domain.records import Record
from core.domain.similarity import Neighbour
from core.errors import AlreadyDecided, Conflict, Invalid


class MemoryApprovals:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._approvals = workspace.state.approvals

    def get_many(self, ids: Sequence[UUID], *, lock: bool = False) -> Sequence[Approval]:  # noqa: ARG002
        return many(self._approvals, ids, "approval")

    def queue(
        self, *, after: tuple[float, UUID] | None, limit: int, group_key: str | None = None
    ) -> Sequence[tuple[Approval, Record]]:
        waiting = sorted((-a.urgency, a.id) for a in self._approvals.values() if a.verdict is None)
        if after is not None:
            waiting = [place for place in waiting if place > (-after[0], after[1])]
        found = [self._approvals[id] for _, id in waiting]
        if group_key is not None:
            found = [a for a in found if a.group_key == group_key]
        return [(a, self._state.records[a.record_id].record) for a in found[:limit]]

    def open_of(self, record_id: UUID) -> Approval | None:
        for approval in self._approvals.values():
            if approval.record_id == record_id and approval.verdict is None:
                return approval
        return None

    def add(self, approvals: Sequence[Approval]) -> None:
        for approval in approvals:
            if approval.record_id not in self._state.records:
                raise Invalid("the record does not exist")
            if self.open_of(approval.record_id) is not None:
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
            )

    def count_open(self) -> int:
        return sum(a.verdict is None for a in self._approvals.values())


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

    def list(self, *, after: UUID | None, limit: int) -> Sequence[Example]:
        return [kept.example for kept in page(self._examples, after)[:limit]]

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

    def set_embeddings(self, model: str, vectors: Mapping[UUID, Sequence[float]]) -> None:
        if vectors:
            self._at.state.serving.setdefault(self._at.tenant_id, model)
        for id, vector in vectors.items():
            if id in self._examples:
                kept = self._examples[id]
                self._examples[id] = replace(kept, vectors={**kept.vectors, model: tuple(vector)})

    def forget_embeddings(self, model: str, limit: int) -> int:
        if self._at.state.serving.get(self._at.tenant_id) == model:
            return 0
        embedded = [id for id, kept in self._examples.items() if model in kept.vectors][:limit]
        for id in embedded:
            kept = self._examples[id]
            self._examples[id] = replace(kept, vectors={m: v for m, v in kept.vectors.items() if m != model})
        return len(embedded)

    def nearest(self, model: str, vectors: Sequence[Sequence[float]], k: int) -> Sequence[Sequence[Neighbour]]:
        embedded = [(kept.example, kept.vectors[model]) for kept in self._examples.values() if model in kept.vectors]
        return [
            sorted(
                (_neighbour(example, stored, vector) for example, stored in embedded),
                key=lambda n: (-n.similarity, n.example_id),
            )[:k]
            for vector in vectors
        ]

    def _of_record(self, record_id: UUID | None) -> UUID | None:
        for id, kept in self._examples.items():
            if record_id is not None and kept.example.record_id == record_id:
                return id
        return None


class MemoryEmbeddings:
    def __init__(self, workspace: Workspace) -> None:
        self._embeddings = workspace.state.embeddings

    def get(self, model: str, digests: Sequence[bytes]) -> Mapping[bytes, Sequence[float]]:
        return {d: self._embeddings[model, d] for d in digests if (model, d) in self._embeddings}

    def put(self, model: str, vectors: Mapping[bytes, Sequence[float]]) -> None:
        for digest, vector in vectors.items():
            self._embeddings.setdefault((model, digest), tuple(vector))

    def forget(self, model: str, limit: int) -> int:
        mine = [key for key in self._embeddings if key[0] == model][:limit]
        for key in mine:
            del self._embeddings[key]
        return len(mine)


def _neighbour(example: Example, stored: Sequence[float], vector: Sequence[float]) -> Neighbour:
    dot = math.fsum(a * b for a, b in zip(stored, vector, strict=True))
    return Neighbour(
        example_id=example.id,
        category_id=example.category_id,
        text=example.text,
        similarity=dot / (math.hypot(*stored) * math.hypot(*vector)),
    )
