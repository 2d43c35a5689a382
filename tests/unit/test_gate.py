"""The gate: it keeps the promise on data like that which it was made of, and stays shut where nothing is known."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.gate import MANY, RECENT, SHUT, Gate, allowance, calibrated, gate_of, log_odds, strictest_first
from core.domain.learning import Observations

SEEDS = 200
PROMISES = [0.8, 0.9, 0.95, 0.98]


def observed(
    score: Sequence[float], correct: Sequence[bool], *, stacked: bool, **columns: Sequence[float]
) -> Observations:
    ones, zeros = [1.0] * len(score), [0.0] * len(score)
    standard = {"weight": ones, "arrived": list(map(float, range(len(score)))), "scope": zeros}
    return Observations(score=score, correct=correct, stacked=[stacked] * len(score), **{**standard, **columns})


def judged(
    chance: random.Random, count: int, shift: float = 0.0, least: float = 0.02
) -> tuple[list[float], list[bool]]:
    """Scores, and whether they turned out right: with odds that are `shift` better than the scores say."""
    scores = [1 / (1 + math.exp(-chance.uniform(log_odds(least), 6))) for _ in range(count)]
    return scores, [chance.random() < 1 / (1 + math.exp(-(log_odds(s) + shift))) for s in scores]


@pytest.mark.parametrize("check_share", [1.0, 0.25], ids=["all answered", "spot checks above"])
def test_strictest_first_keeps_the_promise_on_what_is_like_the_labels(check_share: float) -> None:
    """A score s is right with a chance of (1 + s) / 2, so from t on the precision is 0.75 + t / 4."""
    promise, broken, opened = 0.9, 0, 0
    for seed in range(SEEDS):
        chance = random.Random(seed)
        scores, correct, weights = [], [], []
        for _ in range(2_400):
            score = chance.random()
            asked = 1.0 if score < 0.5 else check_share
            if chance.random() < asked:
                scores.append(score)
                correct.append(chance.random() < (1 + score) / 2)
                weights.append(1 / asked)
        threshold = strictest_first(scores, correct, weights, promise)
        if threshold is not None:
            opened += 1
            broken += 0.75 + threshold / 4 < promise
    assert broken <= SEEDS * 0.05
    assert opened >= SEEDS / 4, "or nothing was shown"


def test_labels_weigh_the_inverse_of_their_chance() -> None:
    """Below 0.8 people see everything, above it a tenth: what is wrong there stands for ten."""
    scores = [0.9 - n / 1e6 for n in range(400)]
    correct = [n % 20 != 19 for n in range(400)]
    sure = [0.95 + n / 1e6 for n in range(600)]
    even = strictest_first([*sure, *scores], [True] * 600 + correct, [1.0] * 1_000, 0.96)
    heavy = strictest_first([*sure, *scores], [True] * 600 + correct, [1.0] * 600 + [10.0] * 400, 0.96)
    assert even is not None
    assert even < 0.9
    assert heavy is not None
    assert heavy > even


def test_one_wrong_check_does_not_shut_what_hundreds_opened() -> None:
    answered, checks = [0.9 + n / 1e4 for n in range(600)], [0.9 + n / 160 for n in range(10)]
    correct = [True] * 600 + [n != 2 for n in range(10)]
    weights = [1.0] * 600 + [50.0] * 10
    gate = gate_of(observed([*answered, *checks], correct, stacked=True, weight=weights), [], 610, 0.95)
    assert gate.threshold is not None
    assert gate.threshold < 0.92


@pytest.mark.parametrize("promise", PROMISES)
def test_it_never_opens_on_too_few_labels(promise: float) -> None:
    few = math.ceil(promise / (1 - promise))  # by the rule of succession not even the expectation is that high
    scores = [1 - n / 1e6 for n in range(few)]
    for stacked in (False, True):
        gate = gate_of(observed(scores, [True] * few, stacked=stacked), scores, few, promise)
        assert gate.threshold is None
        assert not gate.opens(1.0, math.inf, stacked=stacked)


def test_it_opens_when_enough_was_right_and_nothing_else() -> None:
    scores = [1 - n / 1e6 for n in range(1_000)]
    for stacked in (False, True):
        gate = gate_of(observed(scores, [True] * 1_000, stacked=stacked), [], 1_000, 0.95)
        assert (gate.threshold, gate.stacked, gate.labels) == (min(scores), stacked, 1_000)
        assert gate_of(observed(scores, [False] * 1_000, stacked=stacked), [], 1_000, 0.95).threshold is None


def test_the_stacker_takes_over_when_some_of_its_scores_were_answered() -> None:
    """However many were answered before there was one: new records have no such score."""
    scores, stacked = [0.6] * 1_000 + [0.99] * 200, [False] * 1_000 + [True] * 200
    whole = replace(observed(scores, [True] * 1_200, stacked=False), stacked=stacked)
    gate = gate_of(whole, [], 1_200, 0.95)
    assert (gate.threshold, gate.stacked, gate.labels) == (0.99, True, 200)


def test_nothing_is_known_without_labels() -> None:
    gate = gate_of(observed([], [], stacked=False), [0.99] * 500, 500, 0.5)
    assert (gate.threshold, gate.labels, gate.shift) == (None, 0, 0.0)
    assert SHUT.threshold is None


@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
def test_the_whole_truth_is_never_promised(many: bool) -> None:
    scores = [0.9999] * (MANY + 10 if many else 500)
    gate = gate_of(observed(scores, [True] * len(scores), stacked=True), scores, len(scores), 1.0)
    assert gate.threshold is None


@given(
    seed=st.integers(0, 10**6),
    errors=st.floats(0, 0.05),
    promises=st.tuples(st.floats(0.5, 0.99), st.floats(0.5, 0.99)),
)
def test_a_higher_promise_opens_no_wider(seed: int, errors: float, promises: tuple[float, float]) -> None:
    chance, (low, high) = random.Random(seed), sorted(promises)
    scores = [chance.randrange(400) / 400 for _ in range(700)]
    correct = [chance.random() > errors * 8 * (1 - score) for score in scores]
    strict = strictest_first(scores, correct, [1.0] * 700, high)
    loose = strictest_first(scores, correct, [1.0] * 700, low)
    if strict is not None:
        assert loose is not None
        assert loose <= strict
        assert strict in scores, "it stands where a label stands"


def test_a_higher_promise_opens_no_wider_with_many_labels() -> None:
    chance = random.Random(3)
    scores, correct = judged(chance, MANY + 500)
    seen = observed(scores, correct, stacked=True)
    arrivals = judged(chance, 3_000)[0]
    thresholds = [gate_of(seen, arrivals, MANY, p / 1000).threshold for p in range(600, 999, 7)]
    found = [math.inf if t is None else t for t in thresholds]
    assert found == sorted(found)
    assert len(set(found)) > 10


def chance_of(score: float, slope: float, shift: float) -> float:
    pivot = log_odds(0.75)
    return 1 / (1 + math.exp(-(pivot + slope * (log_odds(score) - pivot) + shift)))


def estimated(scores: Sequence[float], correct: Sequence[bool], weight: float = 1.0) -> tuple[float, float]:
    return calibrated(scores, correct, [weight] * len(scores), [0.0] * len(scores))


@pytest.mark.parametrize(("slope", "shift"), [(1.0, -0.8), (1.0, 0.0), (1.0, 0.5), (0.8, 0.2), (1.3, -0.2)])
def test_how_the_scores_are_off_is_recovered(slope: float, shift: float) -> None:
    chance = random.Random(1)
    scores, _ = judged(chance, 30_000, least=0.5)
    correct = [chance.random() < chance_of(score, slope, shift) for score in scores]
    told = Gate(threshold=None, **dict(zip(("shift", "slope"), estimated(scores, correct, 5.0), strict=True)))
    for score in (0.7, 0.9, 0.97):
        assert told.probability(score) == pytest.approx(chance_of(score, slope, shift), abs=0.02)


def test_the_shift_is_believed_as_far_as_there_are_labels() -> None:
    scores, correct = judged(random.Random(2), 20_000, -0.8, least=0.7)
    shifts = [estimated(scores[:n], correct[:n])[0] for n in (0, 10, 300, 3_000, 20_000)]
    assert shifts[0] == 0
    assert abs(shifts[1]) < 0.15
    assert shifts[2] > shifts[3] > shifts[4]


def test_a_label_of_weight_three_is_three_labels() -> None:
    scores, correct = judged(random.Random(5), 500, -0.5)
    assert estimated(scores, correct, 3.0) == pytest.approx(estimated(scores * 3, correct * 3), abs=1e-3)


def test_later_labels_tell_more_of_the_shift() -> None:
    chance, now = random.Random(6), 100_000.0
    worse, better = judged(chance, 3_000, -1.0, least=0.7), judged(chance, 3_000, 1.0, least=0.7)
    scores, correct = worse[0] + better[0], worse[1] + better[1]

    def shift(first: float, second: float) -> float:
        arrived = [first] * 3_000 + [second] * 3_000
        return gate_of(observed(scores, correct, stacked=True, arrived=arrived), [], now, 0.9).shift

    assert shift(0.0, now) > shift(now, now) + 0.2
    assert shift(now, 0.0) < shift(now, now) - 0.2


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("shift", [-0.5, 0.4])
def test_what_is_above_the_threshold_keeps_the_promise_on_the_mean(promise: float, shift: float) -> None:
    chance = random.Random(7)
    scores, correct = judged(chance, 6_000, shift)
    arrivals = judged(chance, 3_000)[0]
    gate = gate_of(observed(scores, correct, stacked=True), arrivals, len(scores), promise)
    assert gate.threshold is not None
    assert gate.stacked
    above = sorted((gate.probability(s) for s in arrivals if gate.opens(s, 0.0, stacked=True)), reverse=True)
    assert sum(above) / len(above) >= promise
    more = sorted(map(gate.probability, arrivals), reverse=True)[: len(above) + 1]
    assert sum(more) / len(more) < promise + allowance(promise, 6_000) + 1e-9, "it is the lowest that does"
    fresh, right = judged(chance, 30_000, shift)
    decided = [c for s, c in zip(fresh, right, strict=True) if gate.opens(s, 0.0, stacked=True)]
    assert sum(decided) / len(decided) > promise - 0.01


def test_a_score_means_what_its_labels_say() -> None:
    gate = Gate(threshold=0.9, shift=-0.7, stacked=True)
    assert gate.probability(0.9) == pytest.approx(1 / (1 + math.exp(-(math.log(9) - 0.7))))
    assert replace(gate, shift=0.0).probability(0.9) == pytest.approx(0.9)
    assert 0 < gate.probability(0.0) < gate.probability(0.5) < gate.probability(1.0) < 1


def test_it_opens_for_the_scores_it_was_made_for() -> None:
    gate = Gate(threshold=0.9, stacked=True, scope=2.0)
    assert gate.opens(0.9, 2.0, stacked=True)
    assert not gate.opens(0.9, 2.0, stacked=False)
    assert not gate.opens(0.8999, 2.0, stacked=True)
    assert not gate.opens(1.0, 1.999, stacked=True), "it is like nothing that is known"
    assert not SHUT.opens(1.0, math.inf, stacked=False)


def test_what_is_less_familiar_than_nearly_all_that_was_right_is_out_of_scope() -> None:
    count = 1_000
    scope = [float(n) for n in range(count)]
    random.Random(8).shuffle(scope)
    scores, right = [0.99] * count, [True] * count
    gate = gate_of(observed(scores, right, stacked=False, scope=scope), [], count, 0.9)
    below = sum(s < gate.scope for s in scope) / count
    assert 0 < below < 0.1
    # What people sorted otherwise than the machine did says nothing of what it knows.
    wrong = gate_of(
        observed([*scores, *scores], [*right, *[False] * count], stacked=False, scope=[*scope, *[-9.0] * count]),
        [],
        1,
        0.9,
    )
    assert wrong.scope == gate.scope
    known = observed([*scores, *scores], [True] * 2 * count, stacked=False, scope=[*scope, *[math.inf] * count])
    assert gate_of(known, [], 1, 0.9).scope == gate.scope, "nor do texts that are known"


def test_the_fewer_new_texts_were_sorted_the_more_familiar_must_one_look() -> None:
    scope = [n / 10_000 for n in range(10_000)]
    random.Random(9).shuffle(scope)

    def least(count: int) -> float:
        seen = observed([0.99] * count, [True] * count, stacked=False, scope=scope[:count])
        return gate_of(seen, [], count, 0.9).scope

    found = [least(count) for count in (0, 1, 20, 200, 250, 300, 600, 2_000, 4_000)]
    assert found[:4] == [math.inf] * 4, "a few say nothing of what is familiar: known texts alone may be decided alone"
    assert found == sorted(found, reverse=True)
    assert 0.4 < least(300) < 0.6
    assert 0.02 < least(4_000) < 0.05


def test_scopes_weigh_as_they_do_for_the_stream() -> None:
    """Of the unfamiliar texts all were asked about, of the familiar ones one in twenty."""
    chance = random.Random(10)
    everyone = [chance.gauss(0, 1) for _ in range(20_000)]
    asked = [(scope, 1.0 if scope < -1 else 20.0) for scope in everyone if scope < -1 or chance.random() < 0.05]
    scopes, weights = zip(*asked[:RECENT], strict=True)
    seen = observed([0.99] * len(scopes), [True] * len(scopes), stacked=False, scope=scopes, weight=weights)
    gate = gate_of(seen, [], len(scopes), 0.9)
    assert 0.025 < sum(scope < gate.scope for scope in everyone) / len(everyone) < 0.05
