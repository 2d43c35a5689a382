"""The tables. `tenant_id` leads every primary key but those of `GLOBAL_TABLES`.

The migrations make them, with their policies and grants; a test holds the two equal.
"""

from __future__ import annotations

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

DIMENSIONS = 384
GLOBAL_TABLES = ("users",)
"""Tables that no tenant owns."""

metadata = MetaData()


def _uuid(name: str, *, key: bool = False, null: bool = False) -> Column[object]:
    return Column(name, UUID(as_uuid=True), primary_key=key, nullable=null)


def _time(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=null)


def _text(name: str, *, null: bool = False, key: bool = False) -> Column[object]:
    return Column(name, Text, nullable=null, primary_key=key)


def _json(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, JSONB, nullable=null)


def _to(table: str, column: str, *, cascade: bool = False) -> ForeignKeyConstraint:
    """A reference that cannot leave the tenant."""
    return ForeignKeyConstraint(
        ["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete="CASCADE" if cascade else None
    )


def _tenant() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"])


tenants = Table(
    "tenants",
    metadata,
    _uuid("tenant_id", key=True),
    _text("name"),
    _text("time_zone"),
    _json("settings"),
    Column("rules_version", Integer, nullable=False),
    _time("created_at"),
    Column("version", Integer, nullable=False),
)

users = Table(
    "users",
    metadata,
    _uuid("id", key=True),
    Column("email", Text, nullable=False, unique=True),
    _text("name"),
    _time("created_at"),
)

memberships = Table(
    "memberships",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("user_id", key=True),
    _text("role"),
    _tenant(),
    ForeignKeyConstraint(["user_id"], ["users.id"]),
)

api_keys = Table(
    "api_keys",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    Column("key_id", Text, nullable=False, unique=True),
    _text("name"),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    _time("created_at"),
    _time("expires_at", null=True),
    _time("revoked_at", null=True),
    _time("last_used_at", null=True),
    _tenant(),
)

categories = Table(
    "categories",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    _uuid("parent_id", null=True),
    _text("key"),
    _text("name"),
    _text("description"),
    _time("created_at"),
    Column("version", Integer, nullable=False),
    _tenant(),
    _to("categories", "parent_id"),
    UniqueConstraint("tenant_id", "key"),
)

connections = Table(
    "connections",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    _text("connector"),
    _text("name"),
    _json("config"),
    _time("created_at"),
    Column("version", Integer, nullable=False),
    _tenant(),
    UniqueConstraint("tenant_id", "connector", "name"),
)

imports = Table(
    "imports",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    _uuid("connection_id"),
    _uuid("job_id"),
    _text("filename"),
    Column("bytes", BigInteger, nullable=False),
    _text("sha256"),
    Column("approved", Boolean, nullable=False),
    _text("status"),
    Column("inserted", Integer, nullable=False),
    Column("known", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    _json("refusals"),
    _text("failure", null=True),
    _time("created_at"),
    _time("finished_at", null=True),
    _to("connections", "connection_id"),
)

import_chunks = Table(
    "import_chunks",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("import_id", key=True),
    Column("position", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    _to("imports", "import_id", cascade=True),
)

records = Table(
    "records",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    _uuid("connection_id"),
    _uuid("import_id", null=True),
    _text("kind"),
    _text("account"),
    _text("external_id"),
    _text("former_external_id", null=True),
    Column("occurred_on", Date, nullable=False),
    _time("occurred_at", null=True),
    _text("text"),
    _text("counterparty"),
    Column("amount", Numeric, nullable=True),
    _text("currency", null=True),
    _json("attributes"),
    _json("raw"),
    Column("pending", Boolean, nullable=False),
    _text("status"),
    _uuid("category_id", null=True),
    _text("stage", null=True),
    Column("confidence", Double, nullable=True),
    Column("threshold", Double, nullable=True),
    _text("model_version", null=True),
    Column("selection_probability", Double, nullable=True),
    _json("reasoning_trace", null=True),
    _text("failure", null=True),
    Column("tags", ARRAY(Text), nullable=False),
    _time("created_at"),
    _time("updated_at"),
    Column("version", Integer, nullable=False),
    _to("connections", "connection_id"),
    _to("categories", "category_id"),
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
    _uuid("tenant_id", key=True),
    _uuid("connection_id", key=True),
    _text("account", key=True),
    _text("external_id", key=True),
    _time("deleted_at"),
)

examples = Table(
    "examples",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    _uuid("record_id", null=True),
    _text("text"),
    Column("text_digest", LargeBinary, nullable=False),
    _uuid("category_id"),
    _text("model", null=True),
    Column("embedding", Vector(DIMENSIONS), nullable=True),
    _time("created_at"),
    _to("records", "record_id", cascade=True),
    _to("categories", "category_id"),
    UniqueConstraint("tenant_id", "record_id"),
)

embeddings = Table(
    "embeddings",
    metadata,
    _uuid("tenant_id", key=True),
    _text("model", key=True),
    Column("text_digest", LargeBinary, primary_key=True),
    Column("embedding", Vector(DIMENSIONS), nullable=False),
)

rules = Table(
    "rules",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    _text("name"),
    _text("stage"),
    Column("priority", Integer, nullable=False),
    _json("condition"),
    _json("action"),
    Column("stop", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    _text("pack", null=True),
    Column("hits", BigInteger, nullable=False),
    _time("last_hit_at", null=True),
    _time("created_at"),
    Column("version", Integer, nullable=False),
    _uuid("category_id", null=True),
    _tenant(),
    _to("categories", "category_id"),
)

approvals = Table(
    "approvals",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    _uuid("record_id"),
    _text("reason"),
    _uuid("suggested_id", null=True),
    Column("confidence", Double, nullable=False),
    Column("urgency", Double, nullable=False),
    _text("group_key"),
    _text("verdict", null=True),
    _uuid("category_id", null=True),
    _text("decided_by", null=True),
    _time("decided_at", null=True),
    _time("created_at"),
    _to("records", "record_id", cascade=True),
    Index("approvals_of_record", "tenant_id", "record_id", unique=True, postgresql_where=text("verdict IS NULL")),
    Index("approvals_history", "tenant_id", "record_id"),
    Index("approvals_queue", "tenant_id", text("urgency DESC"), "id", postgresql_where=text("verdict IS NULL")),
    Index("approvals_groups", "tenant_id", "group_key", postgresql_where=text("verdict IS NULL")),
)

jobs = Table(
    "jobs",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    _text("stream"),
    _text("status"),
    _json("payload"),
    _json("progress"),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    _time("due_at"),
    _time("published_at", null=True),
    _uuid("lease_token", null=True),
    _time("lease_until", null=True),
    _text("request_id", null=True),
    _text("source_agent"),
    _text("trace_parent", null=True),
    _text("last_error", null=True),
    _time("created_at"),
    _time("started_at", null=True),
    _time("finished_at", null=True),
    _tenant(),
    Index("jobs_due", "tenant_id", "due_at", "id", postgresql_where=text("status = 'queued'")),
    Index("jobs_in_flight", "tenant_id", "id", postgresql_where=text("status IN ('published', 'running')")),
    Index("jobs_dead", "tenant_id", "stream", "id", postgresql_where=text("status = 'dead'")),
)

event_batches = Table(
    "event_batches",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("id", key=True),
    Column("size", Integer, nullable=False),
    _text("actor"),
    _text("source_agent"),
    _text("request_id", null=True),
    _time("created_at"),
    Column("last_seq", BigInteger, nullable=True),
    Column("digest", LargeBinary, nullable=True),
    _tenant(),
    Index("event_batches_sealed", "tenant_id", "last_seq", unique=True),
    Index("event_batches_unsealed", "tenant_id", "id", postgresql_where=text("last_seq IS NULL")),
)

events = Table(
    "events",
    metadata,
    _uuid("tenant_id", key=True),
    _uuid("batch_id", key=True),
    Column("ordinal", Integer, primary_key=True),
    _text("type"),
    _uuid("subject_id", null=True),
    _json("payload"),
    Index("events_of_subject", "tenant_id", "subject_id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _uuid("tenant_id", key=True),
    _text("key", key=True),
    _text("request_digest"),
    Column("status", Integer, nullable=True),
    Column("body", LargeBinary, nullable=True),
    _time("created_at"),
    _tenant(),
)

daily_counts = Table(
    "daily_counts",
    metadata,
    _uuid("tenant_id", key=True),
    Column("day", Date, primary_key=True),
    _text("stage", key=True),
    _text("status", key=True),
    Column("records", BigInteger, nullable=False),
    _tenant(),
)

TENANT_TABLES = tuple(name for name in metadata.tables if name not in GLOBAL_TABLES)
SYSTEM_MAY_READ = ("tenants", "jobs", "events", "event_batches", "daily_counts")
SYSTEM_MAY_CHANGE = ("jobs", "event_batches")
