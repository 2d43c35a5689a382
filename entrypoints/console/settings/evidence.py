"""What the promise means and what is known of it, in words and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from core.domain.evaluations import Evaluation, EvaluationStatus
from core.domain.promise import Keeping
from core.domain.rules import Rule

MONTHS = 12
"""So many calendar months are looked at."""
KEEPING: Mapping[Keeping, tuple[str, str]] = {
    Keeping.KEPT: ("kept", "success"),
    Keeping.AT_RISK: ("at risk", "danger"),
    Keeping.UNKNOWN: ("not known yet", "secondary"),
}
"""A word and its tone."""
_BASES = (100, 1_000, 10_000)


def at_most_wrong(promise: float) -> str:
    """What a promise (0 to 1) means: `Of 100 records that are sorted automatically, at most 5 may be wrong.`"""
    if promise >= 1:
        return "None may be wrong, which no number of answers can prove: nearly everything goes to a person."
    for base in _BASES:
        wrong = (1 - promise) * base
        if abs(wrong - round(wrong)) < 1e-6 and round(wrong):
            return f"Of {base:,} records that are sorted automatically, at most {round(wrong):,} may be wrong."
    return f"Of 10,000 records that are sorted automatically, at most {(1 - promise) * 10_000:.1f} may be wrong."


def by_category(rules: Iterable[Rule], names: Mapping[UUID, str]) -> Mapping[str, Sequence[tuple[str, int]]]:
    """By pack: how many of its rules give which category, the most first."""
    counted: dict[str, Counter[str]] = {}
    for rule in rules:
        if rule.pack is not None:
            name = names.get(rule.then.category_id, "") if rule.then.category_id is not None else ""
            counted.setdefault(rule.pack, Counter())[name or "no category"] += 1
    return {pack: sorted(found.items(), key=lambda one: (-one[1], one[0])) for pack, found in counted.items()}


def tried_promises(evaluations: Iterable[Evaluation]) -> Sequence[Evaluation]:
    """The latest evaluation that is done of each promise, the lowest promise first; `evaluations` come the newest
    first."""
    found: dict[float, Evaluation] = {}
    for one in evaluations:
        if one.status is EvaluationStatus.DONE:
            found.setdefault(one.promise, one)
    return [found[promise] for promise in sorted(found)]
