"""The table of webhooks that came in."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, UniqueConstraint, text

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant, reference

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("connection_id"),
    a_text("event_id"),
    a_uuid("job_id"),
    a_json("headers", null=True),
    Column("body", LargeBinary, nullable=True),
    Column("bytes", Integer, nullable=False),
    a_text("status"),
    Column("inserted", Integer, nullable=False),
    Column("known", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    a_json("refusals"),
    a_text("failure", null=True),
    a_time("received_at"),
    a_time("finished_at", null=True),
    of_tenant(),
    reference("connections", "connection_id", cascade=True),
    UniqueConstraint("tenant_id", "connection_id", "event_id"),
    Index("webhook_deliveries_listed", "tenant_id", "connection_id", text("id DESC")),
    Index("webhook_deliveries_kept", "tenant_id", "finished_at", postgresql_where=text("body IS NOT NULL")),
)
