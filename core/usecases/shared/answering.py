"""What people answer is carried out: records are settled, and everything learns of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

from core.domain.approvals import Answer, Approval, Example, Verdict, group_key, settle
from core.domain.decisions import Stage
from core.domain.events import EventType, NewEvent
from core.domain.evidence import party_key
from core.domain.records import DECIDED_BY_PERSON, Record, RecordStatus, similarity_text
from core.domain.tenants import Actor
from core.errors import AlreadyDecided
from core.usecases.shared.present import hold_categories
from core.usecases.shared.promise import count_checks
from core.usecases.shared.standing import count_answers
from core.usecases.shared.teaching import queue_learning
from ports.clock import Ids
from ports.storage import Transaction


def carry_out(
    tx: Transaction, actor: Actor, answers: Sequence[Answer], now: datetime, learn_delay: float | None, ids: Ids
) -> list[Record]:
    """Carries out all answers or none; the records as they are then. Categories are held before approvals are locked:
    who merges or deletes one does it in this order, too. Raises as `core.usecases.review.decide_approvals`."""
    wanted = [a.approval_id for a in answers]
    approvals = open_ones(tx.approvals.get_many(wanted))
    held = hold_categories(tx, {settle(approval, a) for approval, a in zip(approvals, answers, strict=True)})
    approvals = open_ones(tx.approvals.get_many(wanted, lock=True))
    records = tx.records.get_many([a.record_id for a in approvals])
    if any(r.status in DECIDED_BY_PERSON for r in records):
        raise AlreadyDecided
    chosen = [_chosen(approval, answer, held) for approval, answer in zip(approvals, answers, strict=True)]
    verdicts = [answer.verdict for answer in answers]
    decided = settle_records(tx, actor, records, chosen, verdicts, now, learn_delay, ids)
    answered = [
        replace(
            a,
            verdict=verdict,
            category_id=category,
            decided_by=actor.name,
            decided_at=now,
            decided_agent=actor.agent,
        )
        for a, verdict, category in zip(approvals, verdicts, chosen, strict=True)
    ]
    tx.approvals.decide(answered)
    count_answers(tx, zip(records, chosen, repeat(True)))
    count_checks(tx, zip(answered, records, strict=True), now)
    return decided


def open_ones(approvals: Sequence[Approval]) -> Sequence[Approval]:
    """The same; raises `AlreadyDecided` unless all of them wait."""
    if any(a.verdict is not None for a in approvals):
        raise AlreadyDecided
    return approvals


def _chosen(approval: Approval, answer: Answer, held: Mapping[UUID, UUID]) -> UUID:
    """The category, by now, that the answer gives: it may have been merged since the question was read."""
    named = answer.category_id if answer.verdict is Verdict.OVERRIDE else approval.suggested_id
    if named is None:
        raise AlreadyDecided("what was suggested here was deleted")
    return held.get(named, named)


def settle_records(
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
                group_key=group_key(r),
                party_key=party_key(r.counterparty),
            )
            for r, category in zip(records, chosen, strict=True)
        ]
    )
    tx.events.append(
        [
            NewEvent(
                type=EventType.TX_APPROVED,
                subject_id=r.id,
                payload={
                    "category_id": str(category),
                    "verdict": verdict.value,
                    "was": str(r.category_id or ""),
                    "agent": actor.agent,
                },
            )
            for r, category, verdict in zip(records, chosen, verdicts, strict=True)
        ]
    )
    queue_learning(tx, actor, learn_delay, ids, embed=True)
    return [replace(r, version=r.version + 1, updated_at=now) for r in settled]


def _settled(record: Record, category_id: UUID, verdict: Verdict, actor: Actor, now: datetime) -> Record:
    """The trace keeps what the machine said, and adds the person's (or the agent's) word."""
    trace = record.reasoning_trace or {"stages": []}
    word: dict[str, Any] = {
        "stage": Stage.HUMAN.value,
        "outcome": "decided",
        "reason": f"{verdict.value} by {actor.name} at {now.isoformat(timespec='seconds')}",
        "candidates": [
            {
                "category_id": str(category_id),
                "confidence": 1.0,
                "source": f"person:{actor.name}" if actor.agent is None else f"agent:{actor.agent}",
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
