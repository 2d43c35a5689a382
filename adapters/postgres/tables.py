"""The tables. `tenant_id` leads every primary key but those of `GLOBAL_TABLES`.

The migrations make them, with their policies and grants; a test holds the two equal.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from adapters.postgres import (  # noqa: F401 - of the same metadata
    billing_tables,
    category_tables,
    connection_tables,
    evaluation_tables,
    learning_tables,
    llm_tables,
    notification_tables,
    oauth_tables,
    people_tables,
    promise_tables,
    receipt_tables,
    report_tables,
    rule_tables,
    vector_tables,
    view_tables,
    webhook_tables,
    work_tables,
)
from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, of_tenant, reference
from adapters.postgres.columns import metadata as metadata

GLOBAL_TABLES = (
    "users",
    "local_accounts",
    "identities",
    "sessions",
    "known_devices",
    "plugin_inventories",
    "payment_events",
)
"""Tables that no tenant owns."""


tenants = Table(
    "tenants",
    metadata,
    a_uuid("tenant_id", key=True),
    a_text("name"),
    a_text("time_zone"),
    a_json("settings"),
    Column("rules_version", Integer, nullable=False),
    a_time("created_at"),
    Column("version", Integer, nullable=False),
    a_time("operator_read_at", null=True),
    a_time("queue_told_at", null=True),
)

users = Table(
    "users",
    metadata,
    a_uuid("id", key=True),
    Column("email", Text, nullable=False, unique=True),
    a_text("name"),
    a_time("created_at"),
)

plugin_inventories = Table(
    "plugin_inventories",
    metadata,
    a_text("role", key=True),
    a_text("digest", key=True),
    a_json("offers"),
    a_time("seen_at"),
)

memberships = Table(
    "memberships",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("user_id", key=True),
    a_text("role"),
    a_text("granted_by", null=True),
    of_tenant(),
    ForeignKeyConstraint(["user_id"], ["users.id"]),
    Index("memberships_of_user", "user_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    Column("key_id", Text, nullable=False, unique=True),
    a_text("name"),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    a_time("created_at"),
    a_time("expires_at", null=True),
    a_time("revoked_at", null=True),
    a_time("last_used_at", null=True),
    Column("operators", Boolean, nullable=False, server_default=text("false")),
    a_uuid("created_by", null=True),
    of_tenant(),
)

categories = Table(
    "categories",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("parent_id", null=True),
    a_text("key"),
    a_text("name"),
    a_text("description"),
    a_time("created_at"),
    Column("version", Integer, nullable=False),
    of_tenant(),
    reference("categories", "parent_id"),
    UniqueConstraint("tenant_id", "key"),
)

connections = Table(
    "connections",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_text("connector"),
    a_text("name"),
    a_json("config"),
    a_time("created_at"),
    Column("version", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=True),
    Column("secrets", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("schedule_seconds", Integer, nullable=True),
    Column("streams", ARRAY(Text), nullable=True),
    Column("health", Text, nullable=False, server_default=text("'healthy'")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    a_time("next_sync_at", null=True),
    a_time("last_synced_at", null=True),
    a_time("disabled_at", null=True),
    a_json("refused_deliveries", null=True),
    of_tenant(),
    UniqueConstraint("tenant_id", "connector", "name"),
    Index("connections_by_id", "id"),  # to find the tenant of one
    Index("connections_due", "tenant_id", "next_sync_at", postgresql_where=text("next_sync_at IS NOT NULL")),
)

imports = Table(
    "imports",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("connection_id"),
    a_uuid("job_id"),
    a_text("filename"),
    Column("bytes", BigInteger, nullable=False),
    a_text("sha256"),
    Column("approved", Boolean, nullable=False),
    a_text("status"),
    Column("inserted", Integer, nullable=False),
    Column("known", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("held", Integer, nullable=False, server_default=text("0")),
    a_json("refusals"),
    Column("gaps", JSONB, nullable=False, server_default=text("'[]'")),
    a_text("failure", null=True),
    a_time("created_at"),
    a_time("finished_at", null=True),
    reference("connections", "connection_id"),
    Index("imports_of_connection", "tenant_id", "connection_id", text("id DESC")),
)

import_chunks = Table(
    "import_chunks",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("import_id", key=True),
    Column("position", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    reference("imports", "import_id", cascade=True),
)

records = Table(
    "records",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_uuid("connection_id"),
    a_uuid("import_id", null=True),
    a_text("kind"),
    a_text("account"),
    a_text("external_id"),
    a_text("former_external_id", null=True),
    Column("occurred_on", Date, nullable=False),
    a_time("occurred_at", null=True),
    a_text("text"),
    a_text("counterparty"),
    Column("amount", Numeric, nullable=True),
    a_text("currency", null=True),
    a_json("attributes"),
    a_json("raw"),
    Column("pending", Boolean, nullable=False),
    a_text("status"),
    a_uuid("category_id", null=True),
    a_text("stage", null=True),
    Column("confidence", Double, nullable=True),
    Column("threshold", Double, nullable=True),
    a_text("model_version", null=True),
    Column("selection_probability", Double, nullable=True),
    a_json("reasoning_trace", null=True),
    a_text("failure", null=True),
    Column("tags", ARRAY(Text), nullable=False),
    a_time("created_at"),
    a_time("updated_at"),
    Column("version", Integer, nullable=False),
    a_uuid("rule_id", null=True),
    Column(
        "party",
        UUID(as_uuid=True),
        Computed("md5(CASE counterparty WHEN '' THEN text ELSE counterparty END)::uuid", persisted=True),
    ),
    Column("magnitude", Double, Computed("abs(amount)::double precision", persisted=True)),
    reference("connections", "connection_id"),
    reference("categories", "category_id"),
    UniqueConstraint("tenant_id", "connection_id", "account", "external_id"),
    Index(
        "records_renamed",
        "tenant_id",
        "connection_id",
        "account",
        "former_external_id",
        postgresql_where=text("former_external_id IS NOT NULL"),
    ),
    Index("records_by_import", "tenant_id", "import_id", "id"),
    Index("records_by_category", "tenant_id", "category_id", "id"),
    Index("records_by_party", "tenant_id", "party", "occurred_on"),
    Index("records_by_day", "tenant_id", "occurred_on", "magnitude"),
    Index("records_by_people", "tenant_id", "id", postgresql_where=text("status IN ('approved', 'overridden')")),
    Index(
        "records_waiting",
        "tenant_id",
        "status",
        "id",
        postgresql_where=text("status IN ('ingested', 'needs_review', 'held', 'failed')"),
    ),
)

record_tombstones = Table(
    "record_tombstones",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("connection_id", key=True),
    a_text("account", key=True),
    a_text("external_id", key=True),
    a_time("deleted_at"),
)

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

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    a_uuid("tenant_id", key=True),
    a_text("key", key=True),
    a_text("request_digest"),
    Column("status", Integer, nullable=True),
    Column("body", LargeBinary, nullable=True),
    a_time("created_at"),
    of_tenant(),
)

daily_counts = Table(
    "daily_counts",
    metadata,
    a_uuid("tenant_id", key=True),
    Column("day", Date, primary_key=True),
    a_text("stage", key=True),
    a_text("status", key=True),
    Column("records", BigInteger, nullable=False),
    of_tenant(),
)

TENANT_TABLES = tuple(name for name in metadata.tables if name not in GLOBAL_TABLES)
SYSTEM_MAY_READ = (
    "tenants",
    "memberships",
    "users",
    "local_accounts",
    "identities",
    "sessions",
    "known_devices",
    "jobs",
    "events",
    "event_batches",
    "daily_counts",
    "vector_homes",
    "connector_counts",
    "plugin_inventories",
    "agreements",
    "payment_events",
    "saved_views",
)
SYSTEM_MAY_CHANGE = ("jobs", "local_accounts", "identities", "sessions", "known_devices")
SEALING_WRITES = ("last_seq", "digest", "head", "contents")
"""What the system changes of an event batch."""
TELLING_WRITES = (
    *("tenant_id", "id", "size", "actor", "source_agent", "request_id", "actor_id", "address", "user_agent"),
    "created_at",
)
"""What the app writes of one."""
SYSTEM_MAY_ADD = ("local_accounts", "identities", "sessions", "known_devices")
