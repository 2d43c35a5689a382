"""Approved examples with their embeddings, and the cache of embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.engine import driver
from adapters.postgres.example_vectors import ExampleVectors
from adapters.postgres.guards import conflicts
from adapters.postgres.tables import examples
from adapters.postgres.vectors import VECTOR_AT, Reals, from_sent, to_arrays
from core.domain.approvals import Example
from core.domain.records import text_digest
from core.domain.similarity import Neighbour


class PostgresExamples:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._vectors = ExampleVectors(connection, tenant_id)

    def put(self, new: Sequence[Example]) -> None:
        if not new:
            return
        statement = insert(examples)
        replaced = {
            name: statement.excluded[name] for name in ("text", "text_digest", "category_id", "created_at", "learned")
        }
        with conflicts(unknown="the category or the record does not exist"):
            self._connection.execute(
                statement.on_conflict_do_update(index_elements=["tenant_id", "record_id"], set_=replaced),
                [
                    {
                        "tenant_id": self._tenant_id,
                        "id": example.id,
                        "record_id": example.record_id,
                        "text": example.text,
                        "text_digest": text_digest(example.text),
                        "category_id": example.category_id,
                        "created_at": example.created_at,
                        "learned": False,
                    }
                    for example in new
                ],
            )
        self._vectors.drop([example.record_id for example in new if example.record_id is not None])

    def forget(self, record_ids: Sequence[UUID]) -> None:
        self._connection.execute(
            delete(examples).where(examples.c.tenant_id == self._tenant_id, examples.c.record_id.in_(record_ids))
        )

    def list(self, *, after: UUID | None, limit: int) -> Sequence[Example]:
        query = select(examples).where(examples.c.tenant_id == self._tenant_id).order_by(examples.c.id).limit(limit)
        if after is not None:
            query = query.where(examples.c.id > after)
        return [_to_example(row) for row in self._connection.execute(query).mappings()]

    def serving(self) -> str | None:
        return self._vectors.serving()

    def serve(self, model: str) -> bool:
        return self._vectors.serve(model)

    def without_embedding(self, model: str, limit: int) -> Sequence[Example]:
        query = (
            select(examples)
            .where(examples.c.tenant_id == self._tenant_id, self._vectors.lacks(model, self._vectors.home()))
            .order_by(examples.c.id)
            .limit(limit)
        )
        return [_to_example(row) for row in self._connection.execute(query).mappings()]

    def set_embeddings(self, model: str, vectors: Mapping[Example, Sequence[float]]) -> None:
        if vectors:
            self._vectors.set(model, vectors)

    def forget_embeddings(self, model: str, limit: int) -> int:
        return self._vectors.forget(model, limit)

    def nearest(self, model: str, vectors: Sequence[Sequence[float]], k: int) -> Sequence[Sequence[Neighbour]]:
        found = self._vectors.nearest(model, vectors, k)
        ids = {id for near in found for id, _ in near}
        if not ids:
            return [[] for _ in vectors]
        query = select(examples.c.id, examples.c.category_id, examples.c.text).where(
            examples.c.tenant_id == self._tenant_id, examples.c.id.in_([UUID(bytes=id) for id in ids])
        )
        known = {row.id.bytes: row for row in self._connection.execute(query)}
        return [
            [
                Neighbour(example_id=row.id, category_id=row.category_id, text=row.text, similarity=similarity)
                for id, similarity in near
                if (row := known.get(id)) is not None
            ]
            for near in found
        ]


class PostgresEmbeddings:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def get(self, model: str, digests: Sequence[bytes]) -> Mapping[bytes, Sequence[float]]:
        with driver(self._connection).cursor(binary=True) as cursor:
            rows = cursor.execute(
                "SELECT text_digest, vector_send(embedding) FROM embeddings"
                " WHERE tenant_id = %s AND model = %s AND text_digest = ANY(%s)",
                [self._tenant_id, model, list(digests)],
            ).fetchall()
        return dict(zip((digest for digest, _ in rows), to_arrays(from_sent([sent for _, sent in rows])), strict=True))

    def put(self, model: str, vectors: Mapping[bytes, Sequence[float]]) -> None:
        if vectors:
            digests = sorted(vectors)  # in one order, or two chunks with the same texts would deadlock
            with driver(self._connection).cursor() as cursor:
                cursor.execute(
                    f"""
                    INSERT INTO embeddings (tenant_id, model, text_digest, embedding)
                    SELECT %(tenant)s, %(model)s, digest, {VECTOR_AT.format(n="n")}
                    FROM unnest(%(digests)s::bytea[]) WITH ORDINALITY AS given(digest, n)
                    ON CONFLICT DO NOTHING
                    """,  # noqa: S608 - a constant
                    {
                        "tenant": self._tenant_id,
                        "model": model,
                        "digests": digests,
                        "vectors": Reals([vectors[digest] for digest in digests]),
                    },
                )

    def forget(self, model: str, limit: int) -> int:
        statement = text("""
            DELETE FROM embeddings WHERE tenant_id = :tenant AND model = :model AND text_digest IN (
                SELECT text_digest FROM embeddings WHERE tenant_id = :tenant AND model = :model LIMIT :limit)
        """)
        asked = {"tenant": self._tenant_id, "model": model, "limit": limit}
        return self._connection.execute(statement, asked).rowcount


def _to_example(row: RowMapping) -> Example:
    return Example(**{name: row[name] for name in Example.__slots__})
