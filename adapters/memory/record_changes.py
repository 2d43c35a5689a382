"""What a decision makes of a record, and which records a filter lets through."""

from __future__ import annotations

from dataclasses import replace

from adapters.memory.state import KeptRecord, as_json
from core.domain.decisions import Decision
from core.domain.records import Record
from ports.storage import RecordFilter


def decided(record: Record, decision: Decision) -> Record:
    """The record as a decision leaves it."""
    return replace(
        record,
        status=decision.status,
        category_id=decision.category_id,
        stage=decision.stage.value if decision.stage else None,
        confidence=decision.confidence,
        threshold=decision.threshold,
        model_version=decision.model_version,
        selection_probability=decision.selection_probability,
        reasoning_trace=as_json(decision.trace),
        failure=decision.failure,
        tags=tuple(dict.fromkeys((*record.tags, *decision.tags))),
        attributes={**record.attributes, **as_json(decision.attributes)},
    )


def matches(kept: KeptRecord, where: RecordFilter) -> bool:
    """Whether a filter lets a record through."""
    record, needle = kept.record, None if where.text is None else where.text.lower()
    equal = ("category_id", "stage", "account", "kind", "connection_id", "import_id", "currency")
    return (
        all(getattr(where, name) in (None, getattr(record, name)) for name in equal)
        and (not where.statuses or record.status.value in where.statuses)
        and (where.since is None or kept.day >= where.since)
        and (where.until is None or kept.day <= where.until)
        and (where.min_amount is None or (record.amount is not None and record.amount >= where.min_amount))
        and (where.max_amount is None or (record.amount is not None and record.amount <= where.max_amount))
        and (needle is None or needle in record.text.lower() or needle in record.counterparty.lower())
    )
