"""The compiled matcher: a tenant's rules in automata, kept by version, and made anew only where they changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from threading import Lock
from typing import Any
from uuid import UUID

from adapters.matching.automaton import Index
from adapters.matching.parts import Part, ask_of, part_of
from adapters.matching.regex import re2_search, weighed_search, weight_of
from adapters.matching.rule_set import CompiledRuleSet, Entry
from core.domain.rule_evaluation import check_rule
from core.domain.rules import Rule, order_key
from ports.connectors import RuleType

MIN_CHANGED, CHANGED_SHARE = 64, 0.1
"""Rules, and share of all, that may have changed before the large index is made anew; see `_indexes`."""


class CompiledMatcher:
    """Equals the reference evaluator on any input. Keeps the compiled rules of the `capacity` tenants used last. Safe
    to share between threads.

    `rule_type` gives the rule type of a key and raises `PluginUnavailable` when there is none.
    """

    def __init__(self, rule_type: Callable[[str], RuleType], capacity: int = 32) -> None:
        self._rule_type = rule_type
        self._capacity = capacity
        self._kept: OrderedDict[UUID, tuple[int, CompiledRuleSet]] = OrderedDict()
        self._lock = Lock()

    def ruleset(self, tenant_id: UUID, version: int, load: Callable[[], Sequence[Rule]]) -> CompiledRuleSet:
        kept = self._at_hand(tenant_id)
        if kept is not None and kept[0] == version:
            return kept[1]
        fresh = self._compile(load(), kept[1] if kept else None)
        with self._lock:
            self._kept[tenant_id] = version, fresh
            self._kept.move_to_end(tenant_id)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return fresh

    def compile(self, rules: Sequence[Rule]) -> CompiledRuleSet:
        kept = self._at_hand(rules[0].tenant_id) if rules else None
        return self._compile(rules, kept[1] if kept else None)

    def check(self, rule: Rule) -> None:
        check_rule(rule, weighed_search(), self._rule_type)

    def weight(self, rules: Iterable[Rule], most: int) -> int:
        return weight_of(rules, most)

    def _at_hand(self, tenant_id: UUID) -> tuple[int, CompiledRuleSet] | None:
        with self._lock:
            kept = self._kept.get(tenant_id)
            if kept is not None:
                self._kept.move_to_end(tenant_id)
        return kept

    def _compile(self, rules: Sequence[Rule], old: CompiledRuleSet | None) -> CompiledRuleSet:
        known = dict(old.entries) if old else {}
        entries = [self._entry(rule, known.pop(rule.id, None)) for rule in rules if rule.enabled]
        entries.sort(key=attrgetter("key"))
        return CompiledRuleSet(entries, _indexes([entry.part for entry in entries], old.indexes if old else ()))

    def _entry(self, rule: Rule, old: Entry | None) -> Entry:
        """With what the old one knows of the same condition and place: telling that takes most of the time."""
        if old is None or not (rule.when is old.rule.when or rule.when == old.rule.when):
            part, key = part_of(rule.when, re2_search, self._rule_type), _key(rule)
        else:
            part, key, before = old.part, old.key, old.rule
            if (rule.priority, rule.stage, rule.created_at) != (before.priority, before.stage, before.created_at):
                key = _key(rule)
        ask = ask_of(rule.when, re2_search, self._rule_type) if part.plugins else part.ask
        return Entry(rule, key, part, ask)


def _key(rule: Rule) -> tuple[Any, ...]:
    """`order_key` with the id as a number, which compares faster."""
    *before, id_ = order_key(rule)
    return (*before, id_.int)


def _indexes(parts: Sequence[Part], old: Sequence[Index]) -> Sequence[Index]:
    """A large index that stays while few parts change, and a small one of those that did."""
    if old:
        large = old[0]
        changed = [part for part in parts if part not in large.slots]
        if len(changed) <= MIN_CHANGED + CHANGED_SHARE * len(parts) and 2 * (len(parts) - len(changed)) >= len(
            large.slots
        ):
            if len(old) > 1 and all(part in old[1].slots for part in changed):
                return old
            return (large, Index(changed, large.used)) if changed else (large,)
    return (Index(parts),)
