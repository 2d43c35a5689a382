"""The tables of what syncs leave: cursors, health, logs, counts."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant, reference, whose

stream_cursors = Table(
    "stream_cursors",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("connection_id", key=True),
    a_text("stream", key=True),
    a_json("cursor"),
    Column("state_version", Integer, nullable=False),
    a_time("updated_at"),
    reference("connections", "connection_id", cascade=True),
)

connection_health = Table(
    "connection_health",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("connection_id", key=True),
    a_uuid("id", key=True),
    a_time("at"),
    a_text("health"),
    a_text("code"),
    a_text("message"),
    a_text("action"),
    whose("by_id"),
    reference("connections", "connection_id", cascade=True),
)

connection_log = Table(
    "connection_log",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("connection_id", key=True),
    a_uuid("id", key=True),
    a_time("at"),
    a_text("level"),
    a_text("text"),
    reference("connections", "connection_id", cascade=True),
)

connector_counts = Table(
    "connector_counts",
    metadata,
    a_uuid("tenant_id", key=True),
    a_text("connector", key=True),
    a_text("outcome", key=True),
    Column("runs", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    of_tenant(),
)
