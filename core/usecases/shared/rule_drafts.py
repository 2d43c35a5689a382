"""Rules out of what people write, and what saving them would do to what people decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from core.domain.conditions import Condition, parse_condition
from core.domain.records import DECIDED_BY_PERSON
from core.domain.rule_effects import IN_REACH, Effect, Effects, Light, add_light, twin
from core.domain.rules import MAX_PRIORITY, Rule, RuleStage, check_name, order_key, parse_action
from core.domain.tenants import Tenant
from core.errors import ConfirmNeeded, Invalid, RuleInvalid
from core.usecases.shared.effects import MAX_TEXTS, Chain, alone, effects_on, pages, touched_by
from ports.matching import RuleMatcher
from ports.rule_text import RuleTextParser
from ports.storage import RecordFilter, Transaction

PRIORITY = 100
"""Where a rule says nothing."""
CHECKED_DECISIONS, CHECKED_RECORDS = 20_000, 10_000
"""How many of people's latest decisions, and of the latest records, a rule is held against when it is saved."""
NAMED = 10
"""Records named in a request for confirmation."""


def new_rule(
    written: Mapping[str, Any],
    *,
    id: UUID,
    tenant: Tenant,
    now: datetime,
    resolve: Mapping[str, UUID],
    text: RuleTextParser,
) -> Rule:
    """A rule as it is written: `{"name", "when", "then", "stage", "priority", "stop", "enabled"}`, the last four
    optional; `when` in JSON or in the text form; `then.category` an id, a key, a path or a name. Raises `RuleInvalid`,
    naming the place."""
    blank = Rule(
        id=id,
        tenant_id=tenant.id,
        name="",
        stage=RuleStage.MAIN,
        priority=PRIORITY,
        when=condition(written.get("when"), text),
        then=parse_action(written.get("then"), resolve),
        stop=False,
        enabled=True,
        pack=None,
        trusted=True,
        hits=0,
        last_hit_at=None,
        created_at=now,
        version=1,
    )
    return changed_rule(blank, {"name": "", **written}, tenant=tenant, resolve=resolve, text=text)


def changed_rule(
    rule: Rule, changes: Mapping[str, Any], *, tenant: Tenant, resolve: Mapping[str, UUID], text: RuleTextParser
) -> Rule:
    """The rule with what `changes` names written anew. With a new condition or action, or the end of a demotion
    (`demoted`: false), its evidence begins anew, too. Raises `RuleInvalid` or `Invalid`."""
    priority = changes.get("priority", rule.priority)
    if not isinstance(priority, int) or isinstance(priority, bool) or abs(priority) > MAX_PRIORITY:
        raise Invalid(f"priority is a whole number up to {MAX_PRIORITY}")
    try:
        stage = RuleStage(changes.get("stage", rule.stage))
    except ValueError:
        raise Invalid("stage is pre, main or post") from None
    changed = replace(
        rule,
        name=check_name(changes["name"]) if "name" in changes else rule.name,
        stage=stage,
        priority=priority,
        when=condition(changes["when"], text) if "when" in changes else rule.when,
        then=parse_action(changes["then"], resolve) if "then" in changes else rule.then,
        stop=bool(changes.get("stop", rule.stop)),
        enabled=bool(changes.get("enabled", rule.enabled)),
    )
    forgiven = rule.demoted and changes.get("demoted") is False
    return _anew(changed, tenant) if forgiven or (changed.when, changed.then) != (rule.when, rule.then) else changed


def _anew(rule: Rule, tenant: Tenant) -> Rule:
    return replace(
        rule,
        trusted=rule.pack is None or rule.pack in tenant.settings.trusted_packs,
        demoted=False,
        proved=False,
        hits=0,
        confirmed=0,
        overridden=0,
        corrected=0,
        evidence_from=tenant.rules_version + 1,
    )


def condition(written: Any, text: RuleTextParser) -> Condition:
    return text.parse(written) if isinstance(written, str) else parse_condition(written)


def check_servable(rule: Rule, written: Any, matcher: RuleMatcher, text: RuleTextParser) -> None:
    """Raises `RuleInvalid` when a regex or a plugin leaf can't be served; where the condition was `written` as text, it
    names the column."""
    try:
        matcher.check(rule)
    except RuleInvalid as error:
        raise (text.at_column(written, error) if isinstance(written, str) else error) from error


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
) -> tuple[Effects, dict[UUID, Light]]:
    """What the drafts would do among the tenant's `rules` on its records (the newest `last` in the filter, None for
    all), and how each stands among the other rules."""
    whole = with_drafts(rules, drafts)
    scope = frozenset(draft.id for draft in drafts)
    acting = chain.matcher.compile(whole)
    among = chain.matcher.compile([rule for rule in rules if rule.id not in scope])
    by_itself = alone(drafts, chain)
    ordered = sorted((rule for rule in whole if rule.enabled), key=order_key)
    effects = Effects()
    lights = {d.id: Light(decides=d.then.decides, same_as=twin(d, ordered)) for d in drafts}
    for page in pages(tx, where, last):
        effects.seen += len(page)
        records, by = touched_by(page, by_itself, scope, chain)
        found = effects_on(records, acting, scope, chain, MAX_TEXTS)
        without = among.winners(records, chain.tenant.zone, chain.history)
        for matched, place, other in zip(by, found.winners, without, strict=True):
            if matched:
                effects.matched += 1
                winner = acting.rules[place].id if place >= 0 else None
                add_light(lights, matched, winner, among.rules[other].id if other >= 0 else None)
        effects.add(found.changes)
        effects.untold += found.untold
    return effects, lights


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


def _unreachable(draft: Rule, by_people: Light, latest: Light) -> str | None:
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
