"""The condition language of rules: a tree of all / any / not over leaves, read from JSON and written back.

A condition is one of

- `{"all": [C, ...]}`, `{"any": [C, ...]}`, `{"not": C}`
- `{"field": F, "op": OP, "value": V, "case_sensitive": false}`
- `{"type": "plugin-key", "params": {...}}`

`TEXT_FIELDS` take the text operators, `amount`, `date` and `DATE_PARTS` the ordered ones, `attributes.a.b` takes both.
An ordered value of an attribute may be relative to the record: `{"days": 14}` is its calendar day and 14 days.
`anywhere` holds when the leaf holds for the text or for the counterparty. Texts are compared as
`core.domain.records.normalise` makes them, unless `case_sensitive`: then as they are stored. A regex is always searched
in the text as it is stored (cleaned, not normalised); `case_sensitive` only decides whether it minds upper case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from core.domain.records import MAX_AMOUNT, MAX_DECIMALS, clean_text, normalise
from core.errors import RuleInvalid

MAX_DEPTH = 10
MAX_LEAVES = 500
MAX_VALUES = 1_000
"""Values of one `in`."""
MAX_LITERAL = 500
"""Characters of one literal or regex."""
MAX_PARAMS = 20_000
"""Characters of a plugin leaf's parameters, as JSON."""
MAX_DAYS = 36_600
"""Days that a relative date may lie before or after its record: a century."""

TEXT_FIELDS = frozenset({"anywhere", "text", "counterparty", "currency", "account", "kind", "connection"})
DATE_PARTS: Mapping[str, tuple[int, int]] = {
    "year": (1, 9999),
    "month": (1, 12),
    "day": (1, 31),
    "weekday": (1, 7),
    "days_left": (0, 30),
}
"""Parts of the calendar day in the tenant's time zone, with their ranges; weekday 1 is Monday, and `days_left` counts
the days of the month that follow, 0 on its last."""
ATTRIBUTES = "attributes."

ORDER_OPS = frozenset({"lt", "lte", "gt", "gte", "between"})
EITHER_OPS = frozenset({"equals", "in"})
TEXT_OPS = EITHER_OPS | {"contains", "starts_with", "ends_with", "regex"}

_FORBIDDEN = re.compile(r"[\x00\ud800-\udfff]")
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysFromRecord:
    """The record's own calendar day, in the tenant's time zone, and so many `days` (before it when negative)."""

    days: int


Literal = str | Decimal | date | DaysFromRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """`values` holds one literal, two for `between` (low, high), and any number for `in`.

    Text operators hold strings; ordered ones Decimals (amounts, date parts, numeric attributes) or dates, which may be
    relative to the record where the field is an attribute.
    """

    field: str
    op: str
    values: tuple[Literal, ...]
    case_sensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginLeaf:
    """What the rule type `type` decides with `params`."""

    type: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    children: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    children: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    child: Condition


Condition = AllOf | AnyOf | Not | Leaf | PluginLeaf


def parse_condition(value: Any, path: str = "when") -> Condition:
    """The condition that a JSON value describes.

    Raises `RuleInvalid` whose message begins with the place (`when.all[2].value: ...`; positions count from 0).
    """
    condition = _parse(value, path, 1)
    if (leaves := count_leaves(condition)) > MAX_LEAVES:
        raise RuleInvalid(f"{path}: {leaves} leaves are more than {MAX_LEAVES}")
    return condition


def condition_to_json(condition: Condition) -> dict[str, Any]:
    """The JSON form; `parse_condition` of it gives an equal condition. Decimals become strings, date parts integers."""
    match condition:
        case AllOf(children=children):
            return {"all": [condition_to_json(child) for child in children]}
        case AnyOf(children=children):
            return {"any": [condition_to_json(child) for child in children]}
        case Not(child=child):
            return {"not": condition_to_json(child)}
        case PluginLeaf():
            return {"type": condition.type, "params": dict(condition.params)}
        case Leaf():
            written = [_write(literal, condition.field) for literal in condition.values]
            several = condition.op in ("in", "between")
            sensitive = {"case_sensitive": True} if condition.case_sensitive else {}
            value = written if several else written[0]
            return {"field": condition.field, "op": condition.op, "value": value, **sensitive}


def operators(name: str) -> frozenset[str]:
    """The operators of the field `name`."""
    if name in TEXT_FIELDS:
        return TEXT_OPS
    return EITHER_OPS | ORDER_OPS | (TEXT_OPS if name.startswith(ATTRIBUTES) else frozenset())


def count_leaves(condition: Condition) -> int:
    match condition:
        case AllOf(children=children) | AnyOf(children=children):
            return sum(count_leaves(child) for child in children)
        case Not(child=child):
            return count_leaves(child)
        case _:
            return 1


def rule_types_in(condition: Condition) -> frozenset[str]:
    """The keys of the rule types that it asks."""
    match condition:
        case AllOf(children=children) | AnyOf(children=children):
            return frozenset[str]().union(*map(rule_types_in, children))
        case Not(child=child):
            return rule_types_in(child)
        case PluginLeaf(type=key):
            return frozenset((key,))
        case _:
            return frozenset()


def specificity(condition: Condition) -> tuple[int, int]:
    """How much a record must satisfy: the leaves that must hold together, then the characters of their literals.

    `all` adds its children up, `any` is as specific as its least specific child, below `not` the two change roles. A
    leaf counts its shortest literal; one that is negated, numeric or a plugin's counts none.
    """
    return _specificity(condition, False)


def _specificity(condition: Condition, negated: bool) -> tuple[int, int]:
    match condition:
        case Not(child=child):
            return _specificity(child, not negated)
        case AllOf(children=children) | AnyOf(children=children):
            each = [_specificity(child, negated) for child in children]
            if isinstance(condition, AllOf) is negated:
                return min(each)
            return sum(leaves for leaves, _ in each), sum(length for _, length in each)
        case Leaf(values=values) if not negated:
            return 1, min(len(literal) if isinstance(literal, str) else 0 for literal in values)
        case _:
            return 1, 0


def _parse(value: Any, path: str, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise RuleInvalid(f"{path}: nested deeper than {MAX_DEPTH}")
    if not isinstance(value, Mapping):
        raise RuleInvalid(f"{path}: a condition is a JSON object")
    for name in ("all", "any", "not", "type", "field"):
        if name in value:
            break
    else:
        raise RuleInvalid(f"{path}: a condition has one of the keys all, any, not, field, type")
    allowed = {"type": {"type", "params"}, "field": {"field", "op", "value", "case_sensitive"}}.get(name, {name})
    if unknown := [str(key) for key in value if key not in allowed]:
        raise RuleInvalid(f"{path}: unexpected key {unknown[0][:60]!r} beside {name!r}")
    if name == "field":
        return _parse_leaf(value, path)
    if name == "type":
        return _parse_plugin(value, path)
    if name == "not":
        return Not(child=_parse(value["not"], f"{path}.not", depth + 1))
    items = value[name]
    if not isinstance(items, list | tuple) or not items:
        raise RuleInvalid(f"{path}.{name}: a list of at least one condition is needed")
    if len(items) > MAX_LEAVES:
        raise RuleInvalid(f"{path}.{name}: {len(items)} leaves are more than {MAX_LEAVES}")
    children = tuple(_parse(item, f"{path}.{name}[{i}]", depth + 1) for i, item in enumerate(items))
    return AllOf(children=children) if name == "all" else AnyOf(children=children)


def _parse_plugin(value: Mapping[str, Any], path: str) -> PluginLeaf:
    key, params = value["type"], value.get("params", {})
    if not isinstance(key, str) or not key or len(key) > MAX_LITERAL:
        raise RuleInvalid(f"{path}.type: the key of a rule type is needed")
    if not isinstance(params, Mapping):
        raise RuleInvalid(f"{path}.params: a JSON object is needed")
    try:
        size = len(json.dumps(params, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise RuleInvalid(f"{path}.params: not plain JSON ({error})") from error
    if size > MAX_PARAMS:
        raise RuleInvalid(f"{path}.params: longer than {MAX_PARAMS} characters")
    return PluginLeaf(type=key, params=dict(params))


def _parse_leaf(value: Mapping[str, Any], path: str) -> Leaf:
    name, op, sensitive = value["field"], value.get("op"), value.get("case_sensitive", False)
    if not isinstance(name, str) or not _known(name):
        raise RuleInvalid(f"{path}.field: {_shown(name)} is not a field; an attribute is written attributes.name")
    ops = operators(name)
    if not isinstance(op, str) or op not in ops:
        raise RuleInvalid(f"{path}.op: {_shown(op)} is not an operator of {name}; there are {', '.join(sorted(ops))}")
    is_text = op in TEXT_OPS and (name in TEXT_FIELDS or name.startswith(ATTRIBUTES))
    if not isinstance(sensitive, bool) or (sensitive and not is_text):
        raise RuleInvalid(f"{path}.case_sensitive: true or false, and only for texts")
    if "value" not in value:
        raise RuleInvalid(f"{path}.value: is missing")
    return Leaf(field=name, op=op, values=_parse_values(value["value"], name, op, path), case_sensitive=sensitive)


def _known(name: str) -> bool:
    if name in TEXT_FIELDS or name in DATE_PARTS or name in ("amount", "date"):
        return True
    steps = name.split(".")
    return steps[0] == "attributes" and 1 < len(steps) <= MAX_DEPTH and all(steps) and _plain(name)


def _plain(text: str) -> bool:
    return len(text) <= MAX_LITERAL and not _FORBIDDEN.search(text)


def _shown(value: Any) -> str:
    return repr(value)[:60] if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"


def _parse_values(value: Any, name: str, op: str, path: str) -> tuple[Literal, ...]:
    read = _reader(name, op)
    if op not in ("in", "between"):
        return (read(value, f"{path}.value"),)
    if not isinstance(value, list | tuple) or not value or (op == "between" and len(value) != 2):
        raise RuleInvalid(f"{path}.value: {'[low, high]' if op == 'between' else 'a list of values'} is needed")
    if len(value) > MAX_VALUES:
        raise RuleInvalid(f"{path}.value: {len(value)} values are more than {MAX_VALUES}")
    values = tuple(read(item, f"{path}.value[{i}]") for i, item in enumerate(value))
    if op == "between":
        _check_range(values, path)
    return values


def _check_range(values: Sequence[Any], path: str) -> None:
    low, high = values
    if isinstance(low, Decimal) is not isinstance(high, Decimal):
        raise RuleInvalid(f"{path}.value: both ends must be numbers, or both dates")
    if isinstance(low, DaysFromRecord) and isinstance(high, DaysFromRecord):
        low, high = low.days, high.days
    # How a relative end compares with an absolute one depends on the record.
    if type(low) is type(high) and low > high:
        raise RuleInvalid(f"{path}.value: {low} is above {high}")


def _reader(name: str, op: str) -> Callable[[Any, str], Literal]:
    if name == "amount":
        return _number
    if name == "date":
        return _own_day
    if name in DATE_PARTS:
        return lambda value, path: _part(value, name, path)
    if op in ORDER_OPS:
        return _bound
    if op in EITHER_OPS:
        return _word
    return lambda value, path: _phrase(value, op, path)


def _bound(value: Any, path: str) -> Literal:
    if isinstance(value, Mapping):
        return _days_from_record(value, path)
    return _day(value, path) if _looks_like_day(value) else _number(value, path)


def _days_from_record(value: Mapping[str, Any], path: str) -> DaysFromRecord:
    days = value.get("days")
    if set(value) != {"days"} or not isinstance(days, int) or isinstance(days, bool) or abs(days) > MAX_DAYS:
        raise RuleInvalid(f'{path}: a relative date is {{"days": n}}, n a whole number from -{MAX_DAYS} to {MAX_DAYS}')
    return DaysFromRecord(days=days)


def _own_day(value: Any, path: str) -> date:
    if isinstance(value, Mapping):
        raise RuleInvalid(f"{path}: relative dates are for attributes; the record's date is always its own day")
    return _day(value, path)


def _looks_like_day(value: Any) -> bool:
    return isinstance(value, str) and ISO_DATE.fullmatch(value) is not None


def _number(value: Any, path: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise RuleInvalid(f"{path}: a number is needed")
    if isinstance(value, int) and abs(value) >= MAX_AMOUNT:
        raise RuleInvalid(f"{path}: the number is too large")
    written = str(value)
    if len(written) > MAX_LITERAL or not NUMBER.fullmatch(written):
        raise RuleInvalid(f"{path}: {_shown(written)} is not a number")
    number = Decimal(written)
    if abs(number) >= MAX_AMOUNT:
        raise RuleInvalid(f"{path}: the number is too large")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MAX_DECIMALS:
        raise RuleInvalid(f"{path}: more than {MAX_DECIMALS} decimals")
    return number or Decimal(0)


def _part(value: Any, name: str, path: str) -> Decimal:
    number, (low, high) = _number(value, path), DATE_PARTS[name]
    if not low <= number <= high or number % 1:
        raise RuleInvalid(f"{path}: {name} is a whole number from {low} to {high}")
    return number


def _day(value: Any, path: str) -> date:
    if not _looks_like_day(value):
        raise RuleInvalid(f"{path}: a date is needed, written 2026-01-31")
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise RuleInvalid(f"{path}: {value} is not a date ({error})") from error


def _word(value: Any, path: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return format(_number(value, path), "f")
    if isinstance(value, Mapping):
        raise RuleInvalid(f"{path}: a relative date needs one of lt, lte, gt, gte, between")
    if not isinstance(value, str) or not _plain(value):
        raise RuleInvalid(f"{path}: a text of at most {MAX_LITERAL} characters is needed")
    return value


def _phrase(value: Any, op: str, path: str) -> str:
    if not isinstance(value, str) or not _plain(value):
        raise RuleInvalid(f"{path}: a text of at most {MAX_LITERAL} characters is needed")
    if not value or (op != "regex" and not (normalise(value) and clean_text(value))):
        raise RuleInvalid(f"{path}: an empty text is found everywhere")
    return value


def _write(literal: Literal, name: str) -> str | int | dict[str, int]:
    if isinstance(literal, DaysFromRecord):
        return {"days": literal.days}
    if isinstance(literal, Decimal):
        return int(literal) if name in DATE_PARTS else format(literal, "f")
    return literal.isoformat() if isinstance(literal, date) else literal
