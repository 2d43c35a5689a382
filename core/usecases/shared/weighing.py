"""What drafts of rules would do among the others, and the question that is asked before a doubtful one is saved."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from core.domain.records import DECIDED_BY_PERSON
from core.domain.rule_effects import IN_REACH, Effect, Effects, Shadows, add_shadows, twin
from core.domain.rules import Rule, order_key
from core.errors import ConfirmNeeded
from core.usecases.shared.effects import MAX_TEXTS, Chain, alone, effects_on, pages, touched_by
from ports.storage import RecordFilter, Transaction

CHECKED_DECISIONS, CHECKED_RECORDS = 20_000, 10_000
"""How many of people's latest decisions, and of the latest records, a rule is held against when it is saved."""
NAMED = 10
"""Records named in a request for confirmation."""


def with_drafts(rules: Sequence[Rule], drafts: Sequence[Rule]) -> list[Rule]:
    """The tenant's rules with the drafts among them, each in the place of the rule with its id."""
    ids = {draft.id for draft in drafts}
    return [*(rule for rule in rules if rule.id not in ids), *drafts]


def weigh(
    drafts: Sequence[Rule],
    rules: Sequence[Rule],
    where: RecordFilter,
    last: int | None,
    *,
    tx: Transaction,
    chain: Chain,
) -> tuple[Effects, dict[UUID, Shadows]]:
    """What the drafts would do among the tenant's `rules` on its records (the newest `last` in the filter, None for
    all), and how each stands among the other rules."""
    whole = with_drafts(rules, drafts)
    scope = frozenset(draft.id for draft in drafts)
    acting = chain.matcher.compile(whole)
    among = chain.matcher.compile([rule for rule in rules if rule.id not in scope])
    by_itself = alone(drafts, chain)
    ordered = sorted((rule for rule in whole if rule.enabled), key=order_key)
    effects = Effects()
    shadows = {d.id: Shadows(decides=d.then.decides, same_as=twin(d, ordered)) for d in drafts}
    for page in pages(tx, where, last):
        effects.seen += len(page)
        records, by = touched_by(page, by_itself, scope, chain)
        found = effects_on(records, acting, scope, chain, MAX_TEXTS)
        without = among.winners(records, chain.tenant.zone, chain.history)
        for matched, place, other in zip(by, found.winners, without, strict=True):
            if matched:
                effects.matched += 1
                winner = acting.rules[place].id if place >= 0 else None
                add_shadows(shadows, matched, winner, among.rules[other].id if other >= 0 else None)
        effects.add(found.changes)
        effects.untold += found.untold
    return effects, shadows


def ask_to_confirm(drafts: Sequence[Rule], rules: Sequence[Rule], *, tx: Transaction, chain: Chain) -> None:
    """Raises `ConfirmNeeded` when a draft contradicts what people decided, or would never have a say."""
    acting = [draft for draft in drafts if draft.enabled and draft.trusted and draft.then.decides]
    if not acting:
        return
    people = RecordFilter(statuses=tuple(sorted(DECIDED_BY_PERSON)))
    others = RecordFilter(statuses=tuple(sorted(set(IN_REACH) - DECIDED_BY_PERSON)))
    effects, by_people = weigh(acting, rules, people, CHECKED_DECISIONS, tx=tx, chain=chain)
    _, latest = weigh(acting, rules, others, CHECKED_RECORDS, tx=tx, chain=chain)
    wrong: dict[str, list[str]] = {}
    if contradicting := effects.counts[Effect.CONTRADICTING]:
        named = ", ".join(str(change.record_id) for change in effects.samples[Effect.CONTRADICTING][:NAMED])
        wrong["contradicts"] = [f"{contradicting} records that people decided otherwise, such as {named}"]
    unreachable = [said for d in acting if (said := _unreachable(d, by_people[d.id], latest[d.id])) is not None]
    if unreachable:
        wrong["unreachable"] = unreachable
    if wrong:
        raise ConfirmNeeded(fields=wrong)


def _unreachable(draft: Rule, by_people: Shadows, latest: Shadows) -> str | None:
    if by_people.same_as is not None:
        return f"“{draft.name}”: rule {by_people.same_as} has the same condition, and comes first"
    matches = by_people.matches + latest.matches
    if matches == 0 or by_people.wins + latest.wins > 0:
        return None
    others = (by_people.shadowed_by + latest.shadowed_by).most_common(3)
    said = ", ".join(f"{id} ({records})" for id, records in others)
    if not said:
        return f"“{draft.name}”: an earlier rule with `stop` takes all {matches} records that it matches"
    return f"“{draft.name}”: all {matches} records that it matches are decided by other rules: {said}"
