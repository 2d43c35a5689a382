"""Jobs carried out in this process, without a broker: for one-shot commands and tests."""

from __future__ import annotations

import time
from uuid import UUID

from core.domain.jobs import OPEN_STATUSES
from core.domain.tenants import worker_actor
from entrypoints.container import Container
from entrypoints.worker.runner import run_job

PAUSE_SECONDS = 0.05


def drain(container: Container, tenant_id: UUID) -> None:
    """Runs the tenant's jobs, and those that they queue, until none is open; waits for retries to become due."""
    while True:
        with container.system().take_due(share=1_000, limit=1_000) as due:
            mine = list(due)
        for tenant, job_id, _, _ in mine:
            run_job(container, tenant, job_id)
        if not mine:
            statuses = [status.value for status in OPEN_STATUSES]
            if not container.list_jobs(worker_actor(tenant_id), statuses=statuses, limit=1):
                break
            time.sleep(PAUSE_SECONDS)
    container.seal_events()
