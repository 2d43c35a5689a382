"""Rule runs: they decide records anew, remember what was, and put exactly that back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from core.domain.approvals import Approval, ApprovalReason, Verdict
from core.domain.decisions import Decision, Stage
from core.domain.records import Record, RecordStatus
from core.domain.rule_runs import RunChange, RunCounts, RunStatus
from core.domain.tenants import Actor
from core.errors import Invalid, NotFound
from ports.storage import Transaction
from tests.contract.storage import START, Storage, a_draft, a_run, answered, asked, decided


def redecide(storage: Storage, actor: Actor, run: UUID, *decisions: tuple[Decision, int]) -> list[UUID]:
    with storage.writing(actor) as tx:
        return list(tx.records.redecide(run, decisions))


def restore(storage: Storage, actor: Actor, run: UUID, after: UUID | None = None, limit: int = 9) -> object:
    with storage.writing(actor) as tx:
        return tx.records.restore(run, after=after, limit=limit)


def look(storage: Storage, actor: Actor, id: UUID) -> tuple[Record, Approval | None]:
    with storage.reading(actor) as tx:
        return tx.records.get(id), tx.approvals.open_of(id)


def changes(storage: Storage, actor: Actor, run: UUID) -> list[RunChange]:
    with storage.reading(actor) as tx:
        return list(tx.runs.changes(run, after=None, limit=99))


def but_for_version(record: Record, other: Record) -> Record:
    return replace(record, version=other.version, updated_at=other.updated_at)


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


def test_a_run_asks_anew(storage: Storage) -> None:
    actor = storage.tenant()
    food, car, run = storage.category(actor), storage.category(actor, "car"), storage.run(actor)
    id = storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food, approval=ApprovalReason.SPOT_CHECK, suggested_id=food)])
        former = tx.approvals.open_of(id)
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


def test_an_undone_run_leaves_every_record_as_it_was(storage: Storage) -> None:
    actor = storage.tenant()
    food, car, run = storage.category(actor), storage.category(actor, "car"), storage.run(actor)
    drafts = [a_draft(n, attributes={"n": {"deep": [1, "1.50", None]}}) for n in "abcd"]
    ids = sure, waiting, failed, checked = storage.store(actor, drafts).inserted
    trace = {"reason": "rules: ü", "stages": [{"stage": "rules", "n": 0.1}]}
    with storage.writing(actor) as tx:
        tx.records.decide(
            [
                decided(sure, food, trace=trace, rule_id=storage.ids.new(), tags=("a", 'b "c", {d}'), confidence=1 / 3),
                asked(waiting, suggested_id=food, group_key="g", confidence=0.1 + 0.2),
                decided(failed, status=RecordStatus.FAILED, stage=None, confidence=None, failure="poison"),
                decided(checked, food, approval=ApprovalReason.SPOT_CHECK, suggested_id=food),
            ]
        )
    before = [look(storage, actor, id) for id in ids]
    changed = [
        decided(sure, car, stage=Stage.RULES, tags=("x",), attributes={"n": "1", "m": "2"}, rule_id=storage.ids.new()),
        decided(waiting, car),
        asked(failed, approval=ApprovalReason.RULE),
        asked(checked, approval=ApprovalReason.RULE, suggested_id=car),
    ]
    assert redecide(storage, actor, run, *((d, 2) for d in changed)) == list(ids)
    told = len(storage.events(actor))
    assert restore(storage, actor, run) == (4, 0, checked)
    for id, (record, approval) in zip(ids, before, strict=True):
        now, open_now = look(storage, actor, id)
        assert now == but_for_version(record, now)
        assert now.version == 4
        assert open_now == approval
    undone = storage.events(actor, after=told)
    assert [(e.type, e.subject_id) for e in undone] == [("UPDATED", id) for id in ids]
    assert undone[0].payload == {"change": "undone", "run_id": str(run)}
    assert [change.undone for change in changes(storage, actor, run)] == [True] * 4
    assert restore(storage, actor, run) == (0, 0, None)


TOUCHES: dict[str, Callable[[Transaction, UUID, UUID], None]] = {
    "edited": lambda tx, id, food: tx.records.update([replace(tx.records.get(id), tags=("mine",))]),
    "decided by a person": lambda tx, id, food: tx.records.update(
        [replace(tx.records.get(id), status=RecordStatus.APPROVED, category_id=food)]
    ),
    "changed by another run": lambda tx, id, food: touch_by_run(tx, id, food),
}


def touch_by_run(tx: Transaction, id: UUID, food: UUID) -> None:
    record = tx.records.get(id)
    run = replace(tx.runs.list(before=None, limit=1)[0], id=UUID(int=record.id.int + 1_000_000))
    tx.runs.add(run)
    assert list(tx.records.redecide(run.id, [(decided(id, food), record.version)])) == [id]


@pytest.mark.parametrize("touch", TOUCHES)
def test_what_somebody_changed_since_is_kept(storage: Storage, touch: str) -> None:
    actor = storage.tenant()
    food, car, run = storage.category(actor), storage.category(actor, "car"), storage.run(actor)
    touched, other = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(touched), decided(other)])
    redecide(storage, actor, run, (decided(touched, car), 2), (decided(other, car), 2))
    with storage.writing(actor) as tx:
        TOUCHES[touch](tx, touched, food)
    since, _ = look(storage, actor, touched)
    assert restore(storage, actor, run) == (1, 1, other)
    assert look(storage, actor, touched) == (since, None)
    assert look(storage, actor, other)[0].category_id is None
    assert [change.undone for change in changes(storage, actor, run)] == [False, True]


def test_an_open_approval_that_a_run_made_goes_with_its_undoing_but_not_an_answered_one(storage: Storage) -> None:
    actor = storage.tenant()
    food, run = storage.category(actor), storage.run(actor)
    open_one, answered_one = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(open_one, food), decided(answered_one, food)])
        tx.records.redecide(run, [(asked(id, approval=ApprovalReason.RULE), 2) for id in (open_one, answered_one)])
        approval = tx.approvals.open_of(answered_one)
        assert approval is not None
        tx.approvals.decide([answered(approval, Verdict.OVERRIDE, food)])
        tx.records.update([replace(tx.records.get(answered_one), status=RecordStatus.OVERRIDDEN)])
    assert restore(storage, actor, run) == (1, 1, answered_one)
    with storage.reading(actor) as tx:
        assert tx.approvals.count_open() == 0
        assert tx.approvals.get_many([approval.id])[0].verdict is Verdict.OVERRIDE
        assert tx.records.get(answered_one).status is RecordStatus.OVERRIDDEN


def test_a_run_is_undone_page_by_page(storage: Storage) -> None:
    actor = storage.tenant()
    food, run = storage.category(actor), storage.run(actor)
    ids = storage.store(actor, [a_draft(f"{n}") for n in range(5)]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id, suggested_id=food) for id in ids])
    redecide(storage, actor, run, *((decided(id, food), 2) for id in reversed(ids)))
    assert restore(storage, actor, run, limit=2) == (2, 0, ids[1])
    assert restore(storage, actor, run, after=ids[1], limit=2) == (2, 0, ids[3])
    assert restore(storage, actor, run, limit=2) == (1, 0, ids[4])  # what is undone is not looked at again
    assert restore(storage, actor, run, after=ids[4], limit=2) == (0, 0, None)
    with storage.reading(actor) as tx:
        assert tx.approvals.count_open() == 5
        assert [c.record_id for c in tx.runs.changes(run, after=ids[0], limit=2)] == list(ids[1:3])


def test_a_record_that_a_run_changes_twice_gets_back_what_was_before_the_first(storage: Storage) -> None:
    actor = storage.tenant()
    food, car, run = storage.category(actor), storage.category(actor, "car"), storage.run(actor)
    id, edited = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id, suggested_id=food), asked(edited)])
    before, approval = look(storage, actor, id)
    redecide(storage, actor, run, (decided(id, food), 2), (decided(edited, food), 2))
    with storage.writing(actor) as tx:
        tx.records.update([replace(tx.records.get(edited), tags=("mine",))])
    between, _ = look(storage, actor, edited)
    redecide(storage, actor, run, (decided(id, car), 3), (decided(edited, car), 4))
    assert [change.after["category_id"] for change in changes(storage, actor, run)] == [str(car)] * 2
    assert restore(storage, actor, run) == (2, 0, edited)
    now, open_now = look(storage, actor, id)
    assert (now, open_now) == (but_for_version(before, now), approval)
    now, open_now = look(storage, actor, edited)
    assert (now, open_now) == (but_for_version(between, now), None)


def test_a_record_whose_former_category_is_gone_stays_as_it_is(storage: Storage) -> None:
    actor = storage.tenant()
    food, car, run = storage.category(actor), storage.category(actor, "car"), storage.run(actor)
    id, other = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food), decided(other)])
        tx.records.redecide(run, [(decided(id, car), 2), (decided(other, car), 2)])
        tx.categories.delete(food, None)
    assert restore(storage, actor, run) == (1, 1, other)
    assert look(storage, actor, id)[0].category_id == car


def test_a_deleted_record_leaves_no_change(storage: Storage) -> None:
    actor = storage.tenant()
    run, id = storage.run(actor), storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id)])
        tx.records.redecide(run, [(decided(id), 2)])
        tx.records.delete(id, None)
    assert changes(storage, actor, run) == []
    assert restore(storage, actor, run) == (0, 0, None)


def test_a_run_and_its_category_must_exist(storage: Storage) -> None:
    actor = storage.tenant()
    run, id = storage.run(actor), storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id)])
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.records.redecide(run, [(decided(id, storage.ids.new()), 2)])
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.records.redecide(storage.ids.new(), [(decided(id), 2)])
    with storage.reading(actor) as tx:
        assert list(tx.records.redecide(run, [])) == []


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
