from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.approvals import ApprovalReason
from core.domain.decisions import (
    Candidate,
    Outcome,
    Stage,
    StageResult,
    decide,
    drawn,
    earlier_results,
    failed,
    trace_of,
)
from core.domain.records import RecordStatus
from core.domain.similarity import Neighbour, vote

RECORD, FOOD, RENT = UUID(int=1), UUID(int=2), UUID(int=3)


def candidate(category: UUID, confidence: float, source: str = "rule:x") -> Candidate:
    return Candidate(category_id=category, confidence=confidence, source=source, rationale="because")


def result(stage: Stage, outcome: Outcome, *candidates: Candidate) -> StageResult:
    return StageResult(
        stage=stage, outcome=outcome, reason="reason", candidates=candidates, threshold=0.9, model="some-model"
    )


def test_the_stage_that_is_sure_decides_and_the_losers_are_in_the_trace() -> None:
    results = [
        result(Stage.RULES, Outcome.UNSURE, candidate(RENT, 0.5)),
        result(Stage.SIMILARITY, Outcome.DECIDED, candidate(FOOD, 0.97), candidate(RENT, 0.02)),
    ]
    decision = decide(RECORD, results, spot_check_share=0.0, more=Stage.LLM)
    assert (decision.status, decision.category_id, decision.stage) == (RecordStatus.PROCESSED, FOOD, Stage.SIMILARITY)
    assert (decision.confidence, decision.threshold, decision.model_version) == (0.97, 0.9, "some-model")
    assert decision.selection_probability == 0.0
    assert decision.approval is None
    told = [(s["stage"], [c["category_id"] for c in s["candidates"]]) for s in decision.trace["stages"]]
    assert told == [("rules", [str(RENT)]), ("similarity", [str(FOOD), str(RENT)])]


def test_what_nobody_is_sure_of_waits_for_the_llm_then_for_a_person() -> None:
    results = [result(Stage.RULES, Outcome.UNSURE), result(Stage.SIMILARITY, Outcome.UNSURE, candidate(FOOD, 0.4))]
    waiting = decide(RECORD, results, spot_check_share=0.1, more=Stage.LLM)
    assert (waiting.status, waiting.open_stage) == (RecordStatus.INGESTED, Stage.LLM)
    asked = decide(RECORD, results, spot_check_share=0.1)
    assert (asked.status, asked.approval) == (RecordStatus.NEEDS_REVIEW, ApprovalReason.UNSURE)
    assert (asked.suggested_id, asked.suggested_confidence) == (FOOD, 0.4)
    assert (asked.category_id, asked.stage, asked.selection_probability) == (None, None, 1.0)


def test_a_rule_that_asks_for_a_person_gets_one_before_the_llm() -> None:
    asked = decide(
        RECORD, [result(Stage.RULES, Outcome.REVIEW, candidate(FOOD, 1.0))], spot_check_share=0, more=Stage.LLM
    )
    assert (asked.status, asked.approval, asked.suggested_id) == (
        RecordStatus.NEEDS_REVIEW,
        ApprovalReason.RULE,
        FOOD,
    )


def test_a_skipped_record_is_processed_without_a_category() -> None:
    skipped = decide(RECORD, [result(Stage.RULES, Outcome.SKIPPED)], spot_check_share=1.0)
    assert (skipped.status, skipped.category_id, skipped.approval) == (RecordStatus.PROCESSED, None, None)


def test_a_failed_record_says_why() -> None:
    decision = failed(RECORD, "no such thing")
    assert (decision.status, decision.failure) == (RecordStatus.FAILED, "no such thing")
    assert "no such thing" in decision.trace["reason"]


def test_a_spot_checked_record_stays_processed_and_stores_its_chance() -> None:
    decided = decide(RECORD, [result(Stage.RULES, Outcome.DECIDED, candidate(FOOD, 1.0))], spot_check_share=1.0)
    assert (decided.status, decided.approval, decided.selection_probability) == (
        RecordStatus.PROCESSED,
        ApprovalReason.SPOT_CHECK,
        1.0,
    )


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
def test_the_draw_takes_about_its_share(share: float) -> None:
    taken = sum(drawn(UUID(int=n), share) for n in range(20_000)) / 20_000
    assert abs(taken - share) < 0.012


def test_a_trace_goes_on_where_it_was_left() -> None:
    results = (
        result(Stage.RULES, Outcome.UNSURE, candidate(RENT, 0.5)),
        StageResult(stage=Stage.SIMILARITY, outcome=Outcome.OFF, reason="off"),
    )
    assert earlier_results(trace_of(results, "waits")) == results
    assert earlier_results(None) == ()


def neighbour(category: UUID, similarity: float, n: int = 0) -> Neighbour:
    return Neighbour(example_id=UUID(int=100 + n), category_id=category, text="TEXT", similarity=similarity)


def test_near_and_unanimous_neighbours_decide() -> None:
    voted = vote([neighbour(FOOD, 0.99), neighbour(FOOD, 0.98, 1)], threshold=0.9, model="m")
    assert voted.outcome is Outcome.DECIDED
    assert voted.candidates[0].category_id == FOOD
    assert "2 of 2" in voted.candidates[0].rationale


def test_a_lone_neighbour_far_away_never_decides() -> None:
    assert vote([neighbour(FOOD, 0.6)], threshold=0.9, model="m").outcome is Outcome.UNSURE


def test_neighbours_that_disagree_do_not_decide() -> None:
    voted = vote([neighbour(FOOD, 0.99), neighbour(RENT, 0.99, 1)], threshold=0.9, model="m")
    assert voted.outcome is Outcome.UNSURE
    assert {c.category_id for c in voted.candidates} == {FOOD, RENT}


def test_without_examples_similarity_says_so() -> None:
    voted = vote([], threshold=0.9, model="m")
    assert (voted.outcome, voted.candidates) == (Outcome.UNSURE, ())
    assert "nothing is approved" in voted.reason


@given(st.lists(st.tuples(st.sampled_from([FOOD, RENT]), st.floats(-1, 1)), max_size=12), st.floats(0, 1))
def test_confidences_are_shares(votes: list[tuple[UUID, float]], threshold: float) -> None:
    voted = vote([neighbour(c, s, n) for n, (c, s) in enumerate(votes)], threshold=threshold, model="m")
    confidences = [c.confidence for c in voted.candidates]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= c <= 1 for c in confidences)
    assert sum(confidences) <= 1 + 1e-9
