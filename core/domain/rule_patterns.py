"""Patterns: conditions that many labelled records meet, found for `core.domain.rule_learning` to judge.

A pattern is a leaf on the texts (text or counterparty equals, a phrase is contained), alone or with one or two leaves
on the context (an attribute, the connection, account, kind, currency, the sign or the exact amount). What a pattern is
said to be met by is what the reference evaluator says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.domain.conditions import ATTRIBUTES, MAX_DEPTH, AllOf, Condition, Leaf, condition_to_json, parse_condition
from core.domain.records import Sortable, normalise
from core.domain.regex_literals import MIN_LITERAL
from core.domain.rule_leaves import as_number
from core.errors import RuleInvalid

MAX_WORDS = 3
"""Words of a phrase: longer ones add next to nothing to what the whole text and its parts say."""
MAX_READ = 40
"""Words of a text that phrases are made of: what it is about stands in front, and a page has thousands of phrases."""
MAX_PATTERNS = 50_000
"""Patterns that are made more special no further: some seconds of work. 20,000 card payments give some 11,000."""
MAX_ITEMS = 1_000
"""Items of a list among the attributes that a leaf looks at, as `core.domain.rule_leaves` has it."""

Places = tuple[int, ...]
"""Positions of records, ascending."""
_Key = tuple[str, str, str | Decimal]


@dataclass(frozen=True, slots=True)
class Pattern:
    """`leaves` must hold together; `places` are the records that meet them. `parent` is the position, in the list of
    all patterns, of the more general one that it was made of."""

    leaves: tuple[Leaf, ...]
    places: Places
    parent: int | None = None

    @property
    def condition(self) -> Condition:
        return self.leaves[0] if len(self.leaves) == 1 else AllOf(children=self.leaves)


def find_patterns(records: Sequence[Sortable], labels: Sequence[int], min_support: int) -> list[Pattern]:
    """The patterns that at least `min_support` of `records` meet, the general before the special.

    `labels` are the records' categories: a pattern whose records all have one category is not made more special. Of
    patterns that the same records meet only the first found is kept.
    """
    context = _context(records, min_support)
    by_record: list[list[int]] = [[] for _ in records]
    for number, (_, places) in enumerate(context):
        for place in places:
            by_record[place].append(number)
    patterns: list[Pattern] = []
    seen: set[Places] = set()
    level: list[tuple[int, int]] = []
    for leaf, places in _texts(records, min_support):
        if places not in seen:
            seen.add(places)
            level.append((len(patterns), -1))
            patterns.append(Pattern((leaf,), places))
    for _ in range(2):
        level = _grow(patterns, level, seen, labels, min_support, context, by_record)
    return patterns


def _grow(
    patterns: list[Pattern],
    level: Sequence[tuple[int, int]],
    seen: set[Places],
    labels: Sequence[int],
    min_support: int,
    context: Sequence[tuple[Leaf, Places]],
    by_record: Sequence[Sequence[int]],
) -> list[tuple[int, int]]:
    """Adds to `patterns` those of `level` (each with the number of its last context leaf) joined with one more leaf of
    the context, and returns what was added, likewise."""
    grown: list[tuple[int, int]] = []
    for parent, last in level:
        if len(patterns) >= MAX_PATTERNS:
            break
        pattern = patterns[parent]
        if len({labels[place] for place in pattern.places}) < 2:
            continue
        met: dict[int, list[int]] = defaultdict(list)
        for place in pattern.places:
            for number in by_record[place]:
                if number > last:
                    met[number].append(place)
        for number, found in met.items():
            if min_support <= len(found) < len(pattern.places) and (places := tuple(found)) not in seen:
                seen.add(places)
                grown.append((len(patterns), number))
                patterns.append(Pattern((*pattern.leaves, context[number][0]), places, parent))
    return grown


def _texts(records: Sequence[Sortable], min_support: int) -> Iterator[tuple[Leaf, Places]]:
    """Leaves on the texts: whole ones first, then the longer phrases, so that of those which meet the same records the
    one is kept that is least like anything else."""
    at: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        at[record.text, record.counterparty].append(place)
    by_hay: dict[tuple[str, str], list[int]] = defaultdict(list)
    for (text, counterparty), places in at.items():
        by_hay[normalise(text), normalise(counterparty)] += places
    for field, part in (("counterparty", 1), ("text", 0)):
        equal: dict[str, list[int]] = defaultdict(list)
        for hay, places in by_hay.items():
            if hay[part]:
                equal[hay[part]] += places
        yield from _valid(field, "equals", equal.items(), min_support)
    yield from _valid("anywhere", "contains", _phrases(by_hay, min_support), min_support)


def _valid(
    field: str, op: str, found: Iterable[tuple[str | Decimal, Iterable[int]]], min_support: int
) -> Iterator[tuple[Leaf, Places]]:
    for value, places in found:
        met = tuple(sorted(places))
        if len(met) < min_support or (isinstance(value, str) and normalise(value) != value):
            continue
        leaf = Leaf(field=field, op=op, values=(value,))
        try:
            sound = parse_condition(condition_to_json(leaf)) == leaf
        except RuleInvalid:  # too long for a rule, or a name that no rule can write
            continue
        if sound:
            yield leaf, met


def _phrases(by_hay: Mapping[tuple[str, str], list[int]], min_support: int) -> Iterator[tuple[str, list[int]]]:
    """The phrases of words that enough records have, each with the records whose texts contain it, even within a
    word."""
    hays = ["\n".join(hay) for hay in by_hay]
    support = [len(places) for places in by_hay.values()]
    counted: dict[str, int] = defaultdict(int)
    for number, hay in enumerate(by_hay):
        for phrase in {phrase for text in hay for phrase in _phrases_of(text)}:
            counted[phrase] += support[number]
    words = _Words(hays)
    all_places = list(by_hay.values())
    for phrase in sorted((p for p, count in counted.items() if count >= min_support), key=lambda p: (-len(p), p)):
        rarest = min((words.containing(word) for word in phrase.split(" ")), key=len)
        found = [number for number in rarest if phrase in hays[number]]
        yield phrase, [place for number in found for place in all_places[number]]


def _phrases_of(text: str) -> Iterator[str]:
    words = text.split(" ")[:MAX_READ]
    for size in range(1, MAX_WORDS + 1):
        for start in range(len(words) - size + 1):
            phrase = " ".join(words[start : start + size])
            # A shorter literal is looked for in every record: the matcher's index begins at this length.
            if len(phrase) >= MIN_LITERAL:
                yield phrase


class _Words:
    """Tells which texts have a word, or have it within a word."""

    def __init__(self, hays: Sequence[str]) -> None:
        holders: dict[str, list[int]] = defaultdict(list)
        for number, hay in enumerate(hays):
            for word in set(hay.split()):
                holders[word].append(number)
        self._holders = list(holders.values())
        self._joined = "\n".join(holders)
        self._starts = [0]
        for word in holders:
            self._starts.append(self._starts[-1] + len(word) + 1)
        self._known: dict[str, frozenset[int]] = {}

    def containing(self, word: str) -> frozenset[int]:
        if (known := self._known.get(word)) is None:
            found: set[int] = set()
            at = self._joined.find(word)
            while at >= 0:
                number = bisect_right(self._starts, at) - 1
                found.update(self._holders[number])
                at = self._joined.find(word, self._starts[number + 1])
            known = self._known[word] = frozenset(found)
        return known


def _context(records: Sequence[Sortable], min_support: int) -> list[tuple[Leaf, Places]]:
    """Leaves on the context that enough records meet, but not all."""
    found: dict[_Key, list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        for key in dict.fromkeys(_keys(record)):
            found[key].append(place)
    leaves: list[tuple[Leaf, Places]] = []
    for (field, op, value), places in found.items():
        met: Iterable[int] = places
        if field.startswith(ATTRIBUTES):
            if not isinstance(value, str):
                continue
            # A number that is written as text also equals what is stored as a number.
            number = as_number(value)
            met = {*places, *found.get((field, op, number), ())} if number is not None else places
        leaves += _valid(field, op, [(value, met)], min_support)
    return [(leaf, met) for leaf, met in leaves if len(met) < len(records)]


def _keys(record: Sortable) -> Iterator[_Key]:
    """(field, operator, value) of the leaves on the context that hold for the record."""
    for field, stored in (
        ("connection", str(record.connection_id)),
        ("account", record.account),
        ("kind", record.kind),
        ("currency", record.currency or ""),
    ):
        if word := normalise(stored):
            yield field, "equals", word
    if record.amount is not None:
        yield "amount", "equals", _plain(record.amount)
        if record.amount:
            yield "amount", "lt" if record.amount < 0 else "gt", Decimal(0)
    yield from _attributes(record.attributes, ATTRIBUTES.rstrip("."), MAX_DEPTH - 1)


def _plain(amount: Decimal) -> Decimal:
    """The amount written in one way, so that equal conditions are written alike."""
    written = format(amount, "f")
    return Decimal(written.rstrip("0").rstrip(".") if "." in written else written) if amount else Decimal(0)


def _attributes(attributes: Mapping[str, Any], path: str, depth: int) -> Iterator[_Key]:
    for name, value in attributes.items():
        if not name or "." in name:  # no path leads there
            continue
        field = f"{path}.{name}"
        if isinstance(value, Mapping):
            if depth > 1:
                yield from _attributes(value, field, depth - 1)
            continue
        for item in value[:MAX_ITEMS] if isinstance(value, list | tuple) else (value,):
            if isinstance(item, bool):
                item = str(item).lower()
            if isinstance(item, str):
                yield field, "equals", normalise(item)
            elif (number := as_number(item)) is not None:
                yield field, "equals", number
                yield field, "equals", format(number, "f")
