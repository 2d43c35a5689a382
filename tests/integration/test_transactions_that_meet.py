"""Transactions that meet on the same rows: one waits for the other, and none for another in a circle."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from time import monotonic, sleep
from uuid import UUID

import psycopg
import pytest

from adapters.memory.clock import FixedClock
from core.domain.approvals import Verdict
from core.domain.decisions import Stage
from core.domain.drift import watched
from core.domain.jobs import Stream
from core.domain.promise import Check
from core.domain.records import Record, RecordStatus
from core.domain.tenants import Actor, Idempotency
from core.errors import Forbidden, IdempotencyReplay
from core.usecases.accounts import rotate_api_key
from core.usecases.shared.leaving import take_back
from ports.storage import Transaction
from tests.contract.storage import (
    START,
    Storage,
    a_draft,
    a_proposal,
    a_rule,
    an_arrival,
    an_example,
    answered,
    asked,
    decided,
    vector,
)
from tests.contract.test_leaving import a_person, made_key, user_of


def until_waiting(superuser: psycopg.Connection, other: Future[object]) -> None:
    """Returns when the other transaction waits for a lock of ours."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = monotonic() + 10
    while superuser.execute(waiting).fetchone() is None:
        assert not other.done(), "it did not wait"
        assert monotonic() < deadline
        sleep(0.005)


def test_the_same_upload_twice_at_once_is_stored_once(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    connection_id = storage.connection(actor)
    drafts = [a_draft(f"{n}") for n in range(50)]
    staged = [(storage.ids.new(), draft, date(2026, 1, 3)) for draft in drafts]
    with storage.uow.begin(actor) as tx:
        first = tx.records.store(staged, connection_id=connection_id, import_id=storage.ids.new())
        second = meanwhile.submit(storage.store, actor, drafts, connection_id=connection_id)
        until_waiting(superuser, second)
        tx.commit()
    assert len(first.inserted) == 50
    assert (second.result().inserted, second.result().known) == ((), 50)
    assert len(storage.events(actor, "INGESTED")) == 50


@pytest.mark.parametrize("first_commits", [True, False])
def test_a_concurrent_request_with_the_same_key_waits_for_the_first(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, first_commits: bool
) -> None:
    actor = replace(storage.tenant(), idempotency=Idempotency(key="k", request_digest="d"))

    def request() -> None:
        with storage.writing(actor):
            pass

    with storage.uow.begin(actor) as tx:
        second = meanwhile.submit(request)
        until_waiting(superuser, second)
        if first_commits:
            tx.commit()
    if first_commits:
        with pytest.raises(IdempotencyReplay):
            second.result()
    else:
        second.result()


def test_two_workers_that_claim_at_once_do_not_both_get_the_job(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    id = storage.job(actor)

    def claim() -> object:
        with storage.writing(actor) as tx:
            return tx.jobs.claim(id, storage.ids.new(), 60)

    with storage.uow.begin(actor) as tx:
        assert tx.jobs.claim(id, storage.ids.new(), 60) is not None
        second = meanwhile.submit(claim)
        until_waiting(superuser, second)
        tx.commit()
    assert second.result() is None


def test_a_job_that_others_count_on_begins_when_they_have_committed(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    food, id = storage.category(actor), storage.job(actor, Stream.EMBED, payload={})

    def claim_and_look() -> int:
        storage.claim(actor, id)
        with storage.reading(actor) as tx:
            return len(tx.examples.without_embedding("m1", 9))

    with storage.uow.begin(actor) as tx:
        tx.examples.put([an_example(storage.ids.new(), actor, food)])
        assert tx.jobs.waiting(Stream.EMBED, {})
        worker = meanwhile.submit(claim_and_look)
        until_waiting(superuser, worker)
        tx.commit()
    assert worker.result() == 1


def test_a_job_that_is_being_claimed_is_not_counted_on(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.job(actor, Stream.EMBED, payload={})
    with storage.uow.begin(actor) as worker, storage.uow.begin(actor) as tx:
        assert worker.jobs.claim(id, storage.ids.new(), 60) is not None
        assert not tx.jobs.waiting(Stream.EMBED, {})


def test_a_text_that_is_replaced_meanwhile_keeps_no_vector_of_the_former(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    food, record_id = storage.category(actor), storage.record(actor)
    former = an_example(storage.ids.new(), actor, food, record_id)
    latter = replace(former, text="shell")
    with storage.writing(actor) as tx:
        tx.examples.put([former])

    def put() -> None:
        with storage.writing(actor) as other:
            other.examples.put([latter])

    with storage.uow.begin(actor) as worker:
        worker.examples.set_embeddings("m1", {former: vector(x=1)})
        person = meanwhile.submit(put)
        until_waiting(superuser, person)
        worker.commit()
    person.result()
    with storage.reading(actor) as tx:
        assert list(tx.examples.without_embedding("m1", 9)) == [latter]


def test_a_text_that_is_being_replaced_gets_no_vector_and_holds_nobody_up(storage: Storage) -> None:
    actor = storage.tenant()
    food, record_id = storage.category(actor), storage.record(actor)
    former = an_example(storage.ids.new(), actor, food, record_id)
    with storage.writing(actor) as tx:
        tx.examples.put([former])
    with storage.uow.begin(actor) as person:
        person.examples.put([replace(former, text="shell")])
        with storage.writing(actor) as worker:
            worker.examples.set_embeddings("m1", {former: vector(x=1)})
        person.commit()
    with storage.reading(actor) as tx:
        assert [e.text for e in tx.examples.without_embedding("m1", 9)] == ["shell"]


def test_a_run_waits_for_a_person_who_answers_and_leaves_the_record_to_them(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    food, run = storage.category(actor), storage.run(actor)
    approval_id = storage.review(actor)
    with storage.uow.begin(actor) as tx:
        (approval,) = tx.approvals.get_many([approval_id], lock=True)
        record = tx.records.get(approval.record_id)

        def redecide() -> list[UUID]:
            with storage.writing(actor) as other:
                return list(other.records.redecide(run, [(decided(record.id, food), record.version)]))

        second = meanwhile.submit(redecide)
        until_waiting(superuser, second)
        tx.records.update([replace(record, status=RecordStatus.OVERRIDDEN, category_id=food)])
        tx.approvals.decide([answered(approval, Verdict.OVERRIDE, food)])
        tx.commit()
    assert second.result() == []
    with storage.reading(actor) as tx:
        assert tx.approvals.get_many([approval_id])[0].verdict is Verdict.OVERRIDE
        assert list(tx.runs.changes(run, after=None, limit=9)) == []


REMOVALS: dict[str, Callable[[Transaction, Record], object]] = {
    "undoing its import": lambda tx, record: tx.records.undo_import(record.import_id),
    "deleting it": lambda tx, record: tx.records.delete(record.id, None),
}


@pytest.mark.parametrize("removal", REMOVALS)
def test_removing_a_record_waits_for_a_person_who_answers(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, removal: str
) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    approval_id = storage.review(actor)
    with storage.uow.begin(actor) as tx:
        (approval,) = tx.approvals.get_many([approval_id], lock=True)

        def remove() -> object:
            with storage.writing(actor) as other:
                return REMOVALS[removal](other, other.records.get(approval.record_id))

        second = meanwhile.submit(remove)
        until_waiting(superuser, second)
        record = tx.records.get(approval.record_id)
        tx.records.update([replace(record, status=RecordStatus.OVERRIDDEN, category_id=food)])
        tx.approvals.decide([answered(approval, Verdict.OVERRIDE, food)])
        tx.commit()
    # An import's undoing leaves the record to them.
    assert second.result() == ((0, 1) if removal == "undoing its import" else None)
    assert len(storage.events(actor, "DELETED")) == (0 if removal == "undoing its import" else 1)


def test_a_record_that_is_read_for_a_change_is_read_after_the_change_of_another(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    id = storage.record(actor)

    def tag(tx: Transaction, tag: str, record: Record) -> None:
        tx.records.update([replace(record, tags=(*record.tags, tag))])

    def tag_too() -> None:
        with storage.writing(actor) as other:
            tag(other, "b", other.records.get(id, lock=True))

    with storage.uow.begin(actor) as tx:
        record = tx.records.get(id, lock=True)
        second = meanwhile.submit(tag_too)
        until_waiting(superuser, second)
        tag(tx, "a", record)
        tx.commit()
    second.result()
    with storage.reading(actor) as tx:
        assert tx.records.get(id).tags == ("a", "b")


def test_two_undoings_that_meet_on_a_record_put_it_back_one_after_the_other(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    food, first, later = storage.category(actor), storage.run(actor), storage.run(actor)
    ids = storage.store(actor, [a_draft("1"), a_draft("2")]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id) for id in ids])
        tx.records.redecide(first, [(decided(id, food), 2) for id in ids])
        tx.records.redecide(later, [(decided(id), 3) for id in ids])

    def undo_first() -> int:
        with storage.writing(actor) as other:
            return other.records.restore(first, after=None, limit=9).restored

    with storage.uow.begin(actor) as tx:
        assert tx.records.restore(later, after=None, limit=9).restored == 2
        second = meanwhile.submit(undo_first)
        until_waiting(superuser, second)
        tx.commit()
    assert second.result() == 2
    with storage.reading(actor) as tx:
        assert {tx.records.get(id).status for id in ids} == {RecordStatus.NEEDS_REVIEW}


LATE: dict[str, Callable[[Transaction, Storage, Actor, UUID, UUID], object]] = {
    "a run": lambda tx, storage, actor, record_id, food: tx.records.redecide(
        tx.runs.list(before=None, limit=1)[0].id, [(decided(record_id, food), 2)]
    ),
    "learning": lambda tx, storage, actor, record_id, food: tx.proposals.replace_open(
        [a_proposal(storage.ids.new(), actor, food)]
    ),
}


@pytest.mark.parametrize("work", LATE)
def test_what_needs_a_category_that_somebody_deletes_is_left_out(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, work: str
) -> None:
    actor = storage.tenant()
    food, record_id = storage.category(actor), storage.record(actor)
    storage.run(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([asked(record_id)])

    def carry_out() -> list[UUID]:
        with storage.writing(actor) as other:
            return list(LATE[work](other, storage, actor, record_id, food))  # type: ignore[call-overload]

    with storage.uow.begin(actor) as tx:
        tx.categories.delete(food, None)
        second = meanwhile.submit(carry_out)
        until_waiting(superuser, second)
        tx.commit()
    assert second.result() == []
    with storage.reading(actor) as tx:
        assert tx.approvals.count_open() == 1


def test_two_jobs_that_learn_at_once_propose_one_after_the_other(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")

    def propose() -> list[UUID]:
        with storage.writing(actor) as other:
            wanted = [a_proposal(storage.ids.new(), actor, category) for category in (car, food)]
            return list(other.proposals.replace_open(wanted))

    with storage.uow.begin(actor) as tx:
        first = tx.proposals.replace_open([a_proposal(storage.ids.new(), actor, food)])
        second = meanwhile.submit(propose)
        until_waiting(superuser, second)
        tx.commit()
    new = second.result()
    with storage.reading(actor) as tx:
        assert [p.id for p in tx.proposals.list(status="open", after=None, limit=9)] == sorted([*first, *new])
    assert len(new) == 1


def test_rules_are_reordered_and_counted_in_one_order(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    low, high = storage.ids.batch(2)
    with storage.writing(actor) as tx:
        tx.rules.add([a_rule(id, actor, None) for id in (high, low)])  # they lie in this order

    def reorder() -> None:
        with storage.writing(actor) as other:
            other.rules.reorder({high: 2, low: 1})

    with storage.uow.begin(actor) as tx:
        tx.rules.count_hits({low: 1}, datetime.now(UTC))
        second = meanwhile.submit(reorder)
        until_waiting(superuser, second)
        tx.rules.count_hits({high: 1}, datetime.now(UTC))
        tx.commit()
    second.result()
    with storage.reading(actor) as tx:
        assert [(r.id, r.priority, r.hits) for r in tx.rules.list()] == [(low, 1, 1), (high, 2, 1)]


def test_answers_to_checks_of_a_stage_wait_for_each_other_and_count_both(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    check = Check(stage=Stage.LLM, probability=0.02, right=True)

    def answer() -> None:
        with storage.writing(actor) as tx:
            held = tx.promises.hold([Stage.LLM], 0.95)
            tx.promises.put([watched(held[Stage.LLM], [check])[0]])

    for _ in range(2):  # the second time the test is there already
        with storage.uow.begin(actor) as tx:
            held = tx.promises.hold([Stage.LLM], 0.95)
            second = meanwhile.submit(answer)
            until_waiting(superuser, second)
            tx.promises.put([watched(held[Stage.LLM], [check])[0]])
            tx.commit()
        second.result()
    with storage.reading(actor) as tx:
        assert tx.promises.hold([Stage.LLM], 0.95)[Stage.LLM].checks.checked == 4


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("learned", [True, False])
def test_records_that_are_deleted_while_they_are_decided_or_learned_leave_no_arrival(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, whole: bool, learned: bool
) -> None:
    actor, imported = storage.tenant(), storage.ids.new()
    [id] = storage.store(actor, [a_draft("1")], import_id=imported).inserted

    def remove() -> None:
        with storage.writing(actor) as tx:
            if whole:
                tx.records.undo_import(imported)
            else:
                tx.records.delete(id, None)

    with storage.uow.begin(actor) as tx:
        if learned:
            tx.lessons.arrive({id: an_arrival()}, 3)
        else:
            tx.records.decide([decided(id)], {id: an_arrival()}, 3)
        other = meanwhile.submit(remove)
        until_waiting(superuser, other)
        tx.commit()
    other.result()
    with storage.reading(actor) as tx:
        assert tx.lessons.arrived(3) == 0


def test_who_is_removed_meanwhile_leaves_no_key_behind(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor, clock = storage.tenant(), FixedClock(START)
    ada, ben = a_person(storage, actor), a_person(storage, actor)
    with storage.uow.begin(ben) as tx:
        tx.members.get(user_of(ada), lock=True)
        tx.members.remove(user_of(ada))
        take_back(tx, user_of(ada), None, clock=clock)
        made = meanwhile.submit(made_key, storage, ada, frozenset({"records:read"}))
        until_waiting(superuser, made)
        tx.commit()
    with pytest.raises(Forbidden, match="no member"):
        made.result()
    with storage.reading(ben) as reading:
        assert not reading.api_keys.list()


def test_a_key_is_rotated_or_revoked_with_its_maker_and_neither_waits_in_a_circle(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor, clock = storage.tenant(), FixedClock(START)
    ada, ben = a_person(storage, actor), a_person(storage, actor)
    key = made_key(storage, ada, frozenset({"records:read"}))
    with storage.uow.begin(ben) as tx:
        tx.members.get(user_of(ada), lock=True)
        rotated = meanwhile.submit(
            rotate_api_key, ada, key, overlap=timedelta(days=1), uow=storage.uow, clock=clock, ids=storage.ids
        )
        until_waiting(superuser, rotated)
        tx.members.remove(user_of(ada))
        take_back(tx, user_of(ada), None, clock=clock)
        tx.commit()
    with pytest.raises(Forbidden, match="no member"):
        rotated.result()
    with storage.reading(ben) as reading:
        assert [one.usable(START) for one in reading.api_keys.list()] == [False]
