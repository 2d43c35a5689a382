"""The vectors of a tenant's examples: which model's serve, where they live, and the search among them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, exists, func, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.engine import driver
from adapters.postgres.review_tables import examples
from adapters.postgres.vector_tables import DIMENSIONS, SHARED, example_vectors, vector_homes
from adapters.postgres.vectors import VECTOR_AT, Matrix, Reals, from_sent, nearest_rows, to_matrix
from core.domain.approvals import Example
from core.domain.records import text_digest

FEW = 8
"""Up to so many vectors are searched for in the database, one by one; for more it pays to fetch the tenant's once and
multiply. Measured at 1,500 and 20,000 examples: that takes as long as 8 searches."""
BLOCK = 25_000
"""Vectors in memory at once, about 100 MB with all that is made of them: more live there if nobody moved them."""
OVERSAMPLING = 4
"""How many times as many as are asked for come by the index, of half precision, to be ranked by whole vectors."""
M, EF_CONSTRUCTION, EF_SEARCH = 24, 400, 200
"""Of an index: links of a vector, and candidates weighed while it is built and searched. Very many vectors that are all
alike, as one shop's texts that differ in a code, crowd others out: at widths of 100 and 100, what
`test_among_very_many_alike_the_others_are_found` asks finds 0.95 to 0.98 of the nearest, at these all. It takes 140 CPU
seconds to build at 100,000."""

# OFFSET 0: else the planner puts the expression in place of the vector, and makes it anew for every row compared.
_ASKED = f"""
    (SELECT n, {VECTOR_AT.format(n="n")} AS vector FROM generate_series(1, %(count)s) AS n OFFSET 0) AS asked
"""  # noqa: S608 - constants
BY_SCAN = f"""
    SELECT asked.n, uuid_send(near.example_id), near.similarity FROM {_ASKED} CROSS JOIN LATERAL (
        SELECT example_id, 1 - (embedding <=> asked.vector) AS similarity FROM example_vectors
        WHERE tenant_id = %(tenant)s AND model = %(model)s AND home = %(home)s
        ORDER BY embedding <=> asked.vector, example_id LIMIT %(k)s
    ) AS near ORDER BY asked.n, near.similarity DESC, near.example_id
"""  # noqa: S608 - constants
BY_INDEX = f"""
    SELECT n, uuid_send(example_id), similarity FROM {_ASKED} CROSS JOIN LATERAL (
        SELECT example_id, 1 - (embedding <=> asked.vector) AS similarity FROM (
            SELECT example_id, embedding FROM example_vectors
            WHERE tenant_id = %(tenant)s AND model = %(model)s AND home = %(home)s
            ORDER BY embedding::halfvec({DIMENSIONS}) <=> asked.vector::halfvec({DIMENSIONS}) LIMIT %(more)s
        ) AS about
        ORDER BY embedding <=> asked.vector, example_id LIMIT %(k)s
    ) AS near ORDER BY n, similarity DESC, example_id
"""  # noqa: S608 - constants
EVERYTHING = """
    SELECT uuid_send(example_id), vector_send(embedding) FROM example_vectors
    WHERE tenant_id = %(tenant)s AND model = %(model)s AND home = %(home)s
"""

# An example that was embedded with another text, or is being changed or deleted, is passed over. Who begins to change
# one of the others waits, and then finds the vector to drop; we wait for nobody, so that there is no circle.
_SET = f"""
    WITH still AS (
        SELECT id, text_digest FROM examples WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)
        ORDER BY id FOR SHARE SKIP LOCKED
    )
    INSERT INTO example_vectors (tenant_id, example_id, model, home, embedding)
    SELECT %(tenant)s, id, %(model)s, %(home)s, {VECTOR_AT.format(n="n")}
    FROM unnest(%(ids)s, %(digests)s::bytea[]) WITH ORDINALITY AS given(id, text_digest, n)
    JOIN still USING (id, text_digest) ORDER BY id
    ON CONFLICT (tenant_id, example_id, model, home) DO UPDATE SET embedding = excluded.embedding
"""  # noqa: S608 - constants

Found = Sequence[Sequence[tuple[bytes, float]]]
"""For each vector asked for, ids of examples (16 bytes) and cosines, the nearest first."""


def home_name(tenant_id: UUID) -> str:
    """Of the partition in which a tenant's vectors live alone."""
    return f"example_vectors_{tenant_id.hex}"


def index_name(tenant_id: UUID, model: str) -> str:
    """Of the index there over the vectors of a model: another one where it is built in another way."""
    built = f"{model} {M} {EF_CONSTRUCTION}"
    return f"{home_name(tenant_id)}_{hashlib.sha256(built.encode()).hexdigest()[:8]}"


class ExampleVectors:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def serving(self) -> str | None:
        searched = exists().where(
            example_vectors.c.tenant_id == vector_homes.c.tenant_id,
            example_vectors.c.home == vector_homes.c.home,
            example_vectors.c.model == vector_homes.c.serving,
        )
        query = select(vector_homes.c.serving).where(vector_homes.c.tenant_id == self._tenant_id, searched)
        return self._connection.execute(query).scalar()

    def serve(self, model: str) -> bool:
        home = self.home()
        if home != SHARED and not self._indexed(model):
            return False
        lacking = exists().where(examples.c.tenant_id == self._tenant_id, self.lacks(model, home))
        changed = self._connection.execute(
            vector_homes.update()
            .where(vector_homes.c.tenant_id == self._tenant_id, vector_homes.c.home == home, ~lacking)
            .values(serving=model)
        )
        return changed.rowcount > 0

    def lacks(self, model: str, home: UUID) -> Any:
        """The condition on `examples` that one has no vector of the model."""
        return ~exists().where(
            example_vectors.c.tenant_id == self._tenant_id,
            example_vectors.c.home == home,
            example_vectors.c.example_id == examples.c.id,
            example_vectors.c.model == model,
        )

    def home(self) -> UUID:
        query = select(vector_homes.c.home).where(vector_homes.c.tenant_id == self._tenant_id)
        return self._connection.execute(query).scalar() or SHARED

    def set(self, model: str, vectors: Mapping[Example, Sequence[float]]) -> None:
        """The first model that a tenant's examples are embedded by serves."""
        first = {"tenant_id": self._tenant_id, "home": SHARED, "moved_at": func.now(), "serving": model}
        self._connection.execute(insert(vector_homes).values(first).on_conflict_do_nothing())
        asked = {
            "ids": [example.id for example in vectors],
            "digests": [text_digest(example.text) for example in vectors],
            "vectors": Reals(list(vectors.values())),
        }
        self._run(_SET, asked | {"model": model, "home": self._stay()})

    def drop(self, record_ids: Sequence[UUID]) -> None:
        """Takes away the vectors of these records' examples, in every home."""
        self._stay()
        of_records = select(examples.c.id).where(
            examples.c.tenant_id == self._tenant_id, examples.c.record_id.in_(record_ids)
        )
        self._connection.execute(
            delete(example_vectors).where(
                example_vectors.c.tenant_id == self._tenant_id, example_vectors.c.example_id.in_(of_records)
            )
        )

    def forget(self, model: str, limit: int) -> int:
        statement = text("""
            DELETE FROM example_vectors v USING (
                SELECT example_id, home FROM example_vectors
                WHERE tenant_id = :tenant AND model = :model
                  AND NOT EXISTS (SELECT FROM vector_homes WHERE tenant_id = :tenant AND serving = :model)
                ORDER BY example_id LIMIT :limit
            ) AS gone
            WHERE v.tenant_id = :tenant AND v.model = :model
              AND v.example_id = gone.example_id AND v.home = gone.home
        """)
        self._stay()
        asked = {"tenant": self._tenant_id, "model": model, "limit": limit}
        return self._connection.execute(statement, asked).rowcount

    def nearest(self, model: str, vectors: Sequence[Sequence[float]], k: int) -> Found:
        if not vectors or k < 1:
            return [[] for _ in vectors]
        home = self.home()
        asked = {"model": model, "home": home, "k": k}
        if home == SHARED and len(vectors) > FEW:
            return self._among_everything(asked, to_matrix(vectors), k)
        asked |= {"vectors": Reals(vectors), "count": len(vectors), "more": k * OVERSAMPLING}
        if home != SHARED:
            wide = max(EF_SEARCH, k * OVERSAMPLING)
            self._connection.execute(select(func.set_config("hnsw.ef_search", str(min(wide, 1_000)), True)))
        found: list[list[tuple[bytes, float]]] = [[] for _ in vectors]
        for n, id, similarity in self._run(BY_SCAN if home == SHARED else BY_INDEX, asked):
            found[n - 1].append((id, similarity))
        return found

    def _among_everything(self, asked_for: Mapping[str, Any], asked: Matrix, k: int) -> Found:
        best: list[list[tuple[bytes, float]]] = [[] for _ in asked]
        with driver(self._connection).cursor("everything", binary=True) as cursor:
            cursor.execute(EVERYTHING, {"tenant": self._tenant_id, **asked_for})
            while block := cursor.fetchmany(BLOCK):
                found = nearest_rows([id for id, _ in block], from_sent([sent for _, sent in block]), asked, k)
                best = [
                    sorted(one + other, key=_nearest_first)[:k] if one else other
                    for one, other in zip(best, found, strict=True)
                ]
        return best

    def _stay(self) -> UUID:
        """The home, which stays that until this transaction ends: a move waits for it, or it for the move."""
        query = select(vector_homes.c.home).where(vector_homes.c.tenant_id == self._tenant_id)
        return self._connection.execute(query.with_for_update(read=True)).scalar() or SHARED

    def _indexed(self, model: str) -> bool:
        query = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
        return bool(self._connection.execute(query, {"name": index_name(self._tenant_id, model)}).scalar())

    def _run(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        """By the driver itself, which reads and writes vectors in binary."""
        with driver(self._connection).cursor(binary=True) as cursor:
            # Planned for the values at hand: for any value, all homes would have to be looked at.
            cursor.execute(statement, {"tenant": self._tenant_id, **parameters}, prepare=False)
            return cursor.fetchall() if cursor.description else []


def _nearest_first(found: tuple[bytes, float]) -> tuple[float, bytes]:
    id, similarity = found
    return -similarity, id
