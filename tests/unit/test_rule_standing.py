from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.rule_standing import MIN_ANSWERS, Verdict, judge, precision, wilson
from core.domain.rules import Action, Rule
from tests.unit.building import a_rule

WHEN = {"field": "text", "op": "contains", "value": "uber"}
PROMISE = 0.95


def answered(confirmed: int, overridden: int, **changes: object) -> Rule:
    return replace(a_rule(WHEN), confirmed=confirmed, overridden=overridden, hits=1_000, **changes)  # type: ignore[arg-type]


def test_the_interval_is_wilsons() -> None:
    low, high = wilson(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)  # Wilson 1927, z = 1.96
    assert wilson(0, 0) == (0.0, 1.0)


@given(answers=st.integers(1, 5_000), data=st.data())
def test_the_interval_holds_the_share_and_narrows_with_answers(answers: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, answers))
    low, high = wilson(right, answers)
    assert 0 <= low <= high <= 1
    assert low - 1e-9 <= right / answers <= high + 1e-9
    wider = wilson(right, answers)
    narrower = wilson(right * 4, answers * 4)
    assert narrower[1] - narrower[0] < wider[1] - wider[0]


def test_no_answer_is_no_precision() -> None:
    assert precision(answered(0, 0)) is None
    found = precision(answered(9, 1))
    assert found is not None
    assert (found.estimate, found.answers) == (0.9, 10)
    assert found.low < 0.9 < found.high


@pytest.mark.parametrize(
    ("confirmed", "overridden", "verdict"),
    [
        (0, MIN_ANSWERS - 1, None),
        (0, MIN_ANSWERS, Verdict.DEMOTE),
        (7, 1, None),
        (95, 5, None),
        (80, 20, Verdict.DEMOTE),
    ],
)
def test_a_rule_surely_below_the_promise_is_demoted(confirmed: int, overridden: int, verdict: Verdict | None) -> None:
    assert judge(answered(confirmed, overridden), PROMISE) is verdict


def test_corrections_out_of_turn_count_against_all_hits() -> None:
    # Nobody corrects what is right, so ten corrections alone say little of a rule with a thousand hits.
    assert judge(answered(0, 0, corrected=10), PROMISE) is None
    assert judge(answered(0, 0, corrected=51), PROMISE) is Verdict.DEMOTE
    assert judge(replace(answered(0, 0, corrected=10), hits=20), PROMISE) is Verdict.DEMOTE


def test_a_rule_that_asks_is_not_demoted() -> None:
    asks = Action(category_id=UUID(int=1), review=True)
    assert judge(answered(0, 50, then=asks), PROMISE) is None
    assert judge(answered(0, 50, demoted=True), PROMISE) is None
    assert judge(answered(0, 50, then=Action(skip=True)), PROMISE) is None


def test_an_untrusted_rule_is_proved_by_answers_alone() -> None:
    assert judge(answered(100, 0, trusted=False), PROMISE) is Verdict.PROVE
    assert judge(answered(60, 0, trusted=False), PROMISE) is None, "the interval still reaches below the promise"
    assert judge(answered(100, 0), PROMISE) is None, "it is trusted already"
