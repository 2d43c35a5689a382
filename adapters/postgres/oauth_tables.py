"""The tables of OAuth2: tokens of connections, and sign-ins under way."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table, UniqueConstraint

from adapters.postgres.columns import a_text, a_time, a_uuid, metadata, of_tenant, reference

oauth_tokens = Table(
    "oauth_tokens",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("connection_id", key=True),
    Column("sealed", LargeBinary, nullable=False),
    a_text("account"),
    a_time("expires_at", null=True),
    a_time("changed_at"),
    of_tenant(),
    reference("connections", "connection_id", cascade=True),
)

oauth_states = Table(
    "oauth_states",
    metadata,
    a_uuid("tenant_id", key=True),
    Column("state_hash", LargeBinary, primary_key=True),
    a_uuid("connection_id"),
    Column("sealed", LargeBinary, nullable=False),
    a_text("redirect_uri"),
    a_text("started_by"),
    a_time("expires_at"),
    a_uuid("user_id", null=True),
    a_uuid("api_key_id", null=True),
    of_tenant(),
    reference("connections", "connection_id", cascade=True),
    UniqueConstraint("state_hash"),
)
