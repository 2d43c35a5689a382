"""The reference evaluator over RE2, behind the matcher port."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from uuid import UUID
from zoneinfo import ZoneInfo

from adapters.matching.regex import re2_search, weighed_search, weight_of
from core.domain.records import Sortable
from core.domain.rule_evaluation import UTC, CompiledRules, RuleOutcome, check_rule, compile_rules, evaluate
from core.domain.rule_history import History
from core.domain.rules import Rule
from ports.connectors import RuleType


class ReferenceRuleSet:
    def __init__(self, compiled: CompiledRules) -> None:
        self._compiled = compiled
        self._places = {id(rule): place for place, rule in enumerate(compiled.rules)}

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self._compiled.rules

    def evaluate(
        self, records: Sequence[Sortable], zone: ZoneInfo = UTC, history: History | None = None
    ) -> Sequence[RuleOutcome]:
        return evaluate(self._compiled, records, zone, history)

    def winners(
        self, records: Sequence[Sortable], zone: ZoneInfo = UTC, history: History | None = None
    ) -> Sequence[int]:
        outcomes = self.evaluate(records, zone, history)
        return [self._places[id(o.winner.rule)] if o.winner else -1 for o in outcomes]


class ReferenceMatcher:
    """Keeps the compiled rules of the `capacity` tenants used last. Safe to share between threads.

    `rule_type` gives the rule type of a key and raises `PluginUnavailable` when there is none.
    """

    def __init__(self, rule_type: Callable[[str], RuleType], capacity: int = 32) -> None:
        self._rule_type = rule_type
        self._capacity = capacity
        self._kept: OrderedDict[UUID, tuple[int, ReferenceRuleSet]] = OrderedDict()
        self._lock = Lock()

    def ruleset(self, tenant_id: UUID, version: int, load: Callable[[], Sequence[Rule]]) -> ReferenceRuleSet:
        with self._lock:
            kept = self._kept.get(tenant_id)
            if kept is None or kept[0] != version:
                kept = self._kept[tenant_id] = version, self.compile(load())
            self._kept.move_to_end(tenant_id)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return kept[1]

    def compile(self, rules: Sequence[Rule]) -> ReferenceRuleSet:
        return ReferenceRuleSet(compile_rules(rules, re2_search, self._rule_type))

    def check(self, rule: Rule) -> None:
        check_rule(rule, weighed_search(), self._rule_type)

    def weight(self, rules: Iterable[Rule], most: int) -> int:
        return weight_of(rules, most)
