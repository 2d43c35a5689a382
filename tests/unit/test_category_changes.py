"""What becomes of names, places, decisions and traces when categories change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from core.domain.approvals import ApprovalReason, group_key
from core.domain.categories import Category, resolver
from core.domain.category_changes import (
    MAX_ALIAS_BYTES,
    Belongings,
    lost_names,
    new_parents,
    with_living_categories,
    with_present_categories,
    withdrawn,
)
from core.domain.decisions import Candidate, Outcome, Stage, StageResult, decide, earlier_results
from core.domain.records import RecordStatus
from tests.unit.building import a_record

FOOD, BREAD, RYE, CAR, GONE = (UUID(int=n) for n in range(1, 6))
RECORD = a_record(text="REWE 1")


def category(id: UUID, key: str, name: str, parent_id: UUID | None = None) -> Category:
    return Category(
        id=id,
        tenant_id=GONE,
        parent_id=parent_id,
        key=key,
        name=name,
        description="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        version=1,
    )


TREE = [
    category(FOOD, "food", "Food"),
    category(BREAD, "food.bread", "Bread", FOOD),
    category(RYE, "food.bread.rye", "Rye", BREAD),
    category(CAR, "car", "Car"),
]


def test_a_renamed_category_is_still_found_by_what_it_was_called() -> None:
    renamed = [replace(c, key="meals", name="Meals") if c.id == FOOD else c for c in TREE]
    assert lost_names(TREE, renamed) == {
        "food": FOOD,
        "food > bread": BREAD,
        "food > bread > rye": RYE,
    }
    assert lost_names(TREE, TREE) == {}
    known = resolver(renamed, lost_names(TREE, renamed))
    assert (known["food"], known["meals"], known["food > bread"]) == (FOOD, FOOD, BREAD)
    taken = [*renamed, category(GONE, "food", "Food")]
    assert resolver(taken, {"food": FOOD})["food"] == GONE, "who has the name now is meant"


def test_a_name_that_two_have_is_nobodys_former_one() -> None:
    twins = [*TREE, category(GONE, "x", "Bread", CAR)]
    assert "bread" not in resolver(twins, {"bread": CAR})


def test_a_path_that_is_too_long_to_be_kept_is_forgotten() -> None:
    long = category(GONE, "long", "x" * MAX_ALIAS_BYTES)
    assert set(lost_names([long], [])) == {"long", "x" * MAX_ALIAS_BYTES}
    assert set(lost_names([replace(long, name="x" * (MAX_ALIAS_BYTES + 1))], [])) == {"long"}


@pytest.mark.parametrize(
    ("id", "into", "expected"),
    [
        (BREAD, CAR, {RYE: CAR}),
        (BREAD, FOOD, {RYE: FOOD}),
        (BREAD, None, {RYE: FOOD}),
        (FOOD, None, {BREAD: None}),
        (FOOD, BREAD, {BREAD: None}),
        (FOOD, RYE, {BREAD: None}),
        (CAR, FOOD, {}),
    ],
)
def test_children_go_along_and_never_below_themselves(
    id: UUID, into: UUID | None, expected: dict[UUID, UUID | None]
) -> None:
    assert new_parents(id, into, TREE) == expected


def sure(category_id: UUID) -> StageResult:
    candidate = Candidate(category_id=category_id, confidence=0.97, source="rule:x", rationale="r")
    return StageResult(stage=Stage.RULES, outcome=Outcome.DECIDED, reason="r", candidates=(candidate,))


def test_a_decision_for_a_category_that_went_goes_to_a_person() -> None:
    decision = replace(decide(RECORD.id, [sure(GONE)], spot_check_share=0.0), tags=("t",))
    asked = with_present_categories(decision, RECORD, {})
    assert (asked.status, asked.category_id, asked.stage) == (RecordStatus.NEEDS_REVIEW, None, None)
    assert (asked.approval, asked.suggested_id) == (ApprovalReason.UNSURE, None)
    assert (asked.group_key, asked.tags, asked.selection_probability) == (group_key(RECORD), ("t",), 1.0)
    [last] = earlier_results(asked.trace)
    assert (last.outcome, last.candidates[0].category_id) == (Outcome.UNSURE, GONE)
    assert "deleted" in last.reason
    assert "deleted" in asked.trace["reason"]


def test_a_decision_follows_a_category_that_was_merged() -> None:
    decision = decide(RECORD.id, [sure(BREAD)], spot_check_share=1.0)
    moved = with_present_categories(decision, RECORD, {BREAD: FOOD})
    assert (moved.category_id, moved.suggested_id, moved.status) == (FOOD, FOOD, RecordStatus.PROCESSED)
    assert with_present_categories(decision, RECORD, {BREAD: BREAD}) is decision
    unsure = replace(sure(GONE), outcome=Outcome.UNSURE)
    asked = decide(RECORD.id, [unsure], spot_check_share=0.0)
    assert with_present_categories(asked, RECORD, {}).suggested_id is None


def test_a_trace_is_shown_with_the_categories_that_there_are() -> None:
    trace = decide(RECORD.id, [sure(BREAD), sure(CAR)], spot_check_share=0.0).trace
    shown = with_living_categories(trace, {str(BREAD): FOOD})
    assert shown is not None
    assert [r.candidates[0].category_id for r in earlier_results(shown)] == [FOOD, CAR]
    assert trace["stages"][0]["candidates"][0]["category_id"] == str(BREAD), "what is stored stays"
    assert with_living_categories(trace, {}) is trace
    assert with_living_categories(None, {str(BREAD): FOOD}) is None


def test_a_withdrawal_adds_to_the_trace() -> None:
    trace = {"reason": "human: approved", "stages": [{"stage": "rules"}], "more": 1}
    after = withdrawn(trace, "because")
    assert (after["reason"], after["more"], after["stages"][0]) == ("review: because", 1, {"stage": "rules"})
    assert (after["stages"][1]["stage"], after["stages"][1]["outcome"]) == ("human", "withdrawn")
    assert len(trace["stages"]) == 1
    assert withdrawn(None, "x")["stages"][0]["reason"] == "x"


def test_belongings_are_told_in_words() -> None:
    assert str(Belongings()) == ""
    assert str(Belongings(records=1)) == "1 record"
    assert str(Belongings(records=2_000, examples=1, rules=2, children=2)) == (
        "2,000 records, 1 example, 2 rules and 2 child categories"
    )
    assert str(Belongings(proposals=3, approvals=4)) == "", "neither keeps a category"
