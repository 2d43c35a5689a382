"""What proves the promise: cells of the dashboard, spot checks, and running tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from core.domain.approvals import Approval, ApprovalReason, Verdict
from core.domain.decisions import Stage
from core.domain.drift import Watch, watched
from core.domain.llm_gate import LlmLabel
from core.domain.promise import Cell, Check, Tally, tally
from core.domain.records import RecordStatus
from core.domain.tenants import Actor
from tests.contract.storage import START, Storage, a_draft, asked, decided, open_of

LONG_AGO = date(2020, 1, 1)


def said_by(stage: Stage) -> dict[str, Any]:
    unsure = {"stage": "rules", "outcome": "unsure", "reason": "", "candidates": []}
    sure = {"stage": stage.value, "outcome": "decided", "reason": "", "candidates": []}
    return {"reason": "", "stages": [sure] if stage is Stage.RULES else [unsure, sure]}


def alone(record_id: UUID, category_id: UUID, stage: Stage, probability: float, **fields: Any) -> Any:
    spot_check = {"approval": ApprovalReason.SPOT_CHECK, "suggested_id": category_id}
    return decided(
        record_id,
        category_id,
        stage=stage,
        selection_probability=probability,
        **{"trace": said_by(stage), **spot_check, **fields},
    )


def spot_checks(
    storage: Storage, actor: Actor, category_id: UUID, asked_for: Sequence[tuple[Stage, float]]
) -> list[Approval]:
    """Records that were decided alone and are to be checked, by stage and chance."""
    ids = storage.store(actor, [a_draft(f"{storage.ids.new()}-{n}") for n in range(len(asked_for))]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([alone(id, category_id, stage, p) for id, (stage, p) in zip(ids, asked_for, strict=True)])
        return [approval for id in ids if (approval := open_of(tx, id)) is not None]


def answer(storage: Storage, actor: Actor, approvals: Sequence[Approval], categories: Sequence[UUID]) -> None:
    """What people say, one after the other; their records are then theirs, and the traces have their word, too."""
    with storage.writing(actor) as tx:
        for n, (approval, category_id) in enumerate(zip(approvals, categories, strict=True)):
            right = category_id == approval.suggested_id
            said = replace(
                approval,
                verdict=Verdict.APPROVE if right else Verdict.OVERRIDE,
                category_id=category_id,
                decided_by="reviewer",
                decided_at=storage.now() + timedelta(seconds=n),
            )
            tx.approvals.decide([said])
            record = tx.records.get(approval.record_id)
            word = {"stage": "human", "outcome": "decided", "reason": "", "candidates": []}
            trace = dict(record.reasoning_trace or {})
            stages = [*trace["stages"], word]
            status = RecordStatus.APPROVED if right else RecordStatus.OVERRIDDEN
            settled = replace(record, status=status, stage="human", category_id=category_id)
            tx.records.update([replace(settled, reasoning_trace={**trace, "stages": stages})])


def this_month(storage: Storage) -> date:
    return storage.now().astimezone(ZoneInfo("Europe/Berlin")).date().replace(day=1)


def cells(storage: Storage, actor: Actor, since: date = LONG_AGO) -> dict[Any, Cell]:
    with storage.reading(actor) as tx:
        return {cell.stage: cell for cell in tx.promises.cells(since, recent=START - timedelta(days=1))}


def test_cells_count_what_was_decided_and_weigh_what_was_checked(storage: Storage) -> None:
    actor = storage.tenant()
    food, rent = storage.category(actor), storage.category(actor, "rent")
    checks = spot_checks(
        storage, actor, food, [(Stage.RULES, 0.02), (Stage.LLM, 0.01), (Stage.LLM, 0.1), (Stage.LLM, 0.05)]
    )
    a, b, c = storage.store(actor, [a_draft(n) for n in "abc"]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([alone(a, food, Stage.LLM, 0.02, approval=None), asked(b)])
        tx.records.decide([decided(c, None, selection_probability=0.0)])  # a rule said that it is not to be sorted
    answer(storage, actor, checks[:3], [food, rent, food])
    found = cells(storage, actor)
    month = this_month(storage)
    llm = tally(Check(stage=Stage.LLM, probability=p, right=right) for p, right in ((0.01, False), (0.1, True)))
    assert found[Stage.LLM].checks.checked == 2
    assert vars_of(found[Stage.LLM].checks) == pytest.approx(vars_of(llm))
    assert replace(found[Stage.LLM], checks=llm) == Cell(month=month, stage=Stage.LLM, decided=4, checks=llm, recent=2)
    rules = tally([Check(stage=Stage.RULES, probability=0.02, right=True)])
    assert found[Stage.RULES] == Cell(month=month, stage=Stage.RULES, decided=1, checks=rules, recent=1)
    assert found[None] == Cell(month=month, stage=None, decided=1, checks=Tally(), recent=0)
    with storage.reading(actor) as tx:
        order = [cell.stage for cell in tx.promises.cells(month, recent=storage.now() + timedelta(days=1))]
        assert order == [Stage.RULES, Stage.LLM, None]
        assert sum(c.recent for c in tx.promises.cells(month, recent=storage.now() + timedelta(days=1))) == 0
        assert list(tx.promises.cells(month + timedelta(days=40), recent=START)) == []


def vars_of(checks: Tally) -> dict[str, float]:
    return {name: getattr(checks, name) for name in Tally.__slots__}


def test_withdrawn_answers_questions_and_what_is_gone_are_no_checks(storage: Storage) -> None:
    actor = storage.tenant()
    food, rent = storage.category(actor), storage.category(actor, "rent")
    first, second, _ = spot_checks(storage, actor, food, [(Stage.SIMILARITY, 0.02)] * 3)
    question = storage.review(actor, "q")
    with storage.reading(actor) as tx:
        [asked_for] = tx.approvals.get_many([question])
    answer(storage, actor, [first, second, asked_for], [food, rent, food])
    with storage.writing(actor) as tx:
        tx.approvals.withdraw([second.id], by="reviewer", at=storage.now())
    assert cells(storage, actor)[Stage.SIMILARITY].checks.checked == 1
    with storage.reading(actor) as tx:
        assert [c.right for c in tx.promises.checks(Stage.SIMILARITY, since=None, limit=9)] == [True]
    with storage.writing(actor) as tx:
        tx.records.delete(first.record_id, None)
    found = cells(storage, actor)[Stage.SIMILARITY]
    assert (found.checks.checked, found.decided) == (0, 3)


def test_checks_come_in_the_order_of_their_answers(storage: Storage) -> None:
    actor = storage.tenant()
    food, rent = storage.category(actor), storage.category(actor, "rent")
    early = spot_checks(storage, actor, food, [(Stage.LLM, 0.5), (Stage.LLM, 0.25), (Stage.RULES, 0.5)])
    answer(storage, actor, early[::-1], [rent, rent, food])
    with storage.reading(actor) as tx:
        found = tx.promises.checks(Stage.LLM, since=None, limit=9)
        assert [(c.probability, c.right) for c in found] == [(0.25, False), (0.5, True)]
        assert list(tx.promises.checks(Stage.LLM, since=None, limit=1)) == [found[1]]
        assert list(tx.promises.checks(Stage.LLM, since=early[0].created_at, limit=9)) == []
        before = early[0].created_at - timedelta(microseconds=1)
        assert list(tx.promises.checks(Stage.LLM, since=before, limit=9)) == found


def test_a_merge_makes_right_what_was_the_same_all_along(storage: Storage) -> None:
    actor = storage.tenant()
    food, meals = storage.category(actor), storage.category(actor, "meals")
    answer(storage, actor, spot_checks(storage, actor, food, [(Stage.LLM, 0.5)]), [meals])
    with storage.writing(actor) as tx:
        tx.categories.merge(food, meals, version=None, parents={})
    with storage.reading(actor) as tx:
        assert [c.right for c in tx.promises.checks(Stage.LLM, since=None, limit=9)] == [True]


def suggested(category_id: UUID | None, outcome: str = "unsure", **said: Any) -> dict[str, Any]:
    """A trace in which the LLM, asked last, suggested this."""
    first = {"category_id": str(category_id), "confidence": 0.75, "source": "llm:m", "rationale": ""}
    llm = {"stage": "llm", "outcome": outcome, "reason": "", "model": "m", "candidates": [first] if category_id else []}
    rules = {"stage": "rules", "outcome": "unsure", "reason": "", "candidates": []}
    return {"reason": "", "stages": [rules, {**llm, **said}]}


def waiting(storage: Storage, actor: Actor, decisions: Sequence[Any]) -> list[Approval]:
    """The questions that these decisions, each made for a record's id, ask."""
    ids = storage.store(actor, [a_draft(f"{storage.ids.new()}-{n}") for n in range(len(decisions))]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([make(id) for id, make in zip(ids, decisions, strict=True)])
        return [approval for id in ids if (approval := open_of(tx, id)) is not None]


def reviewed(trace: dict[str, Any], category_id: UUID | None, group: str = "", **fields: Any) -> Any:
    def decision(id: UUID) -> Any:
        given = {"selection_probability": 1.0, "suggested_id": category_id, "trace": trace, "group_key": group}
        return asked(id, **{**given, **fields})

    return decision


def checked(trace: dict[str, Any], category_id: UUID, probability: float, stage: Stage = Stage.LLM) -> Any:
    return lambda id: alone(id, category_id, stage, probability, trace=trace)


def test_what_people_said_of_the_llms_suggestions_is_told_in_their_order(storage: Storage) -> None:
    actor = storage.tenant()
    food, rent = storage.category(actor), storage.category(actor, "rent")
    sure = {"confidence": 0.9, "source": "llm:m", "rationale": ""}
    questions = waiting(
        storage,
        actor,
        [
            reviewed(suggested(food, evidence=[{"measured": True, "cached": False}]), food, group="g1"),
            checked(suggested(food, "decided", candidates=[{**sure, "category_id": str(food)}]), food, 0.25),
            reviewed(suggested(rent), rent, group="g2"),
        ],
    )
    open_one = waiting(storage, actor, [reviewed(suggested(food), food)])
    answer(storage, actor, [questions[2], questions[0], questions[1]], [rent, rent, food])
    found = [
        LlmLabel(confidence=0.75, right=True, weight=1.0, measured=False, group_key="g2"),
        LlmLabel(confidence=0.75, right=False, weight=1.0, measured=True, group_key="g1"),
        LlmLabel(confidence=0.9, right=True, weight=4.0, measured=False, group_key=""),
    ]
    with storage.reading(actor) as tx:
        assert list(tx.promises.llm_labels("m", 9)) == found
        assert list(tx.promises.llm_labels("m", 2)) == found[1:], "of the latest answers"
        assert list(tx.promises.llm_labels("m", 0)) == []
        assert list(tx.promises.llm_labels("n", 9)) == [], "another model's confidence means something else"
    assert len(open_one) == 1


def test_what_does_not_tell_how_often_the_llm_is_right_is_no_label(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    said = suggested(food)
    questions = waiting(
        storage,
        actor,
        [
            reviewed(suggested(None), food),  # it abstained
            reviewed({"reason": "", "stages": said["stages"][:1]}, food),  # it was not asked
            reviewed(suggested(food, "decided"), food),  # what nobody was to check, corrected and then withdrawn
            checked(said_by(Stage.RULES), food, 0.5, Stage.RULES),
            checked(said, food, 0.5),  # what a rule run decided where the LLM had only suggested
            reviewed(said, food),  # withdrawn below
            reviewed(said, food),
        ],
    )
    answer(storage, actor, questions, [food] * 7)
    with storage.writing(actor) as tx:
        tx.approvals.withdraw([questions[5].id], by="reviewer", at=storage.now())
    with storage.reading(actor) as tx:
        assert [label.weight for label in tx.promises.llm_labels("m", 9)] == [1.0]


def test_a_merged_category_was_the_same_all_along_for_the_llm_too(storage: Storage) -> None:
    actor = storage.tenant()
    food, meals, rent = (storage.category(actor, key) for key in ("food", "meals", "rent"))
    questions = waiting(storage, actor, [reviewed(suggested(food), food), reviewed(suggested(rent), rent)])
    answer(storage, actor, questions, [meals, meals])
    with storage.writing(actor) as tx:
        tx.categories.merge(food, meals, version=None, parents={})
    with storage.reading(actor) as tx:
        assert [label.right for label in tx.promises.llm_labels("m", 9)] == [True, False]


def test_running_tests_are_held_and_kept(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        assert tx.promises.strictness() == {Stage.RULES: 0, Stage.SIMILARITY: 0, Stage.LLM: 0}
        assert tx.promises.hold([], 0.9) == {}
        held = tx.promises.hold([Stage.SIMILARITY, Stage.LLM], 0.9)
        assert held == {s: Watch(stage=s, promise=0.9) for s in (Stage.SIMILARITY, Stage.LLM)}
        grown, _ = watched(
            replace(held[Stage.LLM], since=START, strictness=2),
            [Check(stage=Stage.LLM, probability=p, right=p > 0.1) for p in (0.5, 0.1, 0.3)],
        )
        tx.promises.put([grown])
    with storage.writing(actor) as tx:
        assert tx.promises.hold([Stage.LLM, Stage.RULES], 0.8) == {
            Stage.LLM: grown,
            Stage.RULES: Watch(stage=Stage.RULES, promise=0.8),
        }
        assert tx.promises.strictness() == {Stage.RULES: 0, Stage.SIMILARITY: 0, Stage.LLM: 2}
