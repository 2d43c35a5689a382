"""Approved examples with their embeddings, and the cache of embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, select, text

from adapters.postgres.engine import driver
from adapters.postgres.example_vectors import ExampleVectors
from adapters.postgres.guards import conflicts
from adapters.postgres.tables import examples
from adapters.postgres.vectors import VECTOR_AT, Reals, from_sent, to_arrays
from core.domain.approvals import Example
from core.domain.evidence import AlikeExamples, EvidenceKind, Likeness
from core.domain.records import text_digest
from core.domain.similarity import Neighbour

_PUT = text("""
    INSERT INTO examples (
        tenant_id, id, record_id, text, text_digest, category_id, created_at, learned, group_key, party_key, occurred_on
    )
    SELECT :tenant, e.id, e.record_id, e.text, e.text_digest, e.category_id, e.created_at, false, e.group_key,
           e.party_key, r.occurred_on
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:records AS uuid[]), CAST(:texts AS text[]), CAST(:digests AS bytea[]),
        CAST(:categories AS uuid[]), CAST(:times AS timestamptz[]), CAST(:groups AS text[]), CAST(:parties AS text[])
    ) WITH ORDINALITY AS e(id, record_id, text, text_digest, category_id, created_at, group_key, party_key, n)
    LEFT JOIN records r ON r.tenant_id = :tenant AND r.id = e.record_id
    ORDER BY e.n
    ON CONFLICT (tenant_id, record_id) DO UPDATE SET
        text = excluded.text, text_digest = excluded.text_digest, category_id = excluded.category_id,
        created_at = excluded.created_at, learned = false, group_key = excluded.group_key,
        party_key = excluded.party_key, occurred_on = excluded.occurred_on
""")

# Each looks at the latest few of an index that holds all that is asked, so that a counterparty of very many costs no
# more than one of few.
_ALIKE = text("""
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:records AS uuid[]), CAST(:groups AS text[]), CAST(:parties AS text[]), CAST(:digests AS bytea[])
        ) WITH ORDINALITY AS a(record_id, group_key, party_key, digest, place)
    ), seen AS (
        SELECT a.place, false AS of_party, e.category_id, e.occurred_on, e.text_digest = a.digest AS same, e.n
        FROM asked a CROSS JOIN LATERAL (
            SELECT category_id, occurred_on, text_digest, record_id, row_number() OVER () AS n FROM (
                SELECT category_id, occurred_on, text_digest, record_id FROM examples
                WHERE tenant_id = :tenant AND group_key = a.group_key
                ORDER BY occurred_on DESC LIMIT :most + 1
            ) latest
        ) e
        WHERE a.group_key <> '' AND e.record_id IS DISTINCT FROM a.record_id
        UNION ALL
        SELECT a.place, true, e.category_id, e.occurred_on, false, e.n
        FROM asked a CROSS JOIN LATERAL (
            SELECT category_id, occurred_on, record_id, row_number() OVER () AS n FROM (
                SELECT category_id, occurred_on, record_id FROM examples
                WHERE tenant_id = :tenant AND party_key = a.party_key AND party_key <> ''
                ORDER BY occurred_on DESC LIMIT :most + 1
            ) latest
        ) e
        WHERE a.party_key <> '' AND e.record_id IS DISTINCT FROM a.record_id
    ), bounded AS (
        SELECT *, max(n) OVER (PARTITION BY place, of_party) > :most AS more FROM seen
    )
    SELECT place, of_party, category_id, count(*), max(occurred_on), count(*) FILTER (WHERE same),
           max(occurred_on) FILTER (WHERE same), bool_or(more)
    FROM bounded WHERE n <= :most
    GROUP BY place, of_party, category_id ORDER BY place, of_party, category_id
""")

_COMMON = text("""
    SELECT category_id FROM (
        SELECT category_id, id FROM examples WHERE tenant_id = :tenant ORDER BY id DESC LIMIT :latest
    ) latest
    GROUP BY category_id ORDER BY count(*) DESC, category_id
""")


class PostgresExamples:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._vectors = ExampleVectors(connection, tenant_id)

    def put(self, new: Sequence[Example]) -> None:
        if not new:
            return
        given = {
            "ids": [example.id for example in new],
            "records": [example.record_id for example in new],
            "texts": [example.text for example in new],
            "digests": [text_digest(example.text) for example in new],
            "categories": [example.category_id for example in new],
            "times": [example.created_at for example in new],
            "groups": [example.group_key for example in new],
            "parties": [example.party_key for example in new],
        }
        with conflicts(unknown="the category or the record does not exist"):
            self._connection.execute(_PUT, {"tenant": self._tenant_id} | given)
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

    def alike(self, asked: Sequence[Likeness], most: int) -> Sequence[Sequence[AlikeExamples]]:
        given = {
            "tenant": self._tenant_id,
            "records": [one.record_id for one in asked],
            "groups": [one.group_key for one in asked],
            "parties": [one.party_key for one in asked],
            "digests": [one.text_digest for one in asked],
            "most": most,
        }
        found: list[list[AlikeExamples]] = [[] for _ in asked]
        for place, of_party, category_id, count, last_on, same, same_on, more in self._connection.execute(
            _ALIKE, given
        ):
            kind = EvidenceKind.SAME_COUNTERPARTY if of_party else EvidenceKind.ALIKE
            found[place - 1].append(AlikeExamples(kind, category_id, count, last_on, more))
            if same:
                found[place - 1].append(AlikeExamples(EvidenceKind.SAME_TEXT, category_id, same, same_on, more))
        return found

    def common(self, latest: int) -> Sequence[UUID]:
        return self._connection.execute(_COMMON, {"tenant": self._tenant_id, "latest": latest}).scalars().all()

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
