"""Approved examples with their embeddings, and the cache of embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson
from sqlalchemy import Connection, RowMapping, Text, cast, delete, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.guards import conflicts
from adapters.postgres.tables import embeddings, examples
from core.domain.approvals import Example
from core.domain.records import text_digest
from core.domain.similarity import Neighbour

# The tenant's examples are scanned: exact, and at the sizes of one tenant quicker than an index that other tenants'
# vectors share.
_NEAREST = text("""
    SELECT q.n, e.id, e.category_id, e.text, 1 - (e.embedding <=> q.vector) AS similarity
    FROM unnest(CAST(:vectors AS text[])) WITH ORDINALITY AS raw(literal, n)
    CROSS JOIN LATERAL (SELECT raw.n AS n, raw.literal::vector AS vector) AS q
    CROSS JOIN LATERAL (
        SELECT id, category_id, text, embedding FROM examples
        WHERE tenant_id = :tenant AND model = :model AND embedding IS NOT NULL
        ORDER BY embedding <=> q.vector, id LIMIT :k
    ) AS e
    ORDER BY q.n, similarity DESC, e.id
""")


class PostgresExamples:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def put(self, new: Sequence[Example]) -> None:
        if not new:
            return
        statement = insert(examples)
        replaced = {
            name: statement.excluded[name]
            for name in ("text", "text_digest", "category_id", "model", "embedding", "created_at")
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
                        "model": None,
                        "embedding": None,
                    }
                    for example in new
                ],
            )

    def forget(self, record_ids: Sequence[UUID]) -> None:
        self._connection.execute(
            delete(examples).where(examples.c.tenant_id == self._tenant_id, examples.c.record_id.in_(record_ids))
        )

    def list(self, *, after: UUID | None, limit: int) -> Sequence[Example]:
        query = select(examples).where(examples.c.tenant_id == self._tenant_id).order_by(examples.c.id).limit(limit)
        if after is not None:
            query = query.where(examples.c.id > after)
        return [_to_example(row) for row in self._connection.execute(query).mappings()]

    def any(self) -> bool:
        query = select(examples.c.id).where(examples.c.tenant_id == self._tenant_id, examples.c.model.is_not(None))
        return self._connection.execute(query.limit(1)).first() is not None

    def without_embedding(self, model: str, limit: int) -> Sequence[Example]:
        query = (
            select(examples)
            .where(examples.c.tenant_id == self._tenant_id, or_(examples.c.model.is_(None), examples.c.model != model))
            .order_by(examples.c.id)
            .limit(limit)
        )
        return [_to_example(row) for row in self._connection.execute(query).mappings()]

    def set_embeddings(self, model: str, vectors: Mapping[UUID, Sequence[float]]) -> None:
        if vectors:
            self._connection.execute(
                text("""
                    UPDATE examples SET model = :model, embedding = v.literal::vector
                    FROM unnest(CAST(:ids AS uuid[]), CAST(:vectors AS text[])) AS v(id, literal)
                    WHERE examples.tenant_id = :tenant AND examples.id = v.id
                """),
                {
                    "model": model,
                    "ids": list(vectors),
                    "vectors": [_literal(v) for v in vectors.values()],
                    "tenant": self._tenant_id,
                },
            )

    def nearest(self, model: str, vectors: Sequence[Sequence[float]], k: int) -> Sequence[Sequence[Neighbour]]:
        found: list[list[Neighbour]] = [[] for _ in vectors]
        if not vectors:
            return found
        rows = self._connection.execute(
            _NEAREST,
            {"vectors": [_literal(v) for v in vectors], "tenant": self._tenant_id, "model": model, "k": k},
        )
        for row in rows:
            found[row.n - 1].append(
                Neighbour(example_id=row.id, category_id=row.category_id, text=row.text, similarity=row.similarity)
            )
        return found


class PostgresEmbeddings:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def get(self, model: str, digests: Sequence[bytes]) -> Mapping[bytes, Sequence[float]]:
        rows = self._connection.execute(
            select(embeddings.c.text_digest, cast(embeddings.c.embedding, Text)).where(
                embeddings.c.tenant_id == self._tenant_id,
                embeddings.c.model == model,
                embeddings.c.text_digest.in_(digests),
            )
        )
        return {bytes(digest): orjson.loads(literal) for digest, literal in rows}

    def put(self, model: str, vectors: Mapping[bytes, Sequence[float]]) -> None:
        if vectors:
            self._connection.execute(
                text("""
                    INSERT INTO embeddings (tenant_id, model, text_digest, embedding)
                    SELECT :tenant, :model, v.digest, v.literal::vector
                    FROM unnest(CAST(:digests AS bytea[]), CAST(:vectors AS text[])) AS v(digest, literal)
                    ON CONFLICT DO NOTHING
                """),
                {
                    "tenant": self._tenant_id,
                    "model": model,
                    "digests": sorted(vectors),  # in one order, or two chunks with the same texts would deadlock
                    "vectors": [_literal(vectors[digest]) for digest in sorted(vectors)],
                },
            )


def _literal(vector: Sequence[float]) -> str:
    return "[" + ",".join(map(repr, map(float, vector))) + "]"


def _to_example(row: RowMapping) -> Example:
    return Example(**{name: row[name] for name in Example.__slots__})
