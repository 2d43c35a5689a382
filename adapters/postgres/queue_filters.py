"""What open items a filter of the review queue lets through, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ports.review_storage import QueueFilter

# Of an open item in `approvals` and its record in `records`.
_CONDITIONS = {
    "group_key": "group_key = :of_group",
    "suggested_id": "suggested_id = :suggested_id",
    "connection_id": "records.connection_id = :connection_id",
    "account": "records.account = :account",
    "kind": "records.kind = :kind",
    "currency": "records.currency = :currency",
    "since": "records.occurred_on >= :since",
    "until": "records.occurred_on <= :until",
    "min_amount": "records.amount >= :min_amount",
    "max_amount": "records.amount <= :max_amount",
    "text": "(lower(records.text) LIKE lower(:text) OR lower(records.counterparty) LIKE lower(:text))",
}
_SKIPPED = """IN (
    SELECT s.approval_id FROM approval_skips s
    WHERE s.tenant_id = :tenant AND s.by_id = :skipper AND s.skipped_at > :skipped_after
)"""


def conditions_of(where: QueueFilter) -> tuple[list[str], dict[str, Any]]:
    """What holds of the items in the filter, in SQL, with its parameters (besides `tenant`)."""
    conditions: list[str] = []
    given: dict[str, Any] = {}
    for name, condition in _CONDITIONS.items():
        if (value := getattr(where, name)) is not None:
            conditions.append(condition)
            given["of_group" if name == "group_key" else name] = _part(value) if name == "text" else value
    if where.unsuggested:
        conditions.append("suggested_id IS NULL")
    if where.skips is not None:
        conditions.append(f"approvals.id {'' if where.skips.only else 'NOT '}{_SKIPPED}")
        given |= {"skipper": where.skips.by, "skipped_after": where.skips.since}
    return conditions, given


def of_records(conditions: Sequence[str]) -> list[str]:
    """Those of the conditions that are on records."""
    return [condition for condition in conditions if "records." in condition]


def _part(written: str) -> str:
    """The pattern of texts that have this in them."""
    for special in ("\\", "%", "_"):
        written = written.replace(special, f"\\{special}")
    return f"%{written}%"
