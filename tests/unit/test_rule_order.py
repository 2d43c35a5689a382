"""Putting rules in an order changes as few of them as can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from core.domain.rule_order import new_priorities
from core.domain.rules import MAX_PRIORITY, Rule, RuleStage, order_key
from tests.unit.building import a_rule, leaf

WHEN = leaf("text", "contains", "ab")


def rules_of(*priorities: int) -> list[Rule]:
    return [a_rule(WHEN, number, priority=priority) for number, priority in enumerate(priorities, start=1)]


def ordered(rules: Sequence[Rule], changed: dict[object, int]) -> list[Rule]:
    return sorted((replace(rule, priority=changed.get(rule.id, rule.priority)) for rule in rules), key=order_key)


def moved(priorities: Sequence[int], wanted: Sequence[int]) -> dict[int, int]:
    """The new priorities by number, for the order of the numbers; they give that order."""
    rules = rules_of(*priorities)
    order = [rules[number - 1] for number in wanted]
    changed = new_priorities(order)
    assert [rule.id for rule in ordered(rules, dict(changed))] == [rule.id for rule in order]
    return {id.int: priority for id, priority in changed.items()}


@pytest.mark.parametrize(
    ("priorities", "wanted", "changed"),
    [
        ((), (), {}),
        ((10, 20, 30), (1, 2, 3), {}),
        ((10, 20, 30), (3, 1, 2), {3: 0}),
        ((10, 20, 30), (2, 3, 1), {1: 40}),
        ((10, 20, 30), (1, 3, 2), {3: 15}),
        ((10, 20, 500), (1, 3, 2), {3: 15}),
        ((10, 1000, 2000, 3000), (4, 1, 2, 3), {4: 0}),
        ((10, 1000, 2000, 3000), (1, 4, 2, 3), {4: 20}),
        ((10, 11, 12, 13), (1, 4, 2, 3), {4: 11, 2: 12}),
        ((100, 100, 100), (3, 1, 2), {3: 90}),
        ((100, 100, 100), (2, 3, 1), {1: 110}),
        ((100, 100, 100, 100, 200), (1, 5, 2, 3, 4), {5: 101, 2: 102, 3: 102, 4: 102}),
    ],
)
def test_few_rules_change(priorities: Sequence[int], wanted: Sequence[int], changed: dict[int, int]) -> None:
    assert moved(priorities, wanted) == changed


def test_any_order_can_be_had_of_any_priorities() -> None:
    random = Random(7)
    for _ in range(300):
        count = random.randrange(1, 12)
        wanted = list(range(1, count + 1))
        random.shuffle(wanted)
        moved([random.choice((-3, 0, 1, 2, 100)) for _ in wanted], wanted)


def test_at_the_ends_of_what_a_priority_may_be_all_are_placed_anew() -> None:
    assert moved((MAX_PRIORITY - 1, MAX_PRIORITY, 5), (1, 2, 3)) == {1: 10, 2: 20, 3: 30}
    assert moved((-MAX_PRIORITY, 5), (2, 1)) == {2: 10, 1: 20}


def test_stages_are_ordered_each_by_itself() -> None:
    first, second = rules_of(10, 20)
    late = a_rule(WHEN, 3, priority=1, stage=RuleStage.POST)
    assert new_priorities([late, first, second]) == {}
    assert new_priorities([second, late, first]).keys() <= {first.id, second.id}
