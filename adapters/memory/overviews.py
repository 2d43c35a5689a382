"""What a dashboard shows that no other repository has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from adapters.memory.state import Workspace
from core.domain.dashboard import DISABLED, Queue


class MemoryOverviews:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state

    def counts(self, since: date, until: date) -> Sequence[tuple[date, str, str, int]]:
        return sorted((*key, records) for key, records in self._state.counts.items() if since <= key[0] <= until)

    def queue(self) -> Queue:
        waiting = sorted(item.created_at for item in self._state.approvals.values() if item.verdict is None)
        if not waiting:
            return Queue(size=0, oldest=None, median=None)
        return Queue(size=len(waiting), oldest=waiting[0], median=waiting[(len(waiting) - 1) // 2])

    def lessons(self) -> Mapping[UUID, int]:
        found = Counter(kept.example.category_id for kept in self._state.examples.values())
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    def alike(self) -> int:
        groups = {kept.example.group_key for kept in self._state.examples.values()} - {""}
        return sum(a.verdict is None and a.group_key in groups for a in self._state.approvals.values())

    def connections(self) -> Mapping[str, int]:
        found = Counter(
            one.health.value if one.disabled_at is None else DISABLED for one in self._state.connections.values()
        )
        return dict(sorted(found.items()))
