"""Jobs as their tenant's workers see them: claimed under a lease, ended once, replayed when dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.jobs import Job, JobStatus, NewJob, Stream
from core.errors import Conflict, LeaseLost, NotFound
from ports.storage import Transaction
from tests.contract.storage import Storage


def test_a_new_job_waits_to_be_published(storage: Storage) -> None:
    actor = storage.tenant()
    new = NewJob(
        id=storage.ids.new(),
        stream=Stream.INGEST,
        payload={"import_id": str(storage.ids.new()), "n": 1},
        request_id="req-1",
        source_agent="clerk",
        max_attempts=3,
        trace_parent="00-aa-bb-01",
    )
    second = NewJob(id=storage.ids.new(), stream=Stream.LLM, payload={})
    with storage.writing(actor) as tx:
        tx.jobs.add([new, second])
        tx.jobs.add([])
    with storage.reading(actor) as tx:
        job = tx.jobs.get(new.id)
        assert (tx.jobs.get(second.id).request_id, tx.jobs.get(second.id).stream) == (None, Stream.LLM)
        with pytest.raises(NotFound):
            tx.jobs.get(storage.ids.new())
    for name in ("id", "stream", "payload", "request_id", "source_agent", "max_attempts", "trace_parent"):
        assert getattr(job, name) == getattr(new, name), name
    assert (job.status, job.attempts, job.progress, job.tenant_id) == (JobStatus.QUEUED, 0, {}, actor.tenant_id)
    assert (job.last_error, job.started_at, job.finished_at, job.lease_token) == (None, None, None, None)
    assert job.due_at == job.created_at


def test_a_job_may_wait_before_it_is_due(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.job(actor, delay_seconds=90.5)
    with storage.writing(actor) as tx:
        job = tx.jobs.get(id)
        assert job.due_at - job.created_at == timedelta(seconds=90.5)
        assert tx.jobs.claim(id, storage.ids.new(), 60) is None


def test_a_job_waits_until_a_worker_begins_it(storage: Storage) -> None:
    actor = storage.tenant()

    def waiting(stream: Stream) -> bool:
        with storage.reading(actor) as tx:
            return tx.jobs.waiting(stream)

    assert not waiting(Stream.LEARN)
    id = storage.job(actor, Stream.LEARN, delay_seconds=0)
    assert waiting(Stream.LEARN)
    assert not waiting(Stream.RUN)
    assert not waiting(Stream.PROCESS)
    with storage.system.take_due(share=9, limit=9) as published:
        assert [job_id for _, job_id, _, _ in published] == [id]
    assert waiting(Stream.LEARN)
    job = storage.claim(actor, id)
    assert not waiting(Stream.LEARN)
    with storage.writing(actor) as tx:
        tx.jobs.fail(job, "later", due_at=storage.now())
    assert waiting(Stream.LEARN)
    job = storage.claim(actor, id)
    with storage.writing(actor) as tx:
        tx.jobs.finish(job)
    assert not waiting(Stream.LEARN)


def test_a_job_with_another_payload_is_not_the_one_that_is_asked_for(storage: Storage) -> None:
    actor = storage.tenant()
    storage.job(actor, Stream.EMBED, payload={"forget": "m1"}, delay_seconds=900)
    with storage.reading(actor) as tx:
        assert tx.jobs.waiting(Stream.EMBED)
        assert tx.jobs.waiting(Stream.EMBED, {"forget": "m1"})
        assert not tx.jobs.waiting(Stream.EMBED, {"forget": "m2"})
        assert not tx.jobs.waiting(Stream.EMBED, {})
    storage.job(actor, Stream.EMBED, payload={})
    with storage.reading(actor) as tx:
        assert tx.jobs.waiting(Stream.EMBED, {})


def test_jobs_are_listed_by_stream_and_status_page_by_page(storage: Storage) -> None:
    actor = storage.tenant()
    a, b, c, d = (storage.job(actor, s) for s in (Stream.PROCESS, Stream.LLM, Stream.PROCESS, Stream.PROCESS))
    storage.claim(actor, c)
    with storage.reading(actor) as tx:

        def ids(**where: object) -> list[object]:
            standard: dict[str, object] = {"stream": None, "statuses": (), "after": None, "limit": 10}
            return [job.id for job in tx.jobs.list(**{**standard, **where})]  # type: ignore[arg-type]

        assert ids() == [a, b, c, d]
        assert ids(limit=3) == [a, b, c]
        assert ids(after=c) == [d]
        assert ids(stream="records:process") == [a, c, d]
        assert ids(statuses=("running",)) == [c]
        assert ids(stream="records:process", statuses=("queued", "dead")) == [a, d]
        assert ids(newest=True) == [d, c, b, a]
        assert ids(newest=True, after=c, limit=1) == [b]
        assert ids(newest=True, after=a) == []
        assert ids(newest=True, stream="records:process", after=d) == [c, a]
        counts = tx.jobs.counts(("queued", "running", "dead"))
        assert dict(counts) == {
            ("records:process", "queued"): 2,
            ("records:process", "running"): 1,
            ("records:llm", "queued"): 1,
        }
        assert dict(tx.jobs.counts(("dead",))) == {}


def test_one_worker_at_a_time_has_a_job(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.job(actor)
    job = storage.claim(actor, id)
    assert (job.status, job.attempts) == (JobStatus.RUNNING, 1)
    assert job.lease_token is not None
    assert job.started_at is not None
    with storage.writing(actor) as tx:
        assert tx.jobs.claim(id, storage.ids.new(), 60) is None
        assert tx.jobs.claim(storage.ids.new(), storage.ids.new(), 60) is None
        assert tx.jobs.get(id).lease_token == job.lease_token


def test_a_published_job_is_claimed_too(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.job(actor)
    with storage.system.take_due(share=9, limit=9):
        pass
    with storage.reading(actor) as tx:
        assert tx.jobs.get(id).status is JobStatus.PUBLISHED
    assert storage.claim(actor, id).attempts == 1


def test_progress_is_kept_with_the_transaction(storage: Storage) -> None:
    actor = storage.tenant()
    job = storage.claim(actor, storage.job(actor))
    with storage.writing(actor) as tx:
        tx.jobs.hold(job, {"after": str(job.id), "done": 5000})
        tx.jobs.hold(job)
    with storage.uow.begin(actor) as tx:
        tx.jobs.hold(job, {"done": 9000})
    with storage.reading(actor) as tx:
        assert tx.jobs.get(job.id).progress == {"after": str(job.id), "done": 5000}


def test_a_finished_job_is_done(storage: Storage) -> None:
    actor = storage.tenant()
    job = storage.claim(actor, storage.job(actor))
    with storage.writing(actor) as tx:
        tx.jobs.finish(job)
    with storage.reading(actor) as tx:
        done = tx.jobs.get(job.id)
        assert (done.status, done.lease_token, done.last_error) == (JobStatus.DONE, None, None)
        assert done.finished_at is not None
        assert tx.jobs.claim(job.id, storage.ids.new(), 60) is None


def test_a_failed_job_comes_back_when_it_is_due_and_not_before(storage: Storage) -> None:
    actor = storage.tenant()
    job = storage.claim(actor, storage.job(actor))
    due_at = storage.now() + timedelta(hours=1)
    with storage.writing(actor) as tx:
        tx.jobs.fail(job, "no answer", due_at=due_at)
        waiting = tx.jobs.get(job.id)
        assert (waiting.status, waiting.due_at, waiting.last_error) == (JobStatus.QUEUED, due_at, "no answer")
        assert (waiting.lease_token, waiting.finished_at, waiting.attempts) == (None, None, 1)
        assert tx.jobs.claim(job.id, storage.ids.new(), 60) is None
    with storage.system.take_due(share=9, limit=9) as taken:
        assert taken == []


def test_a_job_that_failed_with_a_due_time_past_is_tried_again(storage: Storage) -> None:
    actor = storage.tenant()
    job = storage.claim(actor, storage.job(actor))
    with storage.writing(actor) as tx:
        tx.jobs.hold(job, {"done": 1})
        tx.jobs.fail(job, "no answer", due_at=storage.now() - timedelta(seconds=1))
    again = storage.claim(actor, job.id)
    assert (again.attempts, again.progress, again.last_error) == (2, {"done": 1}, "no answer")
    with storage.writing(actor) as tx:
        tx.jobs.finish(again)
        assert tx.jobs.get(job.id).last_error is None


def test_a_job_that_used_up_its_retries_is_dead_until_it_is_replayed(storage: Storage) -> None:
    actor = storage.tenant()
    job = storage.claim(actor, storage.job(actor))
    with storage.writing(actor) as tx:
        tx.jobs.fail(job, "poison", due_at=None)
        dead = tx.jobs.get(job.id)
        assert (dead.status, dead.last_error, dead.lease_token) == (JobStatus.DEAD, "poison", None)
        assert dead.finished_at is not None
        assert tx.jobs.claim(job.id, storage.ids.new(), 60) is None
    with storage.writing(actor) as tx:
        (replayed,) = tx.jobs.replay([job.id, job.id])
        assert replayed == tx.jobs.get(job.id)
    assert (replayed.status, replayed.attempts, replayed.finished_at) == (JobStatus.QUEUED, 0, None)
    with storage.system.take_due(share=9, limit=9) as taken:
        assert [id for _, id, _, _ in taken] == [job.id]
    assert storage.claim(actor, job.id).attempts == 1


def test_only_dead_jobs_are_replayed_and_all_or_none(storage: Storage) -> None:
    actor = storage.tenant()
    dead, waiting = storage.claim(actor, storage.job(actor)), storage.job(actor)
    with storage.writing(actor) as tx:
        tx.jobs.fail(dead, "poison", due_at=None)
    for other, error in ((waiting, Conflict), (storage.ids.new(), NotFound)):
        with pytest.raises(error), storage.writing(actor) as tx:
            tx.jobs.replay([dead.id, other])
    with storage.reading(actor) as tx:
        assert tx.jobs.get(dead.id).status is JobStatus.DEAD


ENDINGS: dict[str, Callable[[Transaction, Job], None]] = {
    "renew": lambda tx, job: tx.jobs.renew(job, 60),
    "hold": lambda tx, job: tx.jobs.hold(job),
    "progress": lambda tx, job: tx.jobs.hold(job, {"done": 1}),
    "finish": lambda tx, job: tx.jobs.finish(job),
    "fail": lambda tx, job: tx.jobs.fail(job, "late", due_at=None),
    "put off": lambda tx, job: tx.jobs.put_off(job, "later", due_at=job.due_at),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_whoever_lost_the_lease_changes_nothing(storage: Storage, ending: str) -> None:
    actor = storage.tenant()
    late = storage.claim(actor, storage.job(actor), seconds=-1)
    assert storage.system.reap(republish_after=60) == 1
    with storage.reading(actor) as tx, pytest.raises(LeaseLost):  # given back
        ENDINGS[ending](tx, late)
    mine = storage.claim(actor, late.id)
    with storage.reading(actor) as tx, pytest.raises(LeaseLost):  # another has it
        ENDINGS[ending](tx, late)
    with storage.writing(actor) as tx:
        ENDINGS[ending](tx, mine)
        tx.jobs.get(mine.id)


def test_a_lease_that_ran_out_is_the_workers_until_it_is_given_to_another(storage: Storage) -> None:
    actor = storage.tenant()
    job = storage.claim(actor, storage.job(actor), seconds=-1)
    with storage.writing(actor) as tx:
        tx.jobs.renew(job, 60)
    assert storage.system.reap(republish_after=60) == 0
    with storage.writing(actor) as tx:
        tx.jobs.finish(job)


def test_a_job_that_was_never_claimed_cannot_be_finished(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.job(actor)
    with storage.reading(actor) as tx:
        unclaimed = tx.jobs.get(id)
        for job in (unclaimed, replace(unclaimed, lease_token=storage.ids.new())):
            with pytest.raises(LeaseLost):
                tx.jobs.finish(job)


def test_a_job_that_is_put_off_keeps_its_attempts(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.job(actor)
    for _ in range(3):
        job = storage.claim(actor, id)
        assert job.attempts == 1
        with storage.writing(actor) as tx:
            tx.jobs.put_off(job, "not yet", due_at=job.due_at)
    with storage.reading(actor) as tx:
        left = tx.jobs.get(id)
    assert (left.status, left.attempts, left.last_error, left.lease_token) == (JobStatus.QUEUED, 0, "not yet", None)
    job = storage.claim(actor, id)
    with storage.writing(actor) as tx:
        tx.jobs.put_off(job, "later", due_at=storage.now() + timedelta(seconds=60))
    with storage.system.take_due(share=9, limit=9) as taken:
        assert list(taken) == []
