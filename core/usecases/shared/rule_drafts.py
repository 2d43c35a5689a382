"""Rules out of what people write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from core.domain.conditions import Condition, parse_condition
from core.domain.rules import MAX_PRIORITY, MAX_RULES, MAX_WEIGHT, Rule, RuleStage, check_name, parse_action
from core.domain.tenants import Tenant
from core.errors import Conflict, Invalid, RuleInvalid
from ports.matching import RuleMatcher
from ports.rule_text import RuleTextParser

PRIORITY = 100
"""Where a rule says nothing."""


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


def check_room(present: Sequence[Rule], new: Sequence[Rule], matcher: RuleMatcher) -> None:
    """Raises `Conflict` where a tenant would have too many, or regexes that take too much. A rule that is `present`
    too is changed."""
    ids = {rule.id for rule in new}
    rules = [*(rule for rule in present if rule.id not in ids), *new]
    if len(rules) > MAX_RULES:
        raise Conflict(f"a tenant has at most {MAX_RULES} rules: delete some, or put values into one rule by `in`")
    if matcher.weight(new, 0) and matcher.weight(rules, MAX_WEIGHT) > MAX_WEIGHT:
        raise Conflict("the regexes of all rules need too much memory: use smaller repetitions, or literals")


def condition(written: Any, text: RuleTextParser) -> Condition:
    return text.parse(written) if isinstance(written, str) else parse_condition(written)


def check_servable(rule: Rule, written: Any, matcher: RuleMatcher, text: RuleTextParser) -> None:
    """Raises `RuleInvalid` when a regex or a plugin leaf can't be served; where the condition was `written` as text, it
    names the column."""
    try:
        matcher.check(rule)
    except RuleInvalid as error:
        raise (text.at_column(written, error) if isinstance(written, str) else error) from error
