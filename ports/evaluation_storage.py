"""The repository of evaluations; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core.domain.evaluations import Evaluation


class Evaluations(Protocol):
    def add(self, evaluation: Evaluation) -> None: ...

    def get(self, id: UUID) -> Evaluation: ...

    def list(self, *, before: UUID | None, limit: int) -> Sequence[Evaluation]:
        """Newest first; `before` is the last id of the page before."""
        ...

    def update(self, evaluation: Evaluation) -> None:
        """Writes status, report, failure and the end; raises `NotFound`."""
        ...
