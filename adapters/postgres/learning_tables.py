"""The tables of what the ensembles learned, and of what they said of records on arrival."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Integer, LargeBinary, Table
from sqlalchemy.dialects.postgresql import REAL, UUID

from adapters.postgres.columns import a_json, a_text, a_time, a_uuid, metadata, of_tenant

ensembles = Table(
    "ensembles",
    metadata,
    a_uuid("tenant_id", key=True),
    Column("version", Integer, nullable=False),
    a_text("learner"),
    Column("taught", BigInteger, nullable=False),
    Column("arrived", BigInteger, nullable=False),
    a_json("gate"),
    Column("arrays", LargeBinary, nullable=False),
    a_time("created_at"),
    of_tenant(),
)

# No reference to categories: what was said stays said; nor to records, since a check of each takes a tenth of what the
# database does to decide it: `PostgresRecords` deletes what goes with its record. Features are there while somebody may
# answer, or has.
arrivals = Table(
    "arrivals",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("record_id", key=True),
    Column("candidates", ARRAY(UUID(as_uuid=True)), nullable=False),
    Column("features", LargeBinary, nullable=False),
    Column("score", REAL, nullable=False),
    Column("stacked", Boolean, nullable=False),
    Column("scope", REAL, nullable=False),
    a_uuid("predicted", null=True),
    Column("arrived", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
)
