"""The tables of what the LLM answered, and what it took."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, Double, Index, LargeBinary, Numeric, Table, text

from adapters.postgres.columns import a_text, a_time, a_uuid, metadata, of_tenant

COUNTS = ("calls", "failed", "estimated", "unpriced", "records", "cached", "prompt_tokens", "completion_tokens")

# No reference to the category: one that went while the LLM thought must not lose the other answers and the spending.
llm_answers = Table(
    "llm_answers",
    metadata,
    a_uuid("tenant_id", key=True),
    Column("key", LargeBinary, primary_key=True),
    a_uuid("category_id", null=True),
    Column("confidence", Double, nullable=False),
    a_text("rationale"),
    Column("measured", Boolean, nullable=False),
    a_time("created_at"),
    of_tenant(),
    Index("llm_answers_by_age", "tenant_id", "created_at"),
)

llm_usages = Table(
    "llm_usages",
    metadata,
    a_uuid("tenant_id", key=True),
    Column("month", Date, primary_key=True),
    *(Column(name, BigInteger, nullable=False, server_default=text("0")) for name in COUNTS),
    Column("cost", Numeric, nullable=False, server_default=text("0")),
    Column("seconds", Double, nullable=False, server_default=text("0")),
    of_tenant(),
)

llm_reservations = Table(
    "llm_reservations",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("id", key=True),
    Column("month", Date, nullable=False),
    Column("cost", Numeric, nullable=False),
    a_time("created_at"),
    of_tenant(),
)
