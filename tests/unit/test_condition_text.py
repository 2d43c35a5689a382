"""The text form: what is written reads back equal, and what is wrong is told with its column."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.rule_text.parser import LarkRuleText
from core.domain.condition_text import MAX_TEXT, OPERATORS, RESERVED, condition_to_text
from core.domain.conditions import MAX_DEPTH, MAX_VALUES, ORDER_OPS, TEXT_OPS, condition_to_json, parse_condition
from core.errors import RuleInvalid
from ports.rule_text import RuleTextParser
from tests.unit.building import leaf
from tests.unit.condition_strategies import CONDITIONS, HOSTILE

PARSER: RuleTextParser = LarkRuleText()
TOKENS = st.sampled_from(
    [
        *RESERVED,
        *OPERATORS.values(),
        *("text", "amount", "month", "attributes.a", 'attributes."b c"', "EUR", "record", "+", "-", "3", "days", "!="),
        *(
            "2026-01-31",
            '"a"',
            "'b'",
            '"',
            "'",
            "\\",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            ".",
            "null",
            "\n",
            "é",
            "\x00",
        ),
    ]
)


def refusal(text: str) -> str:
    with pytest.raises(RuleInvalid) as refused:
        PARSER.parse(text)
    return str(refused.value)


@given(CONDITIONS)
@settings(max_examples=300)
def test_every_condition_comes_back_from_its_text_equal(value: Any) -> None:
    condition = parse_condition(value)
    text = condition_to_text(condition)
    assert PARSER.parse(text) == condition
    assert len(text.splitlines()) == 1


@given(st.lists(TOKENS, max_size=25), st.sampled_from(["", " "]))
@settings(max_examples=500)
def test_whatever_is_no_condition_is_refused_with_one_line_and_a_column(tokens: list[str], space: str) -> None:
    text = space.join(tokens)
    try:
        condition = PARSER.parse(text)
    except RuleInvalid as error:
        message = str(error)
        assert message.startswith("when, column ")
        assert 1 <= int(message.removeprefix("when, column ").split(":")[0]) <= len(text) + 1
        assert len(message.splitlines()) == 1
        assert len(message) < 400
    else:
        written = condition_to_text(condition)
        assert PARSER.parse(written) == condition
        assert condition_to_text(PARSER.parse(written)) == written


@given(CONDITIONS, st.data())
def test_a_text_that_was_cut_or_changed_never_breaks_the_parser(value: Any, data: st.DataObject) -> None:
    text = condition_to_text(parse_condition(value))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    changed = text[:start] + text[end:]
    try:
        parsed = PARSER.parse(changed)
    except RuleInvalid as error:
        message = str(error)
        assert message.startswith("when, column ")
    else:
        assert PARSER.parse(condition_to_text(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("currency = EUR", leaf("currency", "equals", "EUR")),
        ("Currency == 'EUR'", leaf("currency", "equals", "EUR")),
        ("currency EQUALS EUR", leaf("currency", "equals", "EUR")),
        ("currency != EUR", {"not": leaf("currency", "equals", "EUR")}),
        ("currency <> EUR", {"not": leaf("currency", "equals", "EUR")}),
        ("currency not in (EUR, USD)", {"not": leaf("currency", "in", ["EUR", "USD"])}),
        ('text not contains "a"', {"not": leaf("text", "contains", "a")}),
        ("kind in [a, 'b c', 3]", leaf("kind", "in", ["a", "b c", "3"])),
        ("account = 00123", leaf("account", "equals", "00123")),
        ("account = in-store", leaf("account", "equals", "in-store")),
        ("account = Straße", leaf("account", "equals", "Straße")),
        ("kind = record", leaf("kind", "equals", "record")),
        ("amount < 0", leaf("amount", "lt", 0)),
        ("amount>=-1.5e2", leaf("amount", "gte", "-150")),
        ("amount between -5 and +5", leaf("amount", "between", [-5, 5])),
        ("amount not between 1 and 2", {"not": leaf("amount", "between", [1, 2])}),
        ("date >= 2026-01-31", leaf("date", "gte", "2026-01-31")),
        ("weekday in (6, 7)", leaf("weekday", "in", [6, 7])),
        ("days_left <= 2", leaf("days_left", "lte", 2)),
        ('text starts with "a"', leaf("text", "starts_with", "a")),
        ('text starts_with "a"', leaf("text", "starts_with", "a")),
        ('text Ends\n  With "a"', leaf("text", "ends_with", "a")),
        (r"text matches '^\d+ it''s\b'", leaf("text", "regex", r"^\d+ it's\b")),
        (r'text regex "\\d\u0041\n"', leaf("text", "regex", "\\dA\n")),
        ('text contains "Uber" case_sensitive', leaf("text", "contains", "Uber", case_sensitive=True)),
        ("text in (a, b) CASE_SENSITIVE", leaf("text", "in", ["a", "b"], case_sensitive=True)),
        ("attributes.mcc = 5411", leaf("attributes.mcc", "equals", 5411)),
        ("attributes.and.in = yes", leaf("attributes.and.in", "equals", "yes")),
        ('attributes."odd name".x = 1', leaf("attributes.odd name.x", "equals", 1)),
        ("attributes.due_date <= record + 14 days", leaf("attributes.due_date", "lte", {"days": 14})),
        ("attributes.due > record-1 day", leaf("attributes.due", "gt", {"days": -1})),
        (
            "attributes.due between record - 3 days and 2026-12-31",
            leaf("attributes.due", "between", [{"days": -3}, "2026-12-31"]),
        ),
        ("recurring()", {"type": "recurring"}),
        ('recurring({"every_days": 30})', {"type": "recurring", "params": {"every_days": 30}}),
        (
            '"and"({"a": [1, -2.5e3, "x\\b", null, true, {}]})',
            {"type": "and", "params": {"a": [1, -2500.0, "x\b", None, True, {}]}},
        ),
    ],
)
def test_each_part_of_the_language_says_what_the_json_form_says(text: str, value: Any) -> None:
    assert PARSER.parse(text) == parse_condition(value)


A, B, C = (leaf("text", "equals", word) for word in "abc")


@pytest.mark.parametrize(
    ("text", "value", "normal"),
    [
        ("text=a and text=b or text=c", {"any": [{"all": [A, B]}, C]}, '(text = "a" and text = "b") or text = "c"'),
        ("text=a or text=b AND text=c", {"any": [A, {"all": [B, C]}]}, 'text = "a" or (text = "b" and text = "c")'),
        (
            "(text=a or text=b) and text=c",
            {"all": [{"any": [A, B]}, C]},
            '(text = "a" or text = "b") and text = "c"',
        ),
        ("not text=a and text=b", {"all": [{"not": A}, B]}, 'not (text = "a") and text = "b"'),
        ("not (text=a and text=b)", {"not": {"all": [A, B]}}, 'not (text = "a" and text = "b")'),
        ("not not text=a", {"not": {"not": A}}, 'not (not (text = "a"))'),
        (
            "(text=a and text=b) and text=c",
            {"all": [{"all": [A, B]}, C]},
            '(text = "a" and text = "b") and text = "c"',
        ),
        ("((text=a)) and (text=b and (text=c))", {"all": [A, {"all": [B, C]}]}, None),
        ("all(text=a)", {"all": [A]}, 'all(text = "a")'),
        ("Any(text=a) and text=b", {"all": [{"any": [A]}, B]}, 'any(text = "a") and text = "b"'),
        ("all(text=a, any(text=b, text=c))", {"all": [A, {"any": [B, C]}]}, None),
        ("all(text=a and text=b)", {"all": [{"all": [A, B]}]}, 'all(text = "a" and text = "b")'),
    ],
)
def test_not_binds_before_and_and_and_before_or(text: str, value: Any, normal: str | None) -> None:
    condition = PARSER.parse(text)
    assert condition_to_json(condition) == value
    assert normal is None or condition_to_text(condition) == normal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1: expected a condition, found the end"),
        ("text contains and amount < 0", "15: expected a value, found 'and'"),
        ('text contains "a" and', "22: expected a condition, found the end"),
        ('text contains "a" and and', "23: expected a condition, found 'and'"),
        ("text", "5: expected an operator (=, in, contains, matches, <, between, ...), found the end"),
        ('text contain "a"', "6: expected an operator (=, in, contains, matches, <, between, ...), found 'contain'"),
        ('text contains "a" andtext = b', "19: expected one of: and, or, the end, found 'andtext'"),
        ('text contains "a', "15: the text that begins here has no closing quote"),
        ("text = “a”", "8: expected a value, found '“a”'"),
        ("(text = a", "10: expected ')', found the end"),
        ("text = a)", "9: expected one of: and, or, the end, found ')'"),
        ("amount between 1 or 2", "18: expected and, found 'or'"),
        ("amount < 5abc", "10: expected a value, found '5abc'"),
        ("kind in ()", "10: expected a value, found ')'"),
        ("attributes.a < record + soon", "25: expected a whole number, found 'soon'"),
        ('recurring({"a" 3})', "16: expected ':', found '3'"),
        ("recurring(3)", "11: expected one of: a JSON object, ')', found '3'"),
        (r'text matches "a\d"', r"16: no escape \d; write \\, or the text in 'single quotes'"),
        (r'text matches "\bUBER"', r"15: no escape \b; write \\, or the text in 'single quotes'"),
        ('recurring({"a": "\n"})', "17: not JSON"),
        # What the condition language refuses points at the part at fault.
        ("text = a and texts = b", "14: 'texts' is not a field"),
        ("text = a and not (x = b or amount matches b)", "19: 'x' is not a field"),
        ("amount matches b", "8: amount has no operator 'matches'; it has =, in, <, <=, >, >=, between"),
        (
            "text = a or text < b",
            "18: text has no operator '<'; it has =, in, contains, starts with, ends with, matches",
        ),
        ("kind = a and amount < ten", "23: 'ten' is not a number"),
        ("kind = a and amount in (1, ten)", "28: 'ten' is not a number"),
        ("currency = EUR and amount between 2 and 1", "35: 2 is above 1"),
        ("amount < 1 case_sensitive", "12: true or false, and only for texts"),
        ("date < 2026-02-30", "8: 2026-02-30 is not a date"),
        ("date < record + 1 day", "8: relative dates are for attributes; the"),
        ("attributes.a = record + 1 day", "16: a relative date needs one of"),
        ("attributes.a < record + 99999 days", "16: a relative date is"),
        ("attributes.a between 1 and record + 1 day", "22: both ends must be numbers, or both dates"),
        ('attributes."a.b" = 1', "12: a step of an attribute is not empty and has no dot in it"),
        ('text contains "\\u0000"', "15: a text of at most"),
        ("text != ' ' or text contains ' '", "30: an empty text is found everywhere"),
        ('""()', "1: the key of a rule type is needed"),
        ('x({"a": 1e999})', "3: not plain JSON"),
        (f'x({{"a": {"9" * 5_000}}})', "9: not JSON"),
        ("not " * MAX_DEPTH + "text = a", f"{4 * MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH}"),
        (f"kind in ({', '.join(['a'] * (MAX_VALUES + 1))})", "10: 1001 values are more than 1000"),
        ("text = a or " * 500 + "text = a", "1: 501 leaves are more than 500"),
        ("x" * (MAX_TEXT + 1), f"{MAX_TEXT + 1}: longer than"),
    ],
)
def test_what_is_wrong_is_told_with_its_column(text: str, message: str) -> None:
    told = refusal(text)
    assert told.startswith(f"when, column {message}")


@pytest.mark.parametrize("op", sorted(TEXT_OPS | ORDER_OPS))
def test_every_operator_has_a_text(op: str) -> None:
    assert PARSER.parse(f"attributes.a {OPERATORS[op]} {'1 and 2' if op == 'between' else '(1)' if op == 'in' else 1}")


@pytest.mark.parametrize("word", [*HOSTILE, "5411", "record"])
def test_texts_that_look_like_something_else_are_quoted(word: str) -> None:
    text = condition_to_text(parse_condition(leaf("kind", "equals", word)))
    assert PARSER.parse(text) == parse_condition(leaf("kind", "equals", word))
    if word.lower() in (*RESERVED, "record", "2026-01-31", "12", "007"):
        assert text == f'kind = "{word}"'


def test_an_error_that_was_found_later_gets_its_column() -> None:
    text = "amount < 0 and (kind = a or not text matches '(?=x)') and recurring()"
    regex = RuleInvalid("when.all[1].any[1].not.value: no look-around", hint="x")
    plugin = RuleInvalid("when.all[2]: recurring: ValueError: no")
    assert str(PARSER.at_column(text, regex)) == "when, column 46: no look-around"
    assert PARSER.at_column(text, regex).details == {"hint": "x"}
    assert str(PARSER.at_column(text, plugin)) == "when, column 59: recurring: ValueError: no"
    other = RuleInvalid("then.tags: no")
    assert PARSER.at_column(text, other) is other
    assert PARSER.at_column("no text", regex) is regex


@pytest.mark.parametrize(
    "text",
    [
        "not " * 24_000 + "text=a",
        "(" * 49_000 + "text=a" + ")" * 49_000,
        "(" * 99_999,
        "all(" * 20_000 + "text=a" + ")" * 20_000,
        "text in (" + "a," * 40_000 + "a)",
        "text=a or " * 9_000 + "text=a",
        'x({"a":' + "[" * 40_000 + "]" * 40_000 + "})",
        'x({"a":' * 5_000,
        "attributes" + ".a" * 40_000 + "=1",
        "attributes" + '."a' * 30_000,
        'text="' + "\\" * 90_000,
        "text=" + "'" * 90_001,
        "1" * MAX_TEXT,
        "a-" * 49_000,
        "starts" + " " * 90_000,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_long_or_breaks_the_parser(text: str) -> None:
    started = time.process_time()
    with suppress(RuleInvalid):
        PARSER.parse(text)
    assert time.process_time() - started < 5
