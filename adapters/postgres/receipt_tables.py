"""The tables of receipts and of what they are matched with."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    Double,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from adapters.postgres.columns import a_text, a_time, a_uuid, metadata, of_tenant, reference, whose

receipts = Table(
    "receipts",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    a_text("filename"),
    a_text("mime_type"),
    Column("bytes", BigInteger, nullable=False),
    a_text("sha256"),
    a_text("source"),
    a_uuid("connection_id", null=True),
    a_text("uploaded_by"),
    whose("uploaded_by_id"),
    a_time("uploaded_at"),
    a_text("state"),
    a_text("failure", null=True),
    Column("amount", Numeric, nullable=True),
    a_text("currency", null=True),
    Column("day", Date, nullable=True),
    a_text("merchant", null=True),
    Column("by_person", ARRAY(Text), nullable=False),
    Column("links", Integer, nullable=False, server_default=text("0")),
    Column("version", Integer, nullable=False),
    of_tenant(),
    UniqueConstraint("tenant_id", "sha256"),
    Index("receipts_open", "tenant_id", "id", postgresql_where=text("links = 0")),
    Index("receipts_waiting", "tenant_id", "id", postgresql_where=text("links = 0 AND amount IS NOT NULL")),
)

receipt_matches = Table(
    "receipt_matches",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("receipt_id", key=True),
    a_uuid("record_id", key=True),
    a_text("state"),
    Column("score", Double, nullable=True),
    a_text("decided_by", null=True),
    a_uuid("decided_by_id", null=True),
    a_time("decided_at", null=True),
    reference("receipts", "receipt_id", cascade=True),
    reference("records", "record_id", cascade=True),
    Index("receipt_matches_of_record", "tenant_id", "record_id"),
)
