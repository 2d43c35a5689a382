"""Lazy greedy cover: each question asked is the one that tells most of what is still in doubt.

Of a question j in doubt, an answer to i tells K(i, j); what was answered before told some of it already. The worth of i
is the doubt that it takes away beyond that, summed over all j. As this only falls the more is asked (it is submodular),
what was computed before bounds it from above: only the top of a heap is looked at anew (Minoux 1978), and the order is
worth at least 63 % of the best one there is (Nemhauser, Wolsey, Fisher 1978).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from uuid import UUID

import numpy as np
import numpy.typing as npt

from core.domain.ranking import ALIKE, UNLIKE, Question

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
TAKEN = 300
"""Questions taken one after the other: more than people answer before something is learned."""
CLASSES = 256
"""Categories told apart: those that are thought of most. The others count as one, as what is missing does."""
_BLOCK = 250
"""Questions that are compared with all others at once: some megabytes."""


class CoverageRanker:
    """A `Ranker`. Takes time and memory by the square of the number of questions."""

    def worth(self, questions: Sequence[Question]) -> list[float]:
        if not questions:
            return []
        tells = _tells(questions)
        doubt = np.array([q.doubt for q in questions], np.float32)
        told = np.array([q.told for q in questions], np.float32)
        worth = _all(tells, doubt, told)
        heap = [(-value, place, 0) for place, value in enumerate(worth.tolist())]
        heapify(heap)
        taken: list[int] = []
        while heap and len(taken) < TAKEN:
            value, place, seen = heap[0]
            if seen == len(taken):
                heappop(heap)
                worth[place] = -value
                told = np.maximum(told, tells[place])
                taken.append(place)
            else:
                heapreplace(heap, (-float(np.maximum(tells[place] - told, 0) @ doubt), place, len(taken)))
        if heap:
            left = np.ones(len(questions), bool)
            left[taken] = False
            worth = np.where(left, np.minimum(_all(tells, doubt, told), worth[taken[-1]]), worth)
        return [float(value) for value in worth]


def _all(tells: Halves, doubt: Floats, told: Floats) -> Floats:
    found = np.empty(len(doubt), np.float32)
    for start in range(0, len(doubt), _BLOCK):
        found[start : start + _BLOCK] = np.maximum(tells[start : start + _BLOCK] - told, 0) @ doubt
    return found


def _tells(questions: Sequence[Question]) -> Halves:
    """(n, n): `core.domain.ranking.tells` of each pair."""
    vectors = np.array([q.vector for q in questions], np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    roots = np.sqrt(_shares([q.likely for q in questions]))
    found = np.empty((len(questions), len(questions)), np.float16)
    for start in range(0, len(questions), _BLOCK):
        part = slice(start, start + _BLOCK)
        alike = np.clip((vectors[part] @ vectors.T - UNLIKE) / (ALIKE - UNLIKE), 0, 1)
        found[part] = alike * (1 + np.minimum(roots[part] @ roots.T, 1)) / 2

    return found


def _shares(likely: Sequence[Mapping[UUID, float]]) -> Floats:
    """(n, classes): how likely each question is of each category; the last column is all else."""
    weighed: Counter[UUID] = Counter()
    for one in likely:
        weighed.update(one)
    place_of = {category: place for place, (category, _) in enumerate(weighed.most_common(CLASSES))}
    found = np.zeros((len(likely), len(place_of) + 1), np.float32)
    for row, one in zip(found, likely, strict=True):
        for category, share in one.items():
            row[place_of.get(category, -1)] += share
        row[-1] += max(0.0, 1 - sum(one.values()))
    return found
