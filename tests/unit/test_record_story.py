"""How a trace is told: steps in words."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from core.domain.events import Event
from core.domain.records import Record, RecordStatus
from entrypoints.console.records.history import entries
from entrypoints.console.records.story import GONE, linked, steps, summary, without_lost

FOOD, RENT, RULE, EXAMPLE = (str(UUID(int=n)) for n in range(1, 5))
NAMES = {FOOD: "Food", RENT: "Housing > Rent"}
NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)


def a_record(*stages: dict[str, Any], reason: str = "", **fields: Any) -> Record:
    standard: dict[str, Any] = {
        **dict.fromkeys(("import_id", "amount", "currency", "category_id", "stage", "confidence", "threshold")),
        **dict.fromkeys(("model_version", "selection_probability", "failure")),
        "id": UUID(int=9), "tenant_id": UUID(int=9), "connection_id": UUID(int=9), "kind": "transaction",
        "account": "", "external_id": "1", "occurred_at": date(2026, 5, 1), "text": "x", "counterparty": "",
        "attributes": {}, "raw": {}, "pending": False, "status": RecordStatus.NEEDS_REVIEW, "tags": (),
        "created_at": NOW, "updated_at": NOW, "version": 1,
        "reasoning_trace": {"reason": reason, "stages": list(stages)} if stages or reason else None,
    }  # fmt: skip
    return Record(**{**standard, **fields})


def said(stage: str, outcome: str, reason: str = "so", *candidates: tuple[str, float, str, str], **more: Any) -> Any:
    names = ("category_id", "confidence", "source", "rationale")
    written = [dict(zip(names, candidate, strict=True)) for candidate in candidates]
    return {"stage": stage, "outcome": outcome, "reason": reason, "candidates": written, **more}


def test_a_rule_that_decided_is_linked_with_what_else_matched() -> None:
    matched = [
        {"rule_id": RULE, "name": "Shops", "then": {"category": FOOD, "tags": ["daily"]}},
        {"rule_id": EXAMPLE, "error": "too long"},
    ]
    won, lost = (FOOD, 1.0, f"rule:{RULE}", "matched"), (RENT, 0.5, "rule:x", "suggests")
    record = a_record(said("rules", "decided", "rule matched", won, lost, evidence=matched), category_id=UUID(FOOD))
    [step] = steps(record, NAMES)
    assert [(o.category, o.won, o.kept, o.link) for o in step.offers] == [
        ("Food", True, True, f"/rules/{RULE}"),
        ("Housing > Rent", False, False, "/rules/x"),
    ]
    assert [(told.link_text, told.text) for told in step.told] == [
        ("“Shops”", "matched, and says Food and tags it daily"),
        ("A rule", "could not be asked: too long"),
    ]
    assert (step.said, step.threshold) == ("Rule matched", None), "a rule has no threshold to speak of"


def test_neighbours_lead_to_what_was_approved_and_what_is_gone_says_so() -> None:
    near = {"nearest": 0.9312, "text": "Bäckerei", "category_id": FOOD}
    offer = (str(UUID(int=8)), 0.4, f"example:{EXAMPLE}", "3 of 10 agree")
    [step] = steps(
        a_record(said("similarity", "unsure", "so", offer, evidence=[near], threshold=0.9, model="m")), NAMES
    )
    assert (step.offers[0].category, step.offers[0].link) == (GONE, f"/records/{EXAMPLE}")
    assert step.told[0].text == "The nearest text that was approved: “Bäckerei” (0.93 alike), approved as Food"
    assert (step.threshold, step.model, step.outcome) == (0.9, "m", "not sure enough")


def test_what_is_gone_is_named_and_no_link() -> None:
    matched = [{"rule_id": RULE, "name": "Shops", "then": {"category": FOOD}}]
    won, near = (FOOD, 1.0, f"rule:{RULE}", "matched"), (FOOD, 0.4, f"example:{EXAMPLE}", "3 of 10 agree")
    story = steps(
        a_record(said("rules", "decided", "so", won, evidence=matched), said("similarity", "unsure", "so", near)), NAMES
    )
    rule, example = f"/rules/{RULE}", f"/records/{EXAMPLE}"
    assert linked(story) == {rule, example}
    assert without_lost(story, {rule, example}) == story
    of_rule, of_example = without_lost(story, {example})
    assert (of_rule.offers[0].link, of_rule.offers[0].by) == (None, "the rule, which is gone")
    assert (of_rule.told[0].link, of_rule.told[0].link_text) == (None, "“Shops”")
    assert of_example.offers[0].link == example
    assert linked(without_lost(story, ())) == set()


def test_what_people_and_agents_said_has_who_and_when() -> None:
    at = NOW.isoformat(timespec="seconds")
    record = a_record(
        said("human", "decided", f"override by Ada at work at {at}", (FOOD, 1.0, "person:Ada at work", "override")),
        said("human", "withdrawn", f"withdrawn by Ada at {at}"),
        said("human", "decided", f"approve by helper at {at}", (RENT, 1.0, "agent:helper", "approve")),
    )  # fmt: skip
    corrected, withdrawn, approved = steps(record, NAMES)
    assert (corrected.title, corrected.said, corrected.at) == ("Ada at work", "Corrected as Food", NOW)
    assert (withdrawn.title, withdrawn.said, withdrawn.at) == ("A person", "Withdrawn by Ada", NOW)
    assert (approved.title, approved.said, approved.outcome) == (
        "Agent helper",
        "Approved as Housing > Rent",
        "approved",
    )


def test_history_that_came_approved_is_a_step() -> None:
    record = a_record(reason="human: imported as approved", category_id=UUID(FOOD), status=RecordStatus.APPROVED)
    [step] = steps(record, NAMES)
    assert step.said.startswith("Came already sorted, as Food")
    assert steps(a_record(), NAMES) == ()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"reason": "review: no stage is sure"}, "the promise that 95 % of such decisions are right"),
        ({"reason": f"review: withdrawn by Ada at {NOW.isoformat()}"}, "It waits for a person: withdrawn by Ada."),
        (
            {"status": "processed", "category_id": UUID(FOOD), "stage": "llm", "confidence": 0.971, "threshold": 0.9},
            "The language model decided it alone, with a confidence of 97.1 %, and 90.0 % is needed.",
        ),
        ({"status": "processed", "category_id": UUID(FOOD), "stage": "rules"}, "A rule decided it alone."),
        ({"status": "processed", "stage": "rules"}, "It was left unsorted"),
        ({"status": "overridden"}, "A person decided it."),
        ({"status": "held"}, "more records than your plan has room for"),
        ({"status": "failed", "failure": "the rule broke"}, "It could not be sorted: the rule broke."),
        ({"status": "ingested", "reason": "waits for llm"}, "It is being sorted: it waits for llm."),
        ({"status": "ingested"}, "no stage was asked yet"),
    ],
)
def test_why_a_record_is_as_it_is(fields: dict[str, Any], told: str) -> None:
    status = RecordStatus(fields.pop("status", "needs_review"))
    assert told in summary(a_record(status=status, **fields), 0.95)


@pytest.mark.parametrize(
    ("type", "payload", "told"),
    [
        ("INGESTED", {}, "It came in"),
        ("PROCESSED", {"status": "processed", "category_id": FOOD}, "It was sorted as Food"),
        ("PROCESSED", {"status": "needs_review", "run_id": RULE}, "A run of rules had it sent to a person"),
        ("TX_APPROVED", {"verdict": "override", "category_id": RENT, "was": FOOD},
         "Corrected as Housing > Rent, before Food"),
        ("UPDATED", {"change": "edited"}, "Tags or attributes were changed"),
        ("SOMETHING_NEW", {}, "Something new"),
    ],
)  # fmt: skip
def test_history_is_told_in_words(type: str, payload: dict[str, Any], told: str) -> None:
    none = dict.fromkeys(("request_id", "actor_id", "address", "user_agent"))
    event = Event(
        tenant_id=UUID(int=9), seq=1, type=type, occurred_at=NOW, source_agent="balance", actor="Ada",
        subject_id=UUID(int=9), payload=payload, **none,
    )  # fmt: skip
    assert [entry.said for entry in entries([event], NAMES)] == [told]
