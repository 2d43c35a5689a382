"""Reads of many records: in short, the past of a counterparty, the amounts of a category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from adapters.memory.filters import matches
from adapters.memory.state import KeptRecord, TenantState
from core.domain.approvals import ApprovalReason
from core.domain.facets import FILTERED_BY, Facet, Facets, Value, commonest
from core.domain.records import DECIDED_BY_PERSON, Record, Snapshot
from core.domain.rule_history import Past
from ports.storage import RecordFilter


def snapshots(state: TenantState, where: RecordFilter, *, before: UUID | None, limit: int) -> Sequence[Snapshot]:
    asked = {a.record_id for a in state.approvals.values() if a.verdict is None and a.reason is ApprovalReason.RULE}
    found = [
        state.records[id].record
        for id in sorted(state.records, reverse=True)
        if (before is None or id < before) and matches(state.records[id], where)
    ]
    return [snapshot(r, asked=r.id in asked) for r in found[:limit]]


def snapshot(record: Record, *, asked: bool) -> Snapshot:
    return Snapshot(**{name: getattr(record, name) for name in Snapshot._fields if name != "asked"}, asked=asked)


def facets(state: TenantState, where: RecordFilter, *, most: int, values: int) -> Facets:
    of_import = [
        state.records[id]
        for id in sorted(state.records, reverse=True)
        if where.import_id in (None, state.records[id].record.import_id)
    ]
    counts: dict[Facet, dict[Value, int]] = {}
    for facet, names in FILTERED_BY.items():
        parts: dict[str, Any] = {name: () if name == "statuses" else None for name in names}
        without = replace(where, **parts)
        found = Counter(_value(facet, kept) for kept in of_import[:most] if matches(kept, without))
        counts[facet] = dict(found)
    return commonest(counts, values, seen=min(most, len(of_import)), approximate=len(of_import) > most)


def _value(facet: Facet, kept: KeptRecord) -> Value:
    record = kept.record
    match facet:
        case Facet.STATUS:
            return record.status.value
        case Facet.CATEGORY:
            return record.category_id
        case Facet.STAGE:
            return record.stage
        case Facet.CONNECTION:
            return record.connection_id
        case Facet.CURRENCY:
            return record.currency
        case Facet.KIND:
            return record.kind
        case Facet.MONTH:
            return f"{kept.day:%Y-%m}"


def past(state: TenantState, asked: Sequence[tuple[UUID, str, date]], limit: int) -> Sequence[Sequence[Past]]:
    parties: dict[str, list[KeptRecord]] = {}
    for kept in sorted(state.records.values(), key=_recency, reverse=True):
        parties.setdefault(kept.record.counterparty or kept.record.text, []).append(kept)
    return [
        [_past(state, kept) for kept in parties.get(party, ()) if kept.day <= day and kept.record.id != id][:limit]
        for id, party, day in asked
    ]


def amounts(state: TenantState, category: str, currency: str, limit: int) -> Sequence[Decimal]:
    ids = {c.id for c in state.categories.values() if c.key == category}
    ids = ids or {id for alias, id in state.aliases.items() if alias == category}
    latest_first = sorted(state.records.values(), key=_recency, reverse=True)
    found = [
        kept.record.amount
        for kept in latest_first
        if kept.record.category_id in ids
        and kept.record.status in DECIDED_BY_PERSON
        and kept.record.currency == currency
        and kept.record.amount is not None
    ]
    return found[:limit]


def _recency(kept: KeptRecord) -> tuple[date, UUID]:
    return kept.day, kept.record.id


def _past(state: TenantState, kept: KeptRecord) -> Past:
    record = kept.record
    by_person = record.category_id is not None and record.status in DECIDED_BY_PERSON
    category = state.categories[record.category_id].key if by_person and record.category_id else None
    return Past(record.id, kept.day, record.amount, record.currency, category)
