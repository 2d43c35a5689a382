"""How familiar a new text is: its signs, measured by what the present ensemble says of texts that it never had.

Sums of logits are the best sign where there are many categories, but they grow as more is learned, and where there are
two they say little. How near the nearest text is that was learned means the same at any time, but each purchase card is
near something. There, a record from elsewhere is one of which nothing was seen before, neither its context nor its
first word. So each sign counts in standard deviations of those that new texts had which people then sorted as the
ensemble would have, just before it learned them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.learning.softmax import Floats, Ints

SIGNS = 3
"""The logit of the best category (of both classifiers, summed), the cosine to the nearest text that was learned, and
the share of the memory's keys that it knows."""
CAPACITY = 4_000
"""The latest new texts of which one is the nearest. On CLINC150, all 15,000 tell little more than these."""
_AT_ONCE = 500
"""Texts that are compared with all of these: some megabytes."""
_HALF_LIFE = 100
"""Texts after which one counts half: logits grow as more is learned."""
_NARROWEST = np.array([1.0, 0.05, 0.05])
"""The least standard deviations that are believed: what was the same for a few texts may differ for the next."""
_COUNTS = np.array([1.0, 0.7, 1.0])
"""How much each counts: unclear categories are not only strange, but also more often wrong."""
_ENOUGH = 1.0
"""Standard deviations above the mean from which on a sign is as good as any: that a category fits very well does not
make up for a text that is near nothing."""

Array = npt.NDArray[Any]


class Familiarity:
    """`vectors` (n, dimensions) and `labels` (n) are of texts that were learned, oldest first."""

    def __init__(self, dimensions: int) -> None:
        self._vectors: Floats = np.zeros((0, dimensions), np.float32)
        self._labels: Ints = np.zeros(0, np.int64)
        self._sums: Array = np.zeros((3, SIGNS))
        """Weight, and weighted signs and squares."""

    def nearest(self, vectors: Floats) -> Floats:
        """(n): the cosine of each of these unit vectors to the nearest one that was learned, 0 where there is none."""
        found = np.zeros(len(vectors), np.float32)
        if len(self._vectors):
            for start in range(0, len(vectors), _AT_ONCE):
                found[start : start + _AT_ONCE] = (vectors[start : start + _AT_ONCE] @ self._vectors.T).max(1)
        return found

    def of(self, signs: Floats, known: Array) -> Array:
        """(n): how far its `signs` (n, SIGNS) are below those of new texts that were sorted right, as a negative number
        of standard deviations, 0 where they are not; infinite for `known` texts (n). Means nothing before any were."""
        _, mean, square = self._sums / max(self._sums[0, 0], 1e-9)
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        missing = _COUNTS * np.minimum((signs - mean) / np.maximum(deviation, _NARROWEST) - _ENOUGH, 0)
        return np.where(known, np.inf, 0.0 - np.sqrt((missing**2).sum(1)))

    def compare(self, signs: Floats, weights: Array) -> None:
        """Tells of new texts that were sorted right, in their order, before they are learned."""
        weights = weights * 0.5 ** (np.arange(len(weights))[::-1] / _HALF_LIFE)
        self._sums *= 0.5 ** (len(weights) / _HALF_LIFE)
        self._sums += [np.full(SIGNS, weights.sum()), weights @ signs, weights @ signs**2]

    def learn(self, vectors: Floats, labels: Ints) -> None:
        """Tells of new texts, and of which class they are."""
        self._vectors = np.concatenate([self._vectors, vectors])[-CAPACITY:]
        self._labels = np.concatenate([self._labels, labels])[-CAPACITY:]

    def arrays(self) -> dict[str, Array]:
        return {
            "familiarity.vectors": self._vectors.astype(np.float16),
            "familiarity.labels": self._labels.astype(np.int32),
            "familiarity.sums": self._sums,
        }

    @classmethod
    def load(cls, arrays: Any, there: npt.NDArray[np.bool_]) -> Familiarity:
        """Without the texts of classes that are no longer `there`."""
        labels = arrays["familiarity.labels"].astype(np.int64)
        vectors = arrays["familiarity.vectors"]
        found = cls(vectors.shape[1])
        found._labels, found._vectors = labels[there[labels]], vectors[there[labels]].astype(np.float32)
        found._sums = arrays["familiarity.sums"]
        return found
