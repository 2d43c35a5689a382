"""The tables of rules, of what is proposed as a rule, and of what rules did in runs."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Index, Integer, Table, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import UUID

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant, reference, whose

rules = Table(
    "rules",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_text("name"),
    a_text("stage"),
    Column("priority", Integer, nullable=False),
    a_json("condition"),
    a_json("action"),
    Column("stop", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    a_text("pack", null=True),
    Column("hits", BigInteger, nullable=False),
    a_time("last_hit_at", null=True),
    a_time("created_at"),
    Column("version", Integer, nullable=False),
    a_uuid("category_id", null=True),
    Column("confirmed", BigInteger, nullable=False, server_default=text("0")),
    Column("overridden", BigInteger, nullable=False, server_default=text("0")),
    Column("corrected", BigInteger, nullable=False, server_default=text("0")),
    Column("demoted", Boolean, nullable=False, server_default=text("false")),
    Column("proved", Boolean, nullable=False, server_default=text("false")),
    a_uuid("proposal_id", null=True),
    Column("evidence_from", Integer, nullable=False, server_default=text("0")),
    of_tenant(),
    reference("categories", "category_id"),
)

rule_proposals = Table(
    "rule_proposals",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_text("key"),
    a_text("name"),
    a_json("condition"),
    a_uuid("category_id"),
    a_json("evidence"),
    a_text("status"),
    a_uuid("rule_id", null=True),
    a_text("decided_by", null=True),
    a_uuid("decided_by_id", null=True),
    a_time("decided_at", null=True),
    a_time("created_at"),
    Column("version", Integer, nullable=False),
    reference("categories", "category_id", cascade=True),
    UniqueConstraint("tenant_id", "key"),
)

rule_runs = Table(
    "rule_runs",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("job_id"),
    a_text("status"),
    Column("rule_ids", ARRAY(UUID(as_uuid=True)), nullable=True),
    a_json("record_filter"),
    a_json("counts"),
    a_text("requested_by"),
    whose("requested_by_id"),
    a_time("created_at"),
    a_time("finished_at", null=True),
    a_time("undone_at", null=True),
    a_text("failure", null=True),
    of_tenant(),
)

rule_run_changes = Table(
    "rule_run_changes",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("run_id", key=True),
    a_uuid("record_id", key=True),
    a_json("before"),
    a_json("after"),
    Column("before_version", Integer, nullable=False),
    Column("after_version", Integer, nullable=False),
    Column("undone", Boolean, nullable=True),
    reference("rule_runs", "run_id", cascade=True),
    reference("records", "record_id", cascade=True),
    Index("rule_run_changes_of_record", "tenant_id", "record_id"),
)
