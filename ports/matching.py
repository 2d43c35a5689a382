"""Matching: what a tenant's rules say of records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from core.domain.records import Sortable
from core.domain.rule_evaluation import UTC, RuleOutcome
from core.domain.rule_history import History
from core.domain.rules import Rule


class RuleSet(Protocol):
    """Rules made ready to be asked. Safe to share between threads, and never changed."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The enabled ones, in the order in which they are asked."""
        ...

    def evaluate(
        self, records: Sequence[Sortable], zone: ZoneInfo = UTC, history: History | None = None
    ) -> Sequence[RuleOutcome]:
        """The outcome for each record, in order, as `core.domain.rule_evaluation` defines it.

        `zone` is the tenant's time zone, for calendar days. A rule that can't be asked (plugin missing or raising)
        gives an error in the outcome, and raises nothing.
        """
        ...

    def winners(
        self, records: Sequence[Sortable], zone: ZoneInfo = UTC, history: History | None = None
    ) -> Sequence[int]:
        """For each record the place in `rules` of what `evaluate` gives as the winner, -1 where there is none."""
        ...


class RuleMatcher(Protocol):
    def ruleset(self, tenant_id: UUID, version: int, load: Callable[[], Sequence[Rule]]) -> RuleSet:
        """The tenant's rules as of `version` (which rises whenever one of them changes), ready to be asked.

        What was compiled for a version is used again; `load` gives all of the tenant's rules, in any order, and is
        called only for a version that is not at hand. Then only what changed since is compiled.
        """
        ...

    def compile(self, rules: Sequence[Rule]) -> RuleSet:
        """Drafts made ready to be asked; nothing is kept. Where most of them are those of a tenant's rule set that is
        at hand, only the others are compiled."""
        ...

    def check(self, rule: Rule) -> None:
        """Raises `RuleInvalid`, naming the place, when a regex or a plugin leaf of the rule can't be served, or its
        regexes together weigh more than `core.domain.rules.MAX_RULE_WEIGHT`."""
        ...

    def weight(self, rules: Iterable[Rule], most: int) -> int:
        """What the regexes of the rules take, in instructions of their programs: some 16 bytes each, and a microsecond
        to compile. What goes beyond `most` is not added up."""
        ...
