"""Moving tenants' vectors between the shared home and homes of their own, while they are searched and written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol
from uuid import UUID

from core.domain.vector_homes import Moved, VectorHome


class VectorHomes(Protocol):
    """Each step may be cut off anywhere, and is carried on by its repetition. Raises `Transient` where others' work
    leaves no moment for a change of the tables."""

    def alone(self) -> AbstractContextManager[bool]:
        """Whether nobody else moves vectors now; nobody will within the block."""
        ...

    def list(self) -> Sequence[VectorHome]:
        """Of all tenants with vectors, by id."""
        ...

    def move(self, tenant_id: UUID, *, own: bool) -> Moved: ...

    def index(self, tenant_id: UUID, *, least: int) -> int:
        """Makes what indexes a home of its own lacks, for models with `least` vectors or more; returns how many."""
        ...

    def clean(self) -> int:
        """Drops what moves left behind, once nobody can be reading it any more; returns how many homes it left."""
        ...
