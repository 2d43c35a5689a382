"""reports:generate: reports that were asked for or are due, made as files; their history, and what is given out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, NewJob, Stream
from core.domain.report_charts import charts_of
from core.domain.report_tables import Report
from core.domain.reports import (
    Format,
    ReportFile,
    ReportKind,
    ReportRun,
    ReportSpec,
    RunStatus,
    check_name,
    check_spec,
)
from core.domain.tenants import Actor, worker_actor
from core.errors import Conflict, LeaseLost, NotFound
from core.usecases.shared.report_contents import RecordRows, report_of
from ports.clock import Clock, Ids
from ports.files import FileStore
from ports.report_writers import ReportWriters
from ports.storage import UnitOfWork
from ports.system import SystemStorage

AT_ONCE = 200
DAY = 86_400.0
SHOWN_FIGURES, SHOWN_LINES = 4 << 20, 1 << 17
"""Bytes of a report that are read to show it: of figures, which charts are drawn of, and of records, of which the first
ones do."""


def start_report(
    actor: Actor,
    *,
    definition_id: UUID | None = None,
    name: str = "",
    spec: ReportSpec | None = None,
    max_attempts: int,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> ReportRun:
    """Queues a report by a definition, or by `spec` under `name` (none: its kind). Raises `NotFound`, `Invalid`."""
    now = clock.now()
    with uow.begin(actor) as tx:
        today = now.astimezone(tx.tenants.get().zone).date()
        if spec is None:
            if definition_id is None:
                raise NotFound("say which definition, or what to report")
            definition = tx.reports.definition(definition_id)
            name, spec = definition.name, definition.spec
        else:
            definition_id, name = None, check_name(name or spec.kind.value.replace("_", " ").capitalize())
            check_spec(spec, today)
        run = ReportRun(
            id=ids.new(),
            tenant_id=actor.tenant_id,
            job_id=ids.new(),
            definition_id=definition_id,
            name=name,
            spec=spec,
            today=today,
            slot=None,
            status=RunStatus.QUEUED,
            requested_by=actor.name,
            created_at=now,
        )
        tx.reports.add(run)
        job = NewJob(
            id=run.job_id,
            stream=Stream.GENERATE,
            payload={"run_id": str(run.id)},
            request_id=actor.request_id,
            source_agent=actor.source_agent,
            max_attempts=max_attempts,
        )
        tx.jobs.add([job])
        tx.commit()
    return run


def get_report(actor: Actor, run_id: UUID, *, uow: UnitOfWork) -> ReportRun:
    with uow.begin(actor) as tx:
        return tx.reports.get(run_id)


def list_reports(
    actor: Actor,
    *,
    before: UUID | None,
    limit: int,
    definition_id: UUID | None = None,
    kind: ReportKind | None = None,
    status: RunStatus | None = None,
    uow: UnitOfWork,
) -> Sequence[ReportRun]:
    with uow.begin(actor) as tx:
        return tx.reports.list(before=before, limit=limit, definition_id=definition_id, kind=kind, status=status)


def open_report_file(
    actor: Actor, run_id: UUID, format: Format, *, uow: UnitOfWork, files: FileStore
) -> tuple[ReportRun, ReportFile, Iterator[bytes]]:
    """A file of a report, piece by piece; that it goes out is told. Raises `NotFound` where there is none, or none any
    more, and `Conflict` while it is being made."""
    with uow.begin(actor) as tx:
        run = tx.reports.get(run_id)
        if run.status in (RunStatus.QUEUED, RunStatus.RUNNING):
            raise Conflict("the report is being made: ask again when its status is done")
        if run.expired_at is not None:
            raise NotFound("the report's files are no longer kept: make it anew")
        found = next((one for one in run.files if one.format is format), None)
        if found is None:
            raise NotFound("this report has no file of this format")
        pieces = files.read(found.path)
        told = {"what": "report", "kind": run.spec.kind.value, "format": format.value, "rows": run.rows}
        tx.events.append([NewEvent(type=EventType.EXPORTED, subject_id=run.id, payload=told)])
        tx.commit()
    return run, found, pieces


def read_report(
    actor: Actor, run_id: UUID, *, uow: UnitOfWork, files: FileStore, writers: ReportWriters
) -> tuple[ReportRun, Report | None]:
    """A report, and what it says, to be shown: with charts, where that is not very much, else the first rows of it.
    None while it is being made, and where no JSON file of it is kept. No event tells of it: nothing goes out. Raises
    `NotFound`."""
    run = get_report(actor, run_id, uow=uow)
    file = next((one for one in run.files if one.format is Format.JSON), None)
    if run.status is not RunStatus.DONE or file is None:
        return run, None
    lines = run.spec.kind is ReportKind.RECORDS
    try:
        found = writers.read(files.read(file.path), most=SHOWN_LINES if lines else SHOWN_FIGURES)
    except NotFound:  # swept since
        return run, None
    whole = not lines and file.bytes <= SHOWN_FIGURES
    return run, replace(found, charts=charts_of(run.spec.kind, found.tables)) if whole else found


def generate_report(job: Job, *, uow: UnitOfWork, files: FileStore, writers: ReportWriters, clock: Clock) -> None:
    """Makes the files of a report out of one snapshot. They are the report's when that is told under the lease: what a
    worker wrote that lost it goes. Raises `Invalid`, `LeaseLost`, `Transient`."""
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        stored = tx.reports.get(UUID(job.payload["run_id"]))
        run = replace(stored, status=RunStatus.RUNNING, failure=None, finished_at=None, expired_at=None)
        tx.reports.update(run)
        tx.commit()
    # Each lease has a folder of its own: who hangs, and wakes up late, neither overwrites nor deletes what is told of.
    # (Attempts don't tell leases apart: a job that died and is replayed counts them anew.)
    folder = f"{job.tenant_id}/reports/{run.id}/{job.lease_token}"
    try:
        rows, made = _make(actor, run, folder, uow, files, writers)
    except BaseException:
        files.delete_under(folder)
        raise
    try:
        with uow.begin(actor) as tx:
            tx.jobs.hold(job)
            done = replace(run, status=RunStatus.DONE, finished_at=clock.now(), rows=rows, files=made)
            tx.reports.update(done)
            tx.events.append([_generated(done)])
            tx.jobs.finish(job)
            tx.commit()
    except LeaseLost:
        # After any other failure the files may have been told of; those that were not go with their report.
        files.delete_under(folder)
        raise


def sweep_reports(*, report_days: float, system: SystemStorage, files: FileStore) -> int:
    """Deletes the files of reports that have been kept for long enough; returns of how many. Their history stays."""
    gone = 0
    while old := system.old_reports(seconds=report_days * DAY, limit=AT_ONCE):
        for tenant_id, run_id in old:
            files.delete_under(f"{tenant_id}/reports/{run_id}")
        gone += system.expire_reports(old)
    return gone


def _make(
    actor: Actor, run: ReportRun, folder: str, uow: UnitOfWork, files: FileStore, writers: ReportWriters
) -> tuple[int, tuple[ReportFile, ...]]:
    made = list[ReportFile]()
    with uow.snapshot(actor) as tx:
        report = report_of(tx, run.name, run.spec, run.today)
        listed = report.tables[0].rows
        rows = listed.count() if isinstance(listed, RecordRows) else len(list(listed))
        for format in run.spec.formats:
            if isinstance(listed, RecordRows) and format is Format.CSV:
                pieces = listed.csv()
            else:
                pieces = writers.write(format, report)
            path = f"{folder}/report.{format.value}"
            written = files.write(path, pieces)
            made.append(ReportFile(format=format, path=path, bytes=written.bytes, sha256=written.sha256))
    return rows, tuple(made)


def _generated(run: ReportRun) -> NewEvent:
    told = {
        "kind": run.spec.kind.value,
        "definition_id": run.definition_id,
        "rows": run.rows,
        "files": {one.format.value: one.bytes for one in run.files},
    }
    return NewEvent(type=EventType.REPORT_GENERATED, subject_id=run.id, payload=told)
