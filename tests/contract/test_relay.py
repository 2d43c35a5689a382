"""Jobs as the relay, the reaper and the operator see them: those of all tenants."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.domain.connections import ImportStatus
from core.domain.events import EventFilter, EventType, NewEvent
from core.domain.inventories import Inventory, Role
from core.domain.jobs import JobStatus, NewJob, Stream
from core.domain.tenants import Idempotency
from core.errors import NotFound
from tests.contract.storage import Storage, an_import


def test_due_jobs_are_taken_with_what_their_worker_needs_to_know(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.job(actor, Stream.INGEST, request_id="req-1", trace_parent="00-aa-bb-01")
    plain = storage.job(actor)
    with storage.system.take_due(share=9, limit=9) as taken:
        assert list(taken) == [
            (actor.tenant_id, id, "records:ingest", {"request_id": "req-1", "traceparent": "00-aa-bb-01"}),
            (actor.tenant_id, plain, "records:process", {}),
        ]
    with storage.system.take_due(share=9, limit=9) as again:
        assert list(again) == []
    with storage.reading(actor) as tx:
        assert {job.status for job in tx.jobs.list(stream=None, statuses=(), after=None, limit=9)} == {"published"}


def test_jobs_whose_publishing_failed_are_taken_again(storage: Storage) -> None:
    id = storage.job(storage.tenant())
    with pytest.raises(ConnectionError), storage.system.take_due(share=9, limit=9):
        raise ConnectionError
    with storage.system.take_due(share=9, limit=9) as taken:
        assert [job for _, job, _, _ in taken] == [id]


def test_two_relays_never_take_the_same_job(storage: Storage) -> None:
    actor = storage.tenant()
    a, b = storage.job(actor), storage.job(actor)
    with storage.system.take_due(share=9, limit=1) as first, storage.system.take_due(share=9, limit=9) as second:
        assert [job for _, job, _, _ in (*first, *second)] in ([a], [a, b])  # the other may be locked along


def test_no_more_of_a_tenant_at_once_than_its_share(storage: Storage) -> None:
    busy, quiet = storage.tenant(), storage.tenant()
    many = [storage.job(busy) for _ in range(4)]
    single = storage.job(quiet)
    with storage.system.take_due(share=2, limit=9) as taken:
        assert [job for _, job, _, _ in taken] == [*many[:2], single]
    running = storage.claim(busy, many[0])
    with storage.system.take_due(share=2, limit=9) as taken:
        assert list(taken) == []
    with storage.writing(busy) as tx:
        tx.jobs.finish(running)
    with storage.system.take_due(share=2, limit=9) as taken:
        assert [job for _, job, _, _ in taken] == many[2:3]


def test_a_tenants_share_of_one_stream_leaves_its_others_alone(storage: Storage) -> None:
    busy, other = storage.tenant(), storage.tenant()
    held = [storage.claim(busy, storage.job(busy, Stream.PROCESS)) for _ in range(2)]
    waiting = storage.job(busy, Stream.PROCESS)
    delivery, reading = storage.job(busy, Stream.WEBHOOK), storage.job(other, Stream.PROCESS)
    with storage.system.take_due(share=2, limit=9) as taken:
        assert [job for _, job, _, _ in taken] == [delivery, reading]
    with storage.writing(busy) as tx:
        tx.jobs.finish(held[0])
    with storage.system.take_due(share=2, limit=9) as taken:
        assert [job for _, job, _, _ in taken] == [waiting]


def test_a_stream_may_have_a_share_of_its_own(storage: Storage) -> None:
    actor = storage.tenant()
    jobs = {stream: [storage.job(actor, stream) for _ in range(3)] for stream in (Stream.PROCESS, Stream.LLM)}
    with storage.system.take_due(share=2, limit=9, shares={Stream.LLM: 1}) as taken:
        assert [job for _, job, _, _ in taken] == [*jobs[Stream.PROCESS][:2], jobs[Stream.LLM][0]]
    with storage.system.take_due(share=2, limit=9, shares={Stream.LLM: 1}) as taken:
        assert list(taken) == []


def test_what_is_not_due_yet_hides_nothing_that_is(storage: Storage) -> None:
    actor = storage.tenant()
    for stream in (Stream.INGEST, Stream.WEBHOOK):
        storage.job(actor, stream, delay_seconds=3600)
    due = storage.job(actor, Stream.PROCESS)
    with storage.system.take_due(share=2, limit=9) as taken:
        assert [job for _, job, _, _ in taken] == [due]


def test_no_more_jobs_are_taken_than_the_limit(storage: Storage) -> None:
    actor = storage.tenant()
    jobs = [storage.job(actor) for _ in range(3)]
    with storage.system.take_due(share=9, limit=2) as taken:
        assert [job for _, job, _, _ in taken] == jobs[:2]


def test_jobs_of_a_transaction_that_rolled_back_are_never_seen(storage: Storage) -> None:
    with storage.uow.begin(storage.tenant()) as tx:
        tx.jobs.add([NewJob(id=storage.ids.new(), stream=Stream.LLM, payload={})])
    with storage.system.take_due(share=9, limit=9) as taken:
        assert list(taken) == []


def test_the_reaper_gives_back_what_a_lost_worker_held(storage: Storage) -> None:
    actor = storage.tenant()
    lost, held = storage.claim(actor, storage.job(actor), seconds=-1), storage.claim(actor, storage.job(actor))
    assert storage.system.reap(republish_after=3600) == 1
    assert storage.system.reap(republish_after=3600) == 0
    with storage.reading(actor) as tx:
        job = tx.jobs.get(lost.id)
        assert (job.status, job.attempts, job.lease_token) == (JobStatus.QUEUED, 1, None)
        assert "lost" in (job.last_error or "")
        assert tx.jobs.get(held.id).status is JobStatus.RUNNING
    assert storage.events(actor) == []


def test_the_reaper_queues_again_what_nobody_claimed(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.job(actor)
    with storage.system.take_due(share=9, limit=9):
        pass
    assert storage.system.reap(republish_after=3600) == 0
    assert storage.system.reap(republish_after=-1) == 1
    with storage.reading(actor) as tx:
        assert (tx.jobs.get(id).status, tx.jobs.get(id).attempts) == (JobStatus.QUEUED, 0)
        assert tx.jobs.get(id).last_error is None


def test_a_job_lost_at_its_last_attempt_goes_to_a_worker_once_more_to_be_failed(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.job(actor, max_attempts=1)
    storage.claim(actor, id, seconds=-1)
    assert storage.system.reap(republish_after=3600) == 1
    job = storage.claim(actor, id)
    assert (job.attempts, job.max_attempts, job.last_error) == (2, 1, "the worker was lost: its lease ran out")


def test_streams_are_counted_over_all_tenants(storage: Storage) -> None:
    first, second = storage.tenant(), storage.tenant()
    storage.job(first)
    storage.job(second)
    done, dead = storage.claim(first, storage.job(first)), storage.claim(second, storage.job(second, Stream.LLM))
    with storage.writing(first) as tx:
        tx.jobs.fail(done, "once", due_at=storage.now())
    again = storage.claim(first, done.id)
    with storage.writing(first) as tx:
        tx.jobs.finish(again)
    with storage.writing(second) as tx:
        tx.jobs.fail(dead, "poison", due_at=None)
    llm, process = storage.system.stream_stats()
    assert (llm.stream, llm.counts, llm.retries, llm.oldest_seconds) == ("records:llm", {"dead": 1}, 0, 0.0)
    assert (process.stream, process.counts, process.retries) == ("records:process", {"queued": 2, "done": 1}, 1)
    assert 0 <= process.oldest_seconds < 60


@pytest.mark.parametrize("what", ["job", "event"])
def test_who_waits_is_woken_by_a_commit(storage: Storage, what: str) -> None:
    actor = storage.tenant()
    storage.job(actor)
    storage.system.wait(0.1)  # what was committed before is no news any more
    woken = threading.Event()

    def wait() -> None:
        storage.system.wait(30)
        woken.set()

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    if what == "job":
        storage.job(actor)
    else:
        with storage.writing(actor) as tx:
            tx.events.append([NewEvent(type=EventType.IMPORT_DONE)])
    assert woken.wait(10)
    waiter.join()


def test_who_waits_in_vain_goes_on_after_the_time_given(storage: Storage) -> None:
    for seconds in (0.0, 0.05):
        waiter = threading.Thread(target=storage.system.wait, args=(seconds,), daemon=True)
        waiter.start()
        waiter.join(10)
        assert not waiter.is_alive()


def test_the_operator_reads_the_events_of_any_tenant(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant()
    with storage.writing(actor) as tx:
        tx.events.append([NewEvent(type=EventType.IMPORT_DONE), NewEvent(type=EventType.RULE_CREATED)])
    storage.system.seal()
    where = EventFilter(types=("RULE_CREATED",))
    (told,) = storage.system.events(where, tenant_id=actor.tenant_id, after=0, limit=9)
    assert (told.seq, told.tenant_id) == (2, actor.tenant_id)
    assert list(storage.system.events(where, tenant_id=other.tenant_id, after=0, limit=9)) == []


def test_events_are_read_backwards_too_across_the_bounds_of_batches(storage: Storage) -> None:
    actor = storage.tenant()
    for kinds in ((EventType.IMPORT_DONE,), (EventType.RULE_CREATED,) * 3, (EventType.IMPORT_DONE,) * 2):
        with storage.writing(actor) as tx:
            tx.events.append([NewEvent(type=kind) for kind in kinds])
    storage.system.seal()
    with storage.writing(actor) as tx:
        tx.events.append([NewEvent(type=EventType.IMPORT_DONE)])  # not sealed: nobody sees it yet

    def seqs(after: int, limit: int = 9, *types: str) -> list[int]:
        with storage.reading(actor) as tx:
            found = tx.events.list(EventFilter(types=types), after=after, limit=limit, newest=True)
        same = storage.system.events(
            EventFilter(types=types), tenant_id=actor.tenant_id, after=after, limit=limit, newest=True
        )
        assert list(same) == list(found)
        return [event.seq for event in found]

    assert seqs(0) == [6, 5, 4, 3, 2, 1]
    assert [seqs(after, 2) for after in (0, 5, 3)] == [[6, 5], [4, 3], [2, 1]]
    assert [seqs(after) for after in (1, 2, 6)] == [[], [1], [5, 4, 3, 2, 1]]
    assert seqs(7) == seqs(99) == seqs(0)
    assert seqs(4, 9, "IMPORT_DONE") == [1]


def test_what_has_served_its_time_is_swept(storage: Storage) -> None:
    actor = replace(storage.tenant(), idempotency=Idempotency(key="k", request_digest="d"))
    plain = replace(actor, idempotency=None)
    connection_id = storage.connection(plain)
    long_ago, to_come = datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
    old, new, unread = (an_import(storage.ids.new(), plain, connection_id) for _ in range(3))
    with storage.writing(actor) as tx:
        for imported in (old, new, unread):
            tx.imports.add(imported, [b"payload"])
        tx.imports.update(replace(old, status=ImportStatus.DONE, finished_at=long_ago))
        tx.imports.update(replace(new, status=ImportStatus.DONE, finished_at=to_come))
    done, waiting = storage.job(plain), storage.job(plain)
    with storage.system.take_due(share=9, limit=9):
        pass
    running = storage.claim(plain, done)
    with storage.writing(plain) as tx:
        tx.jobs.finish(running)
    assert storage.system.sweep(payload_seconds=60, job_seconds=3600, key_seconds=3600) == 1
    with storage.reading(plain) as tx:
        assert [tx.imports.open(i.id).read() for i in (new, unread)] == [b"payload", b"payload"]
        with pytest.raises(NotFound, match="dropped"):
            tx.imports.open(old.id)
    in_a_second = {"job_seconds": -1.0, "key_seconds": -1.0}
    assert storage.system.sweep(payload_seconds=60, **in_a_second) == 2
    with storage.reading(plain) as tx:
        assert [job.id for job in tx.jobs.list(stream=None, statuses=(), after=None, limit=9)] == [waiting]
    with storage.writing(actor):
        pass  # the key is free again


def test_inventories_that_were_announced_lately_are_told_once_each(storage: Storage) -> None:
    first, second = Inventory(offers={"connector:csv": "1.0"}), Inventory(offers={"connector:csv": "1.1"})
    for role, inventory in ((Role.API, first), (Role.API, second), (Role.API, first), (Role.WORKER, first)):
        storage.system.announce_plugins(role, inventory)
    lately = storage.system.inventories(Role.API, seconds=60)
    assert sorted(one.digest for one in lately) == sorted((first.digest, second.digest))
    assert storage.system.inventories(Role.WORKER, seconds=60) == [first]
    assert storage.system.inventories(Role.API, seconds=-1) == []


def test_what_was_sealed_is_verified(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant()
    assert storage.system.verify_events(actor.tenant_id).events == 0
    for _ in range(3):
        with storage.writing(actor) as tx:
            tx.events.append([NewEvent(type=EventType.KEY_CREATED, payload={"n": 1}), NewEvent(type=EventType.DELETED)])
    with storage.writing(other) as tx:
        tx.events.append([NewEvent(type=EventType.KEY_CREATED)])
    storage.system.seal()
    found = storage.system.verify_events(actor.tenant_id)
    assert (found.events, found.fault) == (6, None)
    assert storage.system.verify_events(other.tenant_id).events == 1
