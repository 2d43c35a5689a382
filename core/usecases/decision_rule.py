"""A rule out of a decision: what it would be, before anybody makes it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from core.domain.approvals import group_key
from core.domain.evidence import COUNTED, EvidenceKind, Likeness, party_key
from core.domain.rule_drafting import RuleDraft, draft_rule
from core.domain.tenants import Actor
from core.errors import Invalid
from core.usecases.shared.present import known_categories
from ports.storage import UnitOfWork

LOOKED_AT = 100
"""Open items of the group that the condition is to cover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftedRule:
    """A draft, and how many open items of the group wait: those that are like the record."""

    draft: RuleDraft
    alike: int


def propose_decision_rule(actor: Actor, approval_id: UUID, category_id: UUID | None, *, uow: UnitOfWork) -> DraftedRule:
    """A rule that gives the category (else the one that was given, or is suggested) to the record of this item and to
    those that wait like it. Nothing is stored.

    Raises `NotFound`, or `Invalid` when there is no such category, none is named, or no words of the record make a
    rule."""
    with uow.begin(actor) as tx:
        [approval] = tx.approvals.get_many([approval_id])
        record = tx.records.get(approval.record_id)
        named = category_id or approval.category_id or approval.suggested_id
        if named is None:
            raise Invalid(
                "name the category that the rule is to give", fields={"category_id": ["Nothing is suggested."]}
            )
        resolve = known_categories(tx)
        chosen = named if named in resolve.values() else resolve.get(str(named))
        if chosen is None:
            raise Invalid(f"category {named} does not exist")
        others = [id for id in tx.approvals.of_group(approval.group_key, LOOKED_AT) if id != approval_id]
        alike = tx.records.get_many([a.record_id for a in tx.approvals.get_many(others)])
        likeness = Likeness(record.id, group_key(record), party_key(record.counterparty), b"")
        [known] = tx.examples.alike([likeness], COUNTED)
        waiting = tx.approvals.count_open(approval.group_key)
    torn = any(e.kind is EvidenceKind.SAME_COUNTERPARTY and e.category_id != chosen for e in known)
    return DraftedRule(draft=draft_rule(record, alike, chosen, torn=torn), alike=waiting)
