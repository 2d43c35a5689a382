"""Deciding alone: from which score on a stage keeps the tenant's promise, and how sure it is there.

Only what a person saw is labelled: all that went to review, and of what was decided alone a random share. So each label
weighs the inverse of the chance with which a person was asked, on the score as it was on arrival.

With few labels, thresholds are tried strictest first, and the last one whose lower bound keeps the promise holds. With
many, and scores that are probabilities already (the stacker's), it is estimated by how much their log-odds are too flat
(`slope`, slowly) and too low (`shift`, which follows the world), and the threshold is the lowest from which on the mean
probability of the latest arrivals keeps the promise with an allowance for drift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.domain.learning import Observations
from core.domain.rule_standing import wilson

MANY = 1_500
"""Labels of stacked scores from which on their calibration is trusted."""
STRICT_Z = 2.3263
"""Standard normal quantile of a one-sided bound of 99 %: while little is known, scores still change what they mean."""
RECENT = 4_000
"""Labels that strictest-first looks at, and arrivals that thresholds are made for."""
HALF_LIFE, SLOPE_HALF_LIFE = 3_000, 40_000
"""Arrivals after which a label weighs half: for the shift as it is now, as it drifts from quarter to quarter, and for
shift and slope in the long run."""
WEIGHT_CAP = 3.0
"""Of a label: one wrong answer that stood for 50 moved the threshold by points. The scores are what the chance of a
check depends on, so that calibration by them stays unbiased where weights are lower than that."""
FROM_SCORE = 0.75
"""Scores below say little of those that are decided alone."""
PIVOT = 0.75
"""The score that a slope leaves as it is."""
PRIOR, SLOPE_PRIOR, RECENT_PRIOR = 60.0, 200.0, 150.0
"""How sure we are beforehand that the stacker's probabilities are right: standard deviations of 0.13 in log-odds and of
0.07 in their slope; and that now they are as in the long run: 0.08."""
DRIFT, TOLERANCE = 0.28, 0.013
"""What a period's precision differs from what was expected of it grows with the errors that are promised. That share
of them is held back for it, less the point by which a promise may be missed in a period before it counts as broken;
`benchmarks.kept_promise` shows what comes of it on a file."""
SETTLED_AT = 6_000
"""Labels up to which the distance is larger, twice as large in the beginning: scores still change what they mean."""
SCOPE_SHARE, SCOPE_FEW = 0.035, 200
"""Of the new texts that people sorted like the machine did, this share looks less familiar than what may be decided
alone. A few don't tell what is familiar: of up to some 200 all do, of 300 half, of 2,000 one in twenty."""
_CLIP = 1e-4
_STEPS, _SETTLED = 20, 1e-4
"""Of Newton's method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """`threshold` is the score from which on a stage decides alone, None where it may not; `slope` and `shift` turn a
    score into the probability that it is right; `stacked` says which scores it is for, and `labels` what it rests on.
    `scope` is the lowest scope of what may be decided alone: infinite where only known texts may."""

    threshold: float | None
    shift: float = 0.0
    slope: float = 1.0
    stacked: bool = False
    labels: int = 0
    scope: float = -math.inf

    def probability(self, score: float) -> float:
        # As `_chance` of `log_odds`, in one place: it is asked seven times of each record.
        clipped = _CLIP if score < _CLIP else 1 - _CLIP if score > 1 - _CLIP else score
        odds = _PIVOT + self.slope * (math.log(clipped / (1 - clipped)) - _PIVOT) + self.shift
        return 1 / (1 + math.exp(-odds))

    def opens(self, score: float, scope: float, *, stacked: bool) -> bool:
        return (
            self.threshold is not None and stacked == self.stacked and score >= self.threshold and scope >= self.scope
        )


SHUT = Gate(threshold=None)


def log_odds(probability: float) -> float:
    clipped = min(max(probability, _CLIP), 1 - _CLIP)
    return math.log(clipped / (1 - clipped))


def _chance(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


_PIVOT = log_odds(PIVOT)


def gate_of(seen: Observations, arrivals: Sequence[float], now: float, promise: float) -> Gate:
    """The gate that what people said calls for. `arrivals` are the stacker's scores of the latest records, whoever
    decided them, and `now` the learner's count of arrivals."""
    stacked = [i for i, s in enumerate(seen.stacked) if s]
    scope = _scope(seen)
    if len(stacked) < MANY:
        cold = [i for i, s in enumerate(seen.stacked) if not s][-RECENT:]
        # From the first stacker on, no new record has a score of the other kind.
        use = stacked or cold
        # Uncapped, one wrong check would shut what hundreds of right answers opened.
        weights = [min(seen.weight[i], WEIGHT_CAP) for i in use]
        threshold = strictest_first([seen.score[i] for i in use], [seen.correct[i] for i in use], weights, promise)
        return Gate(threshold=threshold, stacked=bool(stacked), labels=len(use), scope=scope)
    shift, slope = calibrated(
        [seen.score[i] for i in stacked],
        [seen.correct[i] for i in stacked],
        [seen.weight[i] for i in stacked],
        [max(0.0, now - seen.arrived[i]) for i in stacked],
    )
    gate = Gate(threshold=None, shift=shift, slope=slope, stacked=True, labels=len(stacked), scope=scope)
    wanted = promise + allowance(promise, len(stacked))
    threshold, total = None, 0.0
    for n, score in enumerate(sorted(arrivals, reverse=True)[:RECENT], 1):
        total += gate.probability(score)
        if total / n < wanted:
            break
        threshold = score
    return replace(gate, threshold=threshold)


def allowance(promise: float, labels: int) -> float:
    """What is kept between promise and expectation, in probability."""
    drift = DRIFT * (1 + max(0.0, 1 - labels / SETTLED_AT))
    return max(0.0, drift * (1 - promise) - TOLERANCE)


def strictest_first(
    scores: Sequence[float],
    correct: Sequence[bool],
    weights: Sequence[float],
    promise: float,
    groups: Sequence[str] | None = None,
) -> float | None:
    """The lowest threshold such that it and all stricter ones keep the promise by their lower bound; None if none does.

    The strictest ones rest on too few labels for any bound, so the walk begins where the promise could be shown at all.
    Fixed-sequence testing: no threshold is tried after one that failed (Angelopoulos et al., Learn then Test, 2021).
    Labels of one of the `groups` are one piece of evidence, however many they are (None: each is its own).
    """
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    fewest = _fewest(promise)
    found: float | None = None
    right = total = squares = 0.0
    seen: set[str] = set()
    for place, i in enumerate(order):
        right += weights[i] * correct[i]
        total += weights[i]
        squares += weights[i] ** 2
        if groups is not None:
            seen.add(groups[i])
        if place + 1 < len(order) and scores[order[place + 1]] == scores[i]:
            continue
        effective = total * total / squares
        if groups is not None:
            effective = min(effective, len(seen))
        if effective < fewest:
            continue
        share = right / total
        if wilson(share * effective, effective, STRICT_Z)[0] < promise:
            break
        found = scores[i]
    return found


def _fewest(promise: float) -> float:
    """The labels by which, all correct, the promise can be shown: n / (n + z²) is the bound then."""
    if promise >= 1:
        return math.inf
    return STRICT_Z**2 * promise / (1 - promise)


def calibrated(
    scores: Sequence[float], correct: Sequence[bool], weights: Sequence[float], ages: Sequence[float]
) -> tuple[float, float]:
    """`shift` and `slope`: weighted logistic regressions on the log-odds of the scores, with normal priors: in the long
    run around 0 and 1, and of the latest shift around that of the long run. `ages` are in arrivals."""
    used = [
        (log_odds(score) - _PIVOT, float(right), min(weight, WEIGHT_CAP), age)
        for score, right, weight, age in zip(scores, correct, weights, ages, strict=True)
        if score > FROM_SCORE
    ]
    slow = [(odds, right, weight * 0.5 ** (age / SLOPE_HALF_LIFE)) for odds, right, weight, age in used]
    shift, slope = _long_run(slow)
    fast = [
        (_PIVOT + slope * odds + shift, right, weight * 0.5 ** (age / HALF_LIFE)) for odds, right, weight, age in used
    ]
    return shift + _shift_of(fast), slope


Judged = Sequence[tuple[float, float, float]]
"""Log-odds, whether it was right, and the weight of that."""


def _shift_of(judged: Judged) -> float:
    shift = 0.0
    for _ in range(_STEPS):
        slope, curve = -RECENT_PRIOR * shift, RECENT_PRIOR
        for odds, right, weight in judged:
            expected = _chance(odds + shift)
            slope += weight * (right - expected)
            curve += weight * expected * (1 - expected)
        step = min(max(slope / curve, -1.0), 1.0)
        shift += step
        if abs(step) < _SETTLED:
            break
    return shift


def _long_run(judged: Judged) -> tuple[float, float]:
    """The shift, and the slope about the pivot."""
    shift, slope = 0.0, 1.0
    for _ in range(_STEPS):
        up, tilt = -PRIOR * shift, -SLOPE_PRIOR * (slope - 1)
        a, b, c = PRIOR, 0.0, SLOPE_PRIOR
        for odds, right, weight in judged:
            expected = _chance(_PIVOT + slope * odds + shift)
            miss, curve = weight * (right - expected), weight * expected * (1 - expected)
            up, tilt = up + miss, tilt + miss * odds
            a, b, c = a + curve, b + curve * odds, c + curve * odds * odds
        determinant = a * c - b * b
        steps = (c * up - b * tilt) / determinant, (a * tilt - b * up) / determinant
        shift, slope = (value + min(max(step, -0.5), 0.5) for value, step in zip((shift, slope), steps, strict=True))
        if max(map(abs, steps)) < _SETTLED:
            break
    return shift, slope


def _scope(seen: Observations) -> float:
    """The quantile of the latest right ones' scopes, each weighing as it does for the stream: those that were decided
    alone look more familiar than those that people were asked about. None of them weighs too much, since each was above
    the threshold of its day."""
    latest = range(max(0, len(seen.scope) - RECENT), len(seen.scope))
    told = sorted((seen.scope[i], seen.weight[i]) for i in latest if seen.correct[i] and math.isfinite(seen.scope[i]))
    total = sum(weight for _, weight in told)
    below = total * (SCOPE_SHARE + (SCOPE_FEW / max(len(told), 1)) ** 2)
    for scope, weight in told:
        below -= weight
        if below < 0:
            return scope
    return math.inf
