"""Jobs: progress, dead letters, replay."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.jobs import Job, JobStatus
from core.domain.permissions import Permission
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional, fails_with
from entrypoints.api.idempotency import posting
from entrypoints.api.responses import page, polled
from entrypoints.api.schemas.base import everything, page_of
from entrypoints.api.schemas.jobs import (
    DeadJobsQuerySchema,
    JobCountsSchema,
    JobSchema,
    JobsQuerySchema,
    ReplaySchema,
)
from entrypoints.api.state import actor, container

blp = Blueprint("jobs", "Background work.", "/jobs")
JobPageSchema = page_of(JobSchema)


@blp.route("")
@needs(Permission.JOBS_READ)
@blp.query(JobsQuerySchema)
@blp.answer(200, JobPageSchema)
def list_jobs(query: dict[str, Any]) -> dict[str, Any]:
    """Jobs, oldest first, or with `newest` newest first."""
    return _page(query, query["status"])


@blp.route("/dead")
@needs(Permission.JOBS_READ)
@blp.query(DeadJobsQuerySchema)
@blp.answer(200, JobPageSchema)
def list_dead_jobs(query: dict[str, Any]) -> dict[str, Any]:
    """Jobs that used up their attempts, or that no retry can help."""
    return _page(query, [JobStatus.DEAD.value])


@blp.route("/counts")
@needs(Permission.JOBS_READ)
@blp.answer(200, JobCountsSchema)
def count_jobs() -> dict[str, Any]:
    """How many jobs are open or dead, by stream and status."""
    counts = container().count_jobs(actor())
    return everything(
        [{"stream": stream, "status": status, "jobs": jobs} for (stream, status), jobs in sorted(counts.items())]
    )


@blp.route("/<uuid:job_id>")
@needs(Permission.JOBS_READ)
@conditional
@blp.answer(200, JobSchema)
def get_job(job_id: UUID) -> Job:
    """A job, as far as it got."""
    polled()
    return container().get_job(actor(), job_id)


@blp.route("/<uuid:job_id>/replay", "POST")
@needs(Permission.JOBS_REPLAY)
@blp.answer(200, JobSchema)
def replay_job(job_id: UUID) -> Job:
    """Queues a dead job again, with all its attempts."""
    [job] = container().replay_jobs(posting(), [job_id])
    return job


@blp.route("/replay", "POST")
@needs(Permission.JOBS_REPLAY)
@fails_with(404)
@blp.body(ReplaySchema)
@blp.answer(200, JobPageSchema)
def replay_jobs(body: dict[str, Any]) -> dict[str, Any]:
    """Queues dead jobs again, all or none."""
    return everything(container().replay_jobs(posting(), list(dict.fromkeys(body["ids"]))))


def _page(query: dict[str, Any], statuses: list[str]) -> dict[str, Any]:
    jobs = container().list_jobs(
        actor(),
        stream=query["stream"],
        statuses=statuses,
        after=query["after"],
        limit=query["limit"] + 1,
        newest=query["newest"],
    )
    return page(jobs, query["limit"], lambda job: str(job.id))
