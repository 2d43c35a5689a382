"""Connections and imports."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from adapters.memory.state import Workspace, as_json, check_version, one
from core.domain.connections import HAS_RECORDS, Connection, Import, ImportStatus, Totals
from core.domain.webhooks import WebhookDelivery
from core.errors import Conflict, Invalid, NotFound


class MemoryConnections:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._connections = workspace.state.connections

    def list(self) -> Sequence[Connection]:
        return [self._connections[id] for id in sorted(self._connections)]

    def get(self, id: UUID, *, lock: bool = False) -> Connection:
        if lock:  # whoever changes it meanwhile fails at their commit
            self._connections[id] = replace(one(self._connections, id, "connection"))
        return one(self._connections, id, "connection")

    def ensure(self, connection: Connection) -> Connection:
        namesake = self._namesake(connection)
        if namesake is not None:
            return namesake
        self.add(connection)
        return self._connections[connection.id]

    def add(self, connection: Connection) -> None:
        if connection.id in self._connections or self._namesake(connection) is not None:
            raise Conflict("this connector has a connection of that name")
        self._connections[connection.id] = replace(connection, config=as_json(connection.config))

    def update(self, connection: Connection) -> None:
        stored = self.get(connection.id)
        check_version(stored.version, connection.version)
        changed = replace(
            connection,
            connector=stored.connector,
            created_at=stored.created_at,
            config=as_json(connection.config),
            version=stored.version + 1,
        )
        if (namesake := self._namesake(changed)) is not None and namesake.id != changed.id:
            raise Conflict("this connector has a connection of that name")
        self._connections[stored.id] = changed

    def note(self, connection: Connection) -> None:
        self._connections[connection.id] = replace(
            self.get(connection.id),
            health=connection.health,
            failures=connection.failures,
            next_sync_at=connection.next_sync_at,
            last_synced_at=connection.last_synced_at,
        )

    def totals(self, id: UUID, since: Sequence[datetime]) -> Sequence[Totals]:
        arrived: list[tuple[datetime, Import | WebhookDelivery]] = [
            (one.created_at, one)
            for one in self._state.imports.values()
            if one.connection_id == id and one.status is not ImportStatus.UNDONE
        ]
        arrived += [(one.received_at, one) for one in self._state.deliveries.values() if one.connection_id == id]
        return [_totals([one for at, one in arrived if at >= begin]) for begin in since]

    def delete(self, id: UUID, version: int | None) -> None:
        check_version(self.get(id).version, version)
        used = {kept.record.connection_id for kept in self._state.records.values()}
        if id in used | {imported.connection_id for imported in self._state.imports.values()}:
            raise Conflict(HAS_RECORDS)
        del self._connections[id]
        self._state.refused.pop(id, None)
        for delivery in [d for d in self._state.deliveries.values() if d.connection_id == id]:
            del self._state.deliveries[delivery.id]
            self._state.messages.pop(delivery.id, None)
        self._state.oauth_tokens.pop(id, None)
        for state in [s.state_hash for s in self._state.sign_ins.values() if s.connection_id == id]:
            del self._state.sign_ins[state]
        for cursor in [key for key in self._state.cursors if key[0] == id]:
            del self._state.cursors[cursor]
        for entry in [key for key in self._state.health if key[0] == id]:
            del self._state.health[entry]
        for line in [key for key in self._state.log if key[0] == id]:
            del self._state.log[line]

    def _namesake(self, connection: Connection) -> Connection | None:
        for other in self._connections.values():
            if (other.connector, other.name) == (connection.connector, connection.name):
                return other
        return None


def _totals(arrived: Sequence[Import | WebhookDelivery]) -> Totals:
    return Totals(
        imports=len(arrived),
        inserted=sum(one.inserted for one in arrived),
        known=sum(one.known for one in arrived),
        refused=sum(one.refused for one in arrived),
    )


class MemoryImports:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._imports = workspace.state.imports

    def add(self, imported: Import, payload: Iterable[bytes]) -> Import:
        if imported.connection_id not in self._state.connections:
            raise Invalid("this connection does not exist")
        content = b"".join(payload)
        kept = replace(
            imported,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            refusals=tuple(as_json(imported.refusals)),
            gaps=tuple(as_json(imported.gaps)),
        )
        self._imports[imported.id] = kept
        self._state.payloads[imported.id] = content
        return kept

    def get(self, id: UUID) -> Import:
        return one(self._imports, id, "import")

    def list(self, *, before: UUID | None, limit: int, connection_id: UUID | None = None) -> Sequence[Import]:
        newest_first = sorted(self._imports, reverse=True)
        mine = (self._imports[id] for id in newest_first if before is None or id < before)
        return [one for one in mine if connection_id in (None, one.connection_id)][:limit]

    def open(self, id: UUID) -> BinaryIO:
        self.get(id)
        if id not in self._state.payloads:
            raise NotFound("the payload of this import was dropped")
        return io.BytesIO(self._state.payloads[id])

    def update(self, imported: Import) -> None:
        if self.get(imported.id).status is ImportStatus.UNDONE:
            raise Conflict("this import was undone")
        self._imports[imported.id] = replace(
            self.get(imported.id),
            status=imported.status,
            inserted=imported.inserted,
            known=imported.known,
            refused=imported.refused,
            refusals=tuple(as_json(imported.refusals)),
            gaps=tuple(as_json(imported.gaps)),
            failure=imported.failure,
            finished_at=imported.finished_at,
        )
