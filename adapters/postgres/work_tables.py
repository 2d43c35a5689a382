"""The tables of jobs and events."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, text

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant
from core.domain.notifications import TOLD

IS_TOLD = f"type IN ({', '.join(repr(type) for type in sorted(TOLD))})"
"""Of an event that endpoints are told of: so that those are found among very many others, without looking at these."""

jobs = Table(
    "jobs",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_text("stream"),
    a_text("status"),
    a_json("payload"),
    a_json("progress"),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    a_time("due_at"),
    a_time("published_at", null=True),
    a_uuid("lease_token", null=True),
    a_time("lease_until", null=True),
    a_text("request_id", null=True),
    a_text("source_agent"),
    a_text("trace_parent", null=True),
    a_text("last_error", null=True),
    a_time("created_at"),
    a_time("started_at", null=True),
    a_time("finished_at", null=True),
    of_tenant(),
    Index("jobs_due", "tenant_id", "stream", "due_at", "id", postgresql_where=text("status = 'queued'")),
    Index("jobs_in_flight", "tenant_id", "stream", "id", postgresql_where=text("status IN ('published', 'running')")),
    Index("jobs_dead", "tenant_id", "stream", "id", postgresql_where=text("status = 'dead'")),
    Index(
        "jobs_one_sync",
        "tenant_id",
        text("(payload ->> 'connection_id')"),
        unique=True,
        postgresql_where=text("stream = 'connections:sync' AND status IN ('queued', 'published', 'running')"),
    ),
)

event_batches = Table(
    "event_batches",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    Column("size", Integer, nullable=False),
    a_text("actor"),
    a_text("source_agent"),
    a_text("request_id", null=True),
    a_uuid("actor_id", null=True),
    a_text("address", null=True),
    a_text("user_agent", null=True),
    a_time("created_at"),
    Column("last_seq", BigInteger, nullable=True),
    Column("digest", LargeBinary, nullable=True),
    Column("head", LargeBinary, nullable=True),
    Column("contents", LargeBinary, nullable=True),
    Column("erased", Boolean, nullable=False, server_default=text("false")),
    Column(
        "salt",
        LargeBinary,
        nullable=True,
        server_default=text("(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))"),
    ),
    of_tenant(),
    Index("event_batches_sealed", "tenant_id", "last_seq", unique=True),
    Index("event_batches_of_actor", "actor_id", postgresql_where=text("actor_id IS NOT NULL")),
    Index("event_batches_unsealed", "tenant_id", "id", postgresql_where=text("last_seq IS NULL")),
    Index(
        "event_batches_of_somebody",
        "tenant_id",
        "created_at",
        postgresql_where=text(
            "head IS NOT NULL AND NOT erased AND (actor_id IS NOT NULL OR user_agent IS NOT NULL"
            " OR actor NOT IN ('sortation', 'webhook', 'somebody'))"
        ),
    ),
)

events = Table(
    "events",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("batch_id", key=True),
    Column("ordinal", Integer, primary_key=True),
    a_text("type"),
    a_uuid("subject_id", null=True),
    a_json("payload"),
    Index("events_of_subject", "tenant_id", "subject_id"),
    Index("events_told", "tenant_id", "batch_id", "ordinal", postgresql_where=text(IS_TOLD)),
)
