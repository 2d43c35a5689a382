"""Decisions: written once, only to records that still wait for one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.approvals import ApprovalReason
from core.domain.decisions import Stage
from core.domain.records import RecordStatus
from core.errors import Invalid
from ports.storage import RecordFilter
from tests.contract.storage import Storage, a_draft, an_arrival, asked, decided, open_of


def test_a_decision_is_written_with_all_that_it_says(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    id = storage.record(actor, attributes={"a": "1", "b": "1"})
    trace = {"reason": "rules: groceries", "stages": [{"stage": "rules", "candidates": []}]}
    decision = decided(id, food, trace=trace, tags=("shop", "a b"), attributes={"b": "2"})
    with storage.writing(actor) as tx:
        assert list(tx.records.decide([decision])) == [id]
    with storage.reading(actor) as tx:
        record = tx.records.get(id)
        assert open_of(tx, id) is None
    assert (record.status, record.category_id, record.stage) == (RecordStatus.PROCESSED, food, "rules")
    assert (record.confidence, record.threshold, record.model_version) == (0.97, 0.9, "rules-1")
    assert (record.selection_probability, record.reasoning_trace) == (0.02, trace)
    assert (record.tags, record.attributes, record.version) == (("shop", "a b"), {"a": "1", "b": "2"}, 2)
    (told,) = storage.events(actor, "PROCESSED")
    assert told.subject_id == id
    expected = {"status": "processed", "stage": "rules", "category_id": str(food), "confidence": 0.97}
    assert told.payload == expected


def test_what_no_stage_is_sure_of_waits_for_a_person(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    id = storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id, confidence=0.25, suggested_id=food, group_key="rewe")])
    with storage.reading(actor) as tx:
        approval = open_of(tx, id)
        assert approval is not None
        assert tx.records.get(id).status is RecordStatus.NEEDS_REVIEW
    assert (approval.record_id, approval.tenant_id, approval.reason) == (id, actor.tenant_id, ApprovalReason.UNSURE)
    assert (approval.suggested_id, approval.confidence, approval.urgency) == (food, 0.25, 0.75)
    assert (approval.group_key, approval.verdict, approval.decided_by) == ("rewe", None, None)


def test_the_rule_that_a_stage_before_suggested_by_is_remembered(storage: Storage) -> None:
    actor = storage.tenant()
    rule, other = storage.ids.batch(2)
    a, b, c = storage.store(actor, [a_draft(n) for n in "abc"]).inserted
    waiting = {"status": RecordStatus.INGESTED, "stage": None, "open_stage": Stage.LLM}
    with storage.writing(actor) as tx:
        tx.records.decide([decided(a, rule_id=rule, **waiting), decided(b, rule_id=rule, **waiting)])
        tx.records.decide([asked(a), asked(b, rule_id=other), asked(c)])
    with storage.reading(actor) as tx:
        assert [r.rule_id for r in tx.records.get_many([a, b, c])] == [rule, other, None]
        assert {row["id"]: row["rule_id"] for row in tx.records.page(RecordFilter(), after=None, limit=9)}[a] == rule


def test_a_spot_check_leaves_the_record_processed(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    id = storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food, approval=ApprovalReason.SPOT_CHECK, suggested_id=food)])
        assert tx.records.get(id).status is RecordStatus.PROCESSED
        approval = open_of(tx, id)
    assert approval is not None
    assert approval.reason is ApprovalReason.SPOT_CHECK


def test_what_is_decided_already_is_left_alone(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    by_person, by_machine, fresh = storage.store(actor, [a_draft(n) for n in "abc"]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(by_machine, food)])
        tx.records.update([replace(tx.records.get(by_person), status=RecordStatus.APPROVED, category_id=food)])
    with storage.writing(actor) as tx:
        late = [asked(id, suggested_id=car) for id in (by_person, by_machine, fresh, storage.ids.new())]
        assert list(tx.records.decide(late)) == [fresh]
    with storage.reading(actor) as tx:
        assert {r.category_id for r in tx.records.get_many([by_person, by_machine])} == {food}
        assert tx.approvals.count_open() == 1
    assert [e.subject_id for e in storage.events(actor, "PROCESSED")] == [by_machine, fresh]


def test_a_decision_that_waits_for_a_stage_only_keeps_the_trace(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor)
    waiting = decided(
        id,
        status=RecordStatus.INGESTED,
        stage=None,
        confidence=None,
        trace={"reason": "waits for llm", "stages": []},
        open_stage=Stage.LLM,
    )
    with storage.writing(actor) as tx:
        assert list(tx.records.decide([waiting])) == [id]
    with storage.reading(actor) as tx:
        (record,) = tx.records.open_among([id])
    assert (record.reasoning_trace, record.stage) == ({"reason": "waits for llm", "stages": []}, None)
    assert storage.events(actor, "PROCESSED") == []
    assert list(storage.system.stage_counts()) == []
    with storage.writing(actor) as tx:
        assert list(tx.records.decide([decided(id)])) == [id]


def test_a_failed_record_says_why(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor)
    failure = decided(id, status=RecordStatus.FAILED, stage=None, confidence=None, failure="poison")
    with storage.writing(actor) as tx:
        tx.records.decide([failure])
        assert (tx.records.get(id).status, tx.records.get(id).failure) == (RecordStatus.FAILED, "poison")


def test_decisions_are_counted_by_stage_and_status_over_all_tenants(storage: Storage) -> None:
    for _ in range(2):
        actor = storage.tenant()
        food = storage.category(actor)
        a, b, c = storage.store(actor, [a_draft(n) for n in "abc"]).inserted
        with storage.writing(actor) as tx:
            tx.records.decide([decided(a, food), decided(b), asked(c)])
    counts = {(stage, status): n for stage, status, n in storage.system.stage_counts()}
    assert counts == {("rules", "processed"): 2, ("rules", "skipped"): 2, ("", "needs_review"): 2}


def test_a_rollback_loses_decisions_approvals_events_and_counts(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor)
    with storage.uow.begin(actor) as tx:
        tx.records.decide([asked(id)])
    with storage.reading(actor) as tx:
        assert tx.records.get(id).status is RecordStatus.INGESTED
        assert tx.approvals.count_open() == 0
    assert storage.events(actor, "PROCESSED") == []
    assert list(storage.system.stage_counts()) == []


def test_no_decisions_change_nothing(storage: Storage) -> None:
    with storage.reading(storage.tenant()) as tx:
        assert list(tx.records.decide([])) == []


def test_a_decision_for_a_category_that_does_not_exist_is_refused(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.record(actor)
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.records.decide([decided(id, storage.ids.new())])


def test_two_batches_of_decisions_in_one_transaction(storage: Storage) -> None:
    actor = storage.tenant()
    a, b = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        assert list(tx.records.decide([decided(a)])) == [a]
        assert list(tx.records.decide([asked(b), decided(a)])) == [b]
    assert [(e.seq, e.subject_id) for e in storage.events(actor, "PROCESSED")] == [(3, a), (4, b)]


def test_the_events_of_a_batch_come_in_the_order_of_the_records(storage: Storage) -> None:
    actor = storage.tenant()
    ids = storage.store(actor, [a_draft(f"{n}") for n in range(5)]).inserted
    with storage.writing(actor) as tx:
        assert list(tx.records.decide([decided(id) for id in reversed(ids)])) == list(ids)
    assert [e.subject_id for e in storage.events(actor, "PROCESSED")] == list(ids)


@pytest.mark.parametrize(
    "text", ["\\N", "\\.", "a\\tb", "\t\r\n", 'he said "no", {}', "NULL", "{}", "", "\\x00", "ß→€"]
)
def test_texts_come_out_as_they_went_in(storage: Storage, text: str) -> None:
    actor = storage.tenant()
    name = text or "x"
    [id, waits] = storage.store(
        actor,
        [
            a_draft("1" + text, text=name, counterparty=text, attributes={name: text}, raw={"r": [text]}),
            a_draft("2" + text, kind=name, account=text, pending_external_id=text or None, currency=None, amount=None),
        ],
    ).inserted
    trace = {"reason": text, "stages": [{"stage": text}]}
    failed = decided(
        id, status=RecordStatus.FAILED, failure=text, trace=trace, tags=(text, name + ","), attributes={"b": text}
    )
    with storage.writing(actor) as tx:
        tx.records.decide([failed, asked(waits, group_key=text, model_version=text)])
    with storage.reading(actor) as tx:
        record, other, approval = tx.records.get(id), tx.records.get(waits), open_of(tx, waits)
    assert approval is not None
    assert (record.external_id, record.text, record.counterparty) == ("1" + text, name, text)
    assert (record.raw, record.attributes) == ({"r": [text]}, {name: text, "b": text})
    assert (record.failure, record.reasoning_trace, record.tags) == (
        text,
        trace,
        tuple(dict.fromkeys((text, name + ","))),
    )
    assert (other.kind, other.account, other.external_id, other.amount) == (name, text, "2" + text, None)
    assert (other.model_version, approval.group_key) == (text, text)


def test_what_was_said_is_noted_of_what_changed(storage: Storage) -> None:
    actor = storage.tenant()
    a, b, c = storage.store(actor, [a_draft(n) for n in "abc"]).inserted
    said = {id: an_arrival(score=n / 4) for n, id in enumerate((a, b, c), start=1)}
    with storage.writing(actor) as tx:
        tx.records.decide([decided(b)])
        tx.records.decide([decided(a), decided(b), decided(c)], {a: said[a], b: said[b]}, 7)
    with storage.reading(actor) as tx:
        assert tx.lessons.arrived(7) == 1
        assert list(tx.lessons.latest_scores(9)) == [0.25]
    waiting = decided(c, status=RecordStatus.INGESTED, stage=None, open_stage=Stage.LLM)
    with storage.writing(actor) as tx:
        tx.records.decide([waiting], said, 8)
    with storage.reading(actor) as tx:
        assert tx.lessons.arrived(8) == 0, "a record that was decided is left alone"
