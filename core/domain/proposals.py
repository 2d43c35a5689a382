"""Proposals: rules that Sortation suggests out of what people decided, for a person to accept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from core.domain.conditions import Condition, condition_to_json


class ProposalStatus(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for a proposal, counted on records that people decided.

    `support` of them meet its condition, `agreeing` of these have its category; `expected` is the share (0 to 1) that
    the rule is expected to get right on what comes. `examples` and `counter_examples` are the ids of a few that agree
    and do not, the latest first.
    """

    support: int
    agreeing: int
    expected: float
    examples: tuple[UUID, ...] = ()
    counter_examples: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """`key` is the same for the same condition and category, so that what was rejected stays so. `rule_id` is the rule
    that it became."""

    id: UUID
    tenant_id: UUID
    key: str
    name: str
    when: Condition
    category_id: UUID
    evidence: Evidence
    status: ProposalStatus
    rule_id: UUID | None
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime
    version: int


def proposal_key(when: Condition, category_id: UUID) -> str:
    written = json.dumps([condition_to_json(when), str(category_id)], sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:32]
