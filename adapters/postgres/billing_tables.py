"""The tables of what tenants pay for, used, and were billed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, ForeignKeyConstraint, Index, Table, Text, text

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant

billing_accounts = Table(
    "billing_accounts",
    metadata,
    a_uuid("tenant_id", key=True),
    a_text("provider", null=True),
    a_text("customer_id", null=True),
    a_json("subscription", null=True),
    a_json("comp", null=True),
    a_time("without_since", null=True),
    a_time("fetched_at", null=True),
    a_time("asked_at", null=True),
    a_json("told", null=True),
    a_time("changes_at", null=True),
    a_time("resumes_at", null=True),
    a_time("reported_at", null=True),
    of_tenant(),
    Index("billing_accounts_of_customer", "provider", "customer_id", unique=True),  # to find the tenant of one
)

usage_counters = Table(
    "usage_counters",
    metadata,
    a_uuid("tenant_id", key=True),
    Column("month", Date, primary_key=True),
    a_text("meter", key=True),
    Column("used", BigInteger, nullable=False, server_default=text("0")),
    Column("reported", BigInteger, nullable=False, server_default=text("0")),
    of_tenant(),
)

usage_reports = Table(
    "usage_reports",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_text("meter"),
    Column("month", Date, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    a_time("created_at"),
    a_time("tried_at", null=True),
    a_time("sent_at", null=True),
    of_tenant(),
    Index("usage_reports_unsent", "tenant_id", "id", postgresql_where=text("sent_at IS NULL")),
)

agreements = Table(
    "agreements",
    metadata,
    a_uuid("tenant_id", key=True),
    a_json("agreement"),
    a_time("ordered_at"),
    of_tenant(),
)

payment_events = Table(
    "payment_events",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    a_text("type"),
    a_uuid("tenant_id", null=True),
    a_time("created_at"),
    a_time("received_at"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], ondelete="CASCADE"),
    Index("payment_events_of_tenant", "tenant_id"),
    Index("payment_events_by_age", "received_at"),
)
