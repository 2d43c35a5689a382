"""Review: the queue, and what people decide in it. A decision settles the record and becomes an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from core.domain.approvals import Answer, Approval, Group, Verdict, settle
from core.domain.evidence import Choice
from core.domain.permissions import Permission
from core.domain.receipts import RecordReceipt
from core.domain.records import Record
from core.domain.rules import Rule
from core.domain.tenants import Actor
from core.errors import Invalid, NotFound
from core.usecases.shared.answering import carry_out, giving, open_ones
from core.usecases.shared.explaining import choices_of
from core.usecases.shared.present import present_queue
from core.usecases.shared.rule_adding import checked_rules
from core.usecases.shared.skipping import skipper, skips_of
from ports.clock import Clock, Ids
from ports.matching import RuleMatcher
from ports.review_storage import EVERYTHING, QueueFilter
from ports.rule_text import RuleTextParser
from ports.storage import Transaction, UnitOfWork

MAX_ANSWERS = 1_000
SUGGESTED = 1
"""Receipts that are suggested at an item: more stand at its record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """`receipts` are those that are linked to the record, and the likeliest that is suggested; of open items alone, for
    who may see receipts. `choices`, and how many open items one answer may settle (`alike`), where they were asked
    for."""

    approval: Approval
    record: Record
    receipts: Sequence[RecordReceipt] = ()
    choices: Sequence[Choice] | None = None
    alike: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAnswer:
    """A person's answer to a group; an override names its category."""

    verdict: Verdict
    category_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDecided:
    """How many items were decided, which, how many of the group wait still, and the rule that was made of it."""

    decided: int
    remaining: int
    approval_ids: tuple[UUID, ...]
    created_rule: Rule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRule:
    """A rule that is to be made out of a decision: as `create_rules` takes it, but for `then`, which the decision says.
    `confirm` as there."""

    written: Mapping[str, Any]
    confirm: bool = False


def list_queue(
    actor: Actor,
    *,
    uow: UnitOfWork,
    after: tuple[float, UUID] | None,
    limit: int,
    where: QueueFilter = EVERYTHING,
    skipped: bool = False,
    explain: bool = False,
    clock: Clock,
) -> Sequence[QueueItem]:
    """Open approvals in the filter with their records, the most urgent first; where asked to `explain`, with their
    choices. What the actor skipped lately is left out, or (`skipped`) it is what is listed; raises `Invalid` for who
    can't skip anything."""
    if skipped:
        skipper(actor)
    with uow.begin(actor) as tx:
        now = clock.now()
        seen = replace(present_queue(tx, where), skips=skips_of(actor, now, only=skipped))
        rows = tx.approvals.queue(after=after, limit=limit, where=seen)
        return _items(tx, actor, rows, now, explain=explain)


def explain_approvals(
    actor: Actor, approval_ids: Sequence[UUID], *, uow: UnitOfWork, clock: Clock
) -> Sequence[QueueItem]:
    """Approvals, open or decided, with their records and choices, in the order of the ids. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        approvals = tx.approvals.get_many(approval_ids)
        rows = list(zip(approvals, tx.records.get_many([a.record_id for a in approvals]), strict=True))
        return _items(tx, actor, rows, clock.now(), explain=True)


def _items(
    tx: Transaction, actor: Actor, rows: Sequence[tuple[Approval, Record]], now: datetime, *, explain: bool
) -> Sequence[QueueItem]:
    """A statement or two for all of them."""
    seen = Permission.RECEIPTS_READ in actor.permissions
    receipts = tx.receipts.of_records([record.id for _, record in rows], SUGGESTED) if seen else {}
    items = [QueueItem(approval=a, record=record, receipts=receipts.get(record.id, ())) for a, record in rows]
    if not explain:
        return items
    sizes = tx.approvals.sizes([a.group_key for a, _ in rows], skips_of(actor, now))
    return [
        replace(item, choices=choices, alike=sizes.get(item.approval.group_key, 0))
        for item, choices in zip(items, choices_of(tx, rows), strict=True)
    ]


def list_decided(
    actor: Actor, *, uow: UnitOfWork, withdrawn: bool, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[QueueItem]:
    """Decided approvals that stand, or those that were withdrawn, with their records; the latest decided first."""
    with uow.begin(actor) as tx:
        rows = tx.approvals.decided(withdrawn=withdrawn, before=before, limit=limit)
    return [QueueItem(approval=approval, record=record) for approval, record in rows]


def list_groups(
    actor: Actor,
    *,
    uow: UnitOfWork,
    after: tuple[float, str] | None,
    limit: int,
    where: QueueFilter = EVERYTHING,
    clock: Clock,
) -> Sequence[Group]:
    """Open approvals in the filter by what one answer may settle, the most urgent group first. What the actor skipped
    lately is left out."""
    with uow.begin(actor) as tx:
        seen = replace(present_queue(tx, where), skips=skips_of(actor, clock.now()))
        return tx.approvals.groups(after=after, limit=limit, where=seen)


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
        decided = carry_out(tx, actor, answers, clock.now(), learn_delay, ids)
        tx.commit()
    return decided


def decide_with_rule(
    actor: Actor,
    answer: Answer,
    rule: NewRule,
    *,
    learn_delay: float | None = None,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    text: RuleTextParser,
    clock: Clock,
    ids: Ids,
) -> tuple[Record, Rule]:
    """Carries out the answer and makes a rule that gives what it gives, or neither. What waits already waits still,
    until the rule is applied by a run. Raises as `decide_approvals` and `core.usecases.rules.create_rules` do."""
    now = clock.now()
    with uow.begin(actor) as tx:
        [approval] = open_ones(tx.approvals.get_many([answer.approval_id]))
        category_id = settle(approval, answer)
        rules = _checked(tx, actor, rule, category_id, now, uow=uow, matcher=matcher, text=text, ids=ids)
        of = {"approval_id": str(answer.approval_id)}
        [record] = carry_out(tx, actor, [answer], now, learn_delay, ids, rules=rules, of=of)
        tx.commit()
    [made] = giving(rules, record.category_id)
    return record, made


def decide_group(
    actor: Actor,
    group_key: str,
    answer: GroupAnswer,
    *,
    rule: NewRule | None = None,
    learn_delay: float | None = None,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    text: RuleTextParser,
    clock: Clock,
    ids: Ids,
) -> GroupDecided:
    """Gives the same answer to open approvals of the group, the oldest `MAX_ANSWERS` of them, all or none; those that
    the actor skipped lately are left alone. An override that names what was suggested to an item approves it. A `rule`
    is made with it, or nothing is done.

    Raises `NotFound` (none is open), `AlreadyDecided` (somebody answered one at the same moment) or `Invalid` (no such
    category; to approve, where not all have the same suggestion); and for a rule as `core.usecases.rules.create_rules`.
    """
    now = clock.now()
    skips = skips_of(actor, now)
    with uow.begin(actor) as tx:
        approvals = tx.approvals.get_many(tx.approvals.of_group(group_key, MAX_ANSWERS, skips))
        if not approvals:
            raise NotFound("nothing of this group waits for a person")
        suggested = {a.suggested_id for a in approvals}
        if answer.verdict is Verdict.APPROVE and len(suggested) > 1:
            raise Invalid("these items have different suggestions: override with a category_id")
        answers = [_answer_of(answer, a) for a in approvals]
        category_id = settle(approvals[0], answers[0])
        rules = _checked(tx, actor, rule, category_id, now, uow=uow, matcher=matcher, text=text, ids=ids)
        decided = carry_out(tx, actor, answers, now, learn_delay, ids, rules=rules, of={"group_key": group_key})
        remaining = tx.approvals.count_open(group_key, skips)
        tx.commit()
    made = giving(rules, decided[0].category_id)
    return GroupDecided(
        decided=len(decided),
        remaining=remaining,
        approval_ids=tuple(a.id for a in approvals),
        created_rule=made[0] if made else None,
    )


def _checked(
    tx: Transaction,
    actor: Actor,
    rule: NewRule | None,
    category_id: UUID,
    now: datetime,
    *,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    text: RuleTextParser,
    ids: Ids,
) -> Sequence[Rule]:
    """The rule that is to give the category, if one is to be made."""
    if rule is None:
        return ()
    written = [{**rule.written, "then": {"category": category_id}}]
    return checked_rules(tx, actor, written, now, confirm=rule.confirm, uow=uow, matcher=matcher, text=text, ids=ids)


def _answer_of(answer: GroupAnswer, approval: Approval) -> Answer:
    same = answer.category_id is not None and answer.category_id == approval.suggested_id
    verdict = Verdict.APPROVE if same else answer.verdict
    return Answer(approval_id=approval.id, verdict=verdict, category_id=answer.category_id)
