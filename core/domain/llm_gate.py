"""From which confidence on the LLM decides alone: where people's answers to what it suggested show that it keeps the
promise.

What a provider measures (log-probabilities of tokens) and what a model states of itself are not comparable: each has a
threshold of its own. So has each model: a changed one begins anew, and only suggests until it was answered about.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.domain.gate import Gate, strictest_first


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmLabel:
    """A person's answer about a record that the LLM was asked about: the LLM's `confidence` on arrival and whether its
    category was `right`. `weight` is the inverse of the chance with which a person was asked, `group_key` equal for
    records that one answer may settle."""

    confidence: float
    right: bool
    weight: float
    measured: bool
    group_key: str


def llm_gates(labels: Sequence[LlmLabel], wanted: float) -> Mapping[bool, Gate]:
    """The gates for a precision of `wanted`, of what is measured (True) and of what is stated (False)."""
    return {measured: _gate([one for one in labels if one.measured is measured], wanted) for measured in (True, False)}


def level(confidence: float) -> float:
    """The confidence in hundredths, and above 0.99 in thousandths, rounded down: equal ones are taken together."""
    steps = 1_000 if confidence >= 0.99 else 100
    return math.floor(round(confidence * steps, 6)) / steps


def _gate(labels: Sequence[LlmLabel], wanted: float) -> Gate:
    """Whether a person was asked depended on the confidence and on the threshold of the time, not on who is right. So
    labels of a level stand for all of its records together, each for as many. By their own weights, the few spot checks
    of what is decided alone would drown the many answers by which that began, and take it back."""
    weights: dict[float, list[float]] = defaultdict(list)
    for one in labels:
        weights[level(one.confidence)].append(one.weight)
    mean = {at: sum(of_level) / len(of_level) for at, of_level in weights.items()}
    levels = [level(one.confidence) for one in labels]
    threshold = strictest_first(
        levels,
        [one.right for one in labels],
        [mean[at] for at in levels],
        wanted,
        groups=[one.group_key for one in labels],
    )
    return Gate(threshold=threshold, labels=len(labels))
