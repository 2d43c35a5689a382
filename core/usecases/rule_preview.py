"""Before rules act: what they match and why, what they would change, and where they disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from core.domain.records import Draft, Record, RecordStatus, Snapshot, check_draft
from core.domain.rule_conflicts import Pairs, RuleConflict, add_conflicts
from core.domain.rule_effects import MAX_SAMPLES, Effects, Shadows, shadows_of
from core.domain.rule_explanation import Explanation, explain, walk
from core.domain.rules import Action, Rule
from core.domain.tenants import Actor
from core.errors import Invalid
from core.usecases.shared.effects import MAX_TEXTS, Chain, alone, chain_of, effects_on, pages
from core.usecases.shared.present import known_categories
from core.usecases.shared.rule_drafts import changed_rule, check_servable, new_rule
from core.usecases.shared.weighing import weigh
from ports.clock import Clock, Ids
from ports.embedder import Embedder
from ports.learner import Learner
from ports.matching import RuleMatcher
from ports.rule_text import RuleTextParser
from ports.storage import RecordFilter, Transaction, UnitOfWork

MAX_DRAFTS = 50
NAME = "draft"
"""Of a draft that has none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """How many of the `seen` records the draft matches; some of them, and those that were given, with why."""

    seen: int
    matched: int
    explained: Sequence[tuple[Snapshot, Explanation]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What the drafts would change, and how each stands; without drafts, what all rules would, and how those that match
    any of the newest records stand (`drafts` are these). `rules` are all that the shadows name, by id."""

    effects: Effects
    drafts: Sequence[Rule]
    shadows: Mapping[UUID, Shadows]
    rules: Mapping[UUID, Rule]


def test_rule(
    actor: Actor,
    written: Mapping[str, Any],
    given: Sequence[Draft],
    *,
    chosen: Sequence[UUID],
    where: RecordFilter,
    last: int | None,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    text: RuleTextParser,
    clock: Clock,
    ids: Ids,
) -> Tested:
    """Whether a draft matches the stored records that were `chosen`, and those that are `given`; without any of both,
    which of the newest `last` in the filter it matches.

    Raises `RuleInvalid`, `NotFound` (no such record), or `Invalid` for what can't be a record."""
    with uow.begin(actor) as tx:
        chain = chain_of(tx, actor, uow, matcher)
        draft = _draft(tx, {"then": {"review": True}, **written}, matcher, text, clock, ids)
        by_itself = alone([replace(draft, enabled=True)], chain)
        seen = matched = 0
        shown: list[Snapshot] = []
        named = [*map(_in_short, tx.records.get_many(chosen)), *(_as_stored(one, ids) for one in given)]
        for page in [named] if named else pages(tx, where, last):
            seen += len(page)
            outcomes = by_itself.evaluate(page, chain.tenant.zone, chain.history)
            met = [record for record, outcome in zip(page, outcomes, strict=True) if outcome.matches]
            matched += len(met)
            shown += page if named else met[: MAX_SAMPLES - len(shown)]
    return Tested(seen=seen, matched=matched, explained=_explained(draft, shown, chain))


def preview_rules(
    actor: Actor,
    written: Sequence[Mapping[str, Any]],
    *,
    where: RecordFilter,
    last: int | None,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    text: RuleTextParser,
    embedder: Embedder | None,
    learner: Learner | None,
    clock: Clock,
    ids: Ids,
) -> Preview:
    """What applying the drafts would change among the newest `last` records in the filter (None: all); without drafts,
    what applying the tenant's rules would. A draft with the `id` of a rule is that rule, changed. Nothing is stored.

    Raises `RuleInvalid`, `NotFound` (no such rule) or `Invalid`.
    """
    if len(written) > MAX_DRAFTS:
        raise Invalid(f"at most {MAX_DRAFTS} rules go in a preview")
    with uow.begin(actor) as tx:
        chain = chain_of(tx, actor, uow, matcher, embedder, learner)
        rules = tx.rules.list()
        by_id = {rule.id: rule for rule in rules}
        drafts = [_draft(tx, one, matcher, text, clock, ids) for one in written]
        if len({draft.id for draft in drafts}) != len(drafts):
            raise Invalid("a rule stands once in a preview")
        if drafts:
            weighed, standing = weigh(drafts, rules, where, last, tx=tx, chain=chain)
            by_id |= {draft.id: draft for draft in drafts}
            return Preview(effects=weighed, drafts=drafts, shadows=standing, rules=by_id)
        effects = Effects()
        shadows: Mapping[UUID, Shadows] = {}
        ready = matcher.ruleset(chain.tenant.id, chain.tenant.rules_version, lambda: rules)
        for page in pages(tx, where, last):
            found = effects_on(page, ready, None, chain, MAX_TEXTS)
            effects.seen += len(page)
            effects.matched += sum(place >= 0 for place in found.winners)
            effects.untold += found.untold
            effects.add(found.changes)
            if effects.seen == len(page):
                shadows = shadows_of(ready.rules, ready.evaluate(page, chain.tenant.zone, chain.history))
    return Preview(effects=effects, drafts=[r for r in ready.rules if r.id in shadows], shadows=shadows, rules=by_id)


def list_conflicts(
    actor: Actor, *, where: RecordFilter, last: int | None, uow: UnitOfWork, matcher: RuleMatcher
) -> Sequence[RuleConflict]:
    """Pairs of rules that give different categories to the same records, the most frequent first."""
    pairs: Pairs = {}
    with uow.begin(actor) as tx:
        chain = chain_of(tx, actor, uow, matcher)
        rules = matcher.ruleset(chain.tenant.id, chain.tenant.rules_version, tx.rules.list)
        for page in pages(tx, where, last):
            outcomes = rules.evaluate(page, chain.tenant.zone, chain.history)
            add_conflicts(pairs, [record.id for record in page], outcomes)
    return sorted(pairs.values(), key=lambda pair: (-pair.records, pair.first.id, pair.second.id))


def _draft(
    tx: Transaction, written: Mapping[str, Any], matcher: RuleMatcher, text: RuleTextParser, clock: Clock, ids: Ids
) -> Rule:
    tenant, resolve = tx.tenants.get(), known_categories(tx)
    given = {name: value for name, value in written.items() if name != "id"}
    if "id" in written:
        draft = changed_rule(tx.rules.get(written["id"]), given, tenant=tenant, resolve=resolve, text=text)
    else:
        given = {"name": NAME, **given}
        draft = new_rule(given, id=ids.new(), tenant=tenant, now=clock.now(), resolve=resolve, text=text)
    check_servable(draft, written.get("when"), matcher, text)
    return draft


def _as_stored(draft: Draft, ids: Ids) -> Snapshot:
    draft = check_draft(draft)
    return Snapshot(
        id=ids.new(),
        connection_id=UUID(int=0),
        kind=draft.kind,
        account=draft.account,
        occurred_at=draft.occurred_at,
        text=draft.text,
        counterparty=draft.counterparty,
        amount=draft.amount,
        currency=draft.currency,
        attributes=draft.attributes,
        status=RecordStatus.INGESTED,
        category_id=None,
        stage=None,
        rule_id=None,
        asked=False,
        version=0,
    )


def _in_short(record: Record) -> Snapshot:
    """A rule may look at all that a snapshot tells of it but for what became of it."""
    return Snapshot(asked=False, **{name: getattr(record, name) for name in Snapshot._fields if name != "asked"})


def _explained(draft: Rule, records: Sequence[Snapshot], chain: Chain) -> list[tuple[Snapshot, Explanation]]:
    """Each part of the condition is asked as a rule of its own, in the order of `walk`."""
    nodes = [
        replace(draft, id=UUID(int=place), when=part, then=Action(review=True), stop=False, enabled=True)
        for place, part in enumerate(walk(draft.when))
    ]
    outcomes = chain.matcher.compile(nodes).evaluate(records, chain.tenant.zone, chain.history)
    explained = []
    for record, outcome in zip(records, outcomes, strict=True):
        met = {match.rule.id for match in outcome.matches}
        errors = {error.rule_id: error.reason for error in outcome.errors}
        said = ((node.id in met, errors.get(node.id)) for node in nodes)
        explained.append((record, explain(draft.when, said)))
    return explained
