"""The published schema accepts what the parsers accept, refuses what they refuse, and tells where it can't."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from core.domain.conditions import (
    DATE_PARTS,
    MAX_DAYS,
    MAX_LEAVES,
    MAX_LITERAL,
    MAX_VALUES,
    TEXT_FIELDS,
    condition_to_json,
    operators,
    parse_condition,
)
from core.domain.rule_schema import SCHEMA_ID, rule_schema
from core.domain.rules import MAX_PRIORITY, MAX_TAGS, action_to_json, parse_action
from core.errors import RuleInvalid
from tests.unit.building import leaf
from tests.unit.condition_strategies import CONDITIONS

SCHEMA = rule_schema()
RULE = Draft202012Validator(SCHEMA)
CONDITION = Draft202012Validator({"$ref": "#/$defs/condition", "$defs": SCHEMA["$defs"]})
A = leaf("text", "contains", "a")


def test_it_is_a_schema_and_plain_json() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$id"] == SCHEMA_ID
    assert rule_schema() is not SCHEMA


def test_every_reference_in_it_leads_somewhere_and_everything_is_used() -> None:
    written = json.dumps(SCHEMA)
    for name in SCHEMA["$defs"]:
        assert f'"#/$defs/{name}"' in written, name
    assert written.count('"$ref"') == sum(written.count(f'"#/$defs/{name}"') for name in SCHEMA["$defs"])


@given(CONDITIONS)
@settings(max_examples=200)
def test_what_the_parser_accepts_is_valid(value: Any) -> None:
    assert not list(CONDITION.iter_errors(value))
    assert not list(CONDITION.iter_errors(condition_to_json(parse_condition(value))))


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text = a",
        {},
        {"all": []},
        {"any": A},
        {"not": [A]},
        {"all": [A], "any": [A]},
        {"all": [A, {}]},
        {"all": [A] * (MAX_LEAVES + 1)},
        {"field": "text", "op": "contains"},
        {"field": "text", "value": "a"},
        {"op": "contains", "value": "a"},
        {**A, "negate": True},
        leaf("texts", "contains", "a"),
        leaf("attributes", "equals", "a"),
        leaf("attributes.", "equals", "a"),
        leaf("attributes.a..b", "equals", "a"),
        leaf("attributes" + ".a" * 10, "equals", "a"),
        leaf("text", "like", "a"),
        leaf("text", "lt", 1),
        leaf("amount", "contains", "1"),
        leaf("date", "regex", "2026"),
        leaf("text", "contains", ""),
        leaf("text", "contains", " "),
        leaf("text", "regex", ""),
        leaf("text", "contains", 3),
        leaf("text", "contains", "a\x00"),
        leaf("text", "contains", ["a"]),
        leaf("text", "contains", "a" * (MAX_LITERAL + 1)),
        leaf("text", "equals", None),
        leaf("text", "in", "a"),
        leaf("text", "in", []),
        leaf("text", "in", ["a"] * (MAX_VALUES + 1)),
        leaf("text", "contains", "a", case_sensitive="yes"),
        leaf("amount", "lt", 1, case_sensitive=True),
        leaf("amount", "lt", "ten"),
        leaf("amount", "lt", True),
        leaf("amount", "lt", 2e24),
        leaf("amount", "lt", {"days": 1}),
        leaf("amount", "between", [1]),
        leaf("amount", "between", [1, 2, 3]),
        leaf("amount", "between", 1),
        leaf("date", "lt", "31.01.2026"),
        leaf("date", "lt", {"days": 1}),
        leaf("month", "equals", 13),
        leaf("month", "equals", 1.5),
        leaf("days_left", "equals", -1),
        leaf("attributes.a", "lt", {"days": MAX_DAYS + 1}),
        leaf("attributes.a", "lt", {"days": 1.5}),
        leaf("attributes.a", "lt", {"days": 1, "of": "x"}),
        leaf("attributes.a", "equals", {"days": 1}),
        leaf("attributes.a", "between", [1, {"days": 1}]),
        leaf("attributes.a", "between", [1, "2026-01-31"]),
        {"type": ""},
        {"type": "x", "params": []},
        {"type": "x", "param": {}},
    ],
)
def test_what_is_wrong_fails_the_schema_and_the_parser(value: Any) -> None:
    assert not CONDITION.is_valid(value)
    with pytest.raises(RuleInvalid):
        parse_condition(value)


@pytest.mark.parametrize(
    "value",
    [
        leaf("amount", "between", [2, 1]),
        leaf("attributes.a", "between", [{"days": 2}, {"days": 1}]),
        leaf("date", "lt", "2026-02-30"),
        leaf("weekday", "equals", "8"),
        {"any": [{"all": [A] * 300}] * 2},
        {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": A}}}}}}}}}},
    ],
)
def test_what_no_schema_can_say_is_left_to_the_parser(value: Any) -> None:
    CONDITION.validate(value)
    with pytest.raises(RuleInvalid):
        parse_condition(value)


def test_each_field_has_the_operators_of_the_parser() -> None:
    values = {"in": ["2"], "between": ["2", "2"]}
    known = {op for name in ("text", "amount", "attributes.a") for op in operators(name)}
    for name in (*TEXT_FIELDS, *DATE_PARTS, "amount", "attributes.a"):
        for op in known:
            assert CONDITION.is_valid(leaf(name, op, values.get(op, "2"))) is (op in operators(name)), (name, op)


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"when": 'text contains "UBER" and amount < 0'}, True),
        ({"stage": "pre", "priority": -5, "stop": True, "enabled": False}, True),
        ({"when": ""}, False),
        ({"when": leaf("texts", "contains", "a")}, False),
        ({"name": " "}, False),
        ({"stage": "last"}, False),
        ({"priority": MAX_PRIORITY + 1}, False),
        ({"priority": 1.5}, False),
        ({"stop": "yes"}, False),
        ({"prio": 1}, False),
    ],
)
def test_a_rule_is_checked_as_a_whole(changes: dict[str, Any], valid: bool) -> None:
    rule = {"name": "Rides", "when": A, "then": {"category": "transport"}}
    assert RULE.is_valid({**rule, **changes}) is valid
    for name in rule:
        assert not RULE.is_valid({key: value for key, value in rule.items() if key != name})


@pytest.mark.parametrize(
    ("action", "valid"),
    [
        ({"category": str(UUID(int=1))}, True),
        ({"category": None, "review": True}, True),
        ({"tags": ["a"], "fields": {"project": "x"}, "skip": True}, True),
        ({}, False),
        ({"category": 3}, False),
        ({"tags": "a"}, False),
        ({"tags": [""]}, False),
        ({"tags": ["a"] * (MAX_TAGS + 1)}, False),
        ({"fields": {"": "x"}}, False),
        ({"fields": {"a": 1}}, False),
        ({"review": "yes"}, False),
        ({"delete": True}, False),
    ],
)
def test_an_action_is_checked_as_the_parser_does(action: dict[str, Any], valid: bool) -> None:
    rule = {"name": "Rides", "when": A, "then": action}
    assert RULE.is_valid(rule) is valid
    if valid:
        assert RULE.is_valid({**rule, "then": action_to_json(parse_action(action))})
    else:
        with pytest.raises(RuleInvalid):
            parse_action(action)
