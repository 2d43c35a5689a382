"""How right what was decided alone is, out of spot checks that were drawn with unequal chances."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.decisions import Stage
from core.domain.promise import Cell, Check, Keeping, Tally, estimate, figures, tally, to_tell
from core.domain.rule_standing import wilson

MEAN = 9 / 2.302585
"""Of 10**u, u uniform in 0 to 1."""
WRONG: dict[str, Callable[[float], float]] = {
    "all alike": lambda often: 1.0,
    "the often checked": lambda often: often / MEAN,
    "the rarely checked": lambda often: 10 / often / MEAN,
    "none but the rarely checked": lambda often: 2.5 if often < 10**0.4 else 0.0,
}
"""How likely it is that a record is decided wrongly, over the mean, by how often its like is checked (1 to 10)."""


def check(right: bool = True, probability: float = 0.02) -> Check:
    return Check(stage=Stage.SIMILARITY, probability=probability, right=right)


def drawn(seed: int, records: int, precision: float, share: float, wrong: Callable[[float], float]) -> Tally:
    """Checks of records whose chances to be checked differ by a factor of up to 10."""
    chance = random.Random(seed)
    checks = []
    for _ in range(records):
        often = 10 ** chance.random()
        right = chance.random() >= (1 - precision) * wrong(often)
        probability = share * often / MEAN
        if chance.random() < probability:
            checks.append(check(right, probability))
    return tally(checks)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
@pytest.mark.parametrize(
    ("precision", "records", "share"),
    [(0.85, 10_000, 0.01), (0.9, 3_000, 0.05), (0.95, 2_000, 0.05), (0.98, 5_000, 0.02), (0.99, 4_000, 0.02)],
)
def test_intervals_cover_the_truth(
    wrong: Callable[[float], float], precision: float, records: int, share: float
) -> None:
    found = [estimate(drawn(seed, records, precision, share, wrong)) for seed in range(150)]
    covering = [e is not None and e.low <= precision <= e.high for e in found]
    assert sum(covering) / len(covering) >= 0.9


def test_the_estimate_is_unbiased_where_the_plain_share_is_not() -> None:
    tallies = [drawn(seed, 4_000, 0.9, 0.03, WRONG["the often checked"]) for seed in range(100)]
    estimates = [e.precision for t in tallies if (e := estimate(t)) is not None]
    assert sum(estimates) / len(estimates) == pytest.approx(0.9, abs=0.005)
    # What the same answers say without weights: every second check is of the tenth that is checked most.
    answers = random.Random(1)
    often = [10 ** answers.random() for _ in range(20_000)]
    plain = sum((1 - 0.1 * o / MEAN) * o for o in often) / sum(often)
    assert plain < 0.87


def test_equal_weights_make_the_plain_share_and_its_wilson_interval() -> None:
    found = estimate(tally([check(n > 2) for n in range(60)]))
    assert found is not None
    assert (found.precision, found.low, found.high) == pytest.approx((57 / 60, *wilson(57, 60)))
    assert (found.checked, found.effective) == (60, pytest.approx(60))


def test_without_a_check_nothing_is_known() -> None:
    assert estimate(Tally()) is None
    unknown = figures(0.95, [Cell(month=date(2026, 3, 1), stage=Stage.LLM, decided=500, checks=Tally(), recent=0)])
    assert (unknown.decided, unknown.automated, unknown.automation) == (500, 500, 1.0)
    assert (unknown.estimate, unknown.keeping) == (None, Keeping.UNKNOWN)
    assert figures(0.95, []).automation is None


@pytest.mark.parametrize("n", [1, 5, 20, 100])
def test_where_every_check_was_right_the_interval_is_still_wide(n: int) -> None:
    found = estimate(tally([check()] * n))
    assert found is not None
    assert (found.precision, found.high) == (1.0, 1.0)
    # At a precision as low as that, no error would be seen once in 20 times or more.
    assert found.low**n <= 0.05
    uneven = estimate(tally([check(), *[check(probability=0.2)] * (n - 1)]))
    assert uneven is not None
    assert uneven.low <= found.low, "a check that stands for many says less than its weight"


answered = st.lists(st.tuples(st.booleans(), st.floats(0.005, 1)), min_size=1, max_size=60)


@given(answered, st.floats(0.01, 1))
def test_an_estimate_lies_in_its_interval_and_knows_shares_alone(
    answers: list[tuple[bool, float]], scale: float
) -> None:
    found = estimate(tally(check(right, p) for right, p in answers))
    scaled = estimate(tally(check(right, p * scale) for right, p in answers))
    assert found is not None
    assert scaled is not None
    assert 0 <= found.low <= found.precision + 1e-9
    assert found.precision <= found.high + 1e-9 <= 1 + 2e-9
    assert found.effective <= found.checked + 1e-6
    assert (scaled.low, scaled.precision, scaled.high) == pytest.approx((found.low, found.precision, found.high))


@given(answered, answered)
def test_tallies_add_up(some: list[tuple[bool, float]], more: list[tuple[bool, float]]) -> None:
    first, second = (tally(check(right, p) for right, p in part) for part in (some, more))
    whole = tally(check(right, p) for right, p in (*some, *more))
    added = first.plus(second)
    assert added.checked == whole.checked
    assert (added.weight, added.wrong, added.squares, added.wrong_squares) == pytest.approx(
        (whole.weight, whole.wrong, whole.squares, whole.wrong_squares)
    )


def cell(right: int, wrong: int, *, stage: Stage | None = Stage.LLM, decided: int = 0, recent: int = 0) -> Cell:
    checks = tally([check()] * right + [check(right=False)] * wrong)
    return Cell(month=date(2026, 3, 1), stage=stage, decided=decided, checks=checks, recent=recent)


def test_what_is_said_of_the_promise() -> None:
    kept, broken, open_ = (figures(0.95, [cell(*answers)]) for answers in ((299, 1), (80, 20), (96, 4)))
    assert [f.keeping for f in (kept, broken, open_)] == [Keeping.KEPT, Keeping.AT_RISK, Keeping.UNKNOWN]
    assert "likely, not certain" in kept.words
    assert "lies below the promised 95.0%" in broken.words
    assert "cannot be told yet" in open_.words
    tightened = figures(0.95, [cell(299, 1)], tightened=True)
    assert (tightened.keeping, tightened.estimate) == (Keeping.AT_RISK, kept.estimate)
    assert not any("prove" in f.words or "proof" in f.words for f in (kept, broken, open_, tightened))


def test_what_went_to_a_person_is_not_automated() -> None:
    found = figures(0.95, [cell(9, 1, decided=700), cell(0, 0, stage=None, decided=300)])
    assert (found.decided, found.automated, found.automation) == (1_000, 700, 0.7)
    assert figures(0.95, [cell(9, 1, decided=700)], of=1_400).automation == 0.5


@pytest.mark.parametrize(("right", "wrong"), [(97, 3), (45, 5), (10, 0)])
def test_so_many_more_checks_tell(right: int, wrong: int) -> None:
    found = estimate(tally([check()] * right + [check(right=False)] * wrong))
    assert found is not None
    told = to_tell(0.95, found, recent=56)
    assert told is not None
    assert told.days == -(-told.checks // 2)
    times = 1 + told.checks / (right + wrong)
    tells = [wilson(right * times * share, (right + wrong) * times * share) for share in (0.9, 1.01)]
    assert [low >= 0.95 or high < 0.95 for low, high in tells] == [False, True]


def test_when_nothing_can_be_foretold() -> None:
    first = to_tell(0.95, None, recent=0)
    assert first is not None
    assert (first.checks, first.days) == (73, None), "so many, all right, lift the interval to the promise"
    assert to_tell(1.0, None, recent=9) is None
    assert to_tell(0.95, estimate(tally([check()] * 200)), recent=9) is None, "told already"
    assert to_tell(0.95, estimate(tally([check()] * 95 + [check(right=False)] * 5)), recent=9) is None
