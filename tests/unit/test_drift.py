"""The running test of the promise: rarely a false alarm, soon a true one, whatever the chances of being checked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.decisions import Stage
from core.domain.drift import ASKS, ERRORS_BETWEEN, Turn, Watch, changed, evidence, replayed, wanted, watched
from core.domain.promise import Check

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FRESH = Watch(stage=Stage.LLM, promise=0.95)


def answers(seed: int, precision: float, *, risky: bool = False) -> Iterator[Check]:
    """Checks as they come in. Where `risky`, records are checked up to 10 times as often, as they are wrong more."""
    chance = random.Random(seed)
    while True:
        often, wrong = 1.0, 1 - precision
        if risky:
            often = 10 ** chance.random()
            wrong *= often / 3.909
            if chance.random() > often / 10:
                continue
        yield Check(stage=Stage.LLM, probability=0.005 * often, right=chance.random() >= wrong)


def turns(watch: Watch, checks: Iterator[Check], many: int) -> list[tuple[int, Turn]]:
    """When the test asked for what, begun anew each time at the same strictness."""
    found = []
    for n in range(1, many + 1):
        watch, turn = watched(watch, [next(checks)])
        if turn is not None:
            found.append((n, turn))
            watch = watch.again(NOW)
    return found


@pytest.mark.parametrize("risky", [False, True])
def test_false_alarms_are_as_rare_as_promised(risky: bool) -> None:
    alarms = sum(len(turns(FRESH, answers(seed, 0.95, risky=risky), 4_000)) for seed in range(5))
    assert alarms <= 20_000 * 0.05 / ERRORS_BETWEEN
    assert sum(len(turns(FRESH, answers(seed, 0.97, risky=risky), 4_000)) for seed in range(5)) <= 4


def test_without_weights_the_same_checks_would_accuse_a_stage_that_keeps_its_promise() -> None:
    def unweighted() -> Iterator[Check]:
        for check in answers(1, 0.95, risky=True):
            yield Check(stage=check.stage, probability=0.02, right=check.right)

    assert len(turns(FRESH, unweighted(), 4_000)) > 4 * max(1, len(turns(FRESH, answers(1, 0.95, risky=True), 4_000)))


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "median"), [(0.8, 60), (0.9, 220), (0.92, 380)])
@pytest.mark.parametrize("risky", [False, True])
def test_a_loss_is_found_soon(precision: float, median: int, risky: bool) -> None:
    delays = sorted(turns(FRESH, answers(seed, precision, risky=risky), 1_500)[0][0] for seed in range(31))
    assert delays[15] <= median


def test_a_stage_is_eased_after_enough_good_checks_and_not_below_nothing() -> None:
    tightened = Watch(stage=Stage.LLM, promise=0.95, strictness=1)
    eased = sorted(turns(tightened, answers(seed, 0.98), 2_000)[0] for seed in range(21))
    assert {turn for _, turn in eased} == {Turn.EASE}
    assert 100 < eased[10][0] < 500
    assert turns(FRESH, answers(1, 0.99), 2_000) == [], "nothing to ease"
    bad = [turns(tightened, answers(seed, 0.9), 400) for seed in range(21)]
    assert sum(found[0][1] is Turn.EASE for found in bad if found) <= 2


def test_each_step_halves_the_errors_until_the_stage_asks() -> None:
    assert [wanted(0.9, step) for step in range(4)] == [
        pytest.approx(0.9),
        pytest.approx(0.95),
        pytest.approx(0.975),
        None,
    ]
    watch = FRESH
    for step in (1, 2, 3, ASKS):
        watch = changed(watch, Turn.TIGHTEN, NOW + timedelta(days=step))
        assert (watch.strictness, watch.since) == (step if step < ASKS else ASKS, NOW + timedelta(days=step))
    assert changed(FRESH, Turn.EASE, NOW).strictness == 0


def test_an_alarm_ends_the_test_with_its_evidence() -> None:
    wrong = Check(stage=Stage.LLM, probability=0.02, right=False)
    watch, turn = watched(FRESH, [wrong] * 50)
    assert turn is Turn.TIGHTEN
    told = evidence(watch)
    assert 3 <= watch.checks.checked < 10, "what came after it waits for the next test"
    assert (told["stage"], told["was"], told["precision"], told["since"]) == ("llm", 0, 0.0, None)
    after = changed(watch, turn, NOW)
    assert (after.checks.checked, sum(after.against), after.in_favour) == (0, 0, 0)


@pytest.mark.parametrize("promise", [0.0, 0.5, 0.999, 1.0])
def test_odd_promises_have_a_test_too(promise: float) -> None:
    watch = Watch(stage=Stage.RULES, promise=promise, strictness=1)
    right, wrong = (Check(stage=Stage.RULES, probability=0.02, right=r) for r in (True, False))
    assert turns(Watch(stage=Stage.RULES, promise=promise), iter([right] * 500), 500) == []
    _, turn = watched(watch, [wrong] * 2_000)
    assert turn is (Turn.TIGHTEN if promise else None)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 1)), max_size=60))
def test_a_test_made_anew_is_the_one_that_grew(given: list[tuple[bool, float]]) -> None:
    checks = [Check(stage=Stage.LLM, probability=p, right=right) for right, p in given]
    grown = FRESH
    for check in checks:
        grown, turn = watched(grown, [check])
        if turn is not None:
            return
    assert replayed(grown, checks) == grown
    assert min(*grown.against, grown.in_favour) >= 0
