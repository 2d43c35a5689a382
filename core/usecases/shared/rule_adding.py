"""Rules that people write are checked, and then added with their event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.domain.events import EventType, NewEvent
from core.domain.rules import Rule
from core.domain.tenants import Actor
from core.usecases.shared.effects import chain_of
from core.usecases.shared.present import known_categories
from core.usecases.shared.rule_drafts import check_room, check_servable, new_rule
from core.usecases.shared.weighing import ask_to_confirm
from ports.clock import Ids
from ports.matching import RuleMatcher
from ports.rule_text import RuleTextParser
from ports.storage import Transaction, UnitOfWork


def checked_rules(
    tx: Transaction,
    actor: Actor,
    written: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    confirm: bool,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    text: RuleTextParser,
    ids: Ids,
) -> Sequence[Rule]:
    """The rules, each as `shared.rule_drafts.new_rule` reads it. Locks nothing.

    Raises `RuleInvalid`, naming the place, `Conflict` where they are too many or take too much, and `ConfirmNeeded`
    unless `confirm`."""
    tenant, resolve = tx.tenants.get(), known_categories(tx)
    rules = [new_rule(one, id=ids.new(), tenant=tenant, now=now, resolve=resolve, text=text) for one in written]
    for rule, one in zip(rules, written, strict=True):
        check_servable(rule, one.get("when"), matcher, text)
    present = tx.rules.list()
    check_room(present, rules, matcher)
    if not confirm:
        ask_to_confirm(rules, present, tx=tx, chain=chain_of(tx, actor, uow, matcher))
    return rules


def add_rules(tx: Transaction, rules: Sequence[Rule], **told: Any) -> None:
    """Adds them, and tells each; `told` is what of."""
    tx.rules.add(rules)
    tx.events.append([NewEvent(type=EventType.RULE_CREATED, subject_id=rule.id, payload=told) for rule in rules])
