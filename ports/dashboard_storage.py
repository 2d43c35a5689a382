"""The repository of what a dashboard shows that no other has; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol
from uuid import UUID

from core.domain.dashboard import Queue


class Overviews(Protocol):
    def counts(self, since: date, until: date) -> Sequence[tuple[date, str, str, int]]:
        """(day, stage, status, records) of decisions on these days (in the tenant's time zone), both included, in
        order; the stage of what none was sure of is ''."""
        ...

    def queue(self) -> Queue: ...

    def lessons(self) -> Mapping[UUID, int]:
        """How many examples teach each category: that of most first, then by id."""
        ...

    def alike(self) -> int:
        """How many open items of the review queue are of a group that an example is of."""
        ...

    def connections(self) -> Mapping[str, int]:
        """How many connections have which health; disabled ones count as `core.domain.dashboard.DISABLED`."""
        ...
