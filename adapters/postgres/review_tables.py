"""The tables of the review queue, and of what its answers teach."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, Double, Index, LargeBinary, Table, Text, UniqueConstraint, text

from adapters.postgres.columns import a_text, a_time, a_uuid, metadata, reference

examples = Table(
    "examples",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("record_id", null=True),
    a_text("text"),
    Column("text_digest", LargeBinary, nullable=False),
    a_uuid("category_id"),
    a_time("created_at"),
    Column("learned", Boolean, nullable=False, server_default=text("false")),
    Column("group_key", Text, nullable=False, server_default=text("''")),
    Column("party_key", Text, nullable=False, server_default=text("''")),
    Column("occurred_on", Date, nullable=True),
    reference("records", "record_id", cascade=True),
    reference("categories", "category_id"),
    UniqueConstraint("tenant_id", "record_id"),
    Index("examples_to_learn", "tenant_id", "record_id", postgresql_where=text("NOT learned")),
    Index("examples_learned", "tenant_id", "record_id", postgresql_where=text("learned")),
    Index(
        "examples_alike",
        "tenant_id",
        "group_key",
        text("occurred_on DESC"),
        postgresql_include=["category_id", "text_digest", "record_id"],
    ),
    Index(
        "examples_of_party",
        "tenant_id",
        "party_key",
        text("occurred_on DESC"),
        postgresql_include=["category_id", "record_id"],
        postgresql_where=text("party_key <> ''"),
    ),
)

approvals = Table(
    "approvals",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("record_id"),
    a_text("reason"),
    a_uuid("suggested_id", null=True),
    Column("confidence", Double, nullable=False),
    Column("urgency", Double, nullable=False),
    a_text("group_key"),
    a_text("verdict", null=True),
    a_uuid("category_id", null=True),
    a_text("decided_by", null=True),
    a_time("decided_at", null=True),
    a_time("created_at"),
    a_text("withdrawn_by", null=True),
    a_time("withdrawn_at", null=True),
    a_uuid("decided_by_id", null=True),
    a_uuid("withdrawn_by_id", null=True),
    a_text("decided_agent", null=True),
    reference("records", "record_id", cascade=True),
    Index("approvals_of_record", "tenant_id", "record_id", unique=True, postgresql_where=text("verdict IS NULL")),
    Index("approvals_history", "tenant_id", "record_id"),
    Index("approvals_queue", "tenant_id", text("urgency DESC"), "id", postgresql_where=text("verdict IS NULL")),
    Index("approvals_groups", "tenant_id", "group_key", postgresql_where=text("verdict IS NULL")),
    Index(
        "approvals_decided",
        "tenant_id",
        text("decided_at DESC"),
        text("id DESC"),
        postgresql_where=text("verdict IS NOT NULL"),
    ),
    Index(
        "approvals_checks",
        "tenant_id",
        "created_at",
        postgresql_where=text("reason = 'spot_check' AND verdict IS NOT NULL AND withdrawn_at IS NULL"),
    ),
)

approval_skips = Table(
    "approval_skips",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("by_id", key=True),
    a_uuid("approval_id", key=True),
    a_time("skipped_at"),
    reference("approvals", "approval_id", cascade=True),
    Index("approval_skips_of_approval", "tenant_id", "approval_id"),
)
