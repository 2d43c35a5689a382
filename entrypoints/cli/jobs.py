"""`sortation jobs`: background work as an operator sees it, tenant by tenant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from core.domain.jobs import OPEN_STATUSES, Job, JobStatus, Stream
from core.domain.tenants import Actor
from core.errors import Invalid, NotFound
from entrypoints.cli.files import new_table, print_json, quiet_settings, screen
from entrypoints.cli.groups import group
from entrypoints.cli.running import connected

if TYPE_CHECKING:
    from entrypoints.container import Container

PAGE = 500
EXAMPLES = """Examples:

\b
  sortation jobs list                          what is queued, running or dead
  sortation jobs list --status done --limit 20
  sortation jobs dead                          the dead letters, with their reasons
  sortation jobs replay 0192f0c1-...           one again, after its cause is gone
  sortation jobs replay --all
"""

app = group("Look at background jobs, and replay those that are dead.", EXAMPLES)
TenantOption = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="Only this tenant.")]
StreamOption = Annotated[Stream | None, typer.Option(help="Only this stream.")]
LimitOption = Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")]


@app.command("list")
def list_(
    tenant: TenantOption = None,
    status: Annotated[
        list[JobStatus] | None, typer.Option(help="Only these; unless given, all that are not done.")
    ] = None,
    stream: StreamOption = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List jobs: those that are not done, unless --status says otherwise."""
    wanted = status or [*OPEN_STATUSES, JobStatus.DEAD]
    jobs = _jobs(_container(), tenant, [one.value for one in wanted], stream, limit)
    _print(list(jobs), as_json, "nothing is queued, running or dead" if not status else "no such job")


@app.command()
def dead(
    tenant: TenantOption = None, stream: StreamOption = None, limit: LimitOption = 100, as_json: JsonOption = False
) -> None:
    """List the dead letters: jobs that used up their retries, and why."""
    jobs = _jobs(_container(), tenant, [JobStatus.DEAD.value], stream, limit)
    _print(list(jobs), as_json, "no dead letters")


@app.command()
def replay(
    job_ids: Annotated[list[UUID] | None, typer.Argument(metavar="[JOB_ID]...", help="Which dead jobs.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead jobs (of --tenant, if given).")] = False,
    tenant: TenantOption = None,
) -> None:
    """Queue dead jobs again, with all their attempts."""
    if bool(job_ids) == everything:
        raise Invalid("name the jobs to replay, or say --all")
    container = _container()
    found: dict[UUID, list[UUID]] = {}
    if everything:
        for job in _jobs(container, tenant, [JobStatus.DEAD.value], None, None):
            found.setdefault(job.tenant_id, []).append(job.id)
    else:
        for job_id in job_ids or ():
            found.setdefault(_tenant_of(container, tenant, job_id), []).append(job_id)
    for tenant_id, ids in found.items():
        container.replay_jobs(_actor(tenant_id), ids)
    count = sum(map(len, found.values()))
    typer.echo(f"{count} {'job is' if count == 1 else 'jobs are'} queued again")


def _container() -> Container:
    settings = connected(quiet_settings())
    from entrypoints.container import Container
    from entrypoints.observability import set_up_logging

    set_up_logging(settings)
    return Container(settings=settings)


def _actor(tenant_id: UUID) -> Actor:
    return Actor(tenant_id=tenant_id, name="operator")


def _tenants(container: Container, tenant: UUID | None) -> Iterator[UUID]:
    if tenant is not None:
        yield container.get_tenant(_actor(tenant)).id
        return
    after = None
    while page := container.list_tenants(after=after, limit=PAGE):
        yield from (one.id for one in page)
        after = page[-1].id


def _jobs(
    container: Container, tenant: UUID | None, statuses: Sequence[str], stream: Stream | None, limit: int | None
) -> Iterator[Job]:
    """The oldest first, tenant by tenant; `limit` of them, or all."""
    left = limit
    for tenant_id in _tenants(container, tenant):
        after = None
        while left is None or left > 0:
            page = container.list_jobs(
                _actor(tenant_id),
                stream=stream.value if stream else None,
                statuses=statuses,
                after=after,
                limit=PAGE if left is None else min(left, PAGE),
            )
            if not page:
                break
            yield from page
            after = page[-1].id
            left = None if left is None else left - len(page)


def _tenant_of(container: Container, tenant: UUID | None, job_id: UUID) -> UUID:
    for tenant_id in _tenants(container, tenant):
        try:
            container.get_job(_actor(tenant_id), job_id)
        except NotFound:
            continue
        return tenant_id
    raise NotFound(f"there is no job {job_id}")


def _print(jobs: Sequence[Job], as_json: bool, nothing: str) -> None:
    if as_json:
        print_json([_written(job) for job in jobs])
    elif not jobs:
        typer.echo(nothing)
    else:
        table = new_table(
            "",
            "id",
            "tenant",
            "stream",
            "status",
            "tries",
            "since (UTC)",
            "last error",
            right=["tries"],
            long=["last error"],
        )
        for job in jobs:
            since = (job.finished_at or job.created_at).strftime("%Y-%m-%d %H:%M:%S")
            tries = f"{job.attempts}/{job.max_attempts}"
            cells = (str(job.id), str(job.tenant_id), job.stream, job.status, tries, since, job.last_error or "")
            table.add_row(*map(Text, cells))
        screen().print(table)


def _written(job: Job) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(job).items() if name not in ("lease_token", "progress")}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in shown.items()}
