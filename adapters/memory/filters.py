"""What filters let through."""

from __future__ import annotations

from adapters.memory.state import KeptRecord
from core.domain.approvals import Approval
from ports.review_storage import QueueFilter
from ports.storage import RecordFilter


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


def lets_through(where: QueueFilter, approval: Approval, kept: KeptRecord) -> bool:
    """Whether a filter of the queue lets an item through, but for who skipped it."""
    return (
        where.group_key in (None, approval.group_key)
        and where.suggested_id in (None, approval.suggested_id)
        and not (where.unsuggested and approval.suggested_id is not None)
        and matches(kept, where.records)
    )
