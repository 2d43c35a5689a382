"""The repositories of connections and of what their syncs leave; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.domain.connections import Connection, SealedValue, StreamCursor, Totals
from core.domain.health import HealthEntry, LogLine


class Connections(Protocol):
    def list(self) -> Sequence[Connection]: ...

    def get(self, id: UUID, *, lock: bool = False) -> Connection:
        """With `lock` nobody else changes it until the transaction ends."""
        ...

    def ensure(self, connection: Connection) -> Connection:
        """The connection with that connector and name, added if there was none."""
        ...

    def add(self, connection: Connection) -> None:
        """Raises `Conflict` when the connector has a connection of that name."""
        ...

    def update(self, connection: Connection) -> None:
        """Guarded by version, which then rises."""
        ...

    def note(self, connection: Connection) -> None:
        """Writes health, failures, `next_sync_at` and `last_synced_at`, whatever the version, which stays. Raises
        `NotFound`."""
        ...

    def delete(self, id: UUID, version: int | None) -> None:
        """With its cursors, history and log. Raises `Conflict` while it has records or imports."""
        ...

    def totals(self, id: UUID, since: Sequence[datetime]) -> Sequence[Totals]:
        """What came in by it since each of these."""
        ...


class Sealed(Protocol):
    """All that the tenant's connections and endpoints keep sealed, wherever it stands."""

    def otherwise(self, prefix: bytes, *, after: UUID | None, limit: int) -> Sequence[SealedValue]:
        """What does not begin with `prefix`, of the next `limit` connections and endpoints above `after` that have
        such; by their rising ids."""
        ...

    def reseal(self, anew: Sequence[tuple[SealedValue, bytes]]) -> int:
        """Writes each in place of the value if that still is what it was: what somebody changed meanwhile stays.
        Versions stay, too. Returns how many were written."""
        ...


class Syncs(Protocol):
    """What syncs keep of a connection: how far its streams were read, what became of its health, what was logged. All
    of it goes with the connection; what is written for one that does not exist raises `Invalid`."""

    def cursors(self, connection_id: UUID) -> Mapping[str, StreamCursor]:
        """By stream."""
        ...

    def put_cursor(self, connection_id: UUID, cursor: StreamCursor) -> None: ...

    def forget_cursors(self, connection_id: UUID, stream: str | None = None) -> None:
        """That of the stream, or all."""
        ...

    def tell(self, connection_id: UUID, entry: HealthEntry) -> None:
        """Adds to the history; of a connection the latest `MAX_HISTORY` entries are kept."""
        ...

    def history(self, connection_id: UUID, limit: int) -> Sequence[HealthEntry]:
        """Newest first."""
        ...

    def log(self, connection_id: UUID, lines: Sequence[LogLine]) -> None:
        """Adds to the log; of a connection the latest `MAX_LINES` lines are kept."""
        ...

    def lines(self, connection_id: UUID, *, before: UUID | None, limit: int) -> Sequence[LogLine]:
        """Newest first; `before` is the last id of the page before."""
        ...

    def count(self, connector: str, outcome: str, records: int) -> None:
        """Counts a sync (or a file that was read) of that connector, how it ended, and the records that it stored."""
        ...
