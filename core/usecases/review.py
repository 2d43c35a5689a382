"""Review: the queue, and what people decide in it. A decision settles the record and becomes an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

from core.domain.approvals import Answer, Approval, Example, Group, Verdict, settle
from core.domain.decisions import Stage
from core.domain.events import EventType, NewEvent
from core.domain.permissions import Permission
from core.domain.receipts import RecordReceipt
from core.domain.records import DECIDED_BY_PERSON, Record, RecordStatus, similarity_text
from core.domain.tenants import Actor
from core.errors import AlreadyDecided, Invalid, NotFound, VersionMismatch
from core.usecases.shared.present import hold_categories
from core.usecases.shared.promise import count_checks
from core.usecases.shared.standing import count_answers
from core.usecases.shared.teaching import queue_learning
from ports.clock import Clock, Ids
from ports.storage import Transaction, UnitOfWork

MAX_ANSWERS = 1_000
SUGGESTED = 1
"""Receipts that are suggested at an item: more stand at its record."""
MAX_TRIES = 3
"""Of a change to whatever the record is by then, when others change it at the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """`receipts` are those that are linked to the record, and the likeliest that is suggested; of open items alone, for
    who may see receipts."""

    approval: Approval
    record: Record
    receipts: Sequence[RecordReceipt] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAnswer:
    """A person's answer to a group; an override names its category."""

    verdict: Verdict
    category_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDecided:
    """How many items were decided, and how many of the group wait still."""

    decided: int
    remaining: int


def list_queue(
    actor: Actor, *, uow: UnitOfWork, after: tuple[float, UUID] | None, limit: int, group_key: str | None = None
) -> Sequence[QueueItem]:
    """Open approvals with their records, the most urgent first."""
    with uow.begin(actor) as tx:
        rows = tx.approvals.queue(after=after, limit=limit, group_key=group_key)
        seen = Permission.RECEIPTS_READ in actor.permissions
        found = tx.receipts.of_records([record.id for _, record in rows], SUGGESTED) if seen else {}
    return [QueueItem(approval=approval, record=record, receipts=found.get(record.id, ())) for approval, record in rows]


def list_decided(
    actor: Actor, *, uow: UnitOfWork, withdrawn: bool, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[QueueItem]:
    """Decided approvals that stand, or those that were withdrawn, with their records; the latest decided first."""
    with uow.begin(actor) as tx:
        rows = tx.approvals.decided(withdrawn=withdrawn, before=before, limit=limit)
    return [QueueItem(approval=approval, record=record) for approval, record in rows]


def list_groups(actor: Actor, *, uow: UnitOfWork, after: tuple[float, str] | None, limit: int) -> Sequence[Group]:
    """Open approvals by what one answer may settle, the most urgent group first."""
    with uow.begin(actor) as tx:
        return tx.approvals.groups(after=after, limit=limit)


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
    with uow.begin(actor) as tx:
        decided = _decide(tx, actor, answers, clock.now(), learn_delay, ids)
        tx.commit()
    return decided


def decide_group(
    actor: Actor,
    group_key: str,
    answer: GroupAnswer,
    *,
    learn_delay: float | None = None,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> GroupDecided:
    """Gives the same answer to open approvals of the group, the oldest `MAX_ANSWERS` of them, all or none. An override
    that names what was suggested to an item approves it.

    Raises `NotFound` (none is open), `AlreadyDecided` (somebody answered one at the same moment) or `Invalid` (no such
    category; to approve, where not all have the same suggestion).
    """
    with uow.begin(actor) as tx:
        approvals = tx.approvals.get_many(tx.approvals.of_group(group_key, MAX_ANSWERS))
        if not approvals:
            raise NotFound("nothing of this group waits for a person")
        suggested = {a.suggested_id for a in approvals}
        if answer.verdict is Verdict.APPROVE and len(suggested) > 1:
            raise Invalid("these items have different suggestions: override with a category_id")
        answers = [_answer_of(answer, a) for a in approvals]
        decided = _decide(tx, actor, answers, clock.now(), learn_delay, ids)
        remaining = tx.approvals.count_open(group_key)
        tx.commit()
    return GroupDecided(decided=len(decided), remaining=remaining)


def _answer_of(answer: GroupAnswer, approval: Approval) -> Answer:
    same = answer.category_id is not None and answer.category_id == approval.suggested_id
    verdict = Verdict.APPROVE if same else answer.verdict
    return Answer(approval_id=approval.id, verdict=verdict, category_id=answer.category_id)


def _decide(
    tx: Transaction, actor: Actor, answers: Sequence[Answer], now: datetime, learn_delay: float | None, ids: Ids
) -> list[Record]:
    """Categories are held before approvals are locked: who merges or deletes one does it in this order, too."""
    wanted = [a.approval_id for a in answers]
    approvals = _open_ones(tx.approvals.get_many(wanted))
    held = hold_categories(tx, {settle(approval, a) for approval, a in zip(approvals, answers, strict=True)})
    approvals = _open_ones(tx.approvals.get_many(wanted, lock=True))
    records = tx.records.get_many([a.record_id for a in approvals])
    if any(r.status in DECIDED_BY_PERSON for r in records):
        raise AlreadyDecided
    chosen = [_chosen(approval, answer, held) for approval, answer in zip(approvals, answers, strict=True)]
    verdicts = [answer.verdict for answer in answers]
    decided = _settle(tx, actor, records, chosen, verdicts, now, learn_delay, ids)
    answered = [
        replace(a, verdict=verdict, category_id=category, decided_by=actor.name, decided_at=now)
        for a, verdict, category in zip(approvals, verdicts, chosen, strict=True)
    ]
    tx.approvals.decide(answered)
    count_answers(tx, zip(records, chosen, repeat(True)))
    count_checks(tx, zip(answered, records, strict=True), now)
    return decided


def _open_ones(approvals: Sequence[Approval]) -> Sequence[Approval]:
    if any(a.verdict is not None for a in approvals):
        raise AlreadyDecided
    return approvals


def _chosen(approval: Approval, answer: Answer, held: Mapping[UUID, UUID]) -> UUID:
    """The category, by now, that the answer gives: it may have been merged since the question was read."""
    named = answer.category_id if answer.verdict is Verdict.OVERRIDE else approval.suggested_id
    if named is None:
        raise AlreadyDecided("what was suggested here was deleted")
    return held.get(named, named)


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
        if category_id is not None:
            category_id = hold_categories(tx, {category_id})[category_id]
        if version is not None and record.version != version:
            raise VersionMismatch
        if tags is not None or attributes is not None:
            record = replace(
                record,
                tags=tuple(tags) if tags is not None else record.tags,
                attributes=attributes if attributes is not None else record.attributes,
            )
        if category_id is not None:
            verdict = Verdict.APPROVE if category_id == record.category_id else Verdict.OVERRIDE
            approval = tx.approvals.open_of(record_id)
            answered = []
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
                answered.append((decided, record))
                tx.approvals.decide([decided])
            before = record
            [record] = _settle(tx, actor, [record], [category_id], [verdict], now, learn_delay, ids)
            count_answers(tx, [(before, category_id, approval is not None)])
            count_checks(tx, answered, now)
        else:
            tx.records.update([record])
            tx.events.append([NewEvent(type=EventType.UPDATED, subject_id=record_id, payload={"change": "edited"})])
            record = replace(record, version=record.version + 1, updated_at=now)
        tx.commit()
    return record


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
    queue_learning(tx, actor, learn_delay, ids, embed=True)
    return [replace(r, version=r.version + 1, updated_at=now) for r in settled]


def _settled(record: Record, category_id: UUID, verdict: Verdict, actor: Actor, now: datetime) -> Record:
    """The trace keeps what the machine said, and adds the person's word."""
    trace = record.reasoning_trace or {"stages": []}
    word: dict[str, Any] = {
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
    if actor.user_id is not None:
        word["by_id"] = str(actor.user_id)  # names are not unique
    return replace(
        record,
        status=RecordStatus.APPROVED if verdict is Verdict.APPROVE else RecordStatus.OVERRIDDEN,
        category_id=category_id,
        stage=Stage.HUMAN.value,
        confidence=1.0,
        failure=None,
        reasoning_trace={**trace, "reason": f"human: {word['reason']}", "stages": [*trace["stages"], word]},
    )
