"""What categories were known by before."""

from __future__ import annotations

from sqlalchemy import Table

from adapters.postgres.columns import a_text, a_uuid, metadata, reference

category_aliases = Table(
    "category_aliases",
    metadata,
    a_uuid("tenant_id", key=True),
    a_text("alias", key=True),
    a_uuid("category_id"),
    reference("categories", "category_id", cascade=True),
)
