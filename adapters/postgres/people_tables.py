"""The tables of people: who they are before a tenant is known, and who was asked to join one."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Column, ForeignKeyConstraint, Index, Integer, LargeBinary, Table, text

from adapters.postgres.columns import a_text, a_time, a_uuid, metadata, of_tenant

local_accounts = Table(
    "local_accounts",
    metadata,
    a_uuid("user_id", key=True),
    a_text("password_hash"),
    Column("failures", Integer, nullable=False),
    a_time("locked_until", null=True),
    a_time("changed_at"),
    Column("second_factor", LargeBinary, nullable=True),
    Column("last_step", BigInteger, nullable=False, server_default=text("0")),
    Column("recovery", ARRAY(LargeBinary), nullable=False, server_default=text("'{}'")),
    ForeignKeyConstraint(["user_id"], ["users.id"]),
)

identities = Table(
    "identities",
    metadata,
    a_text("issuer", key=True),
    a_text("subject", key=True),
    a_uuid("user_id"),
    a_time("created_at"),
    ForeignKeyConstraint(["user_id"], ["users.id"]),
    Index("identities_of_user", "user_id"),
)

sessions = Table(
    "sessions",
    metadata,
    a_uuid("id", key=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    a_uuid("user_id"),
    a_uuid("tenant_id"),
    a_text("via"),
    a_text("address"),
    a_text("user_agent"),
    a_time("created_at"),
    a_time("seen_at"),
    a_time("expires_at"),
    a_time("ended_at", null=True),
    ForeignKeyConstraint(["user_id"], ["users.id"]),
    Index("sessions_open", "user_id", postgresql_where=text("ended_at IS NULL")),
)

known_devices = Table(
    "known_devices",
    metadata,
    a_uuid("id", key=True),
    a_uuid("user_id"),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("failures", Integer, nullable=False),
    a_time("locked_until", null=True),
    a_time("created_at"),
    a_time("seen_at"),
    ForeignKeyConstraint(["user_id"], ["local_accounts.user_id"], ondelete="CASCADE"),
    Index("known_devices_of_user", "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_text("email"),
    a_text("role"),
    a_text("status"),
    a_text("invited_by"),
    a_uuid("invited_by_id", null=True),
    a_time("created_at"),
    a_time("expires_at"),
    of_tenant(),
    Index("invitations_open", "tenant_id", "email", unique=True, postgresql_where=text("status = 'open'")),
)
