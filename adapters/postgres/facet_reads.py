"""Counts of records by each of several facets, in one statement over the newest of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    select,
    true,
    union_all,
)

from adapters.postgres.filters import of_records
from adapters.postgres.tables import records
from core.domain.facets import FILTERED_BY, Facet, Facets, Value, commonest
from ports.storage import RecordFilter

_r = records.c
_VALUES: Mapping[Facet, Any] = {
    Facet.STATUS: _r.status,
    Facet.CATEGORY: cast(_r.category_id, Text),
    Facet.STAGE: _r.stage,
    Facet.CONNECTION: cast(_r.connection_id, Text),
    Facet.CURRENCY: _r.currency,
    Facet.KIND: _r.kind,
    Facet.MONTH: func.to_char(_r.occurred_on, literal("YYYY-MM")),
}
_IDS = (Facet.CATEGORY, Facet.CONNECTION)


def facets(connection: Connection, tenant_id: UUID, where: RecordFilter, *, most: int, values: int) -> Facets:
    """As `ports.storage.Records.facets` has it. What differs in nothing is put together first, so that each record is
    looked at once and not once for each facet."""
    missed = {facet: ~_holds(_only(where, names)) for facet, names in FILTERED_BY.items()}
    misses: Any = sum(cast(missing, Integer) for missing in missed.values())
    others = {name for names in FILTERED_BY.values() for name in names}
    parts: dict[str, Any] = {name: () if name == "statuses" else None for name in others}
    base = replace(where, import_id=None, **parts)
    newest = (
        select(
            *(value.label(facet.value) for facet, value in _VALUES.items()),
            case((~_holds(base), 2), else_=misses).label("misses"),
            case(*((missing, facet.value) for facet, missing in missed.items()), else_="").label("missed"),
        )
        .where(_r.tenant_id == tenant_id)
        .order_by(_r.id.desc())
        .limit(most)
    )
    older = select(_r.id).where(_r.tenant_id == tenant_id).order_by(_r.id.desc()).offset(most).limit(1)
    if where.import_id is not None:
        newest, older = (query.where(_r.import_id == where.import_id) for query in (newest, older))
    looked_at = newest.cte("newest").prefix_with("MATERIALIZED", dialect="postgresql")
    names = [looked_at.c[facet.value] for facet in Facet]
    kinds = (
        select(*names, looked_at.c.missed, func.count().label("n"))
        .where(looked_at.c.misses <= 1)
        .group_by(*names, looked_at.c.missed)
        .cte("kinds")
    )
    each = (
        select(literal(facet.value).label("facet"), kinds.c[facet.value].label("value"), func.sum(kinds.c.n).label("n"))
        .where(kinds.c.missed.in_(["", facet.value]))
        .group_by(kinds.c[facet.value])
        for facet in Facet
    )
    seen = select(literal(None, Text), literal(None, Text), func.count()).select_from(looked_at)
    found: dict[Facet, dict[Value, int]] = {facet: {} for facet in Facet}
    total = 0
    for facet, value, n in connection.execute(union_all(*each, seen)):
        if facet is None:
            total = n
        else:
            found[Facet(facet)][UUID(value) if value is not None and facet in _IDS else value] = int(n)
    more = total == most and connection.execute(older).first() is not None
    return commonest(found, values, seen=total, approximate=more)


def _only(where: RecordFilter, names: Sequence[str]) -> RecordFilter:
    return RecordFilter(**{name: getattr(where, name) for name in names})


def _holds(where: RecordFilter) -> ColumnElement[bool]:
    conditions = of_records(where)
    return func.coalesce(and_(*conditions), false()) if conditions else true()
