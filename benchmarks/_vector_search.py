"""Searches among a tenant's vectors when many tenants share the same merchants, by Sortation and by other ways."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from adapters.embedded.postgres import DatabaseUrls
from adapters.postgres import engine
from adapters.postgres.example_vectors import BY_SCAN, EF_CONSTRUCTION, EF_SEARCH, M
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.vector_homes import PostgresVectorHomes
from adapters.postgres.vector_tables import SHARED
from adapters.postgres.vectors import Reals, adapt
from adapters.system import SystemIds
from benchmarks._vector_data import Matrix, vectors_like
from core.domain.tenants import worker_actor
from core.usecases.vectors import tend_vectors

K = 10
MODEL = "m1"
OTHERS_SIZE = 1_500
BATCH = 500
"""Vectors that one search asks for, about as many as a chunk of records brings."""
PATIENCE = 20.0
"""Seconds that a slow way may take for its sample."""

GLOBAL = """
    SELECT asked.n, near.id FROM (
        SELECT n, (%(vectors)s)[(n - 1) * 384 + 1 : n * 384]::vector(384) AS vector
        FROM generate_series(1, %(count)s) AS n OFFSET 0
    ) AS asked CROSS JOIN LATERAL (
        SELECT id FROM (
            SELECT id, embedding FROM everybody WHERE tenant_id = %(tenant)s
            ORDER BY embedding::halfvec(384) <=> asked.vector::halfvec(384) LIMIT 40
        ) AS about ORDER BY embedding <=> asked.vector LIMIT 10
    ) AS near ORDER BY asked.n
"""
Search = Callable[[Matrix], list[list[int]]]
"""For each row the numbers of the nearest vectors, as far as the way finds them."""


class World:
    """Tenants of these sizes, and smaller ones that hold `others` vectors in all; their rows came in a random order."""

    def __init__(self, urls: DatabaseUrls, embedded: Matrix, sizes: Sequence[int], others: int) -> None:
        chance = np.random.default_rng(20_260_101)
        self.urls, self.sizes = urls, sizes
        rest = others // OTHERS_SIZE
        owners = np.repeat(np.arange(len(sizes) + rest), [*sizes, *[OTHERS_SIZE] * rest])
        chance.shuffle(owners)
        self.owners = owners
        self.vectors = vectors_like(embedded, len(owners), chance)
        self.asked = vectors_like(embedded, BATCH, chance)

    def fill(self) -> None:
        names = [_tenant(tenant) for tenant in range(int(self.owners.max()) + 1)]
        with psycopg.connect(self.urls.superuser, autocommit=True) as superuser, superuser.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # references need not be checked
            for name in names:
                cursor.execute(
                    "INSERT INTO tenants VALUES (%(id)s, 'Benchmark', 'UTC', '{}', 1, now(), 1)", {"id": name}
                )
                cursor.execute(
                    "INSERT INTO categories VALUES (%(id)s, %(id)s, NULL, 'food', 'Food', '', now(), 1)", {"id": name}
                )
                cursor.execute("INSERT INTO vector_homes VALUES (%s, %s, now(), %s)", [name, SHARED, MODEL])
            columns = "tenant_id, id, text, text_digest, category_id, created_at"
            with cursor.copy(f"COPY examples ({columns}) FROM STDIN") as copy:
                for row, owner in enumerate(self.owners):
                    copy.write_row((names[owner], _id(row), f"text {row}", b"", names[owner], "2026-01-01Z"))
            columns = "tenant_id, example_id, model, home, embedding"
            sent = _sent(self.vectors)
            with cursor.copy(f"COPY example_vectors ({columns}) FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["uuid", "uuid", "text", "uuid", "bytea"])
                for row, owner in enumerate(self.owners):
                    copy.write_row((names[owner], _id(row), MODEL, SHARED, sent[row]))
            cursor.execute("VACUUM ANALYZE")

    def mine(self, tenant: int) -> Any:
        return np.flatnonzero(self.owners == tenant)

    def truth(self, tenant: int) -> list[set[int]]:
        rows = self.mine(tenant)
        found = rows[np.argpartition(-(self.asked @ self.vectors[rows].T), K, axis=1)[:, :K]]
        return [set(near.tolist()) for near in found]


def search_speed(world: World, repeat: int) -> dict[str, Any]:
    """How each way searches in each size of tenant, queries a second and recall; and what moved to homes of its own."""
    world.fill()
    homes = PostgresVectorHomes(world.urls.owner, grace_seconds=0)
    moved = tend_vectors(homes=homes)
    tend_vectors(homes=homes)
    for one in moved:
        _say(f"{one.vectors:,} vectors moved in {one.seconds:.1f} s, writes held up for {one.held_seconds:.3f} s")
    results = []
    app = engine.create(world.urls.app, pool_size=1)
    for way, searches in (("sortation", _ours(app)), ("sortation, one by one", _ours(app, at_once=1)), ("scan", _scan)):
        for tenant, size in enumerate(world.sizes):
            whole = way == "sortation"
            results.append(_measure(world, way, tenant, size, searches(world, tenant), repeat, whole=whole))
    for tenant, size in enumerate(world.sizes):
        results.append(_measure(world, "numpy, in memory", tenant, size, _numpy(world, tenant), repeat))
    app.dispose()
    seconds = _everybody(world)
    _say(f"one index over all {len(world.owners):,}: built in {seconds:.0f} s")
    for scan in ("off", "strict_order", "relaxed_order"):
        for tenant, size in enumerate(world.sizes):
            way = f"one index, iterative {scan}"
            results.append(_measure(world, way, tenant, size, _filtered(world, tenant, scan), repeat))
    return {
        "searches": results,
        "moves": [
            {"vectors": m.vectors, "seconds": round(m.seconds, 1), "held_seconds": round(m.held_seconds, 4)}
            for m in moved
        ],
    }


def _measure(
    world: World, way: str, tenant: int, size: int, search: Search, repeat: int, *, whole: bool = False
) -> dict[str, Any]:
    """With as many questions as patience allows; with the `whole` batch of them, whatever it takes."""
    asked = world.asked
    search(asked[:4])
    start = time.perf_counter()
    search(asked[:4])
    seconds = (time.perf_counter() - start) / 4
    count = len(asked) if whole else min(len(asked), max(4, int(PATIENCE / repeat / seconds)))
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        found = search(asked[:count])
        times.append(time.perf_counter() - start)
    right = world.truth(tenant)[:count]
    recall = sum(len(near & set(got)) for near, got in zip(right, found, strict=True)) / (K * count)
    speed = count / statistics.median(times)
    _say(f"{way:<34} {size:>8,} {speed:>10,.1f} queries/s   recall@10 {recall:.4f}")
    return {"way": way, "examples": size, "queries_per_second": round(speed, 1), "recall": round(recall, 4)}


def _ours(app: Any, at_once: int = BATCH) -> Callable[[World, int], Search]:
    uow = PostgresUnitOfWork(app, SystemIds())

    def make(_: World, tenant: int) -> Search:
        actor = worker_actor(_tenant(tenant))

        def search(asked: Matrix) -> list[list[int]]:
            found: list[list[int]] = []
            for start in range(0, len(asked), at_once):
                with uow.begin(actor) as tx:
                    near = tx.examples.nearest(MODEL, asked[start : start + at_once].tolist(), K)
                found += [[n.example_id.int for n in one] for one in near]
            return found

        return search

    return make


def _scan(world: World, tenant: int) -> Search:
    """Where the tenant's vectors live, but with no index to search them by."""
    connection = psycopg.connect(world.urls.app, autocommit=True)
    adapt(connection)
    connection.execute("SELECT set_config('app.tenant_id', %s, false)", [str(_tenant(tenant))])
    home = connection.execute("SELECT home FROM vector_homes").fetchone()
    assert home is not None
    asked_for = {"tenant": _tenant(tenant), "model": MODEL, "home": home[0], "k": K}
    return _query(connection, BY_SCAN, asked_for, lambda id: int.from_bytes(id, "big"))


def _numpy(world: World, tenant: int) -> Search:
    rows = world.mine(tenant)
    stored = world.vectors[rows]

    def search(asked: Matrix) -> list[list[int]]:
        near = np.argpartition(-(asked @ stored.T), K, axis=1)[:, :K]
        return [[int(n) for n in rows[one]] for one in near]

    return search


def _everybody(world: World) -> float:
    with psycopg.connect(world.urls.superuser, autocommit=True) as superuser, superuser.cursor() as cursor:
        cursor.execute("CREATE TABLE everybody (tenant_id uuid NOT NULL, id bigint NOT NULL, embedding vector(384))")
        sent = _sent(world.vectors)
        with cursor.copy("COPY everybody FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["uuid", "int8", "bytea"])
            for row, owner in enumerate(world.owners):
                copy.write_row((_tenant(owner), row, sent[row]))
        cursor.execute("SET maintenance_work_mem = '1GB'")
        start = time.perf_counter()
        cursor.execute(
            "CREATE INDEX ON everybody USING hnsw ((embedding::halfvec(384)) halfvec_cosine_ops)"
            f" WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
        )
        seconds = time.perf_counter() - start
        cursor.execute("VACUUM ANALYZE everybody")
    return seconds


def _filtered(world: World, tenant: int, iterative: str) -> Search:
    connection = psycopg.connect(world.urls.superuser, autocommit=True)
    adapt(connection)
    connection.execute("LOAD 'vector'")
    connection.execute(f"SET hnsw.ef_search = {EF_SEARCH}")
    connection.execute(f"SET hnsw.iterative_scan = {iterative}")
    connection.execute("SET enable_seqscan = off")
    return _query(connection, GLOBAL, {"tenant": _tenant(tenant)}, int)


def _query(
    connection: psycopg.Connection[Any], statement: Any, asked_for: dict[str, Any], number: Callable[[Any], int]
) -> Search:
    def search(asked: Matrix) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in asked]
        parameters = asked_for | {"vectors": Reals(list(asked)), "count": len(asked)}
        with connection.cursor(binary=True) as cursor:
            for n, id, *_ in cursor.execute(statement, parameters, prepare=False):
                found[n - 1].append(number(id))
        return found

    return search


def _tenant(number: int) -> UUID:
    return UUID(int=10**12 + int(number))


def _id(number: int) -> UUID:
    return UUID(int=int(number))


def _sent(vectors: Matrix) -> list[bytes]:
    """As the type's own binary form."""
    rows = np.zeros(len(vectors), dtype=[("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f4", vectors.shape[1])])
    rows["dimensions"], rows["vector"] = vectors.shape[1], vectors
    return [row.tobytes() for row in rows]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
