"""Jobs: open, dead and done ones; replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.jobs import OPEN_STATUSES, Job, JobStatus, Stream
from core.domain.permissions import Permission
from core.errors import Conflict, Invalid, NotFound
from entrypoints.api.responses import MAX_LIMIT, json_response, polled
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id, following
from entrypoints.console.guard import me, page_for
from entrypoints.console.jobs.words import progress_of, status_of, title_of
from entrypoints.console.places import named_in
from entrypoints.console.shell import done, show

blp = Blueprint("job_pages", __name__)
SHOWN = 50
_STATUSES: Mapping[str, Sequence[JobStatus]] = {
    "open": OPEN_STATUSES,
    "dead": (JobStatus.DEAD,),
    "done": (JobStatus.DONE,),
}


@blp.get("/jobs")
@page_for(Permission.JOBS_READ)
def jobs() -> Response:
    return _list()


@blp.get("/jobs/<uuid:job_id>")
@page_for(Permission.JOBS_READ)
def job(job_id: UUID) -> Response:
    return _one(container().get_job(me(), job_id))


@blp.get("/jobs/<uuid:job_id>/state")
@page_for(Permission.JOBS_READ)
def job_state(job_id: UUID) -> Response:
    """How far it got, for the page that is open."""
    polled()
    return json_response(state_of(container().get_job(me(), job_id)))


@blp.post("/jobs/<uuid:job_id>/replay")
@page_for(Permission.JOBS_REPLAY)
def replay(job_id: UUID) -> AnyResponse:
    try:
        container().replay_jobs(me(), [job_id])
    except Conflict as error:
        return _one(container().get_job(me(), job_id), str(error), error.status)
    return done(f"/jobs/{job_id}", "The job is queued again, with all its attempts.")


@blp.post("/jobs/replay")
@page_for(Permission.JOBS_REPLAY)
def replay_many() -> AnyResponse:
    """All of them, or none."""
    try:
        ids = list(dict.fromkeys(UUID(id) for id in request.form.getlist("id")))
    except ValueError:
        ids = []
    if not 0 < len(ids) <= MAX_LIMIT:
        return _list("Choose the jobs to replay first.", 422)
    try:
        replayed = container().replay_jobs(me(), ids)
    except (NotFound, Conflict, Invalid) as error:
        return _list(f"None was queued again: {error}.", error.status)
    count = "The job is" if len(replayed) == 1 else f"{len(replayed):,} jobs are"
    return done("/jobs?status=open", f"{count} queued again, with all attempts.")


def state_of(job: Job) -> dict[str, Any]:
    return {
        "status": job.status.value,
        "said": status_of(job),
        "progress": progress_of(job.progress),
        "attempts": f"{job.attempts} of {job.max_attempts}",
        "error": job.last_error,
        "ended": job.status in (JobStatus.DONE, JobStatus.DEAD),
    }


def _list(error: str = "", status: int = 200) -> Response:
    counts = container().count_jobs(me())
    totals = {name: sum(n for (_, one), n in counts.items() if one in statuses) for name, statuses in _STATUSES.items()}
    wanted = request.args.get("status", "")
    if wanted not in _STATUSES:
        wanted = "dead" if totals["dead"] else "open"
    stream = request.args.get("stream", "")
    stream = stream if stream in {one.value for one in Stream} else ""
    found: Sequence[Job] = ()
    try:
        found = container().list_jobs(
            me(),
            stream=stream or None,
            statuses=[one.value for one in _STATUSES[wanted]],
            after=asked_id("after"),
            limit=SHOWN + 1,
            newest=True,
        )
    except Invalid as refused:
        error, status = str(refused), refused.status
    shown = found[:SHOWN]
    of_streams = {one.value: 0 for one in Stream}
    for (name, one), n in counts.items():
        if one in _STATUSES[wanted]:
            of_streams[name] = of_streams.get(name, 0) + n
    return show(
        "jobs/list.html",
        status,
        jobs=shown,
        wanted=wanted,
        stream=stream,
        totals=totals,
        of_streams=of_streams,
        title_of=title_of,
        status_of=status_of,
        progress_of=progress_of,
        more=following("/jobs", shown[-1].id, status=wanted, stream=stream) if len(found) > SHOWN else None,
        error=error,
    )


def _one(job: Job, error: str = "", status: int = 200) -> Response:
    def written(value: Mapping[str, Any]) -> str:
        return orjson.dumps(dict(value), default=str, option=orjson.OPT_INDENT_2).decode()

    return show(
        "jobs/job.html",
        status,
        job=job,
        state=state_of(job),
        what=title_of(job.stream),
        about=named_in(job.payload, job.stream),
        payload=written(job.payload),
        progress=written(job.progress),
        error=error,
    )
