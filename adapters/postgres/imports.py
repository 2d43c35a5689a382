"""Imports, and their payloads in pieces."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import BinaryIO, cast
from uuid import UUID

from sqlalchemy import Connection, RowMapping, and_, insert, select

from adapters.postgres.guards import at, conflicts
from adapters.postgres.tables import import_chunks, imports
from core.domain.connections import CHUNK_BYTES, Import, ImportStatus
from core.errors import Conflict, NotFound


class PostgresImports:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, imported: Import, payload: Iterable[bytes]) -> Import:
        values = {name: getattr(imported, name) for name in Import.__slots__} | {"status": imported.status.value}
        with conflicts(unknown="this connection does not exist"):
            self._connection.execute(insert(imports).values(values | {"bytes": 0, "sha256": ""}))
        digest, size = hashlib.sha256(), 0
        for position, chunk in enumerate(_even(payload)):
            digest.update(chunk)
            size += len(chunk)
            self._connection.execute(
                insert(import_chunks).values(
                    tenant_id=self._tenant_id, import_id=imported.id, position=position, data=chunk
                )
            )
        row = self._connection.execute(
            imports.update()
            .where(at(imports, self._tenant_id, imported.id))
            .values(bytes=size, sha256=digest.hexdigest())
            .returning(imports)
        )
        return _to_import(row.mappings().one())

    def get(self, id: UUID) -> Import:
        row = self._connection.execute(select(imports).where(at(imports, self._tenant_id, id))).mappings().first()
        if row is None:
            raise NotFound("this import does not exist")
        return _to_import(row)

    def list(self, *, before: UUID | None, limit: int, connection_id: UUID | None = None) -> Sequence[Import]:
        query = select(imports).where(imports.c.tenant_id == self._tenant_id).order_by(imports.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(imports.c.id < before)
        if connection_id is not None:
            query = query.where(imports.c.connection_id == connection_id)
        return [_to_import(row) for row in self._connection.execute(query).mappings()]

    def open(self, id: UUID) -> BinaryIO:
        pieces = self._pieces(id)
        first = next(pieces, None)
        if first is None and self.get(id).bytes:
            raise NotFound("the payload of this import was dropped")
        pieces = chain([first or b""], pieces)
        return cast(BinaryIO, io.BufferedReader(_Pieces(pieces), CHUNK_BYTES))

    def _pieces(self, id: UUID) -> Iterator[bytes]:
        position = 0
        query = select(import_chunks.c.data)
        while True:
            row = self._connection.execute(
                query.where(
                    import_chunks.c.tenant_id == self._tenant_id,
                    import_chunks.c.import_id == id,
                    import_chunks.c.position == position,
                )
            ).first()
            if row is None:
                return
            yield bytes(row.data)
            position += 1

    def update(self, imported: Import) -> None:
        changed = ("inserted", "known", "refused", "held", "refusals", "gaps", "failure", "finished_at")
        values = {name: getattr(imported, name) for name in changed} | {"status": imported.status.value}
        where = and_(at(imports, self._tenant_id, imported.id), imports.c.status != ImportStatus.UNDONE.value)
        if self._connection.execute(imports.update().where(where).values(values)).rowcount == 0:
            self.get(imported.id)
            raise Conflict("this import was undone")


def _even(payload: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of `CHUNK_BYTES`, whatever the sender's pieces were."""
    waiting = bytearray()
    for piece in payload:
        waiting += piece
        while len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting[:CHUNK_BYTES])
            del waiting[:CHUNK_BYTES]
    if waiting:
        yield bytes(waiting)


class _Pieces(io.RawIOBase):
    """A readable stream over an iterator of bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _to_import(row: RowMapping) -> Import:
    values = {name: row[name] for name in Import.__slots__}
    lists = {name: tuple(row[name]) for name in ("refusals", "gaps")}
    return Import(**values | lists | {"status": ImportStatus(row["status"])})
