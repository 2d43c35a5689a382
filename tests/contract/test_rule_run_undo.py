"""Undoing rule runs: every record that nobody changed since is again what it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from core.domain.approvals import ApprovalReason, Verdict
from core.domain.decisions import Stage
from core.domain.records import RecordStatus
from ports.record_storage import Restored
from ports.storage import Transaction
from tests.contract.runs import but_for_version, changes, look, redecide, restore
from tests.contract.storage import Storage, a_draft, answered, asked, decided, open_of


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


def test_runs_that_are_undone_in_reverse_order_give_back_what_was_before_all(storage: Storage) -> None:
    actor = storage.tenant()
    ids = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    categories = [storage.category(actor, key) for key in ("food", "car", "fun")]
    runs = [storage.run(actor) for _ in categories]
    with storage.writing(actor) as tx:
        tx.records.decide([asked(ids[0], group_key="g"), decided(ids[1], categories[0], tags=("a",))])
    states = []
    for n, (run, category) in enumerate(zip(runs, categories, strict=True)):
        states.append([look(storage, actor, id) for id in ids])
        again = asked(ids[1], approval=ApprovalReason.RULE, suggested_id=category)
        assert redecide(storage, actor, run, (decided(ids[0], category), n + 2), (again, n + 2)) == list(ids)
    for run, state in reversed(list(zip(runs, states, strict=True))):
        assert restore(storage, actor, run) == (2, 0, ids[1])
        for id, (record, approval) in zip(ids, state, strict=True):
            now, open_now = look(storage, actor, id)
            assert (now, open_now) == (but_for_version(record, now), approval)
    with storage.writing(actor) as tx:  # and what was undone is nobody's result any more
        tx.records.update([replace(tx.records.get(ids[0]), tags=("mine",))])
    assert [restore(storage, actor, run) for run in runs] == [(0, 0, None)] * 3


def test_a_run_that_goes_on_after_a_later_one_was_undone_is_undone_whole(storage: Storage) -> None:
    actor = storage.tenant()
    food, car, fun = (storage.category(actor, key) for key in ("food", "car", "fun"))
    first, second, id = storage.run(actor), storage.run(actor), storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id)])
    before, approval = look(storage, actor, id)
    redecide(storage, actor, first, (decided(id, food), 2))
    redecide(storage, actor, second, (decided(id, car), 3))
    restore(storage, actor, second)
    redecide(storage, actor, first, (decided(id, fun), 5))
    assert restore(storage, actor, first) == (1, 0, id)
    now, open_now = look(storage, actor, id)
    assert (now, open_now) == (but_for_version(before, now), approval)


def test_an_earlier_run_keeps_what_a_later_one_changed_which_can_be_undone_still(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    first, second, id = storage.run(actor), storage.run(actor), storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id)])
    redecide(storage, actor, first, (decided(id, food), 2))
    redecide(storage, actor, second, (decided(id, car), 3))
    assert restore(storage, actor, first) == (0, 1, id)
    assert look(storage, actor, id)[0].category_id == car
    assert restore(storage, actor, second) == (1, 0, id)
    assert look(storage, actor, id)[0].category_id == food


def test_undoing_a_run_tells_by_how_much_the_hits_of_rules_change(storage: Storage) -> None:
    actor = storage.tenant()
    run, (a, b, c) = storage.run(actor), storage.ids.batch(3)
    ids = storage.store(actor, [a_draft(n) for n in "123456"]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide(
            [
                decided(ids[0], rule_id=a),
                decided(ids[1], rule_id=a),
                decided(ids[2], rule_id=c),
                asked(ids[3], rule_id=a),  # it only suggested something
                decided(ids[4], rule_id=a, stage=Stage.LLM),
                decided(ids[5], rule_id=a),
            ]
        )
        tx.records.redecide(run, [(decided(id, rule_id=b), 2) for id in (*ids[:2], *ids[3:])])
        tx.records.redecide(run, [(decided(ids[2], rule_id=c), 2)])
        tx.records.update([replace(tx.records.get(ids[5]), tags=("mine",))])
    with storage.writing(actor) as tx:
        assert tx.records.restore(run, after=None, limit=9) == Restored(
            restored=5, kept=1, last=ids[5], hits={a: 2, b: -4}
        )
        assert tx.records.restore(run, after=None, limit=9) == Restored(restored=0, kept=0, last=None, hits={})


def test_an_open_approval_that_a_run_made_goes_with_its_undoing_but_not_an_answered_one(storage: Storage) -> None:
    actor = storage.tenant()
    food, run = storage.category(actor), storage.run(actor)
    open_one, answered_one = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(open_one, food), decided(answered_one, food)])
        tx.records.redecide(run, [(asked(id, approval=ApprovalReason.RULE), 2) for id in (open_one, answered_one)])
        approval = open_of(tx, answered_one)
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
