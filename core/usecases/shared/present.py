"""Categories as they are now: what somebody names, or a worker decided on, may have been merged or deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from core.domain.approvals import Groupable
from core.domain.categories import resolver
from core.domain.category_changes import with_moved_categories, with_present_categories
from core.domain.decisions import Decision
from core.errors import Invalid
from ports.review_storage import QueueFilter
from ports.storage import RecordFilter, Transaction


def known_categories(tx: Transaction) -> dict[str, UUID]:
    """What people may write for a category, now or before → its id."""
    return resolver(tx.categories.list(), tx.categories.aliases())


def hold_categories(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Each of these → the category that it is now, which stays until the transaction ends. Raises `Invalid` for one
    that does not exist."""
    wanted = set(ids)
    held = dict(tx.categories.hold(wanted))
    if unknown := wanted - held.keys():
        raise Invalid(f"category {next(iter(unknown))} does not exist")
    return held


def _named(decisions: Sequence[Decision]) -> set[UUID]:
    return {id for d in decisions for id in (d.category_id, d.suggested_id) if id is not None}


def moved_decisions(tx: Transaction, decisions: Sequence[Decision]) -> list[Decision]:
    """Decisions with the categories that theirs were merged into; to be called before records are touched."""
    now = tx.categories.hold(_named(decisions))
    return [with_moved_categories(decision, now) for decision in decisions]


def present_decisions(tx: Transaction, decisions: Sequence[Decision], records: Sequence[Groupable]) -> list[Decision]:
    """A chunk's decisions, each on the record in its place, as they can be written now; to be called before the records
    are touched."""
    named = _named(decisions)
    now = tx.categories.hold(named)
    if all(now.get(id) == id for id in named):
        return list(decisions)
    return [with_present_categories(d, record, now) for d, record in zip(decisions, records, strict=True)]


def present_queue(tx: Transaction, where: QueueFilter) -> QueueFilter:
    """The filter of the queue; a merged category that is suggested in it stands for what it was merged into."""
    if where.suggested_id is None:
        return where
    return replace(where, suggested_id=tx.categories.aliases().get(str(where.suggested_id), where.suggested_id))


def present_filter(tx: Transaction, where: RecordFilter) -> RecordFilter:
    """The filter; a merged category in it stands for what it was merged into."""
    if where.category_id is None:
        return where
    return replace(where, category_id=tx.categories.aliases().get(str(where.category_id), where.category_id))
