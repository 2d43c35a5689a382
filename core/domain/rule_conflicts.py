"""Pairs of rules that disagree: both match a record, and give it different categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from uuid import UUID

from core.domain.rule_evaluation import RuleOutcome
from core.domain.rules import Rule

MAX_SAMPLES = 5
MAX_PAIRS = 10_000
"""Pairs that are kept count of: a tenant with more of them has another problem."""


@dataclass(slots=True, kw_only=True)
class RuleConflict:
    """`first` is asked before `second`; `records` is on how many they disagree, `samples` are some of these."""

    first: Rule
    second: Rule
    records: int = 0
    samples: list[UUID] = field(default_factory=list)


Pairs = dict[tuple[UUID, UUID], RuleConflict]


def disagreements(outcome: RuleOutcome) -> list[tuple[Rule, Rule]]:
    rules = [match.rule for match in outcome.matches if match.rule.then.category_id is not None]
    return [(a, b) for a, b in combinations(rules, 2) if a.then.category_id != b.then.category_id]


def add_conflicts(pairs: Pairs, record_ids: Sequence[UUID], outcomes: Sequence[RuleOutcome]) -> None:
    """Counts in what the rules say of some records; equal outcomes are one object, and looked at once."""
    seen: dict[int, list[tuple[Rule, Rule]]] = {}
    for record_id, outcome in zip(record_ids, outcomes, strict=True):
        if len(outcome.matches) < 2:
            continue
        if (found := seen.get(id(outcome))) is None:
            found = seen[id(outcome)] = disagreements(outcome)
        for first, second in found:
            key = first.id, second.id
            if key not in pairs:
                if len(pairs) >= MAX_PAIRS:
                    continue
                pairs[key] = RuleConflict(first=first, second=second)
            pairs[key].records += 1
            if len(pairs[key].samples) < MAX_SAMPLES:
                pairs[key].samples.append(record_id)
