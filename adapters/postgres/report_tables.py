"""The tables of reports: their definitions, and what became of each that was asked for."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Index, Integer, Table, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant, whose

report_definitions = Table(
    "report_definitions",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_text("name"),
    a_json("spec"),
    a_json("schedule", null=True),
    a_time("next_run_at", null=True),
    a_text("created_by"),
    whose("created_by_id"),
    a_time("created_at"),
    a_time("updated_at"),
    Column("version", Integer, nullable=False),
    of_tenant(),
    UniqueConstraint("tenant_id", "name"),
    Index("report_definitions_due", "tenant_id", "next_run_at", postgresql_where=text("next_run_at IS NOT NULL")),
)

# No reference to the definition: what was made by it stays when it goes.
report_runs = Table(
    "report_runs",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("job_id"),
    a_uuid("definition_id", null=True),
    a_text("name"),
    a_json("spec"),
    Column("today", Date, nullable=False),
    a_time("slot", null=True),
    a_text("status"),
    a_text("requested_by"),
    whose("requested_by_id"),
    a_time("created_at"),
    a_time("finished_at", null=True),
    Column("rows", BigInteger, nullable=True),
    Column("files", JSONB, nullable=False, server_default=text("'[]'")),
    a_text("failure", null=True),
    a_time("expired_at", null=True),
    of_tenant(),
    UniqueConstraint("tenant_id", "definition_id", "slot"),
    Index("report_runs_kept", "tenant_id", "id", postgresql_where=text("expired_at IS NULL")),
)
