"""Withdrawing: a person takes a person's word back. It stops teaching, and the record waits for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from core.domain.approvals import Approval, ApprovalReason, group_key
from core.domain.category_changes import withdrawn
from core.domain.decisions import Stage, StageResult, earlier_results, urgency_of
from core.domain.events import EventType, NewEvent
from core.domain.records import DECIDED_BY_PERSON, Record, RecordStatus
from core.domain.tenants import Actor
from core.errors import Conflict, VersionMismatch
from core.usecases.shared.promise import take_back_checks
from core.usecases.shared.standing import take_back_answer
from core.usecases.shared.teaching import REFIT_SECONDS, queue_learning
from ports.clock import Clock, Ids
from ports.storage import Transaction, UnitOfWork


def withdraw_approval(
    actor: Actor,
    approval_id: UUID,
    *,
    learn_delay: float | None = None,
    refit_delay: float = REFIT_SECONDS,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Record:
    """Takes the answer back as `withdraw_record` does. Raises `NotFound`, or `Conflict` when there is none, it was
    withdrawn before, or a later change of the record stands."""
    with uow.begin(actor) as tx:
        [approval] = tx.approvals.get_many([approval_id])
        record = _withdraw(tx, actor, approval.record_id, None, approval_id, learn_delay, refit_delay, clock, ids)
        tx.commit()
    return record


def withdraw_record(
    actor: Actor,
    record_id: UUID,
    *,
    version: int | None,
    learn_delay: float | None = None,
    refit_delay: float = REFIT_SECONDS,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Record:
    """Takes back what people said of a record: in the review queue, by changing it, or before it was imported.

    The record waits for a person again, with the suggestion that it had; its example goes; what the answer counted for
    or against a rule counts no longer; its trace keeps what happened. The ensemble unlearns it `refit_delay` seconds
    later, and rules are proposed anew after `learn_delay` (None: not at all). Raises `NotFound`, `VersionMismatch`, or
    `Conflict` when no person decided it.
    """
    with uow.begin(actor) as tx:
        record = _withdraw(tx, actor, record_id, version, None, learn_delay, refit_delay, clock, ids)
        tx.commit()
    return record


def _withdraw(
    tx: Transaction,
    actor: Actor,
    record_id: UUID,
    version: int | None,
    approval_id: UUID | None,
    learn_delay: float | None,
    refit_delay: float,
    clock: Clock,
    ids: Ids,
) -> Record:
    """The order of locks is everybody's: categories, approvals, then the record."""
    now = clock.now()
    said = _said_by_machines(tx.records.get(record_id))
    held = tx.categories.hold({c.category_id for result in said for c in result.candidates})
    answers = tx.approvals.standing(record_id)
    record = tx.records.get(record_id, lock=True)
    if version is not None and record.version != version:
        raise VersionMismatch
    if approval_id is not None:
        _check_stands(record, approval_id, answers)
    if record.status not in DECIDED_BY_PERSON:
        raise Conflict("no person decided this, so there is nothing to withdraw")
    question = _question(record, said, held, answers[-1] if answers else None, now, ids)
    why = f"withdrawn by {actor.name} at {now.isoformat(timespec='seconds')}"
    reopened = replace(
        record,
        status=RecordStatus.NEEDS_REVIEW,
        category_id=None,
        stage=None,
        confidence=question.confidence,
        reasoning_trace=withdrawn(record.reasoning_trace, why, actor.user_id),
    )
    tx.approvals.withdraw([a.id for a in answers], by=actor.name, at=now)
    tx.records.update([reopened])
    tx.approvals.add([question])
    tx.examples.forget([record_id])
    was = {"category_id": str(record.category_id), "approvals": [str(a.id) for a in answers]}
    tx.events.append([NewEvent(type=EventType.APPROVAL_WITHDRAWN, subject_id=record_id, payload=was)])
    queue_learning(tx, actor, learn_delay, ids, refit_delay=refit_delay)
    take_back_answer(tx, record, bool(answers))
    take_back_checks(tx, answers, record)
    return replace(reopened, version=record.version + 1, updated_at=now)


def _check_stands(record: Record, approval_id: UUID, answers: Sequence[Approval]) -> None:
    """Raises `Conflict` unless this answer is what the record has."""
    answer = next((a for a in answers if a.id == approval_id), None)
    if answer is None:
        raise Conflict("nobody decided this, or it was withdrawn")
    if answer.category_id != record.category_id:
        raise Conflict("the record was changed since: what stands is withdrawn at the record")


def _said_by_machines(record: Record) -> Sequence[StageResult]:
    return [result for result in earlier_results(record.reasoning_trace) if result.stage is not Stage.HUMAN]


def _question(
    record: Record,
    said: Sequence[StageResult],
    held: Mapping[UUID, UUID],
    answered: Approval | None,
    now: datetime,
    ids: Ids,
) -> Approval:
    """The question that was answered, anew; without one, what the stages' results make one. It suggests no category
    that is gone."""
    present = [(held[c.category_id], c.confidence) for r in said for c in r.candidates if c.category_id in held]
    suggested_id, confidence = max(present, key=lambda pair: pair[1], default=(None, 0.0))
    if answered is not None:
        there = answered.suggested_id is not None and answered.suggested_id in held.values()
        suggested_id, confidence = (answered.suggested_id, answered.confidence) if there else (None, 0.0)
    return Approval(
        id=ids.new(),
        tenant_id=record.tenant_id,
        record_id=record.id,
        reason=ApprovalReason.UNSURE if answered is None else answered.reason,
        suggested_id=suggested_id,
        confidence=confidence,
        urgency=urgency_of(said) if answered is None else answered.urgency,
        group_key=group_key(record),
        verdict=None,
        category_id=None,
        decided_by=None,
        decided_at=None,
        created_at=now,
    )
