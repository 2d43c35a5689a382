"""The table of saved views."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Integer, Table, UniqueConstraint

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant

saved_views = Table(
    "saved_views",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("user_id", null=True),
    a_text("name"),
    a_json("query"),
    a_time("created_at"),
    Column("version", Integer, nullable=False),
    of_tenant(),
    ForeignKeyConstraint(
        ["tenant_id", "user_id"], ["memberships.tenant_id", "memberships.user_id"], ondelete="CASCADE"
    ),
    UniqueConstraint("tenant_id", "user_id", "name", postgresql_nulls_not_distinct=True),
)
