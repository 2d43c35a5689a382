"""Rules of a tenant: made, changed, put in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.rule_order import new_priorities
from core.domain.rules import Rule
from core.domain.tenants import Actor
from core.errors import Invalid, NotFound, VersionMismatch
from core.usecases.shared.effects import chain_of
from core.usecases.shared.present import known_categories
from core.usecases.shared.rule_adding import add_rules, checked_rules
from core.usecases.shared.rule_drafts import changed_rule, check_room, check_servable
from core.usecases.shared.weighing import ask_to_confirm
from ports.clock import Clock, Ids
from ports.matching import RuleMatcher
from ports.rule_text import RuleTextParser
from ports.storage import Transaction, UnitOfWork

_ACTS = ("when", "then", "stage", "priority", "stop", "enabled", "demoted")
"""What of a rule decides what it does."""


def list_rules(actor: Actor, *, uow: UnitOfWork) -> Sequence[Rule]:
    """In the order in which they are tried."""
    with uow.begin(actor) as tx:
        return tx.rules.list()


def get_rule(actor: Actor, rule_id: UUID, *, uow: UnitOfWork) -> Rule:
    with uow.begin(actor) as tx:
        return tx.rules.get(rule_id)


def find_rules(actor: Actor, rule_ids: Collection[UUID], *, uow: UnitOfWork) -> Mapping[UUID, Rule]:
    """Those of these rules that are there still, by id."""
    with uow.begin(actor) as tx:
        return {rule.id: rule for rule in tx.rules.present(rule_ids)}


def create_rules(
    actor: Actor,
    written: Sequence[Mapping[str, Any]],
    *,
    confirm: bool = False,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    text: RuleTextParser,
    clock: Clock,
    ids: Ids,
) -> Sequence[Rule]:
    """All or none, each as `shared.rule_drafts.new_rule` reads it. Raises `RuleInvalid`, naming the place,
    `Conflict` where they are too many or take too much, and `ConfirmNeeded` unless `confirm`."""
    with uow.begin(actor) as tx:
        rules = checked_rules(
            tx, actor, written, clock.now(), confirm=confirm, uow=uow, matcher=matcher, text=text, ids=ids
        )
        add_rules(tx, rules)
        tx.commit()
    return rules


def change_rule(
    actor: Actor,
    rule_id: UUID,
    changes: Mapping[str, Any],
    *,
    version: int | None,
    confirm: bool = False,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    text: RuleTextParser,
) -> Rule:
    """A new condition or action, or the end of a demotion (`demoted`: false), makes the rule's evidence start anew.

    Raises `NotFound`, `VersionMismatch`, `RuleInvalid`, `Conflict` where regexes take too much, and `ConfirmNeeded`
    unless `confirm`.
    """
    with uow.begin(actor) as tx:
        rule = tx.rules.get(rule_id)
        if version is not None and rule.version != version:
            raise VersionMismatch
        tenant = tx.tenants.get()
        changed = changed_rule(rule, changes, tenant=tenant, resolve=known_categories(tx), text=text)
        check_servable(changed, changes.get("when"), matcher, text)
        if changed.when != rule.when:
            check_room(tx.rules.list(), [changed], matcher)
        if not confirm and any(getattr(changed, name) != getattr(rule, name) for name in _ACTS):
            ask_to_confirm([changed], tx.rules.list(), tx=tx, chain=chain_of(tx, actor, uow, matcher))
        tx.rules.update(changed, anew=changed.evidence_from != rule.evidence_from)
        _tell(tx, EventType.RULE_CHANGED, [rule_id], changed=sorted(changes))
        changed = tx.rules.get(rule_id)
        tx.commit()
    return changed


def order_rules(
    actor: Actor, rule_ids: Sequence[UUID], *, version: int | None = None, uow: UnitOfWork
) -> Sequence[Rule]:
    """Gives the rules, within their stages, the order of the list; those that it leaves out come after, as they were.
    Only rules that need another priority for it are changed.

    `version` is the tenant's `rules_version` that the order was made by. Raises `NotFound`, `Invalid` (one twice) or
    `VersionMismatch` (rules were changed since).
    """
    if len(set(rule_ids)) != len(rule_ids):
        raise Invalid("a rule stands once in an order")
    with uow.begin(actor) as tx:
        present = {rule.id: rule for rule in tx.rules.list()}
        if not present.keys() >= set(rule_ids):
            raise NotFound("this rule does not exist")
        wanted = dict.fromkeys([*rule_ids, *present])
        changed = new_priorities([present[id] for id in wanted])
        tx.rules.reorder(changed)
        # After the change, which waits for those of others.
        if version is not None and tx.tenants.get().rules_version != version + bool(changed):
            raise VersionMismatch("somebody changed rules meanwhile: look at the order as it is now")
        _tell(tx, EventType.RULE_CHANGED, list(changed), changed=["priority"])
        ordered = tx.rules.list()
        tx.commit()
    return ordered


def delete_rule(actor: Actor, rule_id: UUID, *, version: int | None, uow: UnitOfWork) -> None:
    """Raises `NotFound`, `VersionMismatch`."""
    with uow.begin(actor) as tx:
        tx.rules.delete(rule_id, version)
        _tell(tx, EventType.RULE_DELETED, [rule_id])
        tx.commit()


def _tell(tx: Transaction, type: EventType, rule_ids: Sequence[UUID], **payload: Any) -> None:
    tx.events.append([NewEvent(type=type, subject_id=id, payload=payload) for id in rule_ids])
