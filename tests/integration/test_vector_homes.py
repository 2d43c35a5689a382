"""Vectors move to a home of their own and back, while they are searched and written, and whatever is cut off."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from adapters.embedded import OWNER_ROLE
from adapters.embedded.postgres import DatabaseUrls
from adapters.postgres import example_vectors
from adapters.postgres.engine import driver
from adapters.postgres.example_vectors import BY_INDEX, BY_SCAN, EVERYTHING, home_name, index_name
from adapters.postgres.unit_of_work import set_tenant
from adapters.postgres.vector_homes import PostgresVectorHomes
from adapters.postgres.vector_tables import SHARED
from adapters.postgres.vectors import Reals
from core.domain.tenants import Actor
from core.domain.vector_homes import Moved
from core.errors import Transient
from core.usecases.vectors import tend_vectors
from tests.conftest import Engines
from tests.contract.storage import Storage, an_example

MANY = 2_500
LIMITS = {"own_above": 2_000, "shared_below": 1_000}
"""Enough that the planner finds an index worth its while."""

Vectors = dict[UUID, list[float]]


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """A tenant with examples: their vectors, and some others that lie among them."""

    actor: Actor
    category: UUID
    vectors: Vectors
    asked: Sequence[Sequence[float]]


@pytest.fixture
def homes(database: DatabaseUrls) -> PostgresVectorHomes:
    """Leaves nothing for later."""
    return PostgresVectorHomes(database.owner, grace_seconds=0)


@pytest.fixture
def crowd(storage: Storage) -> Crowd:
    return a_crowd(storage, MANY)


@pytest.fixture
def as_app(database: DatabaseUrls) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.app) as connection:
        yield connection


def some_vectors(count: int, seed: int) -> list[list[float]]:
    """Around fifty places, as the texts of fifty merchants lie."""
    places = np.random.default_rng(0).standard_normal((50, 384))
    chance = np.random.default_rng(seed)
    made: list[list[float]] = (
        places[chance.integers(50, size=count)] + chance.standard_normal((count, 384)) / 2
    ).tolist()
    return made


def a_crowd(storage: Storage, count: int, seed: int = 1) -> Crowd:
    actor = storage.tenant()
    category = storage.category(actor)
    crowd = Crowd(actor=actor, category=category, vectors={}, asked=some_vectors(20, seed + 100))
    add(storage, crowd, some_vectors(count, seed))
    return crowd


def add(storage: Storage, crowd: Crowd, vectors: Sequence[Sequence[float]]) -> list[UUID]:
    examples = [an_example(id, crowd.actor, crowd.category) for id in storage.ids.batch(len(vectors))]
    given = {e: list(v) for e, v in zip(examples, vectors, strict=True)}
    with storage.writing(crowd.actor) as tx:
        tx.examples.put(examples)
    with storage.writing(crowd.actor) as tx:
        tx.examples.set_embeddings("m1", given)
    crowd.vectors.update({e.id: vector for e, vector in given.items()})
    return [e.id for e in examples]


def found(storage: Storage, crowd: Crowd, k: int = 10) -> list[list[UUID]]:
    with storage.reading(crowd.actor) as tx:
        return [[n.example_id for n in near] for near in tx.examples.nearest("m1", crowd.asked, k)]


def truth(crowd: Crowd, k: int = 10) -> list[list[UUID]]:
    ids = list(crowd.vectors)
    stored, asked = np.array([crowd.vectors[id] for id in ids]), np.array(crowd.asked)
    cosines = asked @ stored.T / np.linalg.norm(stored, axis=1)
    return [[ids[i] for i in np.argsort(-row)[:k]] for row in cosines]


def recall(got: list[list[UUID]], right: list[list[UUID]]) -> float:
    return sum(len({*one} & {*other}) for one, other in zip(got, right, strict=True)) / sum(map(len, right))


def rows(superuser: psycopg.Connection[Any], table: str, actor: Actor) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE tenant_id = %s").format(sql.Identifier(table))
    return superuser.execute(query, [actor.tenant_id]).fetchone()[0]  # type: ignore[index]


def stands(superuser: psycopg.Connection[Any], name: str) -> bool:
    return superuser.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone() == (True,)


def test_many_vectors_get_a_home_of_their_own_and_few_go_back(
    storage: Storage, homes: PostgresVectorHomes, crowd: Crowd, superuser: psycopg.Connection[Any]
) -> None:
    small = a_crowd(storage, 30, seed=2)
    own = home_name(crowd.actor.tenant_id)
    assert found(storage, crowd) == truth(crowd)

    (moved,) = tend_vectors(homes=homes, **LIMITS)
    assert (moved.tenant_id, moved.own, moved.vectors) == (crowd.actor.tenant_id, True, MANY)
    assert moved.held_seconds < moved.seconds
    assert (rows(superuser, own, crowd.actor), rows(superuser, "example_vectors_shared", crowd.actor)) == (MANY, 0)
    assert rows(superuser, "example_vectors_shared", small.actor) == 30
    assert recall(found(storage, crowd), truth(crowd)) >= 0.99
    assert found(storage, small) == truth(small)
    assert tend_vectors(homes=homes, **LIMITS) == []

    with storage.writing(crowd.actor) as tx:  # it goes on living there
        text = an_example(storage.ids.new(), crowd.actor, crowd.category, text="new")
        tx.examples.put([text])
        tx.examples.set_embeddings("m1", {text: list(crowd.asked[0])})
    assert found(storage, crowd)[0][0] == text.id
    superuser.execute("DELETE FROM examples WHERE tenant_id = %s AND text = 'new'", [crowd.actor.tenant_id])
    assert rows(superuser, own, crowd.actor) == MANY

    keep = list(crowd.vectors)[: LIMITS["shared_below"] - 1]
    superuser.execute("DELETE FROM examples WHERE tenant_id = %s AND id <> ALL(%s)", [crowd.actor.tenant_id, keep])
    for id in set(crowd.vectors) - set(keep):
        del crowd.vectors[id]
    assert [m.own for m in tend_vectors(homes=homes, **LIMITS)] == [False]
    assert not stands(superuser, own)
    assert rows(superuser, "example_vectors_shared", crowd.actor) == len(keep)
    assert found(storage, crowd) == truth(crowd)


def test_many_that_were_never_moved_are_compared_block_by_block(
    storage: Storage, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_vectors, "BLOCK", 999)
    assert found(storage, crowd) == truth(crowd)


@pytest.mark.slow
def test_nobody_is_lost_or_refused_while_vectors_move(
    storage: Storage, homes: PostgresVectorHomes, crowd: Crowd, superuser: psycopg.Connection[Any]
) -> None:
    done = threading.Event()
    chance = random.Random(5)
    lasting = truth(crowd)
    deletable = [id for id in crowd.vectors if not any(id in near for near in lasting)]
    opposite = -np.array(crowd.asked[0])
    around = np.random.default_rng(6)
    counts = {"searched": 0, "written": 0, "deleted": 0}

    def search() -> None:
        while not done.is_set():
            assert recall(found(storage, crowd), lasting) >= 0.99
            counts["searched"] += 1

    def write() -> None:
        while not done.is_set():
            # Far away, so that what is nearest to the asked stays that.
            add(storage, crowd, (opposite + around.standard_normal((5, 384)) / 2).tolist())
            counts["written"] += 5
            done.wait(0.02)

    def delete() -> None:
        with psycopg.connect(superuser.info.dsn, autocommit=True, host=superuser.info.host) as connection:
            while not done.is_set() and len(deletable) > 1:
                gone = deletable.pop(chance.randrange(len(deletable)))
                connection.execute(
                    "DELETE FROM examples WHERE tenant_id = %s AND id = %s", [crowd.actor.tenant_id, gone]
                )
                del crowd.vectors[gone]
                counts["deleted"] += 1
                done.wait(0.02)

    def where() -> int:
        return rows(superuser, "example_vectors", crowd.actor)

    with ThreadPoolExecutor(3) as pool:
        busy = [pool.submit(work) for work in (search, write, delete)]
        try:
            for own in (True, False, True):
                before = dict(counts)
                limits = LIMITS if own else {"own_above": 10**9, "shared_below": 10**9}
                assert [m.own for m in tend_vectors(homes=homes, **limits)] == [own]
                while any(counts[name] <= before[name] for name in counts) and not any(b.done() for b in busy):
                    done.wait(0.01)
        finally:
            done.set()
        for work in busy:
            work.result()
    homes.clean()
    assert where() == len(crowd.vectors) == MANY + counts["written"] - counts["deleted"]
    with storage.reading(crowd.actor) as tx:
        assert list(tx.examples.without_embedding("m1", 9)) == []
    assert recall(found(storage, crowd), truth(crowd)) >= 0.99


@pytest.mark.slow
def test_among_very_many_alike_the_others_are_found(storage: Storage, homes: PostgresVectorHomes, crowd: Crowd) -> None:
    tend_vectors(homes=homes, **LIMITS)
    far = -np.array(crowd.asked[0]) + np.random.default_rng(7).standard_normal((2_000, 384)) / 2
    add(storage, crowd, far.tolist())
    asked = Crowd(actor=crowd.actor, category=crowd.category, vectors=crowd.vectors, asked=some_vectors(200, 8))
    assert recall(found(storage, asked), truth(asked)) >= 0.99


@pytest.mark.slow
def test_an_index_that_was_built_in_another_way_is_built_anew(
    storage: Storage,
    homes: PostgresVectorHomes,
    crowd: Crowd,
    superuser: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(example_vectors, "EF_CONSTRUCTION", 64)
        former = index_name(crowd.actor.tenant_id, "m1")
        tend_vectors(homes=homes, **LIMITS)
    assert stands(superuser, former)
    assert not stands(superuser, index_name(crowd.actor.tenant_id, "m1"))

    assert tend_vectors(homes=homes, **LIMITS) == []
    assert not stands(superuser, former)
    assert stands(superuser, index_name(crowd.actor.tenant_id, "m1"))
    assert recall(found(storage, crowd), truth(crowd)) >= 0.99


@pytest.mark.slow
def test_what_was_cut_off_while_it_built_an_index_is_carried_on(
    storage: Storage,
    homes: PostgresVectorHomes,
    crowd: Crowd,
    superuser: psycopg.Connection[Any],
    database: DatabaseUrls,
    meanwhile: ThreadPoolExecutor,
) -> None:
    index = index_name(crowd.actor.tenant_id, "m1")
    with psycopg.connect(database.app) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM examples")  # an index that is being built waits for who reads an older state
        moving = meanwhile.submit(partial(tend_vectors, homes=homes, **LIMITS))
        building = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event_type = 'Lock'"
        while (waits := superuser.execute(building).fetchone()) is None:
            assert not moving.done()
        superuser.execute("SELECT pg_terminate_backend(%s)", waits)
        with pytest.raises(Transient):
            moving.result()
    invalid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
    assert superuser.execute(invalid, [index]).fetchone() == (False,)
    assert found(storage, crowd) == truth(crowd)  # nothing has moved

    assert [m.own for m in tend_vectors(homes=homes, **LIMITS)] == [True]
    assert superuser.execute(invalid, [index]).fetchone() == (True,)
    assert recall(found(storage, crowd), truth(crowd)) >= 0.99


@pytest.mark.slow
def test_what_a_move_that_never_ended_left_goes(
    storage: Storage, homes: PostgresVectorHomes, crowd: Crowd, superuser: psycopg.Connection[Any]
) -> None:
    def cut_off(*_: object) -> Moved:
        raise KeyboardInterrupt

    homes._switch = cut_off  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        tend_vectors(homes=homes, **LIMITS)
    del homes._switch  # type: ignore[attr-defined]
    assert rows(superuser, "example_vectors", crowd.actor) == 2 * MANY
    assert found(storage, crowd) == truth(crowd)

    assert tend_vectors(homes=homes, own_above=MANY, shared_below=1_000) == []  # it is not to be moved any more
    assert rows(superuser, "example_vectors", crowd.actor) == MANY
    assert not stands(superuser, home_name(crowd.actor.tenant_id))
    assert found(storage, crowd) == truth(crowd)


@pytest.mark.slow
def test_what_is_left_behind_stays_for_who_may_be_reading_it(
    database: DatabaseUrls, storage: Storage, crowd: Crowd, superuser: psycopg.Connection[Any]
) -> None:
    patient = PostgresVectorHomes(database.owner, grace_seconds=3_600)
    tend_vectors(homes=patient, **LIMITS)
    assert rows(superuser, "example_vectors_shared", crowd.actor) == MANY
    superuser.execute("UPDATE vector_homes SET moved_at = now() - interval '2 hours'")
    tend_vectors(homes=patient, **LIMITS)
    assert rows(superuser, "example_vectors_shared", crowd.actor) == 0
    assert recall(found(storage, crowd), truth(crowd)) >= 0.99


@pytest.mark.slow
def test_one_moves_at_a_time(database: DatabaseUrls, homes: PostgresVectorHomes, crowd: Crowd) -> None:
    with PostgresVectorHomes(database.owner).alone() as alone:
        assert alone
        assert tend_vectors(homes=homes, **LIMITS) == []
    assert len(tend_vectors(homes=homes, **LIMITS)) == 1


def test_a_home_of_its_own_shows_other_tenants_nothing(
    storage: Storage,
    homes: PostgresVectorHomes,
    crowd: Crowd,
    superuser: psycopg.Connection[Any],
    as_app: psycopg.Connection[Any],
) -> None:
    other = a_crowd(storage, 5, seed=3)
    tend_vectors(homes=homes, **LIMITS)
    own = home_name(crowd.actor.tenant_id)
    state = "SELECT relrowsecurity, relforcerowsecurity, pg_get_userbyid(relowner) FROM pg_class WHERE relname = %s"
    assert superuser.execute(state, [own]).fetchone() == (True, True, OWNER_ROLE)
    for table, seen in ((own, 0), ("example_vectors", 5), ("example_vectors_shared", 5)):
        count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        assert as_app.execute(count).fetchone() == (0,)
        as_app.execute("SELECT set_config('app.tenant_id', %s, true)", [str(other.actor.tenant_id)])
        assert as_app.execute(count).fetchone() == (seen,)
        as_app.rollback()
    as_app.execute("SELECT set_config('app.tenant_id', %s, true)", [str(other.actor.tenant_id)])
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        as_app.execute(
            sql.SQL("INSERT INTO {} VALUES (%s, %s, 'm1', %s, %s::vector)").format(sql.Identifier(own)),
            [crowd.actor.tenant_id, UUID(int=1), crowd.actor.tenant_id, str(crowd.asked[0])],
        )


def test_the_app_searches_many_by_their_index_and_few_by_their_own_pages(
    storage: Storage, homes: PostgresVectorHomes, crowd: Crowd, superuser: psycopg.Connection[Any], engines: Engines
) -> None:
    small = a_crowd(storage, 40, seed=4)
    tend_vectors(homes=homes, **LIMITS)
    superuser.execute("VACUUM ANALYZE")
    of_many = plan(engines, BY_INDEX, crowd, crowd.actor.tenant_id)
    assert f"Index Scan using {index_name(crowd.actor.tenant_id, 'm1')}" in of_many
    assert "example_vectors_shared" not in of_many
    assert "Seq Scan" not in of_many
    for statement in (BY_SCAN, EVERYTHING):
        of_few = plan(engines, statement, small, SHARED)
        assert home_name(crowd.actor.tenant_id) not in of_few
        assert "Seq Scan" not in of_few
        assert "Rows Removed" not in of_few  # what it reads is its own


def plan(engines: Engines, statement: LiteralString, crowd: Crowd, home: UUID) -> str:
    """How PostgreSQL carries the statement out for the app's role."""
    with engines.app.connect() as connection:
        set_tenant(connection, crowd.actor)
        asked = {"tenant": crowd.actor.tenant_id, "model": "m1", "home": home, "k": 10, "more": 40, "count": 20}
        with driver(connection).cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE) " + statement, asked | {"vectors": Reals(crowd.asked)})
            return "\n".join(line for (line,) in cursor)
