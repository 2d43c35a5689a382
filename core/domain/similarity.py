"""Similarity: what approved neighbours say of a text."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from core.domain.decisions import Candidate, Outcome, Stage, StageResult

NEIGHBOURS = 10
"""How many examples vote."""
SHARPNESS = 20.0
"""A neighbour that is 0.05 less similar weighs e times less."""
UNRELATED, ALIKE = 0.5, 0.97
"""Cosines of MiniLM between which a nearest neighbour counts from nothing to fully. Measured on 6,000 card purchases:
where the neighbours agree, 86 % are right if the nearest has 0.95 or more, and less than two thirds below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An approved example near a text; `similarity` is the cosine (-1 to 1)."""

    example_id: UUID
    category_id: UUID
    text: str
    similarity: float


def vote(neighbours: Sequence[Neighbour], *, threshold: float | None, model: str) -> StageResult:
    """Lets neighbours vote, weighted by `exp(SHARPNESS * similarity)`.

    A category's confidence is its share of the votes, scaled by how near its nearest example is; so a lone example
    far away never decides, however unanimous it is. Without a `threshold` they only suggest.
    """
    if not neighbours:
        return StageResult(
            stage=Stage.SIMILARITY, outcome=Outcome.UNSURE, reason="nothing is approved yet", model=model
        )
    weights: dict[UUID, float] = defaultdict(float)
    nearest: dict[UUID, Neighbour] = {}
    counts: dict[UUID, int] = defaultdict(int)
    for n in neighbours:
        weights[n.category_id] += math.exp(SHARPNESS * (n.similarity - 1))
        counts[n.category_id] += 1
        if n.category_id not in nearest or n.similarity > nearest[n.category_id].similarity:
            nearest[n.category_id] = n
    total = sum(weights.values())
    first = max(neighbours, key=lambda n: n.similarity)
    candidates = sorted(
        (
            Candidate(
                category_id=category_id,
                confidence=weight / total * _closeness(nearest[category_id].similarity),
                source=f"example:{nearest[category_id].example_id}",
                rationale=(
                    f"{counts[category_id]} of {len(neighbours)} nearest approved agree, "
                    f"the nearest ({nearest[category_id].similarity:.2f}) is “{nearest[category_id].text[:80]}”"
                ),
            )
            for category_id, weight in weights.items()
        ),
        key=lambda c: (-c.confidence, str(c.category_id)),
    )
    best = candidates[0].confidence
    needed = "too little is known yet of how often that is right" if threshold is None else f"{threshold:.2f} is needed"
    return StageResult(
        stage=Stage.SIMILARITY,
        outcome=Outcome.DECIDED if threshold is not None and best >= threshold else Outcome.UNSURE,
        reason=f"the best candidate has {best:.2f}, {needed}",
        candidates=tuple(candidates),
        threshold=threshold,
        model=model,
        evidence=(
            {
                "nearest": round(first.similarity, 4),
                "text": first.text[:80],
                "category_id": str(first.category_id),
            },
        ),
    )


def _closeness(similarity: float) -> float:
    return min(1.0, max(0.0, (similarity - UNRELATED) / (ALIKE - UNRELATED)))
