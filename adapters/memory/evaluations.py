"""Evaluations, as they were asked for and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from adapters.memory.state import Workspace, as_json, one
from core.domain.evaluations import Evaluation


class MemoryEvaluations:
    def __init__(self, workspace: Workspace) -> None:
        self._evaluations = workspace.state.evaluations

    def add(self, evaluation: Evaluation) -> None:
        self._evaluations[evaluation.id] = evaluation

    def get(self, id: UUID) -> Evaluation:
        return one(self._evaluations, id, "evaluation")

    def list(self, *, before: UUID | None, limit: int) -> Sequence[Evaluation]:
        newest_first = sorted(self._evaluations, reverse=True)
        return [self._evaluations[id] for id in newest_first if before is None or id < before][:limit]

    def update(self, evaluation: Evaluation) -> None:
        self._evaluations[evaluation.id] = replace(
            self.get(evaluation.id),
            status=evaluation.status,
            report=as_json(evaluation.report),
            failure=evaluation.failure,
            finished_at=evaluation.finished_at,
        )
