"""One job: claimed, worked under a lease that is renewed, finished or failed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Event, Thread
from uuid import UUID

import structlog

from core.domain.jobs import Job, Stream
from core.errors import LeaseLost, Transient, WorkerLost
from entrypoints.container import Container
from entrypoints.observability import span
from entrypoints.worker.slots import Slots

log = structlog.get_logger()

BUSY = "waits for other syncs to end: the worker's last process is kept for other work"


def run_job(container: Container, tenant_id: UUID, job_id: UUID, slots: Slots | None = None) -> None:
    """Carries the job out if it is to be had, and for a sync one of the `slots` (None: there is no end of them). What
    goes wrong is the job's: it is queued again or dead, and logged."""
    job = container.claim_job(tenant_id, job_id)
    if job is None:
        log.debug("job not to be had", job_id=str(job_id))
        return
    with (
        structlog.contextvars.bound_contextvars(
            tenant_id=str(tenant_id), job_id=str(job_id), request_id=job.request_id, stream=job.stream.value
        ),
        span(f"job {job.stream.value}", job.trace_parent),
        _slot(slots, job) as free,
    ):
        try:
            if not free:
                container.put_off_job(job, BUSY)
                log.info("sync put off", reason=BUSY)
                return
            if job.attempts > job.max_attempts:
                raise WorkerLost
            with _renewing(container, job), _uncollected(job.stream):
                _handlers(container)[job.stream](job)
            log.info("job done", attempt=job.attempts)
        except LeaseLost:
            log.warning("job taken over by another worker", attempt=job.attempts)
        except (Exception, SystemExit) as error:  # a plugin may call sys.exit()
            _fail(container, job, error if isinstance(error, Exception) else RuntimeError(f"exited: {error}"))


def _handlers(container: Container) -> Mapping[Stream, Callable[[Job], None]]:
    return {
        Stream.INGEST: container.ingest_records,
        Stream.PROCESS: container.process_records,
        Stream.LLM: container.ask_llm,
        Stream.EMBED: container.embed_examples,
        Stream.REFIT: container.refit,
        Stream.LEARN: container.learn_rules,
        Stream.RUN: container.run_rules,
        Stream.EVALUATE: container.run_evaluation,
        Stream.READ_RECEIPT: container.read_receipt,
        Stream.MATCH_RECEIPTS: container.match_receipts,
        Stream.WEBHOOK: container.read_webhook,
        Stream.SYNC: container.sync_connection,
        Stream.MAIL: container.send_mail,
        Stream.BILLING: container.sync_billing,
        Stream.RESUME: container.resume_held,
        Stream.REPORT: container.report_usage,
        Stream.SEND: container.send_notification,
        Stream.GENERATE: container.generate_report,
    }


def _slot(slots: Slots | None, job: Job) -> AbstractContextManager[bool]:
    return nullcontext(True) if slots is None or job.stream is not Stream.SYNC else slots.one()


@contextmanager
def _uncollected(stream: Stream) -> Iterator[None]:
    """A chunk is processed without the garbage collector, which would look again and again at the hundred thousands of
    objects that a chunk makes and keeps: a third of the time where texts are known. All of them go with the chunk."""
    if stream is not Stream.PROCESS or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _fail(container: Container, job: Job, error: Exception) -> None:
    """Where the failure can't be noted, as when the database is away, the lease runs out and the reaper takes over."""
    try:
        status = container.fail_job(job, error)
    except (LeaseLost, Transient) as lost:
        log.warning("job failed, left to the reaper", error=str(error), reason=str(lost))
        return
    log.warning("job failed", attempt=job.attempts, status=status.value, exc_info=error)


@contextmanager
def _renewing(container: Container, job: Job) -> Iterator[None]:
    """Renews the lease from a thread, three times within its length, until the block ends."""
    done = Event()
    every = container.settings().lease_seconds / 3

    def renew() -> None:
        while not done.wait(every):
            try:
                container.renew_job(job)
            except LeaseLost:
                return
            except Transient as error:
                log.warning("lease not renewed", job_id=str(job.id), error=str(error))

    thread = Thread(target=renew, name=f"lease-{job.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
