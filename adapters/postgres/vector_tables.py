"""Vectors: the cache by content, and those of examples, which stand apart since they live where searching is quick.

`home` says where a tenant's vectors live: together with others' (`SHARED`), or, under the tenant's own id, in a
partition that `vector_homes.py` makes when they are many. A move copies them first: the home that counts is the one in
`vector_homes`.
"""

from __future__ import annotations

from uuid import UUID

from pgvector.sqlalchemy import Vector
from sqlalchemy import Column, ForeignKeyConstraint, Index, LargeBinary, Table

from adapters.postgres.columns import a_text, a_time, a_uuid, metadata, of_tenant, reference

DIMENSIONS = 384
SHARED = UUID(int=0)


def _columns() -> tuple[Column[object] | ForeignKeyConstraint, ...]:
    return (
        a_uuid("tenant_id", key=True),
        a_uuid("example_id", key=True),
        a_text("model", key=True),
        a_uuid("home", key=True),
        Column("embedding", Vector(DIMENSIONS), nullable=False),
        reference("examples", "example_id", cascade=True),
    )


embeddings = Table(
    "embeddings",
    metadata,
    a_uuid("tenant_id", key=True),
    a_text("model", key=True),
    Column("text_digest", LargeBinary, primary_key=True),
    Column("embedding", Vector(DIMENSIONS), nullable=False),
)

vector_homes = Table(
    "vector_homes",
    metadata,
    a_uuid("tenant_id", key=True),
    a_uuid("home"),
    a_time("moved_at"),
    a_text("serving"),
    of_tenant(),
)

example_vectors = Table("example_vectors", metadata, *_columns(), postgresql_partition_by="LIST (home)")

# A partition of the above, to which the migration attaches it. Rows come in whatever order people approve; the index
# carries the vectors, and so keeps each tenant's together: a search reads its pages and nobody else's.
example_vectors_shared = Table(
    "example_vectors_shared",
    metadata,
    *_columns(),
    Index("example_vectors_scan", "tenant_id", "model", postgresql_include=["example_id", "embedding"]),
)
