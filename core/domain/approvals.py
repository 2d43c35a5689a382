"""Approvals: the review queue and what people decide in it; examples: what those decisions teach."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from core.domain.records import Record, normalise, similarity_text, text_digest
from core.errors import Invalid

UNKNOWN_NOVELTY = 0.5
"""Of a text whose nearest example is not known: neither near nor far."""
FARTHEST = 0.8
"""From this novelty on a text is as far from what is known as can be."""
ALONE = 0.5
"""The urgency of a question that nothing is known of and that was not compared with others yet: that of one whose
answer tells of itself alone, so that what is not known to be worth more does not stand before what is."""
NOVELTY_WEIGHT = 0.5
"""How much of its urgency an item loses when it is next to what is known."""
GROUP_GAIN = 0.25
"""By how much a group's urgency gains on the highest there is, with each doubling of its items."""
URGENCY_DECIMALS = 4
"""Equal urgencies are common then, so that none tells whose it was."""
_DIGITS = re.compile(r"\d+")


SKIPPED = timedelta(days=1)
"""How long an item stays out of the queue of who skipped it."""


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
    first. `group_key` is equal for items that one answer may settle. `decided_agent` is the agent whose answer it is,
    None for a person's. A withdrawn answer stays, and says who withdrew it and when."""

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
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None
    decided_agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Open items that one answer may settle: how many, and the most urgent (then oldest) of them with its record.
    `agreeing` of them have the same suggestion as that one."""

    group_key: str
    size: int
    agreeing: int
    urgency: float
    first: Approval
    record: Record


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
    group_key: str = ""
    """Of its record, as `party_key` of `core.domain.evidence` is: by these, examples like a record are counted."""
    party_key: str = ""


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


def margin(confidences: Iterable[tuple[UUID, float]]) -> float:
    """By how much the best category leads the second best (0 to 1), out of the confidence that each stage gave each
    category. What nothing speaks for has no lead."""
    best: dict[UUID, float] = {}
    for category_id, confidence in confidences:
        best[category_id] = max(best.get(category_id, 0.0), confidence)
    first, second = sorted([*best.values(), 0.0, 0.0], reverse=True)[:2]
    return min(1.0, max(0.0, first - second))


def urgency(margin: float, novelty: float | None, group_size: int = 1) -> float:
    """How much an answer is worth (0 to 1) as long as the question was not compared with others
    (`core.domain.ranking`): most where the stages waver (`margin` between the best two categories), far from what is
    known (`novelty`, one minus the similarity of the nearest example, None where that is not known), and where it
    settles `group_size` items at once."""
    far = UNKNOWN_NOVELTY if novelty is None else min(1.0, max(0.0, novelty) / FARTHEST)
    return of_group((1 - margin) * (1 - NOVELTY_WEIGHT * (1 - far)) * ALONE, group_size)


def of_group(urgency: float, group_size: int) -> float:
    """The urgency of a group whose most urgent item has `urgency`."""
    return round(1 - (1 - urgency) / (1 + GROUP_GAIN * math.log2(group_size)), URGENCY_DECIMALS)


class Groupable(Protocol):
    """What tells whether one answer may settle two records."""

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def counterparty(self) -> str: ...
    @property
    def amount(self) -> Decimal | None: ...


def group_key(record: Groupable) -> str:
    """Equal for records of one kind whose texts and counterparties differ in digits alone (dates, times, reference
    numbers), and whose money flows the same way."""
    flow = "" if record.amount is None else "-" if record.amount < 0 else "+"
    text = _DIGITS.sub("#", normalise(similarity_text(record.text, record.counterparty)))
    return text_digest(f"{record.kind}\x1f{flow}\x1f{text}").hex()[:32]


def place_of(record_id: UUID) -> float:
    """The share of the way through the queue's questions, from the least urgent up, at which a spot check stands."""
    return draw(record_id, "place")


def quantile(rising: Sequence[float], at: float) -> float:
    """The urgency at the share `at` (0 to 1) of the way through urgencies, interpolated."""
    place = at * (len(rising) - 1)
    low = int(place)
    high = min(low + 1, len(rising) - 1)
    return round(rising[low] + (rising[high] - rising[low]) * (place - low), URGENCY_DECIMALS)


def draw(id: UUID, purpose: str) -> float:
    """A number in [0, 1) drawn by hashing a random id: uniform, independent of what the thing is about, and the same
    when a job is repeated after a kill."""
    digest = hashlib.blake2b(id.bytes, digest_size=8, person=purpose.encode()).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
