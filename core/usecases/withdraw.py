"""Withdrawing: a person takes a person's word back. It stops teaching, and the record waits for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from core.domain.approvals import Approval, ApprovalReason, group_key
from core.domain.category_changes import withdrawn
from core.domain.decisions import Stage, StageResult, earlier_results, urgency_of
from core.domain.events import EventType, NewEvent
from core.domain.records import DECIDED_BY_PERSON, Record, RecordStatus
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid
from core.usecases.shared.answering import changed_meanwhile
from core.usecases.shared.promise import take_back_checks
from core.usecases.shared.standing import take_back_answers
from core.usecases.shared.teaching import REFIT_SECONDS, queue_learning
from ports.clock import Clock, Ids
from ports.storage import Transaction, UnitOfWork

MAX_WITHDRAWN = 1_000
MAX_RECORDS = 500
ANY_VERSION: Mapping[UUID, int | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """The records as they are now, and the items by which they wait for a person again."""

    records: Sequence[Record]
    approval_ids: Sequence[UUID]


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
        done = _withdraw_answers(tx, actor, [approval_id], learn_delay, refit_delay, clock, ids)
        tx.commit()
    return done.records[0]


def withdraw_approvals(
    actor: Actor,
    approval_ids: Sequence[UUID],
    *,
    learn_delay: float | None = None,
    refit_delay: float = REFIT_SECONDS,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Withdrawn:
    """Takes all these answers back or none. Raises as `withdraw_approval` does, and `Invalid` for too many, or one
    twice."""
    if len(set(approval_ids)) != len(approval_ids):
        raise Invalid("an approval is withdrawn once in a request")
    if not 0 < len(approval_ids) <= MAX_WITHDRAWN:
        raise Invalid(f"1 to {MAX_WITHDRAWN} approvals go in a request")
    with uow.begin(actor) as tx:
        done = _withdraw_answers(tx, actor, approval_ids, learn_delay, refit_delay, clock, ids)
        tx.commit()
    return done


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
        done = _withdraw(tx, actor, {record_id: ()}, {record_id: version}, learn_delay, refit_delay, clock, ids)
        tx.commit()
    return done.records[0]


def withdraw_records(
    actor: Actor,
    versions: Sequence[tuple[UUID, int | None]],
    *,
    learn_delay: float | None = None,
    refit_delay: float = REFIT_SECONDS,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Withdrawn:
    """Takes back what people said of all these records or of none, each in its version (None: in any). Raises as
    `withdraw_record` does, and `Invalid` for too many, or one twice."""
    given = dict(versions)
    if len(given) != len(versions):
        raise Invalid("a record is named once in a request")
    if not 0 < len(given) <= MAX_RECORDS:
        raise Invalid(f"1 to {MAX_RECORDS} records go in a request")
    with uow.begin(actor) as tx:
        done = _withdraw(tx, actor, dict.fromkeys(given, ()), given, learn_delay, refit_delay, clock, ids)
        tx.commit()
    return done


def _withdraw_answers(
    tx: Transaction,
    actor: Actor,
    approval_ids: Sequence[UUID],
    learn_delay: float | None,
    refit_delay: float,
    clock: Clock,
    ids: Ids,
) -> Withdrawn:
    wanted: dict[UUID, list[UUID]] = {}
    for approval in tx.approvals.get_many(approval_ids):
        wanted.setdefault(approval.record_id, []).append(approval.id)
    return _withdraw(tx, actor, wanted, ANY_VERSION, learn_delay, refit_delay, clock, ids)


def _withdraw(
    tx: Transaction,
    actor: Actor,
    wanted: Mapping[UUID, Sequence[UUID]],
    versions: Mapping[UUID, int | None],
    learn_delay: float | None,
    refit_delay: float,
    clock: Clock,
    ids: Ids,
) -> Withdrawn:
    """What people said of each of the records is taken back, if the answers that are named with it stand. The order of
    locks is everybody's: categories, approvals, then the records."""
    now = clock.now()
    said = {record.id: _said_by_machines(record) for record in tx.records.get_many(list(wanted))}
    held = tx.categories.hold({c.category_id for of in said.values() for result in of for c in result.candidates})
    answers: dict[UUID, list[Approval]] = {id: [] for id in wanted}
    for answer in tx.approvals.standing(list(wanted)):
        answers[answer.record_id].append(answer)
    records = tx.records.get_many(list(wanted), lock=True)
    for record in records:
        _check_stands(record, versions.get(record.id), wanted[record.id], answers[record.id])
    questions = [_question(r, said[r.id], held, answers[r.id], now, ids) for r in records]
    why = f"withdrawn by {actor.name} at {now.isoformat(timespec='seconds')}"
    reopened = [
        replace(
            record,
            status=RecordStatus.NEEDS_REVIEW,
            category_id=None,
            stage=None,
            confidence=question.confidence,
            reasoning_trace=withdrawn(record.reasoning_trace, why, actor.user_id),
        )
        for record, question in zip(records, questions, strict=True)
    ]
    tx.approvals.withdraw([a.id for of in answers.values() for a in of], by=actor.name, at=now)
    tx.records.update(reopened)
    tx.approvals.add(questions)
    tx.examples.forget(list(wanted))
    tx.events.append(
        [
            NewEvent(
                type=EventType.APPROVAL_WITHDRAWN,
                subject_id=r.id,
                payload={"category_id": str(r.category_id), "approvals": [str(a.id) for a in answers[r.id]]},
            )
            for r in records
        ]
    )
    queue_learning(tx, actor, learn_delay, ids, refit_delay=refit_delay)
    take_back_answers(tx, [(record, bool(answers[record.id])) for record in records])
    take_back_checks(tx, [(answer, record) for record in records for answer in answers[record.id]])
    return Withdrawn(
        records=[replace(r, version=r.version + 1, updated_at=now) for r in reopened],
        approval_ids=[question.id for question in questions],
    )


def _check_stands(record: Record, version: int | None, named: Sequence[UUID], answers: Sequence[Approval]) -> None:
    """Raises `VersionMismatch`, or `Conflict` unless a person decided the record, by the answers that are `named`."""
    if version is not None and record.version != version:
        raise changed_meanwhile(record.id)
    standing = {answer.id: answer for answer in answers}
    if not standing.keys() >= set(named):
        raise Conflict("nobody decided this, or it was withdrawn")
    if any(standing[id].category_id != record.category_id for id in named):
        raise Conflict("the record was changed since: what stands is withdrawn at the record")
    if record.status not in DECIDED_BY_PERSON:
        raise Conflict("no person decided this, so there is nothing to withdraw")


def _said_by_machines(record: Record) -> Sequence[StageResult]:
    return [result for result in earlier_results(record.reasoning_trace) if result.stage is not Stage.HUMAN]


def _question(
    record: Record,
    said: Sequence[StageResult],
    held: Mapping[UUID, UUID],
    answers: Sequence[Approval],
    now: datetime,
    ids: Ids,
) -> Approval:
    """The question that was answered last, anew; without one, what the stages' results make one. It suggests no
    category that is gone."""
    answered = answers[-1] if answers else None
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
