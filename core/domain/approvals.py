"""Approvals: the review queue and what people decide in it; examples: what those decisions teach."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from core.errors import Invalid


class Verdict(StrEnum):
    APPROVE = "approve"
    OVERRIDE = "override"


class ApprovalReason(StrEnum):
    UNSURE = "unsure"
    RULE = "rule"
    SPOT_CHECK = "spot_check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An item of the review queue. `suggested_id` is the best candidate, if any; `urgency` sorts the queue, highest
    first: one minus the confidence of the best candidate. `group_key` is equal for identical texts."""

    id: UUID
    tenant_id: UUID
    record_id: UUID
    reason: ApprovalReason
    suggested_id: UUID | None
    confidence: float
    urgency: float
    group_key: str
    verdict: Verdict | None
    category_id: UUID | None
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person's decision on an approval; an override names its category."""

    approval_id: UUID
    verdict: Verdict
    category_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An approved pair of text and category. Its embedding is filled in by a job."""

    id: UUID
    tenant_id: UUID
    record_id: UUID | None
    text: str
    category_id: UUID
    created_at: datetime


def settle(approval: Approval, answer: Answer) -> UUID:
    """The category that an answer gives a record; raises `Invalid` when the two don't fit."""
    if answer.verdict is Verdict.OVERRIDE:
        if answer.category_id is None:
            raise Invalid("an override names the category_id")
        return answer.category_id
    if approval.suggested_id is None:
        raise Invalid("nothing was suggested here: override with a category_id")
    if answer.category_id not in (None, approval.suggested_id):
        raise Invalid("approve keeps the suggested category: override to give another")
    return approval.suggested_id
