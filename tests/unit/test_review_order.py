"""The order of the review queue, its groups, and how spot checks hide in it."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.approvals import (
    ALONE,
    FARTHEST,
    UNKNOWN_NOVELTY,
    ApprovalReason,
    draw,
    group_key,
    margin,
    of_group,
    urgency,
)
from core.domain.decisions import (
    Candidate,
    Decision,
    Outcome,
    Stage,
    StageResult,
    decide,
    earlier_results,
    mix_in,
    urgency_of,
)
from core.domain.records import RecordStatus
from core.domain.similarity import Neighbour, vote
from tests.unit.building import a_record

A, B, C = (UUID(int=n) for n in (1, 2, 3))
SHARE = st.floats(0, 1)


def result(stage: Stage, *candidates: tuple[UUID, float], outcome: Outcome = Outcome.UNSURE) -> StageResult:
    made = tuple(Candidate(category_id=id, confidence=c, source="x", rationale="y") for id, c in candidates)
    return StageResult(stage=stage, outcome=outcome, reason="r", candidates=made)


def question(n: int, urgency: float) -> Decision:
    return Decision(
        record_id=UUID(int=n),
        status=RecordStatus.NEEDS_REVIEW,
        trace={},
        approval=ApprovalReason.UNSURE,
        urgency=urgency,
    )


def test_the_margin_is_between_categories_and_not_between_stages() -> None:
    assert margin([]) == 0
    assert margin([(A, 0.6)]) == 0.6
    assert margin([(A, 0.6), (B, 0.5)]) == pytest.approx(0.1)
    assert margin([(A, 0.6), (A, 0.7), (B, 0.5)]) == pytest.approx(0.2), "two stages that agree are not in doubt"


@given(SHARE, SHARE, SHARE, SHARE, st.integers(1, 10**6))
def test_urgency_rises_with_doubt_distance_and_size(near: float, far: float, less: float, more: float, n: int) -> None:
    near, far = sorted((near, far))
    less, more = sorted((less, more))
    assert 0 <= urgency(more, near, n) <= urgency(less, near, n) <= 1
    assert urgency(less, near, n) <= urgency(less, far, n)
    assert urgency(less, near, n) <= urgency(less, near, n + 1)
    assert urgency(less, None) == urgency(less, UNKNOWN_NOVELTY * FARTHEST)


@given(SHARE, st.integers(1, 10**6))
def test_a_group_has_the_urgency_of_an_item_that_has_its_size(doubt: float, size: int) -> None:
    assert math.isclose(urgency(1 - doubt, 1.0, size), of_group(ALONE * doubt, size), abs_tol=1e-4)


def test_urgency_is_read_off_what_the_stages_said_even_when_that_was_stored() -> None:
    far = vote([Neighbour(example_id=A, category_id=B, text="t", similarity=0.4)], threshold=0.9, model="m")
    near = vote([Neighbour(example_id=A, category_id=B, text="t", similarity=0.94)], threshold=0.99, model="m")
    assert urgency_of([far]) > urgency_of([near])
    record_id = UUID(int=9)
    waits = decide(record_id, [far], spot_check_share=0, more=Stage.LLM)
    assert waits.urgency == urgency_of(earlier_results(waits.trace)) == urgency_of([far])
    torn = [far, result(Stage.LLM, (A, 0.5), (B, 0.49))]
    assert decide(record_id, torn, spot_check_share=0).urgency == urgency_of(torn)


RECORD = a_record(text="CARD 4711 REWE SAGT DANKE 12.03", counterparty="REWE", amount=Decimal("-3.10"))


def test_one_answer_may_settle_what_differs_in_digits_alone() -> None:
    same = [
        replace(RECORD, text="card 99 rewe  sagt danke 1.4"),
        replace(RECORD, amount=Decimal("-900.00"), id=A, account="other"),
    ]
    different = [
        replace(RECORD, text="CARD 4711 REWE SAGT NICHTS 12.03"),
        replace(RECORD, counterparty="EDEKA"),
        replace(RECORD, amount=Decimal("3.10")),
        replace(RECORD, amount=None, currency=None),
        replace(RECORD, kind="ticket"),
    ]
    assert {group_key(r) for r in same} == {group_key(RECORD)}
    assert len({group_key(r) for r in [RECORD, *different]}) == 6


def test_draws_are_uniform_and_independent_of_each_other() -> None:
    ids = [UUID(int=random.Random(n).getrandbits(128)) for n in range(4_000)]
    a, b = [draw(id, "a") for id in ids], [draw(id, "b") for id in ids]
    assert min(a) >= 0
    assert max(a) < 1
    assert abs(sum(a) / len(a) - 0.5) < 0.03
    assert abs(sum((x - 0.5) * (y - 0.5) for x, y in zip(a, b, strict=True)) / len(a)) < 0.01
    assert a == [draw(id, "a") for id in ids]


def test_spot_checks_stand_where_questions_stand() -> None:
    """Of any share of the queue, from either end, spot checks are the same share: their place tells nothing."""
    dice = random.Random(7)
    asked = [question(n, round(0.6 + 0.4 * dice.random() ** 3, 4)) for n in range(4_000)]
    sure = result(Stage.RULES, (A, 0.99), outcome=Outcome.DECIDED)
    checks = [decide(UUID(int=10**6 + n), [sure], spot_check_share=1.0) for n in range(1_000)]
    assert {d.approval for d in checks} == {ApprovalReason.SPOT_CHECK}
    queue = sorted(mix_in([*asked, *checks]), key=lambda d: -d.urgency)
    for part in (queue[:500], queue[1_000:2_000], queue[-500:]):
        share = sum(d.approval is ApprovalReason.SPOT_CHECK for d in part) / len(part)
        assert abs(share - 0.2) < 0.06
    assert [d.urgency for d in mix_in(asked)] == [d.urgency for d in asked]


def test_a_spot_check_without_a_question_to_stand_beside_draws_its_place_alone() -> None:
    sure = result(Stage.RULES, (A, 0.99), outcome=Outcome.DECIDED)
    checks = mix_in([decide(UUID(int=n), [sure], spot_check_share=1.0) for n in range(500)])
    placed = sorted(d.urgency for d in checks)
    assert placed[0] < 0.05
    assert placed[-1] > 0.45
    waits = replace(question(1, 0.7), approval=None, open_stage=Stage.LLM)
    assert {d.urgency for d in mix_in([waits, *checks])} == {0.7}
