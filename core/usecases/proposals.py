"""Proposals: rules mined from what people decided, in a queue of their own, for people to accept or reject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, NewJob, Stream
from core.domain.proposals import Proposal, ProposalStatus, proposal_key
from core.domain.records import DECIDED_BY_PERSON, occurred_on
from core.domain.rule_learning import Suggestion, propose
from core.domain.rules import Action, Rule, RuleStage
from core.domain.tenants import Actor, worker_actor
from core.errors import AlreadyDecided, VersionMismatch
from core.usecases.shared.effects import chain_of
from core.usecases.shared.history import TenantHistory
from core.usecases.shared.present import known_categories
from core.usecases.shared.rule_drafts import changed_rule, check_room, check_servable
from core.usecases.shared.weighing import ask_to_confirm
from ports.clock import Clock, Ids
from ports.matching import RuleMatcher
from ports.rule_text import RuleTextParser
from ports.storage import RecordFilter, UnitOfWork

LEARNED_FROM = 20_000
"""How many of people's latest decisions are mined."""
MAX_KNOWN = 100_000
"""Proposals of the past that are looked through."""
LEARNED_PRIORITY = 500
"""After the rules that people wrote (100), before those of the starter pack (1000)."""
_PEOPLE = RecordFilter(statuses=tuple(sorted(DECIDED_BY_PERSON)))


def learn_rules(job: Job, *, uow: UnitOfWork, matcher: RuleMatcher, clock: Clock, ids: Ids) -> None:
    """Mines the latest decisions of people that no trusted rule would have made, and renews the open proposals."""
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        tenant = tx.tenants.get()
        rules = matcher.ruleset(tenant.id, tenant.rules_version, tx.rules.list)
        decided = tx.records.snapshots(_PEOPLE, before=None, limit=LEARNED_FROM)
        there = {rule.id for rule in tx.rules.list()}
        past = tx.proposals.list(status=None, after=None, limit=MAX_KNOWN)
        known = frozenset(proposal.key for proposal in past if _settled(proposal, there))
    winners = rules.winners(decided, tenant.zone, TenantHistory(actor, uow))
    open_to_rules = [
        (record, record.category_id)
        for record, place in zip(decided, winners, strict=True)
        if record.category_id is not None and (place < 0 or not _decides(rules.rules[place]))
    ]
    open_to_rules.sort(key=lambda pair: (occurred_on(pair[0].occurred_at, tenant.zone), pair[0].id))
    suggestions = propose(open_to_rules, promise=tenant.settings.promise, known=known)
    proposals = [_proposal(suggestion, tenant.id, clock, ids) for suggestion in suggestions]
    by_id = {proposal.id: proposal for proposal in proposals}
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        new = tx.proposals.replace_open(proposals)
        tx.events.append(
            [NewEvent(type=EventType.RULE_PROPOSED, subject_id=id, payload=_told(by_id[id])) for id in new]
        )
        tx.jobs.finish(job)
        tx.commit()


def start_learning(actor: Actor, *, uow: UnitOfWork, ids: Ids) -> Job:
    """Queues the mining at once, without waiting for more decisions."""
    with uow.begin(actor) as tx:
        job = NewJob(
            id=ids.new(),
            stream=Stream.LEARN,
            payload={},
            request_id=actor.request_id,
            source_agent=actor.source_agent,
        )
        tx.jobs.add([job])
        queued = tx.jobs.get(job.id)
        tx.commit()
    return queued


def list_proposals(
    actor: Actor, *, status: str | None, after: UUID | None, limit: int, uow: UnitOfWork
) -> Sequence[Proposal]:
    with uow.begin(actor) as tx:
        return tx.proposals.list(status=status, after=after, limit=limit)


def get_proposal(actor: Actor, proposal_id: UUID, *, uow: UnitOfWork) -> Proposal:
    with uow.begin(actor) as tx:
        return tx.proposals.get(proposal_id)


def accept_proposal(
    actor: Actor,
    proposal_id: UUID,
    edits: Mapping[str, Any],
    *,
    version: int | None,
    confirm: bool = False,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    text: RuleTextParser,
    clock: Clock,
    ids: Ids,
) -> Rule:
    """Makes the proposal a rule of the tenant, with what `edits` writes anew. As it was proposed it is not held against
    people's decisions again: its counter-examples are part of the evidence.

    Raises `NotFound`, `VersionMismatch`, `AlreadyDecided`, `RuleInvalid`, and for an edited one `ConfirmNeeded`.
    """
    now = clock.now()
    with uow.begin(actor) as tx:
        proposal = tx.proposals.get(proposal_id)
        _check_open(proposal, version)
        proposed = Rule(
            id=ids.new(),
            tenant_id=actor.tenant_id,
            name=proposal.name,
            stage=RuleStage.MAIN,
            priority=LEARNED_PRIORITY,
            when=proposal.when,
            then=Action(category_id=proposal.category_id),
            stop=False,
            enabled=True,
            pack=None,
            trusted=True,
            hits=0,
            last_hit_at=None,
            created_at=now,
            version=1,
            proposal_id=proposal.id,
        )
        tenant = tx.tenants.get()
        rule = changed_rule(proposed, edits, tenant=tenant, resolve=known_categories(tx), text=text)
        check_servable(rule, edits.get("when"), matcher, text)
        present = tx.rules.list()
        check_room(present, [rule], matcher)
        if not confirm and (rule.when, rule.then) != (proposed.when, proposed.then):
            chain = chain_of(tx, actor, uow, matcher)
            ask_to_confirm([rule], present, tx=tx, chain=chain)
        tx.rules.add([rule])
        accepted = replace(
            proposal, status=ProposalStatus.ACCEPTED, rule_id=rule.id, decided_by=actor.name, decided_at=now
        )
        tx.proposals.decide(accepted)
        told = {"proposal_id": str(proposal.id), "edited": sorted(edits), **_told(proposal)}
        tx.events.append([NewEvent(type=EventType.RULE_CREATED, subject_id=rule.id, payload=told)])
        tx.commit()
    return rule


def reject_proposal(actor: Actor, proposal_id: UUID, *, version: int | None, uow: UnitOfWork, clock: Clock) -> Proposal:
    """It stays rejected: the same condition for the same category is not proposed again.

    Raises `NotFound`, `VersionMismatch`, `AlreadyDecided`."""
    with uow.begin(actor) as tx:
        proposal = tx.proposals.get(proposal_id)
        _check_open(proposal, version)
        rejected = replace(proposal, status=ProposalStatus.REJECTED, decided_by=actor.name, decided_at=clock.now())
        tx.proposals.decide(rejected)
        tx.events.append([NewEvent(type=EventType.PROPOSAL_REJECTED, subject_id=proposal_id, payload=_told(proposal))])
        tx.commit()
    return replace(rejected, version=proposal.version + 1)


def _settled(proposal: Proposal, there: set[UUID]) -> bool:
    """Whether it is not to be made again: it was rejected, or is a rule."""
    return proposal.status is ProposalStatus.REJECTED or proposal.rule_id in there


def _decides(rule: Rule) -> bool:
    return rule.trusted and not rule.demoted and not rule.then.review and rule.then.category_id is not None


def _check_open(proposal: Proposal, version: int | None) -> None:
    if proposal.status is not ProposalStatus.OPEN:
        raise AlreadyDecided(f"this proposal was {proposal.status.value}")
    if version is not None and proposal.version != version:
        raise VersionMismatch


def _proposal(suggestion: Suggestion, tenant_id: UUID, clock: Clock, ids: Ids) -> Proposal:
    return Proposal(
        id=ids.new(),
        tenant_id=tenant_id,
        key=proposal_key(suggestion.when, suggestion.category_id),
        name=suggestion.name,
        when=suggestion.when,
        category_id=suggestion.category_id,
        evidence=suggestion.evidence,
        status=ProposalStatus.OPEN,
        rule_id=None,
        decided_by=None,
        decided_at=None,
        created_at=clock.now(),
        version=1,
    )


def _told(proposal: Proposal) -> dict[str, Any]:
    evidence = proposal.evidence
    return {
        "category_id": str(proposal.category_id),
        "support": evidence.support,
        "agreeing": evidence.agreeing,
        "expected": round(evidence.expected, 4),
    }
