"""What the rules port promises, for the reference matcher and the compiled one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest

from adapters.matching.compiled import CompiledMatcher
from adapters.matching.matcher import ReferenceMatcher
from core.domain.conditions import parse_condition
from core.domain.rule_evaluation import RuleOutcome
from core.domain.rules import Action, Rule, RuleStage
from core.errors import RuleInvalid
from ports.matching import RuleMatcher, RuleSet
from tests.unit.building import TENANT, a_record, a_rule, leaf, rule_types

YES, NO = leaf("text", "contains", "tesco"), leaf("text", "contains", "aldi")
OTHER = UUID(int=5)
Make = Callable[..., RuleMatcher]


@pytest.fixture(params=[ReferenceMatcher, CompiledMatcher], ids=["reference", "compiled"])
def make(request: pytest.FixtureRequest) -> Make:
    return lambda **settings: request.param(settings.pop("types", rule_types()), **settings)


@pytest.fixture
def matcher(make: Make) -> RuleMatcher:
    return make()


def never() -> Sequence[Rule]:
    raise AssertionError("what is at hand is not loaded again")


def numbers(rules: RuleSet, text: str = "TESCO STORES") -> list[int]:
    (outcome,) = rules.evaluate([a_record(text)])
    return [match.rule.id.int for match in outcome.matches]


def test_rules_are_the_enabled_ones_in_the_order_in_which_they_are_asked(matcher: RuleMatcher) -> None:
    rules = matcher.compile(
        [
            a_rule(YES, 1, stage=RuleStage.POST),
            a_rule(YES, 2, priority=200),
            a_rule(YES, 3, enabled=False),
            a_rule({"all": [YES, leaf("amount", "lt", 0)]}, 4),
            a_rule(YES, 5),
            a_rule(NO, 6, stage=RuleStage.PRE, priority=900),
        ]
    )
    assert [rule.id.int for rule in rules.rules] == [6, 4, 5, 2, 1]
    assert numbers(rules) == [4, 5, 2, 1]


def test_the_winner_is_the_first_trusted_rule_that_decides_up_to_stop(matcher: RuleMatcher) -> None:
    tags = a_rule(YES, 1, priority=1, then=Action(tags=("a",)))
    doubted = a_rule(YES, 2, priority=2, trusted=False)
    trusted = a_rule(leaf("text", "starts_with", "tesco"), 3, priority=3, then=Action(review=True))
    for rules, winner, matches in (
        ([tags], -1, 1),
        ([tags, doubted], 1, 2),
        ([tags, doubted, trusted], 2, 3),
        ([tags, replace(doubted, stop=True), trusted], 1, 2),
        ([replace(tags, stop=True), doubted, trusted], -1, 1),
        ([], -1, 0),
    ):
        ready = matcher.compile(rules)
        (outcome,) = ready.evaluate([a_record()])
        assert list(ready.winners([a_record(), a_record("nothing")])) == [winner, -1]
        assert len(outcome.matches) == matches
        assert (outcome.winner.rule if outcome.winner else None) == (rules[winner] if winner >= 0 else None)


def test_no_records_and_no_rules_are_answered(matcher: RuleMatcher) -> None:
    rules = matcher.ruleset(TENANT, 1, list)
    assert rules.rules == ()
    assert list(rules.evaluate([a_record()])) == [RuleOutcome()]
    assert list(rules.winners([a_record()])) == [-1]
    assert list(rules.evaluate([])) == list(rules.winners([])) == []


def test_a_version_at_hand_is_not_loaded_again_and_a_new_one_is(matcher: RuleMatcher) -> None:
    assert numbers(matcher.ruleset(TENANT, 1, lambda: [a_rule(YES)])) == [1]
    assert numbers(matcher.ruleset(TENANT, 1, never)) == [1]
    assert numbers(matcher.ruleset(TENANT, 2, lambda: [a_rule(NO)])) == []
    assert numbers(matcher.ruleset(TENANT, 2, never)) == []


def test_tenants_are_kept_apart_and_the_one_used_longest_ago_is_forgotten(make: Make) -> None:
    matcher = make(capacity=2)
    for number, when in enumerate((YES, NO), 5):
        rules = [a_rule(when, tenant_id=UUID(int=number))]
        matcher.ruleset(UUID(int=number), 1, lambda rules=rules: rules)  # type: ignore[misc]
    assert numbers(matcher.ruleset(OTHER, 1, never)) == [1]
    matcher.ruleset(UUID(int=7), 1, list)
    assert numbers(matcher.ruleset(OTHER, 1, never)) == [1]
    with pytest.raises(AssertionError):
        matcher.ruleset(UUID(int=6), 1, never)


EDITS: list[tuple[str, dict[str, Any], list[int]]] = [
    ("its condition", {"when": parse_condition(NO)}, [1, 3]),
    ("its condition, to what has no words", {"when": parse_condition(leaf("amount", "lt", 0))}, [1, 3, 2]),
    ("its priority", {"priority": 1}, [2, 1, 3]),
    ("its stage", {"stage": RuleStage.POST}, [1, 3, 2]),
    ("stop", {"stop": True}, [1, 2]),
    ("enabled", {"enabled": False}, [1, 3]),
    ("nothing but what counts", {"hits": 7, "trusted": False}, [1, 2, 3]),
]


@pytest.mark.parametrize(("changes", "matches"), [edit[1:] for edit in EDITS], ids=[edit[0] for edit in EDITS])
def test_an_edit_is_live_in_the_next_version(matcher: RuleMatcher, changes: dict[str, Any], matches: list[int]) -> None:
    rules = [a_rule(YES, n) for n in (1, 2, 3)]
    before = matcher.ruleset(TENANT, 1, lambda: rules)
    edited = [rules[2], replace(rules[1], version=2, **changes), rules[0]]
    after = matcher.ruleset(TENANT, 2, lambda: edited)
    assert numbers(after) == matches
    assert all(rule in edited for rule in after.rules), "the rules are those that were loaded"
    assert numbers(before) == [1, 2, 3], "a rule set at work does not change"
    assert numbers(matcher.ruleset(TENANT, 3, lambda: rules)) == [1, 2, 3], "and back"


def test_many_edits_one_by_one_and_at_once(matcher: RuleMatcher) -> None:
    rules = [a_rule(leaf("text", "contains", f"shop {n:03}"), n) for n in range(1, 301)]
    matcher.ruleset(TENANT, 1, lambda: rules)
    for version in range(2, 130):
        rules = [*rules]
        rules[version] = replace(
            rules[version], when=parse_condition(leaf("text", "contains", f"store {version:03}")), version=version
        )
        found = matcher.ruleset(TENANT, version, lambda rules=rules: rules)  # type: ignore[misc]
        assert numbers(found, f"at store {version:03}") == [version + 1]
        assert numbers(found, f"at shop {version + 1:03}") == []
        assert numbers(found, "shop 001 store 002") == [3, 1]
    found = matcher.ruleset(TENANT, 200, lambda: rules[250:])
    assert len(found.rules) == 50
    assert numbers(found, "shop 001 shop 300") == [300]


def test_drafts_leave_the_kept_rules_alone(matcher: RuleMatcher) -> None:
    rules = [a_rule(YES, 1), a_rule(YES, 2), a_rule(leaf("text", "contains", "stores"), 3)]
    matcher.ruleset(TENANT, 1, lambda: rules)
    draft = replace(rules[0], when=parse_condition(NO))
    assert numbers(matcher.compile([draft, *rules[1:]])) == [3, 2]
    assert numbers(matcher.compile([draft]), "aldi") == [1]
    assert numbers(matcher.compile([*rules, a_rule(leaf("text", "ends_with", "stores"), 4)])) == [3, 4, 1, 2]
    assert numbers(matcher.compile([replace(rules[0], stop=False, then=Action(review=True))])) == [1]
    assert numbers(matcher.ruleset(TENANT, 1, never)) == [3, 1, 2]


def test_a_rule_that_stands_twice_matches_twice(matcher: RuleMatcher) -> None:
    rules = [a_rule(YES, 1), a_rule(YES, 1)]
    matcher.ruleset(TENANT, 1, lambda: rules)
    assert numbers(matcher.compile(rules)) == [1, 1]


def test_a_plugin_that_comes_back_is_asked_from_the_next_version_on(make: Make) -> None:
    present: list[str] = []
    types = rule_types()

    def rule_type(key: str) -> Any:
        return types(key if present else "gone")

    matcher = make(types=rule_type)
    rules = [a_rule({"type": "answer", "params": {"answer": True}})]
    assert matcher.ruleset(TENANT, 1, lambda: rules).evaluate([a_record()])[0].errors
    present.append("answer")
    assert numbers(matcher.ruleset(TENANT, 2, lambda: rules)) == [1]


def test_what_cannot_be_served_is_refused_by_check_alone(matcher: RuleMatcher) -> None:
    for when in ({"type": "gone"}, leaf("text", "regex", "(?=a)")):
        with pytest.raises(RuleInvalid):
            matcher.check(a_rule(when))
        (outcome,) = matcher.compile([a_rule(when), a_rule(YES, 2)]).evaluate([a_record()])
        assert [match.rule.id.int for match in outcome.matches] == [2]
        assert [error.rule_id.int for error in outcome.errors] == [1]
    matcher.check(a_rule(leaf("text", "regex", "tes.o")))


def test_threads_share_a_rule_set_while_rules_change(matcher: RuleMatcher) -> None:
    records = [a_record(f"{shop} {n}") for n in range(200) for shop in ("tesco", "aldi", "lidl")]
    start = Barrier(4)

    def versions(version: int) -> Sequence[Rule]:
        return [a_rule(YES, 1), a_rule(NO if version % 2 else leaf("text", "contains", "lidl"), 2, version=version)]

    def work(thread: int) -> None:
        start.wait()
        for version in range(1, 25):
            rules = matcher.ruleset(TENANT, version, lambda version=version: versions(version))  # type: ignore[misc]
            second = "aldi" if version % 2 else "lidl"
            expected = [0 if "tesco" in r.text else 1 if second in r.text else -1 for r in records]
            places = {rule.id.int - 1: place for place, rule in enumerate(rules.rules)}
            assert list(rules.winners(records)) == [places.get(n, -1) for n in expected]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
