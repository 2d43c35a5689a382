"""Conditions in their JSON form for hypothesis to draw, with literals that are unkind to whoever reads them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from core.domain.condition_text import RESERVED
from core.domain.conditions import DATE_PARTS, MAX_DAYS, MAX_DEPTH, TEXT_FIELDS
from core.domain.records import clean_text, normalise
from tests.unit.building import leaf

Made = st.SearchStrategy[Any]

HOSTILE = [
    *RESERVED,
    *("AND", "Not", "record", "days", "record + 1 days", "true", "null", "attributes.a", "text", "starts with"),
    *(
        "12",
        "-1.50",
        "007",
        "1e5",
        "2026-01-31",
        "2026-02-30",
        "0",
        "a b",
        "a-b",
        "-a",
        "a-",
        "_",
        "EUR",
        "Straße",
        "ﬁ",
    ),
    *('"', "'", "''", '\\"', "\\", "\\\\", "\\d+", "\\b", "it's", 'say "no"', "a\nb", "a\tb", "a\u2028b", "\u202eabc"),
    *("(", ")", "[x]", "{}", ",", 'x" or amount < 0 or text = "', "' or '", "--", "😀", "e\u0301", "x" * 500, "\x85x"),
]
WORDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20)
LITERALS = WORDS | st.sampled_from(HOSTILE)
PHRASES = LITERALS.filter(lambda word: bool(normalise(word) and clean_text(word)))
NUMBERS = st.decimals(-(10**12), 10**12, places=4).map(str) | st.integers(-(10**12), 10**12)
DAYS = st.dates().map(date.isoformat)
RELATIVE = st.integers(-MAX_DAYS, MAX_DAYS).map(lambda days: {"days": days})
STEPS = st.from_regex(r"[a-z]{1,5}", fullmatch=True) | LITERALS.map(lambda word: word.replace(".", "")).filter(
    lambda step: 0 < len(step) < 100
)
ATTRIBUTES = st.lists(STEPS, min_size=1, max_size=4).map(lambda steps: ".".join(["attributes", *steps]))
ORDERS = st.sampled_from(["lt", "lte", "gt", "gte"])


def _between(values: Made, key: Callable[[Any], Any] | None = None) -> Made:
    ends = st.lists(values, min_size=2, max_size=2)
    return st.tuples(st.just("between"), ends.map(lambda both: sorted(both, key=key)))


def _text_leaves(fields: Made) -> Made:
    one = st.tuples(st.sampled_from(["contains", "starts_with", "ends_with", "regex"]), PHRASES)
    equal = st.tuples(st.just("equals"), LITERALS | st.just("") | st.booleans() | st.integers(-5, 5))
    several = st.tuples(st.just("in"), st.lists(LITERALS, min_size=1, max_size=4))
    return st.builds(
        lambda field, pair, sensitive: leaf(field, *pair, case_sensitive=sensitive),
        fields,
        one | equal | several,
        st.booleans(),
    )


def _ordered_leaves(fields: Made, values: Made, key: Callable[[Any], Any] | None) -> Made:
    pairs = (
        st.tuples(ORDERS | st.just("equals"), values)
        | _between(values, key)
        | st.tuples(st.just("in"), st.lists(values, min_size=1, max_size=5))
    )
    return st.builds(lambda field, pair: leaf(field, *pair), fields, pairs)


def _part_leaves(name: str) -> Made:
    return _ordered_leaves(st.just(name), st.integers(*DATE_PARTS[name]), int)


_ATTRIBUTE_ENDS = st.one_of(
    st.tuples(ORDERS, NUMBERS | DAYS | RELATIVE),
    _between(NUMBERS, Decimal),
    _between(DAYS),
    _between(RELATIVE, lambda end: end["days"]),
    st.tuples(st.just("between"), st.tuples(RELATIVE, DAYS).map(list) | st.tuples(DAYS, RELATIVE).map(list)),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | LITERALS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LITERALS, inner, max_size=3),
    max_leaves=6,
)
LEAVES = st.one_of(
    _text_leaves(st.sampled_from(sorted(TEXT_FIELDS)) | ATTRIBUTES),
    _ordered_leaves(st.just("amount"), NUMBERS, Decimal),
    _ordered_leaves(st.just("date"), DAYS, None),
    st.sampled_from(sorted(DATE_PARTS)).flatmap(_part_leaves),
    st.builds(lambda field, pair: leaf(field, *pair), ATTRIBUTES, _ATTRIBUTE_ENDS),
    st.builds(
        lambda key, params: {"type": key, "params": params},
        st.sampled_from(["mcc", "geo-fence"]) | LITERALS,
        st.dictionaries(LITERALS, _JSON, max_size=3),
    ),
)


def depth(value: Any) -> int:
    children = value.get("all") or value.get("any") or ([value["not"]] if "not" in value else [])
    return 1 + max(map(depth, children), default=0)


CONDITIONS = st.recursive(
    LEAVES,
    lambda children: st.one_of(
        st.lists(children, min_size=1, max_size=3).map(lambda items: {"all": items}),
        st.lists(children, min_size=1, max_size=3).map(lambda items: {"any": items}),
        children.map(lambda child: {"not": child}),
    ),
    max_leaves=12,
).filter(lambda value: depth(value) <= MAX_DEPTH)
"""JSON values that `parse_condition` accepts."""
