"""docs/rules.md: its examples are parsed, and its tables and limits are those of the code."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from adapters.rule_text.parser import LarkRuleText
from core.domain.condition_text import MAX_TEXT, OPERATORS, condition_to_text
from core.domain.conditions import (
    DATE_PARTS,
    MAX_DAYS,
    MAX_DEPTH,
    MAX_LEAVES,
    MAX_LITERAL,
    MAX_PARAMS,
    MAX_VALUES,
    TEXT_FIELDS,
    Condition,
    parse_condition,
)
from core.domain.rule_schema import rule_schema
from core.errors import RuleInvalid

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
BLOCKS = re.findall(r"```(rule|json)\n(.*?)```", PAGE, re.DOTALL)
PAIRS = [
    (text.strip(), json.loads(other))
    for (kind, text), (next_kind, other) in pairwise(BLOCKS)
    if (kind, next_kind) == ("rule", "json")
]
LINES = [line for kind, text in BLOCKS if kind == "rule" for line in text.splitlines()]
REFUSALS = re.findall(r"\| `(.*)` \| `(when.*)` \|", PAGE)
PARSER = LarkRuleText()


def parsed(written: str) -> Condition:
    return parse_condition(json.loads(written)) if written.startswith("{") else PARSER.parse(written)


@pytest.mark.parametrize("line", LINES)
def test_every_text_is_a_condition(line: str) -> None:
    condition = PARSER.parse(line)
    assert PARSER.parse(condition_to_text(condition)) == condition


@pytest.mark.parametrize(("text", "value"), [pair for pair in PAIRS if "name" not in pair[1]])
def test_both_forms_that_stand_together_say_the_same(text: str, value: Any) -> None:
    assert PARSER.parse(text) == parse_condition(value)
    assert parse_condition(value) == PARSER.parse(condition_to_text(parse_condition(value)))


def test_there_are_examples_and_the_whole_rule_is_one() -> None:
    assert len(PAIRS) >= 5
    assert len(REFUSALS) >= 6
    rules = [rule for kind, text in BLOCKS if kind == "json" and "name" in (rule := json.loads(text))]
    assert len(rules) == 1
    Draft202012Validator(rule_schema()).validate(rules[0])


def test_the_line_with_parentheses_is_what_the_one_without_becomes() -> None:
    mixed, written = [line for line in LINES if "Savings" in line]
    assert condition_to_text(PARSER.parse(mixed)) == condition_to_text(PARSER.parse(written))
    assert written == condition_to_text(PARSER.parse(written))


@pytest.mark.parametrize(("written", "answer"), REFUSALS)
def test_what_is_wrong_is_answered_as_the_page_says(written: str, answer: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        parsed(written)
    assert str(refused.value) == answer


def test_the_page_names_every_field_operator_and_limit() -> None:
    for name in (*TEXT_FIELDS, *DATE_PARTS, "amount", "date", *OPERATORS):
        assert f"`{name}`" in PAGE, name
    for limit in (MAX_DAYS, MAX_DEPTH, MAX_LEAVES, MAX_LITERAL, MAX_PARAMS, MAX_TEXT, MAX_VALUES):
        assert f"{limit:,}" in PAGE, limit
