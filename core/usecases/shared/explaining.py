"""What speaks for the choices of review items, looked up for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from core.domain.approvals import Approval, group_key
from core.domain.decisions import earlier_results
from core.domain.evidence import COUNTED, Choice, Likeness, choices, party_key
from core.domain.records import Record, similarity_text, text_digest
from ports.storage import Transaction

LATEST = 200
"""Examples that tell which categories people give most, lately."""


def choices_of(tx: Transaction, rows: Sequence[tuple[Approval, Record]]) -> Sequence[Sequence[Choice]]:
    """The choices of each item."""
    if not rows:
        return []
    alike = tx.examples.alike([_likeness(record) for _, record in rows], COUNTED)
    common = tx.examples.common(LATEST)
    names = {category.id: category.name for category in tx.categories.list()}
    now = {id: id for id in names} | _merged(tx)
    return [
        choices(
            approval.suggested_id,
            earlier_results(record.reasoning_trace),
            like,
            common,
            now,
            names,
            decided=approval.verdict is not None,
        )
        for (approval, record), like in zip(rows, alike, strict=True)
    ]


def _likeness(record: Record) -> Likeness:
    digest = text_digest(similarity_text(record.text, record.counterparty))
    return Likeness(record.id, group_key(record), party_key(record.counterparty), digest)


def _merged(tx: Transaction) -> dict[UUID, UUID]:
    """Former ids of categories, and what they are now."""
    found: dict[UUID, UUID] = {}
    for alias, category_id in tx.categories.aliases().items():
        try:
            found[UUID(alias)] = category_id
        except ValueError:
            continue
    return found
