"""Matching: what a tenant's rules say of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from core.domain.records import Record
from core.domain.rule_evaluation import UTC, RuleOutcome
from core.domain.rules import Rule


class RuleMatcher(Protocol):
    def evaluate(
        self, rules: Sequence[Rule], version: object, records: Sequence[Record], zone: ZoneInfo = UTC
    ) -> Sequence[RuleOutcome]:
        """The outcome for each record, in order, as `core.domain.rule_evaluation` defines it.

        `rules` are all of one tenant's, in any order. `version` is hashable and changes whenever one of them does:
        what was compiled for (tenant, version) is used again. `zone` is the tenant's time zone, for calendar days.
        A rule that can't be asked (plugin missing or raising) gives an error in the outcome, and raises nothing.
        """
        ...

    def check(self, rule: Rule) -> None:
        """Raises `RuleInvalid`, naming the place, when a regex or a plugin leaf of the rule can't be served."""
        ...
