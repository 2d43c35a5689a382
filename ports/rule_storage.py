"""The repositories of rules, of proposals for rules, and of what applying rules did; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.domain.proposals import Proposal
from core.domain.rule_runs import RuleRun, RunChange
from core.domain.rules import Rule


class Rules(Protocol):
    def list(self) -> Sequence[Rule]:
        """All rules in the order in which they are tried, `trusted` when their pack is or they have none."""
        ...

    def get(self, id: UUID) -> Rule: ...

    def present(self, ids: Collection[UUID]) -> Sequence[Rule]:
        """Those of these rules that are there (still), by rising id."""
        ...

    def add(self, rules: Sequence[Rule]) -> None:
        """Raises the tenant's `rules_version`, as `update`, `reorder` and `delete` do."""
        ...

    def update(self, rule: Rule, *, anew: bool = False) -> None:
        """Guarded by version, which then rises. With `anew` its evidence is forgotten: `hits`, `confirmed`,
        `overridden` and `corrected` are 0, `demoted` and `proved` false."""
        ...

    def count_answers(self, answers: Mapping[UUID, tuple[int, int, int]]) -> Sequence[Rule]:
        """Adds (confirmed, overridden, corrected) to the rules that still exist, or takes back (negative numbers, never
        below 0), leaving their versions alone; returns those as they are now, by id."""
        ...

    def set_standing(self, id: UUID, *, demoted: bool, proved: bool) -> None:
        """Raises the rule's version and the tenant's `rules_version`; raises `NotFound`."""
        ...

    def reorder(self, priorities: Mapping[UUID, int]) -> None:
        """Raises `NotFound` when a rule is missing."""
        ...

    def delete(self, id: UUID, version: int | None) -> None: ...

    def count_hits(self, hits: Mapping[UUID, int], now: datetime) -> None:
        """Adds to `hits` of those that still exist, or takes back (negative numbers, never below 0; then `last_hit_at`
        stays); leaves their versions alone."""
        ...


class Proposals(Protocol):
    def list(self, *, status: str | None, after: UUID | None, limit: int) -> Sequence[Proposal]:
        """By rising id."""
        ...

    def get(self, id: UUID) -> Proposal: ...

    def replace_open(self, proposals: Sequence[Proposal]) -> Sequence[UUID]:
        """The open proposals become these. Those whose `key` is open already keep their id and get the new evidence;
        those whose key was accepted or rejected, or whose category is gone, are left out; open ones that are not among
        these go. Returns the ids of the new ones, rising. Others that replace them at the same time wait."""
        ...

    def decide(self, proposal: Proposal) -> None:
        """Writes status, rule, who and when, guarded by version, which then rises; raises `AlreadyDecided` when it is
        no longer open, `VersionMismatch` or `NotFound`."""
        ...


class RuleRuns(Protocol):
    def add(self, run: RuleRun) -> None: ...

    def get(self, id: UUID, *, lock: bool = False) -> RuleRun: ...

    def list(self, *, before: UUID | None, limit: int) -> Sequence[RuleRun]:
        """Newest first."""
        ...

    def update(self, run: RuleRun) -> None:
        """Writes job, status, counts, times and failure; raises `NotFound`."""
        ...

    def changes(self, run_id: UUID, *, after: UUID | None, limit: int) -> Sequence[RunChange]:
        """By rising record id; `after` is the last one of the page before."""
        ...
