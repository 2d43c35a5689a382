"""The repository of what a dashboard shows that no other has; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from core.domain.dashboard import Queue


class Overviews(Protocol):
    def counts(self, since: date, until: date) -> Sequence[tuple[date, str, str, int]]:
        """(day, stage, status, records) of decisions on these days (in the tenant's time zone), both included, in
        order; the stage of what none was sure of is ''."""
        ...

    def queue(self) -> Queue: ...

    def connections(self) -> Mapping[str, int]:
        """How many connections have which health; disabled ones count as `core.domain.dashboard.DISABLED`."""
        ...
