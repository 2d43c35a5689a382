"""Rule runs: they decide records anew, and remember what was."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.approvals import ApprovalReason
from core.domain.records import RecordStatus
from core.domain.rule_runs import RunChange, RunCounts, RunStatus
from core.errors import Invalid, NotFound
from tests.contract.runs import changes, look, redecide
from tests.contract.storage import START, Storage, a_draft, a_run, asked, decided, open_of


def test_a_run_comes_back_as_it_was_stored(storage: Storage) -> None:
    actor = storage.tenant()
    run = a_run(storage.ids.new(), actor, rule_ids=tuple(storage.ids.batch(2)), where={"text": "rewe", "limit": 5})
    of_all = a_run(storage.ids.new(), actor)
    with storage.writing(actor) as tx:
        tx.runs.add(run)
        tx.runs.add(of_all)
    with storage.reading(actor) as tx:
        assert tx.runs.get(run.id) == run
        assert tx.runs.get(of_all.id, lock=True) == of_all
        assert list(tx.runs.list(before=None, limit=9)) == [of_all, run]
        assert list(tx.runs.list(before=None, limit=1)) == [of_all]
        assert list(tx.runs.list(before=of_all.id, limit=9)) == [run]
        with pytest.raises(NotFound):
            tx.runs.get(storage.ids.new())


def test_updating_a_run_writes_its_progress_and_nothing_else(storage: Storage) -> None:
    actor = storage.tenant()
    run = a_run(storage.ids.new(), actor)
    now = replace(
        run,
        status=RunStatus.UNDONE,
        counts=RunCounts(total=9, seen=8, newly_decided=1, changed=2, released=3, contradicting=4, restored=5, kept=6),
        finished_at=START,
        undone_at=START + timedelta(hours=1),
        failure="poison",
    )
    with storage.writing(actor) as tx:
        tx.runs.add(run)
        tx.runs.update(replace(now, requested_by="somebody else", where={"text": "x"}))
    with storage.reading(actor) as tx:
        assert tx.runs.get(run.id) == now
        with pytest.raises(NotFound):
            tx.runs.update(replace(now, id=storage.ids.new()))


def test_a_run_decides_what_waited_for_a_person(storage: Storage) -> None:
    actor = storage.tenant()
    food, rule, run = storage.category(actor), storage.ids.new(), storage.run(actor)
    id = storage.record(actor, attributes={"a": "1"})
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id, tags=("old",))])
    counted = list(storage.system.stage_counts())
    decision = decided(id, food, rule_id=rule, tags=("new", "old"), attributes={"b": "2"})
    assert redecide(storage, actor, run, (decision, 2)) == [id]
    record, approval = look(storage, actor, id)
    assert approval is None
    assert (record.status, record.category_id, record.stage) == (RecordStatus.PROCESSED, food, "rules")
    assert (record.confidence, record.threshold, record.model_version) == (0.97, 0.9, "rules-1")
    assert (record.selection_probability, record.reasoning_trace) == (0.02, decision.trace)
    assert (record.tags, record.attributes) == (("old", "new"), {"a": "1", "b": "2"})
    assert (record.rule_id, record.version) == (rule, 3)
    told = storage.events(actor, "PROCESSED")[-1]
    assert (told.subject_id, told.payload) == (
        id,
        {
            "status": "processed",
            "stage": "rules",
            "category_id": str(food),
            "confidence": 0.97,
            "run_id": str(run),
        },
    )
    assert changes(storage, actor, run) == [
        RunChange(
            record_id=id,
            before={
                "status": "needs_review",
                "category_id": None,
                "stage": None,
                "rule_id": None,
                "tags": ["old"],
                "attributes": {"a": "1"},
                "confidence": 0.4,
            },
            after={
                "status": "processed",
                "category_id": str(food),
                "stage": "rules",
                "rule_id": str(rule),
                "tags": ["old", "new"],
                "attributes": {"a": "1", "b": "2"},
                "confidence": 0.97,
            },
        )
    ]
    assert list(storage.system.stage_counts()) == counted  # of what came in, not of what was looked at again


def test_a_run_adds_attributes_and_writes_over_none(storage: Storage) -> None:
    actor = storage.tenant()
    run, id = storage.run(actor), storage.record(actor, attributes={"a": "by a person"})
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id)])
    redecide(storage, actor, run, (decided(id, attributes={"a": "by a rule", "b": "2"}), 2))
    assert look(storage, actor, id)[0].attributes == {"a": "by a person", "b": "2"}


def test_a_run_asks_anew(storage: Storage) -> None:
    actor = storage.tenant()
    food, car, run = storage.category(actor), storage.category(actor, "car"), storage.run(actor)
    id = storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food, approval=ApprovalReason.SPOT_CHECK, suggested_id=food)])
        former = open_of(tx, id)
    again = asked(id, approval=ApprovalReason.RULE, suggested_id=car, confidence=0.25, group_key="g")
    assert redecide(storage, actor, run, (again, 2)) == [id]
    _, approval = look(storage, actor, id)
    assert former is not None
    assert approval is not None
    assert approval.id != former.id
    assert (approval.reason, approval.suggested_id, approval.urgency) == (ApprovalReason.RULE, car, 0.75)
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.approvals.get_many([former.id])


def test_a_run_leaves_alone_what_it_may_not_touch(storage: Storage) -> None:
    actor = storage.tenant()
    food, car, run = storage.category(actor), storage.category(actor, "car"), storage.run(actor)
    by_person, overridden, fresh, moved, failed, plain = storage.store(actor, [a_draft(n) for n in "abcdef"]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food) for id in (by_person, overridden, moved, plain)])
        tx.records.decide([decided(failed, status=RecordStatus.FAILED, stage=None, failure="poison")])
        tx.records.update([replace(tx.records.get(by_person), status=RecordStatus.APPROVED)])
        tx.records.update([replace(tx.records.get(overridden), status=RecordStatus.OVERRIDDEN)])
        tx.records.update([replace(tx.records.get(moved), tags=("mine",))])
    wanted = [
        *((decided(id, car), version) for id, version in ((plain, 2), (failed, 2), (moved, 2), (fresh, 1))),
        *((decided(id, car), 3) for id in (by_person, overridden)),
        (decided(storage.ids.new(), car), 1),
    ]
    assert redecide(storage, actor, run, *wanted) == [failed, plain]
    with storage.reading(actor) as tx:
        assert {tx.records.get(id).category_id for id in (by_person, overridden, moved)} == {food}
        assert (tx.records.get(failed).category_id, tx.records.get(failed).failure) == (car, None)
    assert [change.record_id for change in changes(storage, actor, run)] == [failed, plain]
    assert [e.subject_id for e in storage.events(actor, "PROCESSED")][-2:] == [failed, plain]


def test_a_run_must_exist(storage: Storage) -> None:
    actor = storage.tenant()
    run, id = storage.run(actor), storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id)])
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.records.redecide(storage.ids.new(), [(decided(id), 2)])
    with storage.reading(actor) as tx:
        assert list(tx.records.redecide(run, [])) == []


def test_a_record_whose_new_category_is_gone_is_left_alone(storage: Storage) -> None:
    actor = storage.tenant()
    food, run = storage.category(actor), storage.run(actor)
    id, other = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id), asked(other)])
    before = look(storage, actor, id)
    assert redecide(storage, actor, run, (decided(id, storage.ids.new()), 2), (decided(other, food), 2)) == [other]
    assert look(storage, actor, id) == before
    assert [change.record_id for change in changes(storage, actor, run)] == [other]


def test_two_batches_of_a_run_in_one_transaction_and_a_rollback(storage: Storage) -> None:
    actor = storage.tenant()
    run = storage.run(actor)
    a, b = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([asked(a), asked(b)])
    with storage.reading(actor) as tx:
        assert list(tx.records.redecide(run, [(decided(a), 2)])) == [a]
        assert list(tx.records.redecide(run, [(decided(b), 2), (decided(a), 2)])) == [b]
        assert tx.approvals.count_open() == 0
    with storage.reading(actor) as tx:
        assert tx.approvals.count_open() == 2
        assert list(tx.runs.changes(run, after=None, limit=9)) == []
    assert len(storage.events(actor, "PROCESSED")) == 2
