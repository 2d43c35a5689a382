"""What is done across tenants, with the system's role: relay, reaper, sealer, the operator's views."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy import Engine, cast, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from adapters.postgres import sealing
from adapters.postgres.accounts import to_api_key, to_tenant
from adapters.postgres.connection_tables import connector_counts
from adapters.postgres.events import events_query, notify, to_event
from adapters.postgres.migrate import current, head
from adapters.postgres.oauth import to_sign_in
from adapters.postgres.tables import daily_counts, plugin_inventories, tenants
from adapters.postgres.unit_of_work import passing_faults
from adapters.postgres.vector_tables import vector_homes
from adapters.postgres.work_tables import jobs
from core.domain.approvals import SKIPPED
from core.domain.events import Event, EventFilter, Verification
from core.domain.inventories import Inventory, Role
from core.domain.oauth import SignIn
from core.domain.people import DEVICE_TIME
from core.domain.reports import schedule_from_json
from core.domain.tenants import ApiKey, Tenant
from core.errors import Transient
from ports.clock import Ids
from ports.system import DueReport, ReportTurn, StreamStats

# No more of a tenant and stream at once than its share; who has fewer jobs in flight is served as well as who has many.
# What waits is found by stepping from one tenant and stream to the next in the index, however many jobs each has; of
# those that have room, only the first :limit can have any of the first :limit jobs. Twice as many are looked at, for a
# second relay, which skips what the first one takes.
_TAKE = text("""
    WITH RECURSIVE queued AS (
        (SELECT tenant_id, stream, due_at, id FROM jobs WHERE status = 'queued'
         ORDER BY tenant_id, stream, due_at, id LIMIT 1)
        UNION ALL
        SELECT next.* FROM queued CROSS JOIN LATERAL (
            SELECT tenant_id, stream, due_at, id FROM jobs
            WHERE status = 'queued' AND (tenant_id, stream) > (queued.tenant_id, queued.stream)
            ORDER BY tenant_id, stream, due_at, id LIMIT 1
        ) AS next
    ), waiting AS (
        SELECT queued.*, room FROM queued CROSS JOIN LATERAL (
            SELECT coalesce((CAST(:shares AS jsonb) ->> queued.stream)::int, :share) - count(*) AS room FROM jobs
            WHERE jobs.tenant_id = queued.tenant_id AND jobs.stream = queued.stream
                AND jobs.status IN ('published', 'running')
        ) AS counted
        WHERE due_at <= now() AND room > 0 ORDER BY due_at, id LIMIT :limit
    ), first AS MATERIALIZED (
        SELECT one.tenant_id, one.id FROM waiting CROSS JOIN LATERAL (
            SELECT tenant_id, id, due_at FROM jobs
            WHERE jobs.tenant_id = waiting.tenant_id AND jobs.stream = waiting.stream
                AND status = 'queued' AND due_at <= now()
            ORDER BY due_at, id LIMIT waiting.room
        ) AS one
        ORDER BY one.due_at, one.id LIMIT 2 * :limit
    )
    SELECT jobs.tenant_id, jobs.id, jobs.stream, jobs.request_id, jobs.trace_parent
    FROM first JOIN jobs USING (tenant_id, id)
    WHERE jobs.status = 'queued'
    ORDER BY jobs.due_at, jobs.id LIMIT :limit
    FOR UPDATE OF jobs SKIP LOCKED
""")

_REAP = text("""
    WITH stuck AS (
        SELECT tenant_id, id FROM jobs
        WHERE (status = 'running' AND lease_until < now())
           OR (status = 'published' AND published_at < now() - make_interval(secs => :republish_after))
        FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs SET
        status = 'queued',
        last_error = CASE WHEN status = 'running' THEN 'the worker was lost: its lease ran out' ELSE last_error END,
        published_at = NULL, lease_token = NULL, lease_until = NULL
    FROM stuck WHERE jobs.tenant_id = stuck.tenant_id AND jobs.id = stuck.id
""")


class PostgresSystem:
    def __init__(self, engine: Engine, ids: Ids) -> None:
        self._engine = engine
        self._ids = ids
        self._listener: psycopg.Connection[tuple[object, ...]] | None = None

    def find_api_key(self, key_id: str) -> ApiKey | None:
        with passing_faults(), self._engine.connect() as connection:
            query = text("SELECT * FROM find_api_key(:key_id)")
            row = connection.execute(query, {"key_id": key_id}).mappings().first()
        return None if row is None else to_api_key(row)

    def tenant_of_connection(self, connection_id: UUID) -> UUID | None:
        with passing_faults(), self._engine.connect() as connection:
            found: UUID | None = connection.execute(select(func.tenant_of_connection(connection_id))).scalar()
        return found

    def take_sign_in(self, state_hash: bytes) -> SignIn | None:
        with passing_faults(), self._engine.connect() as connection:
            query = text("SELECT * FROM take_oauth_state(:state_hash)")
            row = connection.execute(query, {"state_hash": state_hash}).mappings().first()
            connection.commit()
        return None if row is None else to_sign_in(row)

    @contextmanager
    def take_due(
        self, *, share: int, limit: int, shares: Mapping[str, int] = MappingProxyType({})
    ) -> Iterator[Sequence[tuple[UUID, UUID, str, Mapping[str, str]]]]:
        given = {"share": share, "limit": limit, "shares": json.dumps(dict(shares))}
        with passing_faults(), self._engine.connect() as connection:
            rows = connection.execute(_TAKE, given).all()
            yield [
                (
                    row.tenant_id,
                    row.id,
                    row.stream,
                    {
                        name: value
                        for name, value in (("request_id", row.request_id), ("traceparent", row.trace_parent))
                        if value is not None
                    },
                )
                for row in rows
            ]
            if rows:
                connection.execute(
                    jobs.update()
                    .where(jobs.c.tenant_id.in_({row.tenant_id for row in rows}), jobs.c.id.in_([r.id for r in rows]))
                    .values(status="published", published_at=func.now())
                )
            connection.commit()

    def queue_syncs(self, ids: Sequence[UUID], *, max_attempts: int) -> int:
        with passing_faults(), self._engine.connect() as connection:
            queued: int = connection.execute(select(func.queue_syncs(list(ids), max_attempts))).scalar_one()
            if queued:
                notify(connection)
            connection.commit()
        return queued

    def due_reports(self, limit: int) -> Sequence[DueReport]:
        query = text("SELECT * FROM due_reports(:limit)")
        with passing_faults(), self._engine.connect() as connection:
            rows = connection.execute(query, {"limit": limit}).all()
        return [
            DueReport(
                tenant_id=row.tenant_id,
                definition_id=row.id,
                schedule=schedule,
                zone=ZoneInfo(row.time_zone),
                next_run_at=row.next_run_at,
            )
            for row in rows
            if (schedule := schedule_from_json(row.schedule)) is not None
        ]

    def queue_reports(self, turns: Sequence[ReportTurn], *, max_attempts: int) -> int:
        given = (
            [turn.due.tenant_id for turn in turns],
            [turn.due.definition_id for turn in turns],
            [turn.due.next_run_at for turn in turns],
            [turn.slot for turn in turns],
            [turn.today for turn in turns],
            [turn.following for turn in turns],
            [turn.run_id for turn in turns],
            [turn.job_id for turn in turns],
        )
        with passing_faults(), self._engine.connect() as connection:
            queued: int = connection.execute(select(func.queue_reports(*given, max_attempts))).scalar_one()
            if queued:
                notify(connection)
            connection.commit()
        return queued

    def old_reports(self, *, seconds: float, limit: int) -> Sequence[tuple[UUID, UUID]]:
        query = text("SELECT tenant_id, id FROM old_reports(:seconds, :limit)")
        with passing_faults(), self._engine.connect() as connection:
            return [(row[0], row[1]) for row in connection.execute(query, {"seconds": seconds, "limit": limit})]

    def expire_reports(self, runs: Sequence[tuple[UUID, UUID]]) -> int:
        given = [tenant_id for tenant_id, _ in runs], [run_id for _, run_id in runs]
        with passing_faults(), self._engine.connect() as connection:
            gone: int = connection.execute(select(func.expire_reports(*given))).scalar_one()
            connection.commit()
        return gone

    def reap(self, *, republish_after: float) -> int:
        with passing_faults(), self._engine.connect() as connection:
            reaped = connection.execute(_REAP, {"republish_after": republish_after}).rowcount
            if reaped:
                notify(connection)
            connection.commit()
        return reaped

    def seal(self) -> int:
        with passing_faults(), self._engine.connect() as connection:
            batches = sealing.seal(connection)
            connection.commit()
        return batches

    def verify_events(self, tenant_id: UUID) -> Verification:
        with passing_faults(), self._engine.connect() as connection:
            return sealing.verify(connection, tenant_id)

    def sweep(self, *, payload_seconds: float, job_seconds: float, key_seconds: float) -> int:
        with passing_faults(), self._engine.connect() as connection:
            swept = (
                func.sweep(payload_seconds, job_seconds, key_seconds)
                + func.sweep_arrivals(payload_seconds)
                + func.sweep_sessions(job_seconds)
                + func.sweep_devices(DEVICE_TIME.total_seconds())
                + func.sweep_skips(SKIPPED.total_seconds())
            )
            gone: int = connection.execute(select(swept)).scalar_one()
            connection.commit()
        return gone

    def forget_callers(self, limit: int) -> int:
        with passing_faults(), self._engine.connect() as connection:
            forgotten: int = connection.execute(select(func.forget_callers(limit))).scalar_one()
            connection.commit()
        return forgotten

    def wait(self, seconds: float) -> None:
        try:
            if self._listener is None:
                self._listener = self._listen()
                return  # what was committed before we listened would wake nobody
            for _ in self._listener.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.OperationalError as error:
            self.close()
            raise Transient("the database went away") from error

    def close(self) -> None:
        """Stops listening; the next `wait` begins anew."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _listen(self) -> psycopg.Connection[tuple[object, ...]]:
        url = make_url(self._engine.url).set(drivername="postgresql")
        listener = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        listener.execute("LISTEN sortation")
        return listener

    def served_otherwise(self, model: str) -> Sequence[UUID]:
        query = (
            select(vector_homes.c.tenant_id).where(vector_homes.c.serving != model).order_by(vector_homes.c.tenant_id)
        )
        with passing_faults(), self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def tenants(self, *, after: UUID | None, limit: int) -> Sequence[Tenant]:
        query = select(tenants).order_by(tenants.c.tenant_id).limit(limit)
        if after is not None:
            query = query.where(tenants.c.tenant_id > after)
        with passing_faults(), self._engine.connect() as connection:
            return [to_tenant(row) for row in connection.execute(query).mappings()]

    def events(
        self, where: EventFilter, *, tenant_id: UUID, after: int, limit: int, newest: bool = False
    ) -> Sequence[Event]:
        query = events_query(tenant_id, where, after=after, limit=limit, newest=newest)
        with passing_faults(), self._engine.connect() as connection:
            return [to_event(row) for row in connection.execute(query).mappings()]

    def stream_stats(self) -> Sequence[StreamStats]:
        query = text("""
            SELECT stream, status, count(*) AS jobs, sum(greatest(attempts - 1, 0)) AS retries,
                   coalesce(extract(epoch FROM max(now() - greatest(created_at, due_at))), 0) AS oldest
            FROM jobs GROUP BY stream, status
        """)
        with passing_faults(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            StreamStats(
                stream=stream,
                counts={row.status: row.jobs for row in rows if row.stream == stream},
                oldest_seconds=max(
                    (
                        max(float(r.oldest), 0.0)
                        for r in rows
                        if r.stream == stream and r.status not in ("done", "dead")
                    ),
                    default=0.0,
                ),
                retries=sum(int(row.retries) for row in rows if row.stream == stream),
            )
            for stream in sorted({row.stream for row in rows})
        ]

    def stage_counts(self) -> Sequence[tuple[str, str, int]]:
        query = select(daily_counts.c.stage, daily_counts.c.status, func.sum(daily_counts.c.records)).group_by(
            daily_counts.c.stage, daily_counts.c.status
        )
        with passing_faults(), self._engine.connect() as connection:
            return [(stage, status, int(n)) for stage, status, n in connection.execute(query)]

    def connection_counts(self) -> Sequence[tuple[str, str, int]]:
        with passing_faults(), self._engine.connect() as connection:
            rows = connection.execute(text("SELECT connector, health, connections FROM count_connections()")).all()
        return [(row.connector, row.health, row.connections) for row in rows]

    def sync_counts(self) -> Sequence[tuple[str, str, int, int]]:
        c = connector_counts.c
        query = select(c.connector, c.outcome, func.sum(c.runs), func.sum(c.records)).group_by(c.connector, c.outcome)
        with passing_faults(), self._engine.connect() as connection:
            return [(row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(query)]

    def announce_plugins(self, role: Role, inventory: Inventory) -> None:
        offers = cast(dict(inventory.offers), JSONB)
        with passing_faults(), self._engine.connect() as connection:
            connection.execute(select(func.announce_plugins(role.value, inventory.digest, offers)))
            connection.commit()

    def inventories(self, role: Role, *, seconds: float) -> Sequence[Inventory]:
        c = plugin_inventories.c
        lately = c.seen_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        query = select(c.offers).where(c.role == role.value, lately).order_by(c.digest)
        with passing_faults(), self._engine.connect() as connection:
            return [Inventory(offers=offers) for offers in connection.execute(query).scalars()]

    def ready(self) -> bool:
        try:
            with self._engine.connect() as connection:
                return current(connection) == head()
        except SQLAlchemyError:
            return False
