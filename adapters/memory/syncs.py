"""What syncs leave of a connection: cursors, health, log, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from adapters.memory.state import Workspace, as_json
from core.domain.connections import StreamCursor
from core.domain.health import MAX_HISTORY, MAX_LINES, HealthEntry, LogLine
from core.errors import Invalid


class MemorySyncs:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state

    def cursors(self, connection_id: UUID) -> Mapping[str, StreamCursor]:
        return {stream: cursor for (id, stream), cursor in self._state.cursors.items() if id == connection_id}

    def put_cursor(self, connection_id: UUID, cursor: StreamCursor) -> None:
        self._check(connection_id)
        self._state.cursors[connection_id, cursor.stream] = replace(cursor, cursor=as_json(cursor.cursor))

    def forget_cursors(self, connection_id: UUID, stream: str | None = None) -> None:
        for key in [key for key in self._state.cursors if key[0] == connection_id and stream in (None, key[1])]:
            del self._state.cursors[key]

    def tell(self, connection_id: UUID, entry: HealthEntry) -> None:
        self._check(connection_id)
        self._state.health[connection_id, entry.id] = entry
        _prune(self._state.health, connection_id, MAX_HISTORY)

    def history(self, connection_id: UUID, limit: int) -> Sequence[HealthEntry]:
        return [self._state.health[key] for key in _newest(self._state.health, connection_id)][:limit]

    def log(self, connection_id: UUID, lines: Sequence[LogLine]) -> None:
        if lines:
            self._check(connection_id)
        self._state.log.update({(connection_id, line.id): line for line in lines})
        _prune(self._state.log, connection_id, MAX_LINES)

    def lines(self, connection_id: UUID, *, before: UUID | None, limit: int) -> Sequence[LogLine]:
        keys = _newest(self._state.log, connection_id)
        return [self._state.log[key] for key in keys if before is None or key[1] < before][:limit]

    def count(self, connector: str, outcome: str, records: int) -> None:
        runs, stored = self._state.sync_counts.get((connector, outcome), (0, 0))
        self._state.sync_counts[connector, outcome] = (runs + 1, stored + records)

    def _check(self, connection_id: UUID) -> None:
        if connection_id not in self._state.connections:
            raise Invalid("this connection does not exist")


def _newest(table: Mapping[tuple[UUID, UUID], Any], connection_id: UUID) -> list[tuple[UUID, UUID]]:
    return sorted((key for key in table if key[0] == connection_id), reverse=True)


def _prune(table: dict[tuple[UUID, UUID], Any], connection_id: UUID, most: int) -> None:
    for key in _newest(table, connection_id)[most:]:
        del table[key]
