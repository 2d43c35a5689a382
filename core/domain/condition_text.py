"""The one-line text form of conditions, as it is written; `ports.rule_text` reads it back.

`text contains "UBER" and amount < 0 and not (currency = EUR)` says the same as the JSON form of
`core.domain.conditions`. docs/rules.md tells the whole language.
"""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal

from core.domain.conditions import (
    ATTRIBUTES,
    DATE_PARTS,
    AllOf,
    AnyOf,
    Condition,
    DaysFromRecord,
    Leaf,
    Literal,
    Not,
    PluginLeaf,
)

MAX_TEXT = 100_000
"""Characters of a condition that is read from text; what is longer is sent as JSON."""
RESERVED = (
    *("and", "or", "not", "all", "any", "in", "between", "contains", "starts_with", "ends_with", "matches", "regex"),
    *("equals", "case_sensitive"),
)
"""Words that stand for nothing else, in any case: as a value, or as the key of a rule type, they are quoted."""
OPERATORS = {
    "equals": "=",
    "in": "in",
    "contains": "contains",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "regex": "matches",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
    "between": "between",
}
"""How each operator of the JSON form is written."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
_STEP = re.compile(r"[A-Za-z0-9_-]+")
_PROSE = frozenset({"anywhere", "text", "counterparty"})
_UNSEEN = r"\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
"""Line breaks of Unicode, halves of surrogate pairs, and what is invisible or turns the direction of writing."""
_ESCAPED = re.compile(rf'["\\\x00-\x1f{_UNSEEN}]')
_ESCAPED_IN_JSON = re.compile(f"[{_UNSEEN}]")
_NOT_AS_IT_STANDS = re.compile(rf"[\x00-\x1f{_UNSEEN}]")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def condition_to_text(condition: Condition) -> str:
    """The condition in one line; reading it back (`ports.rule_text`) gives an equal one, unless it is over `MAX_TEXT`.

    Equal conditions of equal literals are written alike: `all` and `any` within another stand in parentheses, texts in
    double quotes, those with a backslash in single ones.
    """
    match condition:
        case AllOf(children=children):
            return _joined("all", " and ", children)
        case AnyOf(children=children):
            return _joined("any", " or ", children)
        case Not(child=child):
            return f"not ({condition_to_text(child)})"
        case PluginLeaf(type=key, params=params):
            written = json.dumps(params, ensure_ascii=False) if params else ""
            return f"{_bare_or_quoted(key)}({_ESCAPED_IN_JSON.sub(_escape, written)})"
        case Leaf():
            return _leaf(condition)


def _joined(name: str, word: str, children: tuple[Condition, ...]) -> str:
    if len(children) == 1:
        return f"{name}({condition_to_text(children[0])})"
    return word.join(_within(child) for child in children)


def _within(condition: Condition) -> str:
    written = condition_to_text(condition)
    is_chain = isinstance(condition, AllOf | AnyOf) and len(condition.children) > 1
    return f"({written})" if is_chain else written


def _leaf(leaf: Leaf) -> str:
    values = [_value(literal, leaf) for literal in leaf.values]
    match leaf.op:
        case "in":
            value = f"({', '.join(values)})"
        case "between":
            value = " and ".join(values)
        case _:
            value = values[0]
    suffix = " case_sensitive" if leaf.case_sensitive else ""
    return f"{_field(leaf.field)} {OPERATORS[leaf.op]} {value}{suffix}"


def _field(name: str) -> str:
    if not name.startswith(ATTRIBUTES):
        return name
    steps = name.removeprefix(ATTRIBUTES).split(".")
    return ATTRIBUTES + ".".join(step if _STEP.fullmatch(step) else _quoted(step) for step in steps)


def _value(literal: Literal, leaf: Leaf) -> str:
    match literal:
        case str():
            is_prose = leaf.field in _PROSE or leaf.op not in ("equals", "in")
            return _quoted(literal) if is_prose or literal.lower() == "record" else _bare_or_quoted(literal)
        case Decimal():
            return str(int(literal)) if leaf.field in DATE_PARTS else format(literal, "f")
        case DaysFromRecord(days=days):
            return f"record {'-' if days < 0 else '+'} {abs(days)} days"
        case date():
            return literal.isoformat()


def _bare_or_quoted(text: str) -> str:
    return text if _WORD.fullmatch(text) and text.lower() not in RESERVED else _quoted(text)


def _quoted(text: str) -> str:
    """In single quotes where that spares a backslash its double: so a regex reads as it is."""
    if "\\" in text and not _NOT_AS_IT_STANDS.search(text):
        return "'" + text.replace("'", "''") + "'"
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}")
