"""The table of evaluations and their reports."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Integer, Table

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant, whose

evaluations = Table(
    "evaluations",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("job_id"),
    a_text("status"),
    Column("promise", Double, nullable=False),
    Column("test", Integer, nullable=True),
    Column("test_share", Double, nullable=False),
    Column("with_rules", Boolean, nullable=False),
    a_text("requested_by"),
    whose("requested_by_id"),
    a_time("created_at"),
    a_time("finished_at", null=True),
    a_json("report", null=True),
    a_text("failure", null=True),
    of_tenant(),
)
