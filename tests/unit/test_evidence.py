"""What speaks for the categories that a review item could get."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest

from core.domain.decisions import Candidate, Outcome, Stage, StageResult
from core.domain.evidence import (
    MAX_CHOICES,
    AlikeExamples,
    Choice,
    EvidenceKind,
    choices,
    party_key,
)

FOOD, CAR, RENT, FUN, PETS, TAX, GONE, MERGED, RULE = (UUID(int=n) for n in range(1, 10))
NAMES = {FOOD: "Food", CAR: "Car", RENT: "Rent", FUN: "Fun", PETS: "Pets", TAX: "Tax"}
NOW = {id: id for id in NAMES} | {MERGED: CAR}
MAY = date(2026, 5, 3)


def result(stage: Stage, outcome: Outcome = Outcome.UNSURE, *candidates: Candidate, **evidence: object) -> StageResult:
    told = (evidence,) if evidence else ()
    return StageResult(stage=stage, outcome=outcome, reason="why", candidates=candidates, evidence=told)


def by_rule(outcome: Outcome, category_id: UUID = FOOD) -> StageResult:
    candidate = Candidate(category_id, 1.0, f"rule:{RULE}", "matched")
    return result(Stage.RULES, outcome, candidate, rule_id=str(RULE), name="Shops")


def chosen(
    suggested_id: UUID | None = None,
    said: tuple[StageResult, ...] = (),
    alike: tuple[AlikeExamples, ...] = (),
    common: tuple[UUID, ...] = (),
    *,
    decided: bool = False,
) -> tuple[Choice, ...]:
    return choices(suggested_id, said, alike, common, NOW, NAMES, decided=decided)


def words(found: tuple[Choice, ...]) -> list[list[str]]:
    return [[evidence.words for evidence in choice.evidence] for choice in found]


def test_what_is_suggested_comes_first_and_then_by_confidence_by_examples_and_by_custom() -> None:
    similar = result(
        Stage.SIMILARITY,
        Outcome.UNSURE,
        Candidate(CAR, 0.3, "ensemble:1", "x"),
        Candidate(RENT, 0.5, "ensemble:1", "x"),
    )
    alike = (AlikeExamples(EvidenceKind.SAME_COUNTERPARTY, FUN, 2, MAY),)
    found = chosen(FOOD, (similar,), alike, (RENT, PETS, TAX))
    assert [choice.category_id for choice in found] == [FOOD, RENT, CAR, FUN, PETS]
    assert len(found) == MAX_CHOICES


def test_a_likeness_that_counts_no_more_than_a_nearer_one_is_not_told() -> None:
    alike = (
        AlikeExamples(EvidenceKind.SAME_COUNTERPARTY, FOOD, 12, MAY),
        AlikeExamples(EvidenceKind.ALIKE, FOOD, 12, MAY),
        AlikeExamples(EvidenceKind.SAME_TEXT, FOOD, 3, date(2026, 1, 9)),
        AlikeExamples(EvidenceKind.SAME_COUNTERPARTY, CAR, 1_200, None, more=True),
    )
    found = chosen(alike=alike)
    assert [choice.category_id for choice in found] == [FOOD, CAR], "what is nearest comes first"
    assert words(found) == [
        [
            "3 with the same text approved as Food, last on 9 January 2026",
            "12 alike approved as Food, last on 3 May 2026",
        ],
        ["At least 1,200 of the same counterparty approved as Car"],
    ]


def test_what_the_stages_said_is_told_without_how_sure_they_were() -> None:
    said = (
        by_rule(Outcome.UNSURE),
        result(
            Stage.SIMILARITY,
            Outcome.UNSURE,
            Candidate(RENT, 0.4, "ensemble:1", "2 of 9 alike"),
            nearest=0.93,
            text="FLAT 12",
            category_id=str(MERGED),
        ),
        result(Stage.LLM, Outcome.UNSURE, Candidate(RENT, 0.61, "llm:m", "It names a landlord.")),
    )
    found = chosen(FOOD, said)
    assert {choice.category_id: [e.words for e in choice.evidence] for choice in found} == {
        FOOD: ["Rule “Shops” says Food"],
        RENT: ["The language model says: It names a landlord."],
    }
    assert found[0].evidence[0].rule_id == RULE
    with_car = chosen(CAR, said)
    assert words(with_car)[0] == ["The nearest, “FLAT 12”, was approved as Car"], "as what it was merged into"
    assert "0." not in str(words(with_car)), "no number of a stage"


def test_a_rule_that_decides_alone_is_named_when_the_item_is_decided() -> None:
    """Else an item that names one would be a spot check."""
    assert words(chosen(FOOD, (by_rule(Outcome.DECIDED),))) == [[]]
    assert words(chosen(FOOD, (by_rule(Outcome.DECIDED),), decided=True)) == [["Rule “Shops” says Food"]]
    for asks in (Outcome.REVIEW, Outcome.UNSURE):
        assert words(chosen(FOOD, (by_rule(asks),))) == [["Rule “Shops” says Food"]]


def test_a_spot_check_shows_as_many_choices_as_a_question() -> None:
    common = (CAR, RENT, FUN, PETS, TAX, FOOD)
    question = result(Stage.SIMILARITY, Outcome.UNSURE, *(Candidate(id, 0.2, "ensemble:1", "x") for id in common))
    checked = chosen(FOOD, (by_rule(Outcome.DECIDED),), common=common)
    asked = chosen(FOOD, (result(Stage.RULES), question), common=common)
    assert words(checked) == words(asked) == [[]] * MAX_CHOICES


def test_what_is_gone_is_not_offered_and_people_are_not_quoted() -> None:
    person = result(Stage.HUMAN, Outcome.WITHDRAWN, Candidate(TAX, 1.0, "person:Ada", "override"))
    lost = Candidate(GONE, 0.9, "ensemble:1", "x")
    alike = (AlikeExamples(EvidenceKind.ALIKE, GONE, 3, MAY), AlikeExamples(EvidenceKind.ALIKE, MERGED, 3, MAY))
    found = chosen(GONE, (result(Stage.SIMILARITY, Outcome.UNSURE, lost), person), alike, (GONE,))
    assert [choice.category_id for choice in found] == [CAR]


@pytest.mark.parametrize(("one", "other", "same"), [("Shell", "SHELL ", True), ("Shell", "Aral", False)])
def test_counterparties_are_compared_without_case_and_spaces(one: str, other: str, same: bool) -> None:
    assert (party_key(one) == party_key(other)) is same
    assert party_key("") == party_key("  ") == ""
