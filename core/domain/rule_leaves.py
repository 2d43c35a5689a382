"""What a leaf of a condition means: a test of one record's facts."""

from __future__ import annotations

import operator
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from core.domain.conditions import (
    ATTRIBUTES,
    DATE_PARTS,
    ISO_DATE,
    NUMBER,
    ORDER_OPS,
    TEXT_FIELDS,
    DaysFromRecord,
    Leaf,
)
from core.domain.records import Sortable, clean_text, normalise, occurred_on

Regex = Callable[[str, bool], Callable[[str], bool]]
"""(pattern, case_sensitive) → a search in a text; raises `RuleInvalid` for a pattern that it can't serve."""

_MAX_BITS = 256
_MAX_NUMBER = 100
_MAX_ITEMS = 1_000
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
_fold = lru_cache(maxsize=4_096)(normalise)


class Facts:
    """One record while rules look at it: `text` and `counterparty` normalised, `position` its place in the batch."""

    __slots__ = ("counterparty", "position", "record", "text", "verdicts", "zone")

    def __init__(
        self, record: Sortable, text: str, counterparty: str, position: int, verdicts: dict[object, Any], zone: ZoneInfo
    ) -> None:
        self.record = record
        self.text = text
        self.counterparty = counterparty
        self.position = position
        self.verdicts = verdicts
        self.zone = zone

    @property
    def day(self) -> date:
        return occurred_on(self.record.occurred_at, self.zone)


Test = Callable[[Facts], bool]

_STORED: Mapping[str, Callable[[Facts], str]] = {
    "text": lambda facts: facts.record.text,
    "counterparty": lambda facts: facts.record.counterparty,
    "currency": lambda facts: facts.record.currency or "",
    "account": lambda facts: facts.record.account,
    "kind": lambda facts: facts.record.kind,
    "connection": lambda facts: str(facts.record.connection_id),
}


def leaf_test(leaf: Leaf, regex: Regex) -> Test:
    """The test that `leaf` is. Raises what `regex` raises."""
    if leaf.field.startswith(ATTRIBUTES):
        return _attribute_test(leaf, regex)
    if leaf.field in TEXT_FIELDS:
        return _text_test(leaf, regex)
    holds = _ordered(leaf.op, leaf.values)
    if leaf.field == "amount":
        return lambda facts: facts.record.amount is not None and holds(facts.record.amount)
    if leaf.field in DATE_PARTS:
        if leaf.field == "weekday":
            return lambda facts: holds(facts.day.isoweekday())
        if leaf.field == "days_left":
            return lambda facts: holds(_days_left(facts.day))
        part = operator.attrgetter(leaf.field)
        return lambda facts: holds(part(facts.day))
    return lambda facts: holds(facts.day)


def _text_test(leaf: Leaf, regex: Regex) -> Test:
    holds = _phrase(leaf, regex)
    if leaf.field == "anywhere":
        text, counterparty = _getter("text", leaf), _getter("counterparty", leaf)
        of_nothing = holds("")
        return lambda facts: holds(text(facts)) or (holds(other) if (other := counterparty(facts)) else of_nothing)
    get = _getter(leaf.field, leaf)
    return lambda facts: holds(get(facts))


def _getter(name: str, leaf: Leaf) -> Callable[[Facts], str]:
    stored = _STORED[name]
    if leaf.case_sensitive or leaf.op == "regex":
        return stored
    if name in ("text", "counterparty"):
        return operator.attrgetter(name)
    return lambda facts: _fold(stored(facts))


def _phrase(leaf: Leaf, regex: Regex) -> Callable[[str], bool]:
    if leaf.op == "regex":
        return regex(str(leaf.values[0]), leaf.case_sensitive)
    prepare = clean_text if leaf.case_sensitive else normalise
    words = [prepare(str(value)) for value in leaf.values]
    word = words[0]
    match leaf.op:
        case "contains":
            return lambda text: word in text
        case "starts_with":
            return lambda text: text.startswith(word)
        case "ends_with":
            return lambda text: text.endswith(word)
        case _:
            return frozenset(words).__contains__


def _ordered(op: str, values: Sequence[Any]) -> Callable[[Any], bool]:
    if op == "between":
        low, high = values
        return lambda value: low <= value <= high
    if compare := _COMPARE.get(op):
        bound = values[0]
        return lambda value: compare(value, bound)
    return frozenset(values).__contains__


def _days_left(day: date) -> int:
    return monthrange(day.year, day.month)[1] - day.day


def _attribute_test(leaf: Leaf, regex: Regex) -> Test:
    """A list holds when one of its items does. For the ordered operators a number may be written as text."""
    steps = leaf.field.removeprefix(ATTRIBUTES).split(".")
    if any(isinstance(value, DaysFromRecord) for value in leaf.values):
        return _relative_test(leaf, steps)
    holds = _attribute_ordered(leaf) if leaf.op in ORDER_OPS else _attribute_word(leaf, regex)
    return lambda facts: any(holds(item) for item in _items(facts.record.attributes, steps))


def _attribute_ordered(leaf: Leaf) -> Callable[[Any], bool]:
    read = as_number if isinstance(leaf.values[0], Decimal) else _day
    ordered = _ordered(leaf.op, leaf.values)

    def holds(item: Any) -> bool:
        value = read(item)
        return value is not None and ordered(value)

    return holds


def _relative_test(leaf: Leaf, steps: Sequence[str]) -> Test:
    ends: Sequence[Any] = leaf.values

    def test(facts: Facts) -> bool:
        # Days are compared by number: the record's day and a century may be beyond what a date holds.
        own = facts.day.toordinal()
        days = [own + end.days if isinstance(end, DaysFromRecord) else end.toordinal() for end in ends]
        holds = _ordered(leaf.op, days)
        dates = map(_day, _items(facts.record.attributes, steps))
        return any(holds(found.toordinal()) for found in dates if found is not None)

    return test


def _attribute_word(leaf: Leaf, regex: Regex) -> Callable[[Any], bool]:
    found = _phrase(leaf, regex)
    numbers = {as_number(value) for value in leaf.values} - {None} if leaf.op in ("equals", "in") else frozenset()
    fold = not leaf.case_sensitive and leaf.op != "regex"

    def holds(item: Any) -> bool:
        if isinstance(item, bool):
            item = str(item).lower()
        if isinstance(item, str):
            return found(_fold(item) if fold else item)
        number = as_number(item)
        return number is not None and (number in numbers or found(format(number, "f")))

    return holds


def _items(attributes: Any, steps: Iterable[str]) -> list[Any]:
    value = attributes
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return list(value[:_MAX_ITEMS]) if isinstance(value, list | tuple) else [value]


def as_number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or (isinstance(value, int) and value.bit_length() > _MAX_BITS):
        return None
    if isinstance(value, int | float | Decimal):
        value = str(value)
    if not isinstance(value, str) or len(value) > _MAX_NUMBER or not NUMBER.fullmatch(value):
        return None
    return Decimal(value)


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not ISO_DATE.fullmatch(value[:10]) or value[10:11] not in ("", "T", " "):
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None
