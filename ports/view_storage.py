"""The repository of saved views; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core.domain.saved_views import SavedView


class Views(Protocol):
    def list(self, user_id: UUID | None) -> Sequence[SavedView]:
        """Those of the person (None: nobody's own) and everybody's, by name, then id."""
        ...

    def get(self, id: UUID) -> SavedView: ...

    def count(self, user_id: UUID | None) -> int:
        """How many the person has; None: how many are everybody's."""
        ...

    def add(self, view: SavedView) -> None:
        """Raises `Conflict` when its owner has one of this name, and `Invalid` when the owner is no member."""
        ...

    def update(self, view: SavedView) -> None:
        """Writes owner, name and query if the stored version is `view.version`, which then rises by one; raises
        `VersionMismatch`, `NotFound`, and as `add`."""
        ...

    def delete(self, id: UUID, version: int | None) -> None:
        """Raises `NotFound`, `VersionMismatch`."""
        ...
