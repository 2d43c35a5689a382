"""What filters let through, in SQL: of records, and of the open items of the review queue."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.engine.default import DefaultDialect

from adapters.postgres.review_tables import approval_skips, approvals
from adapters.postgres.tables import records
from ports.review_storage import QueueFilter
from ports.storage import RecordFilter

_EQUAL = ("category_id", "stage", "account", "kind", "connection_id", "import_id", "currency")
# PostgreSQL's would cast parameters by `::`, whose colons are not for text().
_NAMED = DefaultDialect(paramstyle="named")
_PARAMETER = re.compile(r":(\w+)")


def filtered(query: Select[Any], where: RecordFilter) -> Select[Any]:
    """The query, of the records that the filter lets through."""
    return query.where(*of_records(where))


def of_records(where: RecordFilter) -> list[ColumnElement[bool]]:
    """What holds of the records in the filter."""
    r = records.c
    found: list[ColumnElement[bool]] = [
        r[name] == value for name in _EQUAL if (value := getattr(where, name)) is not None
    ]
    if where.statuses:
        found.append(r.status.in_(where.statuses))
    if where.since is not None:
        found.append(r.occurred_on >= where.since)
    if where.until is not None:
        found.append(r.occurred_on <= where.until)
    if where.min_amount is not None:
        found.append(r.amount >= where.min_amount)
    if where.max_amount is not None:
        found.append(r.amount <= where.max_amount)
    if where.text is not None:
        inside = (column.icontains(where.text, autoescape=True) for column in (r.text, r.counterparty))
        found.append(or_(*inside))
    return found


def of_items(where: QueueFilter, tenant_id: UUID) -> list[ColumnElement[bool]]:
    """What holds of the open items in the filter, but for that of their records (`where.records`)."""
    a, s = approvals.c, approval_skips.c
    found: list[ColumnElement[bool]] = [
        a[name] == value for name in ("group_key", "suggested_id") if (value := getattr(where, name)) is not None
    ]
    if where.unsuggested:
        found.append(a.suggested_id.is_(None))
    if where.skips is not None:
        skipped = select(s.approval_id).where(
            s.tenant_id == tenant_id, s.by_id == where.skips.by, s.skipped_at > where.skips.since
        )
        found.append(a.id.in_(skipped) if where.skips.only else a.id.not_in(skipped))
    return found


def written(conditions: Sequence[ColumnElement[bool]], named: str) -> tuple[str, dict[str, Any]]:
    """The conditions as SQL for statements that are written by hand, with its parameters; their names begin with
    `named`, so that they are nobody else's."""
    if not conditions:
        return "TRUE", {}
    compiled = and_(*conditions).compile(dialect=_NAMED, compile_kwargs={"render_postcompile": True})
    sql = _PARAMETER.sub(rf":{named}_\1", str(compiled))
    return f"({sql})", {f"{named}_{name}": value for name, value in compiled.params.items()}
