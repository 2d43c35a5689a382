"""Review: the queue, and what people decide in it. A decision settles the record and becomes an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

from core.domain.approvals import Answer, Approval, Example, Verdict, settle
from core.domain.decisions import Stage
from core.domain.events import EventType, NewEvent
from core.domain.jobs import NewJob, Stream
from core.domain.records import DECIDED_BY_PERSON, Record, RecordStatus, similarity_text
from core.domain.tenants import Actor
from core.errors import AlreadyDecided, Invalid, VersionMismatch
from core.usecases.shared.standing import count_answers
from ports.clock import Clock, Ids
from ports.storage import Transaction, UnitOfWork

MAX_ANSWERS = 1_000
MAX_TRIES = 3
"""Of a change to whatever the record is by then, when others change it at the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    approval: Approval
    record: Record


def list_queue(
    actor: Actor, *, uow: UnitOfWork, after: tuple[float, UUID] | None, limit: int, group_key: str | None = None
) -> Sequence[QueueItem]:
    """Open approvals with their records, the most urgent first."""
    with uow.begin(actor) as tx:
        rows = tx.approvals.queue(after=after, limit=limit, group_key=group_key)
    return [QueueItem(approval=approval, record=record) for approval, record in rows]


def decide_approvals(
    actor: Actor,
    answers: Sequence[Answer],
    *,
    learn_delay: float | None = None,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Sequence[Record]:
    """Carries out all answers or none; returns the records as they are now. Rules are proposed out of what was decided
    `learn_delay` seconds later (None: not at all).

    Raises `NotFound`, `AlreadyDecided` (somebody was quicker) or `Invalid` (no such category, nothing to approve).
    """
    if len({a.approval_id for a in answers}) != len(answers):
        raise Invalid("an approval is answered once in a request")
    if not 0 < len(answers) <= MAX_ANSWERS:
        raise Invalid(f"1 to {MAX_ANSWERS} answers go in a request")
    now = clock.now()
    with uow.begin(actor) as tx:
        approvals = tx.approvals.get_many([a.approval_id for a in answers], lock=True)
        if any(a.verdict is not None for a in approvals):
            raise AlreadyDecided
        records = tx.records.get_many([a.record_id for a in approvals])
        if any(r.status in DECIDED_BY_PERSON for r in records):
            raise AlreadyDecided
        chosen = [settle(approval, answer) for approval, answer in zip(approvals, answers, strict=True)]
        _check_categories(tx, set(chosen))
        verdicts = [answer.verdict for answer in answers]
        decided = _settle(tx, actor, records, chosen, verdicts, now, learn_delay, ids)
        tx.approvals.decide(
            [
                replace(a, verdict=verdict, category_id=category, decided_by=actor.name, decided_at=now)
                for a, verdict, category in zip(approvals, verdicts, chosen, strict=True)
            ]
        )
        count_answers(tx, zip(records, chosen, repeat(True)))
        tx.commit()
    return decided


def change_record(
    actor: Actor,
    record_id: UUID,
    *,
    version: int | None,
    category_id: UUID | None,
    tags: Sequence[str] | None,
    attributes: Mapping[str, Any] | None,
    learn_delay: float | None = None,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Record:
    """A person's change of a record. A category is an override (or an approval, when it is the present one): it closes
    an open approval and teaches. Without a `version` the change is made to the record as it is by then.

    Raises `NotFound`, `VersionMismatch` or `Invalid`."""
    for attempt in range(1, MAX_TRIES + 1):
        try:
            return _change_record(
                actor, record_id, version, category_id, tags, attributes, learn_delay, uow, clock.now(), ids
            )
        except VersionMismatch:
            if version is not None or attempt == MAX_TRIES:
                raise
    raise AssertionError("the last attempt returns or raises")


def _change_record(
    actor: Actor,
    record_id: UUID,
    version: int | None,
    category_id: UUID | None,
    tags: Sequence[str] | None,
    attributes: Mapping[str, Any] | None,
    learn_delay: float | None,
    uow: UnitOfWork,
    now: datetime,
    ids: Ids,
) -> Record:
    with uow.begin(actor) as tx:
        record = tx.records.get(record_id)
        if version is not None and record.version != version:
            raise VersionMismatch
        if tags is not None or attributes is not None:
            record = replace(
                record,
                tags=tuple(tags) if tags is not None else record.tags,
                attributes=attributes if attributes is not None else record.attributes,
            )
        if category_id is not None:
            _check_categories(tx, {category_id})
            verdict = Verdict.APPROVE if category_id == record.category_id else Verdict.OVERRIDE
            approval = tx.approvals.open_of(record_id)
            if approval is not None:
                approve = category_id == approval.suggested_id
                decided = replace(
                    approval,
                    verdict=Verdict.APPROVE if approve else Verdict.OVERRIDE,
                    category_id=category_id,
                    decided_by=actor.name,
                    decided_at=now,
                )
                verdict = decided.verdict or verdict
                tx.approvals.decide([decided])
            before = record
            [record] = _settle(tx, actor, [record], [category_id], [verdict], now, learn_delay, ids)
            count_answers(tx, [(before, category_id, approval is not None)])
        else:
            tx.records.update([record])
            tx.events.append([NewEvent(type=EventType.UPDATED, subject_id=record_id, payload={"change": "edited"})])
            record = replace(record, version=record.version + 1, updated_at=now)
        tx.commit()
    return record


def _check_categories(tx: Transaction, chosen: set[UUID]) -> None:
    if unknown := chosen - {c.id for c in tx.categories.list()}:
        raise Invalid(f"category {next(iter(unknown))} does not exist")


def _settle(
    tx: Transaction,
    actor: Actor,
    records: Sequence[Record],
    chosen: Sequence[UUID],
    verdicts: Sequence[Verdict],
    now: datetime,
    learn_delay: float | None,
    ids: Ids,
) -> list[Record]:
    """Writes what people decided: records, examples, events, and the jobs that learn of it."""
    settled = [_settled(r, c, v, actor, now) for r, c, v in zip(records, chosen, verdicts, strict=True)]
    tx.records.update(settled)
    tx.examples.put(
        [
            Example(
                id=r.id,
                tenant_id=r.tenant_id,
                record_id=r.id,
                text=similarity_text(r.text, r.counterparty),
                category_id=category,
                created_at=now,
            )
            for r, category in zip(records, chosen, strict=True)
        ]
    )
    tx.events.append(
        [
            NewEvent(
                type=EventType.TX_APPROVED,
                subject_id=r.id,
                payload={"category_id": str(category), "verdict": verdict.value, "was": str(r.category_id or "")},
            )
            for r, category, verdict in zip(records, chosen, verdicts, strict=True)
        ]
    )
    tx.jobs.add([_job(Stream.EMBED, actor, ids)])
    if learn_delay is not None and not tx.jobs.waiting(Stream.LEARN):
        tx.jobs.add([replace(_job(Stream.LEARN, actor, ids), delay_seconds=learn_delay)])
    return [replace(r, version=r.version + 1, updated_at=now) for r in settled]


def _job(stream: Stream, actor: Actor, ids: Ids) -> NewJob:
    return NewJob(id=ids.new(), stream=stream, payload={}, request_id=actor.request_id, source_agent=actor.source_agent)


def _settled(record: Record, category_id: UUID, verdict: Verdict, actor: Actor, now: datetime) -> Record:
    """The trace keeps what the machine said, and adds the person's word."""
    trace = record.reasoning_trace or {"stages": []}
    word = {
        "stage": Stage.HUMAN.value,
        "outcome": "decided",
        "reason": f"{verdict.value} by {actor.name} at {now.isoformat(timespec='seconds')}",
        "candidates": [
            {
                "category_id": str(category_id),
                "confidence": 1.0,
                "source": f"person:{actor.name}",
                "rationale": verdict.value,
            }
        ],
    }
    return replace(
        record,
        status=RecordStatus.APPROVED if verdict is Verdict.APPROVE else RecordStatus.OVERRIDDEN,
        category_id=category_id,
        stage=Stage.HUMAN.value,
        confidence=1.0,
        failure=None,
        reasoning_trace={**trace, "reason": f"human: {word['reason']}", "stages": [*trace["stages"], word]},
    )
