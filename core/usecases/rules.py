"""Rules of a tenant: made, changed, put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from core.domain.categories import resolver
from core.domain.conditions import parse_condition
from core.domain.events import EventType, NewEvent
from core.domain.rules import Rule, RuleStage, check_name, parse_action
from core.domain.tenants import Actor
from core.errors import Invalid, VersionMismatch
from ports.clock import Clock, Ids
from ports.matching import RuleMatcher
from ports.storage import Transaction, UnitOfWork

MAX_PRIORITY = 1_000_000
STEP = 10
"""Between neighbours that were put in order, so that a rule fits between two without moving others."""


def list_rules(actor: Actor, *, uow: UnitOfWork) -> Sequence[Rule]:
    """In the order in which they are tried."""
    with uow.begin(actor) as tx:
        return tx.rules.list()


def get_rule(actor: Actor, rule_id: UUID, *, uow: UnitOfWork) -> Rule:
    with uow.begin(actor) as tx:
        return tx.rules.get(rule_id)


def create_rules(
    actor: Actor,
    written: Sequence[Mapping[str, Any]],
    *,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    clock: Clock,
    ids: Ids,
) -> Sequence[Rule]:
    """All or none. Each is written as `{"name", "when", "then", "stage", "priority", "stop", "enabled"}`, the last four
    optional; `then.category` may be an id, a key, a path or a name. Raises `RuleInvalid`, naming the place."""
    now = clock.now()
    with uow.begin(actor) as tx:
        resolve = resolver(tx.categories.list())
        rules = []
        for one in written:
            blank = Rule(
                id=ids.new(),
                tenant_id=actor.tenant_id,
                name="",
                stage=RuleStage.MAIN,
                priority=100,
                when=parse_condition(one.get("when")),
                then=parse_action(one.get("then"), resolve),
                stop=False,
                enabled=True,
                pack=None,
                trusted=True,
                hits=0,
                last_hit_at=None,
                created_at=now,
                version=1,
            )
            rule = _with(blank, {"name": one.get("name", ""), **one}, resolve)
            matcher.check(rule)
            rules.append(rule)
        tx.rules.add(rules)
        _tell(tx, EventType.RULE_CREATED, [r.id for r in rules])
        tx.commit()
    return rules


def change_rule(
    actor: Actor,
    rule_id: UUID,
    changes: Mapping[str, Any],
    *,
    version: int | None,
    uow: UnitOfWork,
    matcher: RuleMatcher,
) -> Rule:
    """Raises `NotFound`, `VersionMismatch`, `RuleInvalid`."""
    with uow.begin(actor) as tx:
        rule = tx.rules.get(rule_id)
        if version is not None and rule.version != version:
            raise VersionMismatch
        changed = _with(rule, changes, resolver(tx.categories.list()))
        matcher.check(changed)
        tx.rules.update(changed)
        _tell(tx, EventType.RULE_CHANGED, [rule_id], changed=sorted(changes))
        tx.commit()
    return replace(changed, version=rule.version + 1)


def order_rules(actor: Actor, rule_ids: Sequence[UUID], *, uow: UnitOfWork) -> Sequence[Rule]:
    """Gives the rules, within their stages, the order of the list; those that it leaves out come after, as they were.

    Raises `NotFound` or `Invalid` (one twice).
    """
    if len(set(rule_ids)) != len(rule_ids):
        raise Invalid("a rule stands once in an order")
    with uow.begin(actor) as tx:
        rest = [r.id for r in tx.rules.list() if r.id not in set(rule_ids)]
        tx.rules.reorder({id: STEP * place for place, id in enumerate([*rule_ids, *rest], start=1)})
        _tell(tx, EventType.RULE_CHANGED, rule_ids, changed=["priority"])
        ordered = tx.rules.list()
        tx.commit()
    return ordered


def delete_rule(actor: Actor, rule_id: UUID, *, version: int | None, uow: UnitOfWork) -> None:
    """Raises `NotFound`, `VersionMismatch`."""
    with uow.begin(actor) as tx:
        tx.rules.delete(rule_id, version)
        _tell(tx, EventType.RULE_DELETED, [rule_id])
        tx.commit()


def _with(rule: Rule, changes: Mapping[str, Any], resolve: Mapping[str, UUID]) -> Rule:
    priority = changes.get("priority", rule.priority)
    if not isinstance(priority, int) or isinstance(priority, bool) or abs(priority) > MAX_PRIORITY:
        raise Invalid(f"priority is a whole number up to {MAX_PRIORITY}")
    try:
        stage = RuleStage(changes.get("stage", rule.stage))
    except ValueError:
        raise Invalid("stage is pre, main or post") from None
    return replace(
        rule,
        name=check_name(changes["name"]) if "name" in changes else rule.name,
        stage=stage,
        priority=priority,
        when=parse_condition(changes["when"]) if "when" in changes else rule.when,
        then=parse_action(changes["then"], resolve) if "then" in changes else rule.then,
        stop=bool(changes.get("stop", rule.stop)),
        enabled=bool(changes.get("enabled", rule.enabled)),
    )


def _tell(tx: Transaction, type: EventType, rule_ids: Sequence[UUID], **payload: Any) -> None:
    tx.events.append([NewEvent(type=type, subject_id=id, payload=payload) for id in rule_ids])
