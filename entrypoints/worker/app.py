"""The Celery worker. Each of its processes builds a container of its own, after the fork."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown

from adapters.celery.broker import TASK, make_celery
from adapters.embedded.processes import die_with_parent
from core.domain.inventories import Role
from core.domain.jobs import Stream
from entrypoints.announcing import announce
from entrypoints.container import Container
from entrypoints.garbage import collect_less
from entrypoints.observability import set_up_logging, set_up_tracing
from entrypoints.settings import Settings
from entrypoints.worker.aside import Aside
from entrypoints.worker.runner import run_job
from entrypoints.worker.slots import Slots

log = structlog.get_logger()


def make_worker(settings: Settings) -> Celery:
    """The application that `run_worker` starts: one task, which runs the job that a message names."""
    if settings.llm_api_key or settings.embeddings_api_key:
        import adapters.openai.llm  # noqa: F401 - before the fork, so that its processes share it
    app = make_celery(settings.broker_url or "")
    containers: list[Container] = []
    aside = Aside()
    slots = sync_slots(settings)

    def start(**_: object) -> None:
        die_with_parent()
        set_up_tracing(settings, "worker")
        containers[:] = [Container(settings=settings)]
        announce(containers[0], Role.WORKER)
        collect_less()

    def configure(**_: object) -> None:
        set_up_logging(settings)

    def stop(**_: object) -> None:
        aside.close()

    worker_process_init.connect(start, weak=False)
    worker_process_shutdown.connect(stop, weak=False)
    setup_logging.connect(configure, weak=False)

    @app.task(name=TASK, bind=True)  # type: ignore[untyped-decorator]
    def run(task: Any, tenant_id: str, job_id: str) -> None:
        job = partial(run_job, containers[0], UUID(tenant_id), UUID(job_id), slots)
        if task.request.delivery_info.get("routing_key") != Stream.SEND:
            job()
        elif not aside.run(job):
            log.info("notification left to the reaper", reason="as many as can be are being sent", job_id=job_id)

    return app


def concurrency(settings: Settings) -> int:
    """How many processes a worker of these settings has: syncs wait for others, all else computes."""
    return settings.sync_concurrency if _syncs_alone(settings) else settings.worker_concurrency


def sync_slots(settings: Settings) -> Slots | None:
    """What keeps syncs, which may hang, from a worker's last process; None where there is nothing to keep free."""
    if _syncs_alone(settings) or settings.worker_concurrency == 1:
        return None
    return Slots(settings.worker_concurrency - 1)


def _syncs_alone(settings: Settings) -> bool:
    return settings.worker_streams == (Stream.SYNC.value,)


def run_worker(settings: Settings) -> None:
    """Works until SIGTERM (which lets running jobs end)."""
    app = make_worker(settings)
    app.worker_main(
        [
            "worker",
            f"--concurrency={concurrency(settings)}",
            f"--queues={','.join(settings.worker_streams)}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            f"--loglevel={settings.log_level}",
            "--pool=prefork",
        ]
    )
