"""What a set of rules would change on stored records, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from core.domain.decisions import Decision, Outcome
from core.domain.records import Snapshot
from core.domain.rule_effects import IN_REACH, Change, Step, change_of, contradiction, step
from core.domain.rule_history import History
from core.domain.rule_stage import rules_result
from core.domain.rules import Action, Rule
from core.domain.tenants import Actor, Tenant
from core.usecases.shared.deciding import decision_on, remembering
from core.usecases.shared.history import TenantHistory
from core.usecases.shared.similarity import ask_similarity
from ports.embedder import Embedder
from ports.learner import Learner
from ports.matching import RuleMatcher, RuleSet
from ports.storage import RecordFilter, Transaction, UnitOfWork

PAGE = 20_000
MAX_TEXTS = 250
"""Distinct texts of a page that a preview asks similarity about: each may have to be embedded, at some 250 a second."""
NOT_ASKED = "rules that are applied later don't ask the LLM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A tenant's stages, to be asked what they would say. Each question to the storage is a transaction of its own, so
    `actor` carries no Idempotency-Key. Without an `embedder` similarity is off."""

    actor: Actor
    tenant: Tenant
    uow: UnitOfWork
    matcher: RuleMatcher
    embedder: Embedder | None = None
    learner: Learner | None = None

    @property
    def history(self) -> History:
        return TenantHistory(self.actor, self.uow)


def chain_of(
    tx: Transaction,
    actor: Actor,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    embedder: Embedder | None = None,
    learner: Learner | None = None,
) -> Chain:
    """The stages of the actor's tenant; an Idempotency-Key stays with the transaction that claimed it."""
    keyless = replace(actor, idempotency=None)
    return Chain(actor=keyless, tenant=tx.tenants.get(), uow=uow, matcher=matcher, embedder=embedder, learner=learner)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEffects:
    """`redecided` are the records that get another status or category, with how; `contradictions` those that people
    decided otherwise; `winners` the place of each record's winner in the rules, -1 for none."""

    winners: Sequence[int]
    redecided: Sequence[tuple[Snapshot, Decision, Change]]
    contradictions: Sequence[Change]
    untold: int = 0

    @property
    def changes(self) -> Sequence[Change]:
        return [*(change for _, _, change in self.redecided), *self.contradictions]


def within_reach(where: RecordFilter) -> RecordFilter | None:
    """The filter, narrowed to what rules may have an effect on; None when nothing is left."""
    statuses = set(where.statuses or IN_REACH) & set(IN_REACH)
    return replace(where, statuses=tuple(sorted(statuses))) if statuses else None


def pages(tx: Transaction, where: RecordFilter, last: int | None) -> Iterator[Sequence[Snapshot]]:
    """The records in the filter that rules may have an effect on, the newest first, at most `last` of them."""
    reach = within_reach(where)
    before: UUID | None = None
    while reach is not None and last != 0:
        size = PAGE if last is None else min(PAGE, last)
        page = tx.records.snapshots(reach, before=before, limit=size)
        if page:
            yield page
        if len(page) < size:
            return
        before = page[-1].id
        last = None if last is None else last - len(page)


def effects_on(
    records: Sequence[Snapshot],
    rules: RuleSet,
    scope: frozenset[UUID] | None,
    chain: Chain,
    most_texts: int | None = None,
) -> PageEffects:
    """What applying `rules` would do to the records; `scope` as in `core.domain.rule_effects.step`. With `most_texts`
    similarity is asked about so many distinct texts; what it would say of further ones is `untold`."""
    tenant, history = chain.tenant, chain.history
    winners = rules.winners(records, tenant.zone, history)
    found: dict[Step, list[tuple[Snapshot, Rule | None]]] = {kind: [] for kind in Step}
    for record, place in zip(records, winners, strict=True):
        winner = rules.rules[place] if place >= 0 else None
        if (kind := step(record, winner, scope)) is not None:
            found[kind].append((record, winner))
    later = [record for record, _ in found[Step.ASK_LATER_STAGES]]
    told = _first_texts(later, most_texts)
    untold, later = len(later) - len(told), told
    touched = [*(record for record, _ in found[Step.RULES_SETTLE]), *later]
    outcomes = rules.evaluate(touched, tenant.zone, history)
    alike = ask_similarity(later, chain.actor, tenant, uow=chain.uow, embedder=chain.embedder, learner=chain.learner)
    by_similarity = dict(zip((record.id for record in later), alike.results, strict=True))
    said = {id(outcome): rules_result(outcome, tenant.rules_version) for outcome in outcomes}
    write = remembering()
    redecided: list[tuple[Snapshot, Decision, Change]] = []
    for record, outcome in zip(touched, outcomes, strict=True):
        results = [said[id(outcome)]]
        if results[0].outcome is Outcome.UNSURE:
            results.append(by_similarity[record.id])
        decision = decision_on(record, results, outcome, tenant, NOT_ASKED, write)
        if (change := change_of(record, decision)) is not None:
            redecided.append((record, decision, change))
    contradictions = [contradiction(record, winner) for record, winner in found[Step.CONTRADICTS] if winner is not None]
    redecided.sort(key=lambda one: one[0].id, reverse=True)
    return PageEffects(winners=winners, redecided=redecided, contradictions=contradictions, untold=untold)


def _first_texts(records: list[Snapshot], most: int | None) -> list[Snapshot]:
    if most is None:
        return records
    texts = set(list(dict.fromkeys((record.text, record.counterparty) for record in records))[:most])
    return [record for record in records if (record.text, record.counterparty) in texts]


def alone(rules: Sequence[Rule], chain: Chain) -> RuleSet:
    """The rules each by itself: none stops another, and each has a say, so that all matches are seen."""
    return chain.matcher.compile([replace(rule, stop=False, then=Action(review=True)) for rule in rules])


def touched_by(
    records: Sequence[Snapshot], rules: RuleSet, scope: frozenset[UUID], chain: Chain
) -> tuple[list[Snapshot], list[tuple[UUID, ...]]]:
    """The records that the rules in question (made by `alone`; `scope` their ids) have to do with: now, or when they
    were decided; and for each of these the rules that match it."""
    found, by = [], []
    matched = rules.evaluate(records, chain.tenant.zone, chain.history)
    for record, outcome in zip(records, matched, strict=True):
        if outcome.matches or record.rule_id in scope:
            found.append(record)
            by.append(tuple(match.rule.id for match in outcome.matches))
    return found, by
