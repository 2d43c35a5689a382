"""Spot checks: of what was decided alone a random share goes to a person, more of what tells more."""

from __future__ import annotations

import math
from collections.abc import Sequence

_LEAST, _MOST = 0.4, 4.0
"""How far a record's chance may be from the mean: an answer must never stand for a crowd of others."""
_STALE = 10_000.0
"""Arrivals since the last label of the like after which a record is twice as worth a look."""


def check_shares(probabilities: Sequence[float], stalenesses: Sequence[float], share: float) -> list[float]:
    """The chance of each record of a chunk that was decided alone to be checked; `share` on the mean.

    In proportion to the standard deviation of being right (Neyman 1934: fewest checks for an estimate's variance), and
    more where nobody was asked about the like for long.
    """
    worth = [
        math.sqrt(min(max(p, 0.5), 0.995) * (1 - min(max(p, 0.5), 0.995))) * (1 + min(stale / _STALE, 1.0))
        for p, stale in zip(probabilities, stalenesses, strict=True)
    ]
    if not worth:
        return []
    mean = sum(worth) / len(worth)
    bounded = [min(max(w / mean, _LEAST), _MOST) for w in worth]
    scale = share * len(bounded) / sum(bounded)
    return [min(1.0, b * scale) for b in bounded]
