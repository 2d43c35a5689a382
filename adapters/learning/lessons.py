"""Lessons as the members learn them: in batches, drawn from what was learned before, so that nothing is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from scipy import sparse

from adapters.learning.softmax import Floats, Ints
from core.domain.learning import Arrival, Lesson

WEIGHT_CAP = 5.0
"""Of a lesson: an answer to a spot check of 2 % stands for 50 records, and would be learned by heart."""
REPLAY, REPLAY_WINDOW = 4_000, 30_000
"""Lessons gone through again beside each block of new ones, drawn from the latest."""

Pair = tuple[Arrival, UUID, float]
"""What was said on arrival, what a person said, and how much that weighs: what the stacker learns from."""
Earlier = Callable[[int, int, int], Sequence[Lesson]]


@dataclass(frozen=True, slots=True)
class Batch:
    """n lessons: sparse features, vectors (NaN where there are none), classes and weights."""

    grams: Any
    vectors: Floats
    labels: Ints
    weights: Floats

    def at(self, places: npt.NDArray[Any]) -> Batch:
        return Batch(self.grams[places], self.vectors[places], self.labels[places], self.weights[places])


class Pool:
    """What to learn again: lessons of this session, which are at hand, and earlier ones, which `earlier` gives."""

    def __init__(self, earlier: Earlier, taught: int, batch_of: Callable[[Sequence[Lesson]], Batch]) -> None:
        self._earlier, self._before, self._batch_of = earlier, taught, batch_of
        self._batches: list[Batch] = []
        self.pairs: list[Pair] = []

    def add(self, batch: Batch) -> None:
        self._batches.append(batch)

    def own(self, most: int) -> Batch:
        """The latest lessons of this session."""
        whole = _joined(self._batches)
        return whole.at(np.arange(max(0, len(whole.labels) - most), len(whole.labels)))

    def drawn(self, count: int, random: np.random.Generator) -> list[Batch]:
        """`count` lessons, drawn with equal chance from the latest of all."""
        mine = sum(len(batch.labels) for batch in self._batches)
        before = min(self._before, max(0, REPLAY_WINDOW - mine))
        of_mine = round(count * mine / max(mine + before, 1))
        found = []
        if of_mine:
            own = self.own(REPLAY_WINDOW)
            found.append(own.at(random.integers(0, len(own.labels), of_mine)))
        if before and count > of_mine:
            seed = int(random.integers(1 << 63))
            if lessons := self._earlier(count - of_mine, before, seed):
                found.append(self._batch_of(lessons))
        return found

    def latest_pairs(self, most: int, layout: bytes) -> list[Pair]:
        """The latest lessons with what was said of them on arrival, oldest first."""
        missing = most - len(self.pairs)
        before: list[Pair] = []
        if missing > 0 and self._before:
            before = [pair for one in self._earlier(missing, missing, 0) if (pair := pair_of(one, one.arrival, layout))]
        return [*before, *self.pairs][-most:]


def pair_of(lesson: Lesson, arrival: Arrival | None, layout: bytes) -> Pair | None:
    """None where nobody was asked, or the features are laid out in another way."""
    if lesson.weight is None or arrival is None or not arrival.features.startswith(layout):
        return None
    return arrival, lesson.category_id, min(lesson.weight, WEIGHT_CAP)


def _joined(batches: Sequence[Batch]) -> Batch:
    return Batch(
        sparse.vstack([b.grams for b in batches], format="csr"),
        np.concatenate([b.vectors for b in batches]),
        np.concatenate([b.labels for b in batches]),
        np.concatenate([b.weights for b in batches]),
    )
