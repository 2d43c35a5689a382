"""The text form of conditions, read into the JSON form with the column of each of its parts.

What a condition may say is judged by `core.domain.conditions` alone; here its complaints get columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args

from adapters.rule_text.grammar import DOUBLE_QUOTED, GRAMMAR, SINGLE_QUOTED, told
from core.domain.condition_text import MAX_TEXT, OPERATORS
from core.domain.conditions import DATE_PARTS, TEXT_FIELDS, Condition, operators, parse_condition
from core.errors import RuleInvalid

_FIELDS = TEXT_FIELDS | DATE_PARTS.keys() | {"amount", "date"}
_OPS = {written.replace(" ", "_"): op for op, written in OPERATORS.items()} | {
    **{"==": "equals", "equals": "equals", "!=": "equals", "<>": "equals", "regex": "regex"}
}
_PATH = re.compile(r"when((?:\.[a-z_]+|\[[0-9]+\])*): (.*)", re.DOTALL)
_STEPS = re.compile(rf"\.(?:([\w-]+)|({DOUBLE_QUOTED}|{SINGLE_QUOTED}))", re.DOTALL)
_ESCAPES = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_WORD = re.compile(r"[^\s()\[\]{},:]{1,30}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A JSON value, the column that it was written at, and its parts by key or position."""

    column: int
    value: Any
    parts: Mapping[str, Part] = field(default_factory=dict)


class LarkRuleText:
    """Implements `ports.rule_text.RuleTextParser`. Time and memory grow with the length of the text, not its depth."""

    def __init__(self) -> None:
        self._lark = _made()

    def parse(self, text: str) -> Condition:
        root = self._read(text)
        try:
            return parse_condition(root.value)
        except RuleInvalid as error:
            raise _located(root, error) from error

    def at_column(self, text: str, error: RuleInvalid) -> RuleInvalid:
        try:
            return _located(self._read(text), error)
        except RuleInvalid:
            return error

    def _read(self, text: str) -> Part:
        if len(text) > MAX_TEXT:
            raise _wrong(MAX_TEXT + 1, f"longer than {MAX_TEXT} characters; the JSON form has no such limit")
        try:
            root: Any = self._lark.parse(text)
        except UnexpectedInput as error:
            raise _unexpected(text, error) from error
        assert isinstance(root, Part)  # noqa: S101 - the transformer makes nothing else of a condition
        return root


@cache
def _made() -> Lark:
    """Safe to share between threads; to be made takes it a tenth of a second."""
    return Lark(GRAMMAR, start="condition", parser="lalr", lexer="contextual", transformer=_Parts())


def _wrong(column: int, message: str) -> RuleInvalid:
    return RuleInvalid(f"when, column {column}: {message}")


def _unexpected(text: str, error: UnexpectedInput) -> RuleInvalid:
    expected = told(getattr(error, "interactive_parser").accepts())  # noqa: B009 - lark sets it on all of them, untyped
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return _wrong(len(text) + 1, f"expected {expected}, found the end")
    at = error.token.start_pos or 0 if isinstance(error, UnexpectedToken) else error.pos_in_stream or 0
    if isinstance(error, UnexpectedCharacters) and text[at] in "\"'":
        return _wrong(at + 1, "the text that begins here has no closing quote")
    found = word[0] if (word := _WORD.match(text, at)) else text[at]
    return _wrong(at + 1, f"expected {expected}, found {found!r}")


def _located(root: Part, error: RuleInvalid) -> RuleInvalid:
    if (found := _PATH.fullmatch(str(error))) is None:
        return error
    part, message = root, found[2]
    for step in re.findall(r"[a-z_]+|[0-9]+", found[1]):
        if step not in part.parts:
            break
        owner, part = part, part.parts[step]
        if step == "op":
            message = _no_operator(owner.value["field"], part.value)
    return RuleInvalid(f"when, column {part.column}: {message}", **error.details)


def _no_operator(name: str, op: str) -> str:
    known = ", ".join(sign for known, sign in OPERATORS.items() if known in operators(name))
    return f"{name[:60]} has no operator {OPERATORS[op]!r}; it has {known}"


def _column(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _unquoted(quoted: str, column: int) -> str:
    """What a quoted text says; `column` is its first quote's."""
    if quoted[0] == "'":
        return quoted[1:-1].replace("''", "'")
    for found in _ESCAPES.finditer(quoted):
        # JSON's \b and \f are left out: in a regex they would silently be something else than its \b.
        if len(found[1]) == 1 and found[1] not in '"\\/nrt':
            shown = found[0] if found[1].isprintable() else "\\"
            raise _wrong(column + found.start(), f"no escape {shown}; write \\\\, or the text in 'single quotes'")
    unquoted: str = json.loads(quoted, strict=False)
    return unquoted


def _json(token: Token) -> Any:
    try:
        return json.loads(token)
    except ValueError as error:
        raise _wrong(_column(token), "not JSON: a bad escape, a control character, or a number too long") from error


def _test(name: Part, negated: Token | None, op: Part, value: Part, case: Token | None) -> Part:
    json_form = {"field": name.value, "op": op.value, "value": value.value}
    parts = {"field": name, "op": op, "value": value}
    if case is not None:
        json_form["case_sensitive"] = True
        parts["case_sensitive"] = Part(column=_column(case), value=True)
    leaf = Part(column=name.column, value=json_form, parts=parts)
    return leaf if negated is None else _not(leaf)


def _not(child: Part, column: int | None = None) -> Part:
    return Part(column=column or child.column, value={"not": child.value}, parts={"not": child})


def _list(items: tuple[Part, ...], column: int) -> Part:
    return Part(
        column=column,
        value=[item.value for item in items],
        parts={str(place): item for place, item in enumerate(items)},
    )


def _tree(name: str, children: tuple[Part, ...], column: int) -> Part:
    listed = _list(children, column)
    return Part(column=column, value={name: listed.value}, parts={name: listed})


@v_args(inline=True)
class _Parts(Transformer[Token, Part]):
    """A method for each rule of the grammar that makes something of what its parts are."""

    def any_of(self, *children: Part) -> Part:
        return _tree("any", children, children[0].column)

    def all_of(self, *children: Part) -> Part:
        return _tree("all", children, children[0].column)

    def list_of(self, name: Token, *children: Part) -> Part:
        return _tree(name.lower(), children, _column(name))

    def negation(self, word: Token, child: Part) -> Part:
        return _not(child, _column(word))

    def single(self, name: Part, negated: Token | None, op: Token, value: Part, case: Token | None) -> Part:
        known = _OPS[re.sub(r"\s+", "_", op.lower())]
        leaf = _test(name, negated, Part(column=_column(op), value=known), value, case)
        return _not(leaf) if op in ("!=", "<>") else leaf

    def several(self, name: Part, negated: Token | None, op: Token, values: Part, case: Token | None) -> Part:
        return _test(name, negated, Part(column=_column(op), value="in"), values, case)

    def between(self, name: Part, negated: Token | None, op: Token, low: Part, high: Part, case: Token | None) -> Part:
        ends = _list((low, high), low.column)
        return _test(name, negated, Part(column=_column(op), value="between"), ends, case)

    def plugin(self, key: Part, brace: Token | None = None, members: Mapping[str, Any] | None = None) -> Part:
        if brace is None:
            return Part(column=key.column, value={"type": key.value}, parts={"type": key})
        params = Part(column=_column(brace), value=members)
        value = {"type": key.value, "params": members}
        return Part(column=key.column, value=value, parts={"type": key, "params": params})

    def field(self, token: Token) -> Part:
        column, name = _column(token), str(token)
        if token.type == "NAME":
            return Part(column=column, value=name.lower() if name.lower() in _FIELDS else name)
        steps = ["attributes"]
        for found in _STEPS.finditer(name):
            step = found[1] or _unquoted(found[2], column + found.start(2))
            if not step or "." in step:
                raise _wrong(column + found.start() + 1, "a step of an attribute is not empty and has no dot in it")
            steps.append(step)
        return Part(column=column, value=".".join(steps))

    def key(self, token: Token) -> Part:
        return self.value(token)

    def values(self, *values: Part) -> Part:
        return _list(values, values[0].column)

    def value(self, token: Token) -> Part:
        column = _column(token)
        is_quoted = token.type in ("DOUBLE_QUOTED", "SINGLE_QUOTED")
        return Part(column=column, value=_unquoted(token, column) if is_quoted else str(token))

    def relative(self, record: Token, sign: Token, days: Token) -> Part:
        return Part(column=_column(record), value={"days": int(sign + days)})

    def members(self, *members: tuple[str, Any]) -> dict[str, Any]:
        return dict(members)

    def member(self, key: Token, value: Any) -> tuple[str, Any]:
        return _json(key), value

    def scalar(self, token: Token) -> Any:
        return _json(token)

    def object(self, _: Token, members: dict[str, Any]) -> dict[str, Any]:
        return members

    def array(self, *items: Any) -> list[Any]:
        return list(items)
