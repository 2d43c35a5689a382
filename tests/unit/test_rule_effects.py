from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from core.domain.decisions import Decision, Stage
from core.domain.records import RecordStatus, Snapshot
from core.domain.rule_conflicts import Pairs, add_conflicts
from core.domain.rule_effects import MAX_SAMPLES, Effect, Effects, Shadows, Step, add_shadows, change_of, step, twin
from core.domain.rule_evaluation import RuleMatch, RuleOutcome
from core.domain.rules import Action, Rule
from tests.unit.building import a_rule

FUEL, TRAVEL = UUID(int=101), UUID(int=102)
RULE, OTHER = UUID(int=1), UUID(int=2)
WHEN = {"field": "text", "op": "contains", "value": "uber"}


def stored(status: str = "processed", category: UUID | None = FUEL, **changes: Any) -> Snapshot:
    values: dict[str, Any] = {
        "id": UUID(int=9),
        "connection_id": UUID(int=5),
        "kind": "transaction",
        "account": "",
        "occurred_at": date(2026, 1, 31),
        "text": "UBER TRIP",
        "counterparty": "",
        "amount": Decimal("-10"),
        "currency": "EUR",
        "attributes": {},
        "status": RecordStatus(status),
        "category_id": category,
        "stage": "similarity" if status == "processed" else None,
        "rule_id": None,
        "asked": False,
        "version": 3,
    }
    return Snapshot(**values | changes)


def gives(category: UUID | None, **changes: Any) -> Rule:
    return replace(a_rule(WHEN), then=Action(category_id=category, **changes))


@pytest.mark.parametrize(
    ("record", "winner", "expected"),
    [
        (stored(category=FUEL), gives(TRAVEL), Step.RULES_SETTLE),
        (stored(category=TRAVEL), gives(TRAVEL), None),
        (stored("needs_review", None), gives(TRAVEL), Step.RULES_SETTLE),
        (stored("failed", None), gives(TRAVEL), Step.RULES_SETTLE),
        (stored("needs_review", None), gives(TRAVEL, review=True), None),
        (stored(category=TRAVEL), gives(TRAVEL, review=True), Step.RULES_SETTLE),
        (stored(category=FUEL), gives(None, skip=True), Step.RULES_SETTLE),
        (stored(category=None), gives(None, skip=True), None),
        (stored(category=FUEL), None, None),
        (stored(category=FUEL, stage="rules"), None, Step.ASK_LATER_STAGES),
        (stored("needs_review", None, asked=True), None, Step.ASK_LATER_STAGES),
        (stored("ingested", None), gives(TRAVEL), None),
        (stored("held", None), gives(TRAVEL), None),
    ],
)
def test_what_the_rules_would_do(record: Snapshot, winner: Rule | None, expected: Step | None) -> None:
    assert step(record, winner, None) is expected


@pytest.mark.parametrize("status", ["approved", "overridden"])
def test_what_a_person_decided_is_never_touched(status: str) -> None:
    assert step(stored(status, FUEL), gives(TRAVEL), None) is Step.CONTRADICTS
    assert step(stored(status, FUEL), gives(FUEL), None) is None
    assert step(stored(status, FUEL), gives(TRAVEL, review=True), None) is None, "it asks, and says nothing else"
    assert step(stored(status, FUEL, stage="rules"), None, None) is None
    assert step(stored(status, FUEL), replace(gives(TRAVEL), trusted=False), None) is None
    assert step(stored(status, FUEL), replace(gives(TRAVEL), demoted=True), None) is None


def test_an_untrusted_winner_does_not_act() -> None:
    suggests = replace(gives(TRAVEL), trusted=False)
    assert step(stored("needs_review", None), suggests, None) is None
    assert step(stored(category=FUEL, stage="rules"), suggests, None) is Step.ASK_LATER_STAGES


def test_a_demoted_winner_asks() -> None:
    demoted = replace(gives(TRAVEL), demoted=True)
    assert step(stored(category=TRAVEL, stage="rules"), demoted, None) is Step.RULES_SETTLE
    assert step(stored("needs_review", None), demoted, None) is None


def test_the_scope_is_what_a_rule_wins_or_had_won() -> None:
    scope = frozenset({RULE})
    elsewhere = replace(gives(TRAVEL), id=OTHER)
    assert step(stored(category=FUEL), elsewhere, scope) is None
    assert step(stored(category=FUEL, rule_id=RULE), elsewhere, scope) is Step.RULES_SETTLE
    assert step(stored(category=FUEL, stage="rules", rule_id=RULE), None, scope) is Step.ASK_LATER_STAGES
    assert step(stored(category=FUEL, stage="rules", rule_id=OTHER), None, scope) is None
    assert step(stored("approved", FUEL, rule_id=RULE), elsewhere, scope) is None


@pytest.mark.parametrize(
    ("before", "status", "category", "effect"),
    [
        (stored("needs_review", None), RecordStatus.PROCESSED, FUEL, Effect.NEWLY_DECIDED),
        (stored("failed", None), RecordStatus.PROCESSED, FUEL, Effect.NEWLY_DECIDED),
        (stored(category=FUEL), RecordStatus.PROCESSED, TRAVEL, Effect.CHANGED),
        (stored(category=FUEL), RecordStatus.PROCESSED, FUEL, None),
        (stored(category=FUEL), RecordStatus.NEEDS_REVIEW, None, Effect.RELEASED),
        (stored("needs_review", None), RecordStatus.NEEDS_REVIEW, None, None),
    ],
)
def test_the_effect_of_a_decision(
    before: Snapshot, status: RecordStatus, category: UUID | None, effect: Effect | None
) -> None:
    decision = Decision(record_id=before.id, status=status, category_id=category, stage=Stage.RULES, trace={})
    change = change_of(before, decision)
    assert (change.effect if change else None) is effect


def test_effects_count_all_and_show_some() -> None:
    effects = Effects()
    before = stored("needs_review", None)
    decision = Decision(record_id=before.id, status=RecordStatus.PROCESSED, category_id=FUEL, trace={})
    change = change_of(before, decision)
    assert change is not None
    effects.add([change] * (MAX_SAMPLES + 5))
    assert effects.counts[Effect.NEWLY_DECIDED] == MAX_SAMPLES + 5
    assert len(effects.samples[Effect.NEWLY_DECIDED]) == MAX_SAMPLES


def test_lights_tell_who_stands_before_whom() -> None:
    lights = {RULE: Shadows()}
    add_shadows(lights, (RULE,), RULE, OTHER)
    add_shadows(lights, (RULE,), OTHER, OTHER)
    add_shadows(lights, (RULE,), RULE, None)
    light = lights[RULE]
    assert (light.matches, light.wins, dict(light.shadowed_by), dict(light.shadowing)) == (3, 2, {OTHER: 1}, {OTHER: 1})
    assert not light.unreachable
    assert Shadows(matches=2, shadowed_by=light.shadowed_by).unreachable
    assert not Shadows().unreachable, "what matches nothing yet may still come"


def test_a_twin_is_an_earlier_rule_with_the_same_condition() -> None:
    first, second = gives(FUEL), replace(gives(TRAVEL), id=OTHER)
    assert twin(second, [first, second]) == first.id
    assert twin(first, [first, second]) is None
    assert twin(second, [replace(first, trusted=False), second]) is None
    assert twin(second, [replace(first, then=Action(tags=("x",))), second]) is None


def outcome(*rules: Rule) -> RuleOutcome:
    return RuleOutcome(matches=tuple(RuleMatch(rule=rule) for rule in rules))


def test_conflicts_are_pairs_that_disagree() -> None:
    fuel, travel = gives(FUEL), replace(gives(TRAVEL), id=OTHER)
    agreeing = replace(gives(FUEL), id=UUID(int=3))
    both, one = outcome(fuel, travel, agreeing), outcome(fuel, agreeing)
    pairs: Pairs = {}
    outcomes: Sequence[RuleOutcome] = [both, one, both, outcome()]
    add_conflicts(pairs, [UUID(int=n) for n in range(4)], outcomes)
    assert {(p.first.id, p.second.id): p.records for p in pairs.values()} == {
        (RULE, OTHER): 2,
        (OTHER, UUID(int=3)): 2,
    }
    assert pairs[RULE, OTHER].samples == [UUID(int=0), UUID(int=2)]
