"""What the learner is told and what it says: lessons, and the scores of records on arrival."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from core.domain.records import Sortable


class Proposed(NamedTuple):
    """A category that the learner proposes: its P(correct) as estimated, and how often people gave it to what is most
    like the record, of how many times (`alike` names in what: text, counterparty with context, …). A tuple, since
    30,000 of them are made for a chunk of records."""

    category_id: UUID
    probability: float
    approved: int
    of: int
    alike: str


class Scored(NamedTuple):
    """What the learner says of one record, candidates best first.

    `score` ranks records by how sure it is (0 to 1, no probability yet: see `core.domain.gate`); `stacked` says whether
    a stacker made it, or, before there is one, memory and classifier alone. `scope` is high for what is like anything
    known: infinite where its text was approved before, numbers aside, else 0 at most and as high for what fits in,
    however much was learned by then. `staleness` is how many records arrived since the last label of the like.
    `features` are what the stacker learns from, in the learner's own form, about the candidates in the order of
    `asked`; and `arrived` is the learner's count of arrivals.
    """

    candidates: tuple[Proposed, ...]
    asked: tuple[UUID, ...]
    score: float
    stacked: bool
    scope: float
    staleness: float
    features: bytes
    arrived: int

    @property
    def known(self) -> bool:
        """Its text was approved before, numbers aside."""
        return math.isinf(self.scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What was said of a record on its arrival, as it is stored: the candidates in the order of their features."""

    candidates: tuple[UUID, ...]
    features: bytes
    score: float
    stacked: bool
    scope: float
    predicted: UUID | None
    arrived: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A record whose category a person gave. `weight` is the inverse of the chance with which a person was asked (1 for
    all that goes to review), None where nobody asked, or similarity was not asked before (a rule decided): then it
    teaches and calibrates nothing. `vector` is the embedding of its text, if there is one; `arrival` what was said
    before the person spoke, None for history that was imported as approved."""

    record: Sortable
    category_id: UUID
    weight: float | None
    vector: Sequence[float] | None
    arrival: Arrival | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What came of scores: columns of equal length, oldest first. `arrived` is the learner's count of arrivals; `scope`
    was measured just before the record was learned, and is infinite where that tells nothing of new texts."""

    score: Sequence[float]
    correct: Sequence[bool]
    weight: Sequence[float]
    arrived: Sequence[float]
    stacked: Sequence[bool]
    scope: Sequence[float]


def arrival_of(scored: Scored, arrived: int | None = None, *, whole: bool = True) -> Arrival:
    """What is to be kept of what was said; unless `whole` without what the stacker learns from."""
    return Arrival(
        candidates=scored.asked if whole else (),
        features=scored.features if whole else b"",
        score=scored.score,
        stacked=scored.stacked,
        scope=scored.scope,
        predicted=scored.candidates[0].category_id if scored.candidates else None,
        arrived=scored.arrived if arrived is None else arrived,
    )
