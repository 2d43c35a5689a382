"""The reference evaluator over RE2, behind the matcher port."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from uuid import UUID
from zoneinfo import ZoneInfo

from adapters.matching.regex import re2_search
from core.domain.records import Record
from core.domain.rule_evaluation import UTC, CompiledRules, RuleOutcome, check_rule, compile_rules, evaluate
from core.domain.rules import Rule
from ports.connectors import RuleType


class ReferenceMatcher:
    """Keeps the compiled rules of the `capacity` tenants (and versions) used last. Safe to share between threads.

    `rule_type` gives the rule type of a key and raises `PluginUnavailable` when there is none.
    """

    def __init__(self, rule_type: Callable[[str], RuleType], capacity: int = 32) -> None:
        self._rule_type = rule_type
        self._capacity = capacity
        self._compiled: OrderedDict[tuple[UUID, object], CompiledRules] = OrderedDict()
        self._lock = Lock()

    def evaluate(
        self, rules: Sequence[Rule], version: object, records: Sequence[Record], zone: ZoneInfo = UTC
    ) -> Sequence[RuleOutcome]:
        return evaluate(self._compile(rules, version), records, zone)

    def check(self, rule: Rule) -> None:
        check_rule(rule, re2_search, self._rule_type)

    def _compile(self, rules: Sequence[Rule], version: object) -> CompiledRules:
        if not rules:
            return compile_rules((), re2_search, self._rule_type)
        key = rules[0].tenant_id, version
        with self._lock:
            if (compiled := self._compiled.get(key)) is None:
                compiled = self._compiled[key] = compile_rules(rules, re2_search, self._rule_type)
            self._compiled.move_to_end(key)
            while len(self._compiled) > self._capacity:
                self._compiled.popitem(last=False)
        return compiled
