"""Spot checks: the share that was asked for, more of what tells more, and no record stands for a crowd."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.spot_checks import check_shares

RECORDS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e6) | st.just(math.inf)), min_size=1, max_size=200)


def shares_of(records: list[tuple[float, float]], share: float) -> list[float]:
    return check_shares([p for p, _ in records], [stale for _, stale in records], share)


@given(records=RECORDS, share=st.floats(0, 0.2))
def test_the_shares_add_up_to_what_was_asked_for(records: list[tuple[float, float]], share: float) -> None:
    assert sum(shares_of(records, share)) == pytest.approx(share * len(records))


@given(records=RECORDS, share=st.floats(0, 1))
def test_each_is_a_chance(records: list[tuple[float, float]], share: float) -> None:
    assert all(0 <= one <= 1 for one in shares_of(records, share))


@given(records=RECORDS, share=st.floats(0.001, 0.2))
def test_no_answer_stands_for_a_crowd_of_others(records: list[tuple[float, float]], share: float) -> None:
    found = shares_of(records, share)
    assert max(found) / min(found) <= 10 + 1e-6
    assert min(found) >= share / 10


def test_they_are_in_proportion_to_the_deviation_of_being_right() -> None:
    """Neyman's allocation: an unsure record's answer tells more."""
    sure, unsure = 0.98, 0.9
    found = check_shares([sure, unsure] * 50, [0.0] * 100, 0.02)
    assert found[1] / found[0] == pytest.approx(math.sqrt(unsure * (1 - unsure)) / math.sqrt(sure * (1 - sure)))
    assert len(set(found)) == 2


def test_what_nobody_was_asked_about_for_long_is_looked_at_more() -> None:
    fresh, stale, never = check_shares([0.95] * 3, [0.0, 5_000.0, math.inf], 0.02)
    assert fresh < stale < never
    assert never / fresh == pytest.approx(2)


@given(records=RECORDS, share=st.floats(0, 1))
def test_equal_records_have_equal_chances(records: list[tuple[float, float]], share: float) -> None:
    found = shares_of(records * 2, share)
    assert found[: len(records)] == pytest.approx(found[len(records) :])


def test_everything_or_nothing_may_be_checked() -> None:
    assert check_shares([0.9, 0.99], [0.0, 9.0], 0.0) == [0.0, 0.0]
    assert check_shares([0.95, 0.95], [0.0, 0.0], 1.0) == [1.0, 1.0]
    assert check_shares([], [], 0.5) == []
