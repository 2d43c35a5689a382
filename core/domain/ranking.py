"""Which of many questions to ask first: what an answer to each is worth, by what it tells of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.domain.approvals import URGENCY_DECIMALS
from core.domain.decisions import StageResult, doubt_of
from core.domain.similarity import Neighbour

UNLIKE, ALIKE = 0.5, 0.97
"""Cosines between which an answer tells of another question from nothing to all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An open question: how much the stages are in `doubt` (0 to 1), how likely each category is by what they say (at
    most 1 together; what is missing is something else), and its text's vector. `told` is how much the examples say of
    it already (0 to 1)."""

    doubt: float
    likely: Mapping[UUID, float]
    vector: Sequence[float]
    told: float


def question_of(results: Sequence[StageResult], vector: Sequence[float], near: Sequence[Neighbour]) -> Question:
    """The question by what the stages say, and the examples nearest to it."""
    confidence: dict[UUID, float] = {}
    for candidate in (c for result in results for c in result.candidates):
        confidence[candidate.category_id] = max(confidence.get(candidate.category_id, 0.0), candidate.confidence)
    together = max(1.0, sum(confidence.values()))
    likely = {category: share / together for category, share in confidence.items()}
    told = (tells(n.similarity, likely.get(n.category_id, 0.0) ** 0.5 if likely else 1.0) for n in near)
    return Question(doubt=1 - doubt_of(results)[0], likely=likely, vector=vector, told=max(told, default=0.0))


def tells(cosine: float, agreement: float) -> float:
    """How much an answer tells of another question (0 to 1): more the more alike their texts are, and less where they
    are thought to be of other categories. `agreement` is 1 for the same, 0 for different ones."""
    return min(1.0, max(0.0, (cosine - UNLIKE) / (ALIKE - UNLIKE))) * (1 + agreement) / 2


def urgency_of_worth(worth: float) -> float:
    """`worth` counts the doubtful questions that an answer settles: one settles half of what there is to win, very many
    all of it. So a group of n gains as if its worth were larger (`core.domain.approvals.of_group`)."""
    return round(worth / (1 + worth), URGENCY_DECIMALS)
