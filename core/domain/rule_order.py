"""Putting rules in an order, with as few of them changed as can be: the others keep their priority and version, and
nothing is told of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from core.domain.rules import MAX_PRIORITY, Rule, RuleStage, order_key

STEP = 10
"""Between neighbours that were put in order, so that a rule fits between two without moving others."""


def new_priorities(wanted: Sequence[Rule]) -> dict[UUID, int]:
    """The priorities of those rules that need another one, for all to stand as in `wanted` within their stages."""
    found: dict[UUID, int] = {}
    for stage in RuleStage:
        rules = [rule for rule in wanted if rule.stage is stage]
        placed = _placed(rules)
        found |= {rule.id: new for rule, new in zip(rules, placed, strict=True) if new != rule.priority}
    return found


def _placed(rules: Sequence[Rule]) -> list[int]:
    """A priority for each rule of a stage. Those that stand in order already keep theirs; the others get one between
    these, or where there is no room, push the next ones on."""
    kept = _longest_in_order([order_key(rule) for rule in rules])
    placed: list[int] = []
    for place, rule in enumerate(rules):
        if place in kept:
            # Its own, or that of the one before it, which was pushed on: what is alike stays so.
            choices = [rule.priority, *placed[-1:]]
            fits = [new for new in choices if place == 0 or _after(rule, new, rules[place - 1], placed[-1])]
            if fits:
                placed.append(fits[0])
                continue
        ahead = next((other for other in range(place + 1, len(rules)) if other in kept), None)
        placed.append(_between(placed[-1] if placed else None, rules, place, ahead))
    if placed and max(map(abs, placed)) > MAX_PRIORITY:
        return [STEP * place for place in range(1, len(rules) + 1)]
    return placed


def _between(low: int | None, rules: Sequence[Rule], place: int, ahead: int | None) -> int:
    """A priority above `low`, and below that of the next rule that keeps its own (at `ahead`) if there is room."""
    if ahead is None:
        return STEP if low is None else low + STEP
    high, others = rules[ahead].priority, ahead - place
    if low is None:
        return high - STEP * others
    return low + max(1, min(STEP, (high - low) // (others + 1)))


def _after(rule: Rule, priority: int, before: Rule, its: int) -> bool:
    """Whether the rule comes after the other one with these priorities; alike ones are told apart as ever."""
    return (priority, *order_key(rule)[2:]) > (its, *order_key(before)[2:])


def _longest_in_order(keys: Sequence[Any]) -> set[int]:
    """The places of a longest rising part of the keys, which are all different (patience sorting)."""
    lowest: list[Any] = []
    last: list[int] = []
    before: list[int | None] = []
    for place, key in enumerate(keys):
        length = bisect_left(lowest, key)
        before.append(last[length - 1] if length else None)
        if length == len(lowest):
            lowest.append(key)
            last.append(place)
        else:
            lowest[length], last[length] = key, place
    found: set[int] = set()
    at: int | None = last[-1] if last else None
    while at is not None:
        found.add(at)
        at = before[at]
    return found
