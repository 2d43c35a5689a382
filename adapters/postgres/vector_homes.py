"""Moves vectors between homes, as the owner: the app's role makes no tables.

A home of a tenant's own is a partition of `example_vectors`, with an HNSW index for each model. It is attached while it
is empty, filled beside the other in small transactions, and indexed concurrently. Then one short transaction copies
what came last, and says in `vector_homes` which home counts. Who writes vectors shares a lock on that row, and so waits
for this; who searches takes none. What is left in the other home goes after a while, as somebody may be reading there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy.engine import make_url

from adapters.postgres.example_vectors import EF_CONSTRUCTION, M, home_name, index_name
from adapters.postgres.migrate import APP_ROLE
from adapters.postgres.unit_of_work import passing_faults
from adapters.postgres.vector_tables import DIMENSIONS, SHARED
from core.domain.vector_homes import Moved, VectorHome
from core.errors import Transient

GRACE_SECONDS = 600.0
"""After a move, how long what was left stays: longer than anybody searches."""
BATCH = 5_000
_BUILD_MEMORY = "1GB"
"""At most, for the graph while it is built: about 1.1 KB a vector."""
_LOCK = 0x5074_1073
"""Key of the advisory lock that lets one process move at a time: arbitrary, only distinct."""
_LOCK_TIMEOUT = "100ms"
"""Who waits for a lock holds up all that come after, so no longer than this; then they have their turn."""
_TRIES, _PAUSE = 60, 0.25

_LIST = """
    SELECT h.tenant_id, h.home = h.tenant_id AS own, coalesce(max(v.vectors), 0) AS vectors
    FROM vector_homes h LEFT JOIN (
        SELECT tenant_id, home, model, count(*) AS vectors FROM example_vectors GROUP BY tenant_id, home, model
    ) AS v ON v.tenant_id = h.tenant_id AND v.home = h.home
    GROUP BY h.tenant_id ORDER BY h.tenant_id
"""
_COUNT = "SELECT count(*) FROM example_vectors WHERE tenant_id = %s AND home = %s"
# What is missing is found by the keys alone, since a switch holds up others while it looks. An example that is being
# deleted is waited for, and then passed over.
_COPY = """
    WITH batch AS (
        SELECT example_id, model FROM example_vectors AS here
        WHERE tenant_id = %(tenant)s AND home = %(at)s AND NOT EXISTS (
            SELECT FROM example_vectors AS there
            WHERE there.tenant_id = %(tenant)s AND there.home = %(to)s
              AND there.example_id = here.example_id AND there.model = here.model
        )
        ORDER BY example_id LIMIT %(limit)s
    ), still AS (
        SELECT id FROM examples WHERE tenant_id = %(tenant)s AND id IN (SELECT example_id FROM batch)
        ORDER BY id FOR KEY SHARE
    ), copied AS (
        INSERT INTO example_vectors (tenant_id, example_id, model, home, embedding)
        SELECT %(tenant)s, example_id, model, %(to)s, here.embedding
        FROM batch JOIN still ON still.id = example_id JOIN example_vectors AS here USING (example_id, model)
        WHERE here.tenant_id = %(tenant)s AND here.home = %(at)s
    )
    SELECT count(*) FROM batch
"""
_LEFT = """
    DELETE FROM example_vectors WHERE tenant_id = %(tenant)s AND home = %(at)s AND example_id IN (
        SELECT example_id FROM example_vectors WHERE tenant_id = %(tenant)s AND home = %(at)s LIMIT %(limit)s)
"""
_SETTLED = """
    SELECT tenant_id FROM vector_homes WHERE home = tenant_id AND moved_at < now() - make_interval(secs => %(grace)s)
"""
# Of models whose vectors are gone, or built in a way of the past.
_FORMER = """
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
    WHERE i.indrelid = to_regclass(%(home)s) AND a.amname = 'hnsw' AND c.relname <> ALL(%(names)s)
"""
_EMPTY = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'example_vectors'::regclass AND c.relname <> 'example_vectors_shared' AND NOT EXISTS (
        SELECT FROM vector_homes h
        WHERE 'example_vectors_' || replace(h.tenant_id::text, '-', '') = c.relname
          AND (h.home = h.tenant_id OR h.moved_at >= now() - make_interval(secs => %(grace)s))
    )
"""

T = TypeVar("T")


class PostgresVectorHomes:
    """`VectorHomes` over the owner's DSN."""

    def __init__(self, owner_url: str, *, grace_seconds: float = GRACE_SECONDS) -> None:
        self._url = make_url(owner_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._grace = grace_seconds
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def alone(self) -> Iterator[bool]:
        with self._connected() as connection:
            got = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
            yield got is not None and bool(got[0])
            connection.execute("SELECT pg_advisory_unlock_all()")

    def list(self) -> Sequence[VectorHome]:
        with self._connected() as connection:
            return [
                VectorHome(tenant_id=tenant_id, own=own, vectors=vectors)
                for tenant_id, own, vectors in connection.execute(_LIST)
            ]

    def move(self, tenant_id: UUID, *, own: bool) -> Moved:
        at, to = (SHARED, tenant_id) if own else (tenant_id, SHARED)
        start = time.perf_counter()
        with self._connected() as connection:
            if own:
                self._build(connection, tenant_id)
            self._copy(connection, tenant_id, at, to)
            if own:
                connection.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(home_name(tenant_id))))
                self._index(connection, tenant_id, at, least=1)
                self._copy(connection, tenant_id, at, to)
            held = _when_free(lambda: self._switch(connection, tenant_id, at, to))
            (vectors,) = next(connection.execute(_COUNT, [tenant_id, to]))
        return Moved(
            tenant_id=tenant_id, own=own, vectors=vectors, seconds=time.perf_counter() - start, held_seconds=held
        )

    def index(self, tenant_id: UUID, *, least: int) -> int:
        with self._connected() as connection:
            return self._index(connection, tenant_id, tenant_id, least=least)

    def clean(self) -> int:
        with self._connected() as connection:
            settled = connection.execute(_SETTLED, {"grace": self._grace}).fetchall()
            left = 0
            for (tenant_id,) in settled:
                where = {"tenant": tenant_id, "at": SHARED, "limit": BATCH}
                gone = connection.execute(_LEFT, where, prepare=False).rowcount
                left += gone > 0
                while gone == BATCH:
                    gone = connection.execute(_LEFT, where, prepare=False).rowcount
            return left + self._raze(connection)

    def _build(self, connection: psycopg.Connection[Any], tenant_id: UUID) -> None:
        """The table of a home of its own, empty, unless it stands already."""
        if connection.execute("SELECT to_regclass(%s)", [home_name(tenant_id)]).fetchone() != (None,):
            return
        names = {
            "home": sql.Identifier(home_name(tenant_id)),
            "tenant": sql.Literal(str(tenant_id)),
            "app": sql.Identifier(APP_ROLE),
        }
        steps: tuple[LiteralString, ...] = (
            "CREATE TABLE {home} (LIKE example_vectors)",
            "ALTER TABLE {home} ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE {home} FORCE ROW LEVEL SECURITY",
            "CREATE POLICY tenant ON {home} TO {app}"
            " USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)",
            "CREATE POLICY owned ON {home} TO CURRENT_USER USING (true)",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON {home} TO {app}",
            # Last, since from here on all that write examples wait.
            "ALTER TABLE example_vectors ATTACH PARTITION {home} FOR VALUES IN ({tenant})",
        )

        def build() -> None:
            with _briefly(connection):
                for step in steps:
                    connection.execute(sql.SQL(step).format(**names))

        _when_free(build)

    def _copy(self, connection: psycopg.Connection[Any], tenant_id: UUID, at: UUID, to: UUID) -> None:
        """Copies what is missing there, batch by batch."""

        def copy() -> bool:
            with _briefly(connection):
                _hold(connection, tenant_id)
                return _copy_batch(connection, tenant_id, at, to)

        while _when_free(copy):
            pass

    def _switch(self, connection: psycopg.Connection[Any], tenant_id: UUID, at: UUID, to: UUID) -> float:
        """Returns for how many seconds it held up who writes the tenant's vectors."""
        with _briefly(connection):
            _hold(connection, tenant_id)
            start = time.perf_counter()
            while _copy_batch(connection, tenant_id, at, to):
                pass
            connection.execute(
                "UPDATE vector_homes SET home = %s, moved_at = now() WHERE tenant_id = %s", [to, tenant_id]
            )
        return time.perf_counter() - start

    def _index(self, connection: psycopg.Connection[Any], tenant_id: UUID, of: UUID, *, least: int) -> int:
        """Makes an index in the tenant's own home for each model that the home `of` has so many vectors of, and drops
        those that nobody searches."""
        counts = connection.execute(
            "SELECT model, count(*) FROM example_vectors WHERE tenant_id = %s AND home = %s GROUP BY model",
            [tenant_id, of],
        ).fetchall()
        made = 0
        for model in (model for model, count in counts if count >= least):
            name = index_name(tenant_id, model)
            valid = connection.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name]
            ).fetchone()
            if valid == (True,):
                continue
            if valid is not None:  # it was cut off while it was built
                _drop_index(connection, name)
            connection.execute(
                sql.SQL(
                    "CREATE INDEX CONCURRENTLY {name} ON {home}"
                    " USING hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops)"
                    " WITH (m = {m}, ef_construction = {width}) WHERE model = {model}"
                ).format(
                    name=sql.Identifier(name),
                    home=sql.Identifier(home_name(tenant_id)),
                    dimensions=sql.Literal(DIMENSIONS),
                    m=sql.Literal(M),
                    width=sql.Literal(EF_CONSTRUCTION),
                    model=sql.Literal(model),
                )
            )
            made += 1
        present = [index_name(tenant_id, model) for model, _ in counts]
        former = connection.execute(_FORMER, {"home": home_name(tenant_id), "names": present}).fetchall()
        for (name,) in former:
            _drop_index(connection, name)
        return made

    def _raze(self, connection: psycopg.Connection[Any]) -> int:
        """Drops the tables of homes that nobody lives in, and has not for a while."""
        empty = connection.execute(
            _EMPTY,
            {"grace": self._grace},
        ).fetchall()
        for (name,) in empty:

            def raze(name: str = name) -> None:
                with _briefly(connection):
                    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))

            _when_free(raze)
        return len(empty)

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        """One connection for all that happens within, however nested."""
        if self._connection is not None:
            yield self._connection
            return
        with passing_faults(), psycopg.connect(self._url, autocommit=True, application_name="sortation") as connection:
            connection.execute(f"SET maintenance_work_mem = '{_BUILD_MEMORY}'")
            # They would share as much memory again, which containers don't have; and nobody waits for this.
            connection.execute("SET max_parallel_maintenance_workers = 0")
            with suppress(psycopg.errors.InvalidParameterValue):  # where the server can't see that we are gone
                connection.execute("SET client_connection_check_interval = '2s'")
            self._connection = connection
            try:
                yield connection
            finally:
                self._connection = None


@contextmanager
def _briefly(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A transaction that waits for no lock for long."""
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        yield


def _hold(connection: psycopg.Connection[Any], tenant_id: UUID) -> None:
    """Until the transaction ends nobody writes the tenant's vectors, and nobody who did is still at it."""
    connection.execute("SELECT FROM vector_homes WHERE tenant_id = %s FOR UPDATE", [tenant_id])


def _drop_index(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(name)))


def _copy_batch(connection: psycopg.Connection[Any], tenant_id: UUID, at: UUID, to: UUID) -> bool:
    """Copies some of what is missing there; whether there may be more."""
    asked = {"tenant": tenant_id, "at": at, "to": to, "limit": BATCH}
    return connection.execute(_COPY, asked, prepare=False).fetchone() == (BATCH,)


def _when_free(work: Callable[[], T]) -> T:
    """Tries again while others hold what it needs."""
    for _ in range(_TRIES):
        with suppress(LockNotAvailable, DeadlockDetected):
            return work()
        time.sleep(_PAUSE)
    raise Transient("others' work left no moment to move vectors; they are tried again later")
