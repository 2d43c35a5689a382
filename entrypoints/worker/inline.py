"""Jobs carried out in this process, without a broker: for one-shot commands and tests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from core.domain.jobs import OPEN_STATUSES, Job
from core.domain.tenants import worker_actor
from entrypoints.cli import stopping
from entrypoints.container import Container
from entrypoints.worker.runner import run_job

PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 60.0
"""Longer than ordinary retries wait, and rules that are to be proposed; shorter than what is put off on purpose, such
as forgetting the vectors of a former model."""
PAGE = 1_000

log = structlog.get_logger()


def drain(container: Container, tenant_id: UUID, *, patience: float = PATIENCE_SECONDS) -> Sequence[Job]:
    """Runs the tenant's jobs, and those that they queue, until none is open or due within `patience` seconds; waits for
    retries to become due. Returns the jobs that are left for later, by id. Raises `SystemExit` after the job during
    which the process was told to stop."""
    while True:
        with container.system().take_due(share=1_000, limit=1_000) as due:
            mine = list(due)
        for tenant, job_id, _, _ in mine:
            run_job(container, tenant, job_id)
            stopping.check()  # a job takes what stops it for its own fault
        if not mine:
            left = _open_jobs(container, tenant_id)
            until = container.clock().now() + timedelta(seconds=patience)
            if all(job.due_at > until for job in left):
                break
            time.sleep(PAUSE_SECONDS)
    container.seal_events()
    for job in left:
        log.warning("job left for later", job_id=str(job.id), stream=job.stream.value, due_at=job.due_at.isoformat())
    return left


def _open_jobs(container: Container, tenant_id: UUID) -> Sequence[Job]:
    actor, statuses = worker_actor(tenant_id), [status.value for status in OPEN_STATUSES]
    found: list[Job] = []
    while True:
        after = found[-1].id if found else None
        page = container.list_jobs(actor, statuses=statuses, after=after, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found
