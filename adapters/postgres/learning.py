"""What is learned from, read in the order of arrival, and what was learned, kept as one value a tenant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, select, text, update

from adapters.postgres.copying import NULL, a_flag, a_number, an_array, an_id, copy_rows, some_bytes
from adapters.postgres.engine import driver, dumps
from adapters.postgres.learning_tables import arrivals, ensembles
from adapters.postgres.record_rows import RECORD_COLUMNS, to_record
from adapters.postgres.review_tables import examples
from adapters.postgres.vectors import from_sent
from core.domain.gate import Gate
from core.domain.learning import Arrival, Lesson
from core.errors import NotFound, Transient
from ports.learning_storage import StoredEnsemble

# A person was asked where an approval was answered, or the record came as approved: then the chance of that is known.
# What similarity was not asked about (a rule decided it, or sent it to a person) teaches, and calibrates nothing, even
# if an ensemble that learned it anew said something of it: the draw of who was asked was another.
_LESSONS = """
    SELECT {columns}, e.category_id AS taught,
           a.candidates, a.features, a.score, a.stacked, a.scope, a.predicted, a.arrived,
           CASE WHEN a.record_id IS NULL AND r.reasoning_trace ->> 'reason' = 'human: imported as approved' THEN 1.0
                WHEN a.record_id IS NULL THEN NULL
                WHEN r.reasoning_trace ->> 'reason' = 'human: imported as approved'
                     OR r.reasoning_trace -> 'stages' @> '[{{"stage": "similarity"}}]'
                        AND EXISTS (SELECT 1 FROM approvals p WHERE p.tenant_id = r.tenant_id AND p.record_id = r.id
                                    AND p.verdict IS NOT NULL AND p.withdrawn_at IS NULL)
                THEN 1 / nullif(r.selection_probability, 0) END AS weight,
           (SELECT vector_send(v.embedding) FROM embeddings v
            WHERE v.tenant_id = e.tenant_id AND v.text_digest = e.text_digest
              AND v.model = (SELECT serving FROM vector_homes WHERE tenant_id = :tenant)) AS vector
    FROM ({chosen}) AS e
    JOIN records r ON r.tenant_id = e.tenant_id AND r.id = e.record_id
    LEFT JOIN arrivals a ON a.tenant_id = r.tenant_id AND a.record_id = r.id
    ORDER BY r.id
"""
# All that people decided, whatever was asked about it before.
_HISTORY = """
    SELECT {columns}, e.category_id AS taught, CAST(NULL AS real) AS score,
           CASE WHEN r.reasoning_trace ->> 'reason' = 'human: imported as approved'
                     OR EXISTS (SELECT 1 FROM approvals p WHERE p.tenant_id = r.tenant_id AND p.record_id = r.id
                                AND p.verdict IS NOT NULL AND p.withdrawn_at IS NULL)
                THEN 1 / nullif(r.selection_probability, 0) END AS weight,
           (SELECT vector_send(v.embedding) FROM embeddings v
            WHERE v.tenant_id = e.tenant_id AND v.text_digest = e.text_digest
              AND v.model = (SELECT serving FROM vector_homes WHERE tenant_id = :tenant)) AS vector
    FROM (
        SELECT * FROM examples WHERE tenant_id = :tenant AND record_id IS NOT NULL
        ORDER BY record_id DESC LIMIT :count
    ) AS e
    JOIN records r ON r.tenant_id = e.tenant_id AND r.id = e.record_id
    ORDER BY r.id
"""
_COLUMNS = ", ".join(
    {"raw": "'{}'::jsonb AS raw", "reasoning_trace": "NULL::jsonb AS reasoning_trace"}.get(c.name, f"r.{c.name}")
    for c in RECORD_COLUMNS
)
_FRESH = text(
    _LESSONS.format(
        columns=_COLUMNS,
        chosen="SELECT * FROM examples WHERE tenant_id = :tenant AND NOT learned AND record_id IS NOT NULL "
        "ORDER BY record_id LIMIT :limit",
    )
)
_LATEST = "SELECT * FROM examples WHERE tenant_id = :tenant AND learned ORDER BY record_id DESC LIMIT :of"
_EARLIER = text(_LESSONS.format(columns=_COLUMNS, chosen=_LATEST))
# By a hash: a job that is repeated draws the same.
_SAMPLED = f"""
    SELECT * FROM ({_LATEST}) AS latest ORDER BY uuid_hash_extended(record_id, :seed), record_id LIMIT :count
"""  # noqa: S608 - constants
_DRAWN = text(_LESSONS.format(columns=_COLUMNS, chosen=_SAMPLED))
_LATEST_ALL = text(_HISTORY.format(columns=_COLUMNS))
_STAGED = """
    CREATE TEMPORARY TABLE IF NOT EXISTS staged_arrivals (
        record_id uuid, candidates uuid[], features bytea, score real, stacked boolean, scope real, predicted uuid,
        arrived bigint
    ) ON COMMIT DELETE ROWS
"""
_ARRIVE = text("""
    INSERT INTO arrivals
    SELECT :tenant, s.record_id, s.candidates, s.features, s.score, s.stacked, s.scope, s.predicted, s.arrived, :version
    FROM staged_arrivals s JOIN records r ON r.tenant_id = :tenant AND r.id = s.record_id
    ORDER BY s.record_id
    FOR KEY SHARE OF r
    ON CONFLICT (tenant_id, record_id) DO UPDATE SET
        candidates = excluded.candidates, features = excluded.features, score = excluded.score,
        stacked = excluded.stacked, scope = excluded.scope, predicted = excluded.predicted,
        arrived = excluded.arrived, version = excluded.version
""")
_MARK = text("""
    UPDATE examples e SET learned = true
    FROM unnest(CAST(:records AS uuid[]), CAST(:categories AS uuid[])) AS had (record_id, category_id)
    WHERE e.tenant_id = :tenant AND e.record_id = had.record_id AND e.category_id = had.category_id
""")
_PRUNE = text("""
    DELETE FROM arrivals a WHERE tenant_id = :tenant
      AND record_id <= (SELECT record_id FROM arrivals WHERE tenant_id = :tenant
                        ORDER BY record_id DESC OFFSET :keep LIMIT 1)
      AND NOT EXISTS (SELECT 1 FROM approvals p WHERE p.tenant_id = a.tenant_id AND p.record_id = a.record_id)
      AND NOT EXISTS (SELECT 1 FROM examples e WHERE e.tenant_id = a.tenant_id AND e.record_id = a.record_id)
""")
_PRUNE_FEATURES = text("""
    UPDATE arrivals a SET features = '' WHERE tenant_id = :tenant AND features <> ''
      AND record_id IN (SELECT record_id FROM examples WHERE tenant_id = :tenant AND learned
                        ORDER BY record_id DESC OFFSET :window)
""")
# Ids that are there come last: nothing else is known by one.
_CATEGORIES_NOW = text("""
    SELECT alias, category_id FROM category_aliases WHERE tenant_id = :tenant
    UNION ALL
    SELECT CAST(id AS text), id FROM categories WHERE tenant_id = :tenant
""")


class PostgresEnsembles:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def stored(self) -> StoredEnsemble | None:
        names = ("version", "learner", "taught", "arrived", "gate")
        query = select(*(ensembles.c[name] for name in names)).where(ensembles.c.tenant_id == self._tenant_id)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else StoredEnsemble(**{**row, "gate": _gate(row["gate"])})

    def arrays(self) -> tuple[bytes, Mapping[UUID, UUID]]:
        query = select(ensembles.c.arrays).where(ensembles.c.tenant_id == self._tenant_id)
        row = self._connection.execute(query).first()
        if row is None:
            raise NotFound("nothing was learned yet")
        now = self._connection.execute(_CATEGORIES_NOW, {"tenant": self._tenant_id})
        return bytes(row.arrays), {id: into for known_as, into in now if (id := _uuid(known_as)) is not None}

    def put(self, ensemble: StoredEnsemble, arrays: bytes) -> None:
        stored = self._connection.execute(
            text("""
                INSERT INTO ensembles (tenant_id, version, learner, taught, arrived, gate, arrays, created_at)
                VALUES (:tenant, :version, :learner, :taught, :arrived, :gate, :arrays, now())
                ON CONFLICT (tenant_id) DO UPDATE SET
                    version = excluded.version, learner = excluded.learner, taught = excluded.taught,
                    arrived = excluded.arrived, gate = excluded.gate, arrays = excluded.arrays, created_at = now()
                WHERE ensembles.version = excluded.version - 1
            """),
            {
                "tenant": self._tenant_id,
                "version": ensemble.version,
                "learner": ensemble.learner,
                "taught": ensemble.taught,
                "arrived": ensemble.arrived,
                "gate": dumps(_written(ensemble.gate)),
                "arrays": arrays,
            },
        )
        if stored.rowcount != 1:
            raise Transient("another worker learned meanwhile")


class PostgresLessons:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def fresh(self, limit: int) -> Sequence[Lesson]:
        return self._read(_FRESH, limit=limit)

    def earlier(self, count: int, of: int, seed: int = 0) -> Sequence[Lesson]:
        if count >= of:
            return self._read(_EARLIER, of=of)
        return self._read(_DRAWN, count=count, of=of, seed=seed)

    def latest(self, count: int) -> Sequence[Lesson]:
        return self._read(_LATEST_ALL, count=count)

    def _read(self, query: Any, **limits: int) -> Sequence[Lesson]:
        rows = self._connection.execute(query, {"tenant": self._tenant_id, **limits}).mappings().all()
        vectors = iter(from_sent([row["vector"] for row in rows if row["vector"] is not None]))
        return [_lesson(row, next(vectors) if row["vector"] is not None else None) for row in rows]

    def had(self) -> int:
        query = select(func.count()).where(examples.c.tenant_id == self._tenant_id, examples.c.learned)
        return int(self._connection.execute(query).scalar_one())

    def mark(self, learned: Mapping[UUID, UUID]) -> None:
        self._connection.execute(
            _MARK, {"tenant": self._tenant_id, "records": list(learned), "categories": list(learned.values())}
        )

    def unmark(self) -> None:
        self._connection.execute(
            update(examples).where(examples.c.tenant_id == self._tenant_id, examples.c.learned).values(learned=False)
        )

    def arrive(self, new: Mapping[UUID, Arrival], version: int) -> None:
        if not new:
            return
        self._stage((id.hex, *arrival_row(arrival)) for id, arrival in new.items())
        self._connection.execute(_ARRIVE, {"tenant": self._tenant_id, "version": version})
        self._connection.execute(text("TRUNCATE staged_arrivals"))

    def _stage(self, rows: Iterable[Sequence[str]]) -> None:
        driver(self._connection).execute(_STAGED)
        copy_rows(self._connection, "staged_arrivals", rows)

    def arrived(self, version: int) -> int:
        query = select(func.count()).where(arrivals.c.tenant_id == self._tenant_id, arrivals.c.version == version)
        return int(self._connection.execute(query).scalar_one())

    def latest_scores(self, limit: int) -> Sequence[float]:
        query = (
            select(arrivals.c.score)
            .where(arrivals.c.tenant_id == self._tenant_id, arrivals.c.stacked)
            .order_by(arrivals.c.record_id.desc())
            .limit(limit)
        )
        return self._connection.execute(query).scalars().all()

    def prune(self, keep: int, window: int) -> None:
        self._connection.execute(_PRUNE, {"tenant": self._tenant_id, "keep": keep})
        self._connection.execute(_PRUNE_FEATURES, {"tenant": self._tenant_id, "window": window})


def _lesson(row: RowMapping, vector: Sequence[float] | None) -> Lesson:
    arrival = None
    if row["score"] is not None:
        arrival = Arrival(
            candidates=tuple(row["candidates"]),
            features=bytes(row["features"]),
            score=row["score"],
            stacked=row["stacked"],
            scope=row["scope"],
            predicted=row["predicted"],
            arrived=row["arrived"],
        )
    return Lesson(
        record=to_record(row),
        category_id=row["taught"],
        weight=None if row["weight"] is None else float(row["weight"]),
        vector=vector,
        arrival=arrival,
    )


NO_ARRIVAL = (NULL,) * 7


def arrival_row(a: Arrival) -> tuple[str, ...]:
    """Values of `candidates` to `arrived`, as they are staged."""
    return (
        an_array(a.candidates),
        some_bytes(a.features),
        a_number(a.score),
        a_flag(a.stacked),
        a_number(a.scope),
        an_id(a.predicted),
        a_number(a.arrived),
    )


def _written(gate: Gate) -> dict[str, Any]:
    """JSON knows no infinity."""
    return {**asdict(gate), "scope": {-math.inf: None, math.inf: "inf"}.get(gate.scope, gate.scope)}


def _gate(stored: Mapping[str, Any]) -> Gate:
    return Gate(**{**stored, "scope": -math.inf if stored["scope"] is None else float(stored["scope"])})


def _uuid(alias: str) -> UUID | None:
    try:
        return UUID(alias)
    except ValueError:
        return None
