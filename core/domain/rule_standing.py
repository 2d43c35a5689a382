"""What people's answers say of a rule: its precision with an interval, and whether it keeps the tenant's promise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from core.domain.rules import Rule

CONFIDENCE_Z = 1.96
"""Standard normal quantile of a two-sided interval of 95 %."""
MIN_ANSWERS = 8
"""Below that many answers an interval says more of the few who answered than of the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The share of a rule's records that people found right (0 to 1), with its 95 % interval; `answers` it rests on."""

    estimate: float
    low: float
    high: float
    answers: int


class Verdict(StrEnum):
    DEMOTE = "demote"
    PROVE = "prove"


def wilson(right: float, answers: float, z: float = CONFIDENCE_Z) -> tuple[float, float]:
    """The score interval of a share: `right` of `answers` (Wilson 1927). (0, 1) without an answer."""
    if answers == 0:
        return 0.0, 1.0
    share, spread = right / answers, z * z / answers
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / answers + spread / (4 * answers)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def precision(rule: Rule) -> Precision | None:
    """By the answers to review items of the rule (spot checks are drawn at random, so they are fair); None without."""
    answers = rule.confirmed + rule.overridden
    if answers == 0:
        return None
    low, high = wilson(rule.confirmed, answers)
    return Precision(estimate=rule.confirmed / answers, low=low, high=high, answers=answers)


def judge(rule: Rule, promise: float) -> Verdict | None:
    """Whether the evidence asks for a change of the rule's standing.

    It is demoted when the interval of its precision lies below the promise. Corrections out of turn say nothing of how
    many were right, so they count against all that the rule decided: it is demoted, too, when they alone are a greater
    share of its hits than the promise allows. A rule of an untrusted pack is proved when its interval lies above.
    """
    found = precision(rule)
    if rule.trusted and not rule.demoted and rule.then.category_id is not None and not rule.then.review:
        below = found is not None and found.answers >= MIN_ANSWERS and found.high < promise
        corrected = rule.corrected >= MIN_ANSWERS and rule.corrected > (1 - promise) * rule.hits
        return Verdict.DEMOTE if below or corrected else None
    if not rule.trusted and found is not None and found.answers >= MIN_ANSWERS and found.low >= promise:
        return Verdict.PROVE
    return None
