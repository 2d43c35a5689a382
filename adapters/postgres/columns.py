"""What tables are written with: the metadata, and columns and references in the forms that all of them share."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, ForeignKeyConstraint, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()


def a_uuid(name: str, *, key: bool = False, null: bool = False) -> Column[object]:
    return Column(name, UUID(as_uuid=True), primary_key=key, nullable=null)


def whose(name: str) -> Column[object]:
    """The id of the person whose transaction writes the row; NULL for a program's."""
    return Column(name, UUID(as_uuid=True), nullable=True, server_default=text("acting_person()"))


def a_time(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=null)


def a_text(name: str, *, null: bool = False, key: bool = False) -> Column[object]:
    return Column(name, Text, nullable=null, primary_key=key)


def a_json(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, JSONB, nullable=null)


def reference(table: str, column: str, *, cascade: bool = False) -> ForeignKeyConstraint:
    """A reference that cannot leave the tenant."""
    return ForeignKeyConstraint(
        ["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete="CASCADE" if cascade else None
    )


def of_tenant() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"])
