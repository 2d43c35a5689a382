"""Categories that are renamed, moved, merged or removed, and what becomes of all that points to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from uuid import UUID

from core.domain.approvals import ApprovalReason, Groupable, group_key, urgency
from core.domain.categories import Category, resolver
from core.domain.decisions import Decision, Outcome, Stage
from core.domain.records import RecordStatus

MAX_ALIAS_BYTES = 2_000
"""An index entry of PostgreSQL has room for 2,704 bytes; longer ones, paths of very deep trees, are forgotten."""
REMOVED = "its category was deleted meanwhile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """How many of each belong to a category: `approvals` are the open items of the review queue that suggest it."""

    records: int = 0
    examples: int = 0
    rules: int = 0
    proposals: int = 0
    approvals: int = 0
    children: int = 0

    def __str__(self) -> str:
        """What keeps a category from being deleted, in words: `3 records and 1 rule`; empty for nothing."""
        singular = {"records": "record", "examples": "example", "rules": "rule", "children": "child category"}
        plural = {name: name for name in singular} | {"children": "child categories"}
        counts = ((name, getattr(self, name)) for name in singular)
        said = [f"{n:,} {(singular if n == 1 else plural)[name]}" for name, n in counts if n]
        return " and ".join(part for part in (", ".join(said[:-1]), *said[-1:]) if part)

    def counts(self) -> dict[str, int]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


def lost_names(before: Iterable[Category], after: Iterable[Category]) -> dict[str, UUID]:
    """What people could write for a category before a change of the tree, and can't after it → the category it was."""
    still = resolver(after)
    lost = {name: id for name, id in resolver(before).items() if name not in still}
    return {name: id for name, id in lost.items() if len(name.encode()) <= MAX_ALIAS_BYTES}


def new_parents(id: UUID, into: UUID | None, categories: Iterable[Category]) -> dict[UUID, UUID | None]:
    """Where the children of `id` go when it goes: below `into`, or (None) up to where it stood itself. The branch that
    leads to an `into` below `id` goes up."""
    by_id = {category.id: category for category in categories}
    above: set[UUID] = set()
    at = into
    while at is not None:
        above.add(at)
        at = by_id[at].parent_id
    up = by_id[id].parent_id
    return {
        child.id: up if into is None or child.id in above else into for child in by_id.values() if child.parent_id == id
    }


def with_present_categories(decision: Decision, record: Groupable, now: Mapping[UUID, UUID]) -> Decision:
    """The decision on a record as it is to be written when `now` tells what has become of the categories that it names
    (those that are gone are missing): what a merged one gets goes to where it went, and what a deleted one was to get
    goes to a person."""
    if decision.category_id is not None and decision.category_id not in now:
        return replace(
            decision,
            status=RecordStatus.NEEDS_REVIEW,
            category_id=None,
            stage=None,
            confidence=0.0,
            selection_probability=1.0,
            trace=_without_its_category(decision.trace),
            approval=ApprovalReason.UNSURE,
            suggested_id=None,
            suggested_confidence=0.0,
            urgency=urgency(0.0, None),
            group_key=group_key(record),
        )
    if decision.suggested_id is not None and decision.suggested_id not in now:
        decision = replace(decision, suggested_id=None, suggested_confidence=0.0)
    return with_moved_categories(decision, now)


def _without_its_category(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The trace of a decision whose last stage had decided."""
    *before, last = trace["stages"] or [{}]
    unsure = {**last, "outcome": Outcome.UNSURE.value, "reason": REMOVED}
    return {**trace, "reason": f"review: {REMOVED}", "stages": [*before, unsure] if last else []}


def with_moved_categories(decision: Decision, now: Mapping[UUID, UUID]) -> Decision:
    """The decision with what merged categories became by `now`; those that are gone stay in it."""
    category_id, suggested_id = decision.category_id, decision.suggested_id
    moved = now.get(category_id, category_id) if category_id else None
    suggested = now.get(suggested_id, suggested_id) if suggested_id else None
    if (moved, suggested) == (category_id, suggested_id):
        return decision
    return replace(decision, category_id=moved, suggested_id=suggested)


def with_living_categories(trace: Mapping[str, Any] | None, aliases: Mapping[str, UUID]) -> Mapping[str, Any] | None:
    """A stored trace, as it is to be shown: candidates name the categories that theirs were merged into."""
    if not trace or not aliases:
        return trace
    return {**trace, "stages": [_living(stage, aliases) for stage in trace.get("stages", ())]}


def _living(stage: Mapping[str, Any], aliases: Mapping[str, UUID]) -> Mapping[str, Any]:
    candidates = stage.get("candidates", ())
    if not any(c["category_id"] in aliases for c in candidates):
        return stage
    living = [
        {**c, "category_id": str(aliases[c["category_id"]])} if c["category_id"] in aliases else c for c in candidates
    ]
    return {**stage, "candidates": living}


def withdrawn(trace: Mapping[str, Any] | None, why: str, by_id: UUID | None = None) -> dict[str, Any]:
    """The trace after a person (of that id) took a person's (or a category's) word back: what happened stays, and this
    is added."""
    word: dict[str, Any] = {"stage": Stage.HUMAN.value, "outcome": Outcome.WITHDRAWN.value, "reason": why}
    word |= {"candidates": [], **({"by_id": str(by_id)} if by_id is not None else {})}
    kept = dict(trace or {})
    return {**kept, "reason": f"review: {why}", "stages": [*kept.get("stages", ()), word]}
