"""What people answer is carried out: records are settled, and everything learns of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import repeat
from types import MappingProxyType
from typing import Any
from uuid import UUID

from core.domain.approvals import Answer, Approval, Example, Verdict, group_key, settle
from core.domain.decisions import Stage
from core.domain.events import EventType, NewEvent
from core.domain.evidence import party_key
from core.domain.records import DECIDED_BY_PERSON, Record, RecordStatus, similarity_text
from core.domain.rules import Rule
from core.domain.tenants import Actor
from core.errors import AlreadyDecided, VersionMismatch
from core.usecases.shared.present import hold_categories
from core.usecases.shared.promise import count_checks
from core.usecases.shared.rule_adding import add_rules
from core.usecases.shared.standing import count_answers
from core.usecases.shared.teaching import queue_learning
from ports.clock import Ids
from ports.storage import Transaction

NOTHING: Mapping[str, str] = MappingProxyType({})


def carry_out(
    tx: Transaction,
    actor: Actor,
    answers: Sequence[Answer],
    now: datetime,
    learn_delay: float | None,
    ids: Ids,
    *,
    rules: Sequence[Rule] = (),
    of: Mapping[str, str] = NOTHING,
) -> list[Record]:
    """Carries out all answers or none, and adds the `rules` that are made of them (`of` tells which); the records as
    they are then. Categories are held before approvals are locked: who merges or deletes one does it in this order,
    too. Raises as `core.usecases.review.decide_approvals`."""
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
    answered = [_answered(a, v, c, actor, now) for a, v, c in zip(approvals, verdicts, chosen, strict=True)]
    tx.approvals.decide(answered)
    count_answers(tx, zip(records, chosen, repeat(True)))
    add_rules(tx, giving(rules, chosen[0]), **of)
    count_checks(tx, zip(answered, records, strict=True), now)
    return decided


def give_categories(
    tx: Transaction,
    actor: Actor,
    records: Sequence[Record],
    chosen: Sequence[UUID],
    now: datetime,
    learn_delay: float | None,
    ids: Ids,
) -> list[Record]:
    """Gives each of these records its category, whoever decided it before, and writes what else was changed in it; what
    waits for a person is answered by that. Categories are held before, and open approvals locked before records.
    Returns the records as they are then. Raises `VersionMismatch` where one was changed since it was read."""
    wanted = [record.id for record in records]
    asked = {approval.record_id: approval for approval in tx.approvals.open_of(wanted)}
    for was, present in zip(records, tx.records.get_many(wanted, lock=True), strict=True):
        if was.version != present.version:
            raise changed_meanwhile(was.id)
    verdicts = [_verdict(r, asked.get(r.id), category) for r, category in zip(records, chosen, strict=True)]
    answered = [
        (_answered(asked[record.id], verdict, category, actor, now), record)
        for record, verdict, category in zip(records, verdicts, chosen, strict=True)
        if record.id in asked
    ]
    tx.approvals.decide([approval for approval, _ in answered])
    settled = settle_records(tx, actor, records, chosen, verdicts, now, learn_delay, ids)
    count_answers(tx, [(record, c, record.id in asked) for record, c in zip(records, chosen, strict=True)])
    count_checks(tx, answered, now)
    return settled


def changed_meanwhile(record_id: UUID) -> VersionMismatch:
    return VersionMismatch(f"somebody changed record {record_id} meanwhile; read it again, then send the change anew")


def _verdict(record: Record, asked: Approval | None, category_id: UUID) -> Verdict:
    """A person who gives what was suggested, or what the record has, approves it."""
    present = record.category_id if asked is None else asked.suggested_id
    return Verdict.APPROVE if category_id == present else Verdict.OVERRIDE


def _answered(approval: Approval, verdict: Verdict, category_id: UUID, actor: Actor, now: datetime) -> Approval:
    return replace(
        approval,
        verdict=verdict,
        category_id=category_id,
        decided_by=actor.name,
        decided_at=now,
        decided_agent=actor.agent,
    )


def giving(rules: Sequence[Rule], category_id: UUID | None) -> list[Rule]:
    """The rules, with the category that the records got: it may have been merged since they were checked."""
    return [replace(rule, then=replace(rule.then, category_id=category_id)) for rule in rules]


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
