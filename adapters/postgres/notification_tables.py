"""The tables of endpoints and of what they are told."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Column, ForeignKeyConstraint, Index, Integer, LargeBinary, Table, Text, text

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant, reference

notification_endpoints = Table(
    "notification_endpoints",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_text("kind"),
    a_text("name"),
    a_text("url", null=True),
    a_uuid("user_id", null=True),
    Column("topics", ARRAY(Text), nullable=False),
    a_text("digest"),
    Column("digest_hour", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=True),
    Column("told_seq", BigInteger, nullable=False),
    a_time("succeeded_at", null=True),
    a_time("failing_since", null=True),
    a_time("disabled_at", null=True),
    a_text("disabled_reason", null=True),
    a_time("created_at"),
    Column("version", Integer, nullable=False),
    of_tenant(),
    # Who is no member any more is told nothing.
    ForeignKeyConstraint(
        ["tenant_id", "user_id"], ["memberships.tenant_id", "memberships.user_id"], ondelete="CASCADE"
    ),
    Index("notification_endpoints_of_member", "tenant_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
)

notifications = Table(
    "notifications",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("endpoint_id"),
    Column("seq", BigInteger, nullable=True),
    a_text("type"),
    a_json("data"),
    a_time("occurred_at"),
    a_text("status"),
    a_uuid("digest_id", null=True),
    a_uuid("job_id", null=True),
    Column("tries", Integer, nullable=False),
    a_json("attempts"),
    a_time("next_at", null=True),
    a_time("created_at"),
    a_time("finished_at", null=True),
    reference("notification_endpoints", "endpoint_id", cascade=True),
    Index("notifications_once", "tenant_id", "endpoint_id", "seq", unique=True),
    Index("notifications_listed", "tenant_id", "endpoint_id", text("id DESC")),
    Index(
        "notifications_collecting",
        "tenant_id",
        "endpoint_id",
        unique=True,
        postgresql_where=text("status = 'collecting'"),
    ),
    Index("notifications_waiting", "tenant_id", "endpoint_id", "id", postgresql_where=text("status = 'waiting'")),
    Index("notifications_failed", "tenant_id", "endpoint_id", "created_at", postgresql_where=text("status = 'failed'")),
    Index("notifications_of_digest", "tenant_id", "digest_id", postgresql_where=text("digest_id IS NOT NULL")),
    Index("notifications_ended", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
)
