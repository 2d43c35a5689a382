"""Imports: a payload arrives and is kept, with its job and its event, in one transaction."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from typing import Any, BinaryIO, cast
from uuid import UUID

from core.domain.connections import (
    MAX_GAPS,
    MAX_REFUSALS,
    UPLOADS,
    Connection,
    DryRun,
    Import,
    ImportProgress,
    ImportStatus,
    check_enabled,
)
from core.domain.events import EventType, NewEvent
from core.domain.jobs import NewJob, Stream
from core.domain.plugins import gaps_of
from core.domain.records import Refusal, identify
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid
from core.usecases.shared.receipts import queue_matching_anew
from core.usecases.shared.secrets import whole_config
from core.usecases.shared.storing import BATCH, checked_drafts
from ports.clock import Clock, Ids
from ports.connectors import Context, PluginHost, ReadRequest
from ports.secrets import SecretBox
from ports.storage import RecordFilter, UnitOfWork

SAMPLE_BYTES = 1 << 16
SAMPLES = 5
SPOOL_BYTES = 8 << 20
MAX_DRY_RUN = 100_000
"""Records and refusals after which a dry run stops: it is a request, and remembers each record to find those that come
twice. What is imported has no such limit."""


def receive_import(
    actor: Actor,
    payload: Iterable[bytes],
    *,
    filename: str,
    connection_id: UUID | None = None,
    connector: str | None = None,
    approved: bool = False,
    max_attempts: int,
    trace_parent: str | None = None,
    uow: UnitOfWork,
    host: PluginHost,
    clock: Clock,
    ids: Ids,
) -> Import:
    """Keeps a payload and queues the job that reads it.

    It belongs to `connection_id`, else to the connector's own `uploads` connection; `connector` is detected unless
    given. `approved` says that the categories it names are a person's. Raises `UnknownFormat`, `NotFound`, and
    `Conflict` for a connection that is disabled.
    """
    sample, payload = _sample(payload)
    if not sample.strip():
        raise Invalid("the payload is empty")
    with uow.begin(actor) as tx:
        if connection_id is not None:
            connection = tx.connections.get(connection_id)
        else:
            own = _uploads(actor, connector or host.detect(sample, filename), clock, ids)
            connection = tx.connections.ensure(own)
            if connection.id == own.id:
                made = {"connector": own.connector}
                tx.events.append([NewEvent(type=EventType.CONNECTION_CREATED, subject_id=own.id, payload=made)])
        check_enabled(connection)
        job = NewJob(
            id=ids.new(),
            stream=Stream.INGEST,
            payload={"import_id": str(import_id := ids.new())},
            request_id=actor.request_id,
            source_agent=actor.source_agent,
            max_attempts=max_attempts,
            trace_parent=trace_parent,
        )
        imported = Import(
            id=import_id,
            tenant_id=actor.tenant_id,
            connection_id=connection.id,
            job_id=job.id,
            filename=filename,
            bytes=0,
            sha256="",
            approved=approved,
            status=ImportStatus.RECEIVED,
            inserted=0,
            known=0,
            refused=0,
            refusals=(),
            failure=None,
            created_at=clock.now(),
            finished_at=None,
        )
        imported = tx.imports.add(imported, payload)
        tx.jobs.add([job])
        tx.events.append(
            [
                NewEvent(
                    type=EventType.IMPORT_RECEIVED,
                    subject_id=imported.id,
                    payload={"bytes": imported.bytes, "sha256": imported.sha256, "connector": connection.connector},
                )
            ]
        )
        tx.commit()
    return imported


def dry_run_import(
    actor: Actor,
    payload: Iterable[bytes],
    *,
    filename: str,
    connection_id: UUID | None = None,
    connector: str | None = None,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> DryRun:
    """What importing the payload would do, as far as `MAX_DRY_RUN`; nothing is kept, and no transaction is open while
    it is read. Raises what `receive_import` does, and `UnreadableFile`."""
    sample, payload = _sample(payload)
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        for piece in payload:
            spool.write(piece)
        spool.seek(0)
        detected = connector or (host.detect(sample, filename) if connection_id is None else "")
        with uow.begin(actor) as tx:
            if connection_id is not None:
                connection = tx.connections.get(connection_id)
            else:
                connection = tx.connections.ensure(_uploads(actor, detected, clock, ids))
            check_enabled(connection)
            currency = tx.tenants.get().settings.default_currency
        context = Context(config=whole_config(connection, secrets), default_currency=currency)
        request = ReadRequest(file=cast(BinaryIO, spool), filename=filename, batch_size=BATCH)
        complete = True
        seen: set[bytes] = set()
        looked_at = items = refused = known = repeated = 0
        refusals: list[Refusal] = []
        gaps: list[Mapping[str, str]] = []
        samples: list[dict[str, Any]] = []
        occurrences: dict[tuple[str, str], int] = {}
        for batch in host.connector(connection.connector).read(context, request):
            if looked_at >= MAX_DRY_RUN:
                complete = False
                break
            looked_at += len(batch.drafts) + len(batch.refusals)
            good, wrong = checked_drafts(batch.drafts, batch.refusals, items)
            drafts = list(identify(good, occurrences))
            items += len(batch.drafts)
            refused += len(wrong)
            refusals.extend(wrong[: MAX_REFUSALS - len(refusals)])
            gaps.extend(gaps_of(batch.statements)[: MAX_GAPS - len(gaps)])
            fresh = []
            for key in ((d.account, d.external_id or "") for d in drafts):
                if (mark := _mark(*key)) not in seen:
                    seen.add(mark)
                    fresh.append(key)
            repeated += len(drafts) - len(fresh)
            with uow.begin(actor) as tx:
                known += tx.records.known(connection.id, fresh)
            samples.extend(asdict(d) for d in drafts[: SAMPLES - len(samples)])
    return DryRun(
        connector=connection.connector,
        new=len(seen) - known,
        known=known + repeated,
        refused=refused,
        refusals=tuple(map(asdict, refusals)),
        samples=tuple(samples),
        gaps=tuple(gaps),
        complete=complete,
    )


def get_import(actor: Actor, import_id: UUID, *, uow: UnitOfWork) -> Import:
    with uow.begin(actor) as tx:
        return tx.imports.get(import_id)


def import_progress(actor: Actor, import_id: UUID, *, uow: UnitOfWork) -> ImportProgress:
    """How far it got, and what became of its records. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        return ImportProgress(
            imported=tx.imports.get(import_id), records=tx.records.tally(RecordFilter(import_id=import_id))
        )


def list_imports(
    actor: Actor, *, uow: UnitOfWork, before: UUID | None, limit: int, connection_id: UUID | None = None
) -> Sequence[Import]:
    with uow.begin(actor) as tx:
        return tx.imports.list(before=before, limit=limit, connection_id=connection_id)


def undo_import(actor: Actor, import_id: UUID, *, uow: UnitOfWork, ids: Ids) -> tuple[Import, int, int]:
    """Removes what the import added and nobody decided since; returns the import and the counts (removed, kept).

    Raises `NotFound`, or `Conflict` while the import is still being read.
    """
    with uow.begin(actor) as tx:
        imported = tx.imports.get(import_id)
        if imported.status not in (ImportStatus.DONE, ImportStatus.FAILED):
            raise Conflict(f"this import is {imported.status.value}: it can be undone when it is done")
        undone = replace(imported, status=ImportStatus.UNDONE)
        tx.imports.update(undone)  # first: a job that reads it all the same finds its way barred
        removed, kept = tx.records.undo_import(import_id)
        queue_matching_anew(tx, actor, ids)
        payload = {"removed": removed, "kept": kept}
        tx.events.append([NewEvent(type=EventType.IMPORT_UNDONE, subject_id=import_id, payload=payload)])
        tx.commit()
    return undone, removed, kept


def _uploads(actor: Actor, connector: str, clock: Clock, ids: Ids) -> Connection:
    return Connection(
        id=ids.new(),
        tenant_id=actor.tenant_id,
        connector=connector,
        name=UPLOADS,
        config={},
        created_at=clock.now(),
        version=1,
    )


def _sample(payload: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and the whole payload again."""
    pieces, read, size = iter(payload), [], 0
    for piece in pieces:
        read.append(piece)
        size += len(piece)
        if size >= SAMPLE_BYTES:
            break
    return b"".join(read)[:SAMPLE_BYTES], chain(read, pieces)


def _mark(account: str, external_id: str) -> bytes:
    """What stands for a record among many: as good as its names, and smaller."""
    return hashlib.blake2b(f"{len(account)}:{account}{external_id}".encode("utf-8", "replace"), digest_size=16).digest()
