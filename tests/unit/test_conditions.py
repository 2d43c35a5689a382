"""The condition language: what is accepted, what is refused and where, and that nothing is lost on the way back."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.conditions import (
    DATE_PARTS,
    MAX_DAYS,
    MAX_DEPTH,
    MAX_LEAVES,
    MAX_LITERAL,
    MAX_VALUES,
    TEXT_FIELDS,
    AllOf,
    DaysFromRecord,
    Leaf,
    Not,
    PluginLeaf,
    condition_to_json,
    count_leaves,
    parse_condition,
    specificity,
)
from core.errors import RuleInvalid
from tests.unit.building import leaf
from tests.unit.condition_strategies import CONDITIONS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(sorted(TEXT_FIELDS)),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(["all", "any", "not", "field", "op", "value", "type", "params", "case_sensitive", "x"]),
            children | st.sampled_from(["equals", "in", "between", "regex", "amount", "date", "attributes.a"]),
        )
    ),
    max_leaves=20,
)


@given(CONDITIONS)
def test_a_condition_comes_back_from_its_json_equal(value: Any) -> None:
    condition = parse_condition(value)
    written = json.loads(json.dumps(condition_to_json(condition)))
    assert parse_condition(written) == condition
    assert condition_to_json(parse_condition(written)) == written


@given(JSON)
@settings(max_examples=500)
def test_whatever_is_no_condition_is_refused_with_one_line(value: Any) -> None:
    try:
        parse_condition(value)
    except RuleInvalid as error:
        message = str(error)
        assert message.startswith("when")
        assert "\n" not in message
        assert len(message) < 1_000


@pytest.mark.parametrize(
    ("value", "values"),
    [
        (leaf("amount", "lt", "-10.50"), (Decimal("-10.50"),)),
        (leaf("amount", "equals", 3), (Decimal(3),)),
        (leaf("amount", "in", [1, "2.5"]), (Decimal(1), Decimal("2.5"))),
        (leaf("amount", "between", [-1.5, 2]), (Decimal("-1.5"), Decimal(2))),
        (leaf("date", "gte", "2026-01-31"), (date(2026, 1, 31),)),
        (leaf("weekday", "in", [6, 7]), (Decimal(6), Decimal(7))),
        (leaf("text", "in", ["a", ""]), ("a", "")),
        (leaf("attributes.mcc", "equals", 5411), ("5411",)),
        (leaf("attributes.paid", "equals", True), ("true",)),
        (leaf("attributes.due", "lt", "2026-02-01"), (date(2026, 2, 1),)),
        (leaf("attributes.score", "lt", "0.5"), (Decimal("0.5"),)),
        (leaf("amount", "lt", "0e999"), (Decimal(0),)),
        (leaf("days_left", "equals", 0), (Decimal(0),)),
        (leaf("attributes.due", "lte", {"days": 14}), (DaysFromRecord(days=14),)),
        (
            leaf("attributes.due", "between", [{"days": -3}, "2026-02-01"]),
            (DaysFromRecord(days=-3), date(2026, 2, 1)),
        ),
    ],
)
def test_literals_become_what_their_field_holds(value: Any, values: tuple[Any, ...]) -> None:
    parsed = parse_condition(value)
    assert isinstance(parsed, Leaf)
    assert parsed.values == values


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "when: a condition is a JSON object"),
        ({}, "when: a condition has one of the keys"),
        ({"all": []}, "when.all: a list of at least one"),
        ({"any": "x"}, "when.any: a list"),
        ({"all": [{"not": 3}]}, "when.all[0].not: a condition is a JSON object"),
        ({"all": [leaf("text", "contains", "a")], "any": []}, "when: unexpected key 'any'"),
        (leaf("texts", "contains", "a"), "when.field: 'texts' is not a field"),
        (leaf("attributes.", "equals", "a"), "when.field: 'attributes.'"),
        (leaf("amount", "contains", "1"), "when.op: 'contains' is not an operator of amount"),
        (leaf("text", "lt", "1"), "when.op: 'lt' is not an operator of text"),
        (leaf("amount", "lt", "ten"), "when.value: 'ten' is not a number"),
        (leaf("amount", "lt", float("nan")), "when.value: 'nan' is not a number"),
        (leaf("amount", "lt", 10**5_000), "when.value: the number is too large"),
        (leaf("amount", "lt", 1e300), "when.value: the number is too large"),
        (leaf("amount", "lt", True), "when.value: a number is needed"),
        (leaf("amount", "lt", "1" * 40), "when.value: the number is too large"),
        (leaf("amount", "between", [2, 1]), "when.value: 2 is above 1"),
        (leaf("amount", "between", [1]), "when.value: [low, high] is needed"),
        (leaf("attributes.a", "between", [1, "2026-01-01"]), "when.value: both ends"),
        (leaf("attributes.a", "between", [1, {"days": 2}]), "when.value: both ends"),
        (leaf("attributes.a", "between", [{"days": 2}, {"days": 1}]), "when.value: 2 is above 1"),
        (leaf("attributes.a", "lt", {"days": MAX_DAYS + 1}), "when.value: a relative date is"),
        (leaf("attributes.a", "lt", {"days": 1.5}), "when.value: a relative date is"),
        (leaf("attributes.a", "lt", {"days": True}), "when.value: a relative date is"),
        (leaf("attributes.a", "lt", {"days": 1, "of": "date"}), "when.value: a relative date is"),
        (leaf("attributes.a", "lt", {}), "when.value: a relative date is"),
        (leaf("attributes.a", "equals", {"days": 1}), "when.value: a relative date needs one of lt"),
        (leaf("attributes.a", "contains", {"days": 1}), "when.value: a text of at most"),
        (leaf("date", "lt", {"days": 1}), "when.value: relative dates are for attributes"),
        (leaf("amount", "lt", {"days": 1}), "when.value: a number is needed"),
        (leaf("month", "lt", {"days": 1}), "when.value: a number is needed"),
        (leaf("days_left", "equals", 31), "when.value: days_left is a whole number from 0 to 30"),
        (leaf("date", "lt", "2026-02-30"), "when.value: 2026-02-30 is not a date"),
        (leaf("weekday", "equals", 8), "when.value: weekday is a whole number from 1 to 7"),
        (leaf("month", "equals", "1.5"), "when.value: month is a whole number"),
        (leaf("text", "contains", " "), "when.value: an empty text is found everywhere"),
        (leaf("text", "regex", ""), "when.value: an empty text"),
        (leaf("text", "contains", "a\x00"), "when.value: a text of at most"),
        (leaf("text", "contains", "a" * (MAX_LITERAL + 1)), "when.value: a text of at most"),
        (leaf("text", "in", ["a"] * (MAX_VALUES + 1)), "when.value: 1001 values are more than"),
        (leaf("text", "in", ["a", 3, None]), "when.value[2]: a text"),
        (leaf("amount", "lt", 1, case_sensitive=True), "when.case_sensitive: "),
        ({"field": "text", "op": "contains"}, "when.value: is missing"),
        ({"type": "", "params": {}}, "when.type: the key"),
        ({"type": "x", "params": {"a": float("inf")}}, "when.params: not plain JSON"),
        ({"any": [leaf("text", "equals", "a")] * (MAX_LEAVES + 1)}, "when.any: 501 leaves"),
        ({"any": [{"all": [leaf("text", "equals", "a")] * 300}] * 2}, "when: 600 leaves"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        parse_condition(value)
    assert str(refused.value).startswith(message)


def test_nesting_has_a_limit() -> None:
    value: dict[str, Any] = leaf("text", "contains", "a")
    for _ in range(MAX_DEPTH - 1):
        value = {"not": value}
    parse_condition(value)
    with pytest.raises(RuleInvalid, match="nested deeper"):
        parse_condition({"not": value})


def test_every_date_part_keeps_its_range() -> None:
    for name, (low, high) in DATE_PARTS.items():
        parse_condition(leaf(name, "between", [low, high]))
        with pytest.raises(RuleInvalid):
            parse_condition(leaf(name, "equals", high + 1))


def test_plugin_leaves_carry_their_parameters() -> None:
    assert parse_condition({"type": "mcc", "params": {"codes": [1]}}) == PluginLeaf(type="mcc", params={"codes": [1]})
    assert parse_condition({"type": "mcc"}) == PluginLeaf(type="mcc")


def test_leaves_are_counted_through_the_tree() -> None:
    part = parse_condition(leaf("text", "contains", "a"))
    assert count_leaves(AllOf(children=(part, Not(child=AllOf(children=(part, part)))))) == 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (leaf("text", "contains", "tesco"), (1, 5)),
        (leaf("text", "in", ["tesco", "co"]), (1, 2)),
        (leaf("amount", "lt", 0), (1, 0)),
        ({"all": [leaf("text", "contains", "tesco"), leaf("amount", "lt", 0)]}, (2, 5)),
        ({"any": [leaf("text", "contains", "tesco"), leaf("text", "contains", "ab")]}, (1, 2)),
        ({"not": leaf("text", "contains", "tesco")}, (1, 0)),
        ({"not": {"any": [leaf("text", "contains", "a"), leaf("text", "contains", "b")]}}, (2, 0)),
        ({"not": {"all": [leaf("text", "contains", "a"), leaf("text", "contains", "b")]}}, (1, 0)),
        ({"type": "mcc"}, (1, 0)),
    ],
)
def test_specificity_counts_what_must_hold_together(value: Any, expected: tuple[int, int]) -> None:
    assert specificity(parse_condition(value)) == expected
