"""The compiled matcher equals the reference evaluator, whatever the rules and the texts are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adapters.matching import batch, parts, rule_set
from adapters.matching.compiled import CompiledMatcher
from adapters.matching.matcher import ReferenceMatcher
from adapters.matching.texts import join
from core.domain.records import Record, normalise
from core.domain.rules import Action, Rule, RuleStage
from ports.matching import RuleSet
from tests.unit.building import TENANT, a_record, a_rule, leaf, rule_types

PARTS = [
    *("abc", "ABC", "abcd", "bcd", "cda", "xyz", "Tesco", "tesco stores", "co st"),
    *("ss", "ß", "ẞ", "ſ", "\u212a", "é", "e\u0301", "\u0301", "İ", "ı", "ﬁ", "fi", "Σ", "σ", "ς", "ΐ", "\u0345"),
    *("한", "\u1112\u1161\u11ab", "가게", "😀", "👨‍👩‍👧", "ｔｅ", "½", "&", "?", "-", "7"),
]
GAPS = [" ", "  ", "\n", "\u00a0", "\u3000", "\x1c", "\x1f", "\t", "", "\x00", "\x01", "\ud800"]
WORDS = st.lists(st.sampled_from([*PARTS, " "]), min_size=1, max_size=4).map("".join)
LONG = st.builds(
    lambda word, times, end: word * times + end, st.sampled_from(["ab", "é", "abc "]), st.integers(20, 90), WORDS
)
PHRASES = (WORDS | LONG).filter(lambda word: bool(normalise(word)))
TEXTS = st.one_of(
    st.just(""),
    st.lists(st.sampled_from([*PARTS, *GAPS]), max_size=8).map("".join),
    st.lists(st.sampled_from(["abc", "Tesco stores", "xyz", "7", " "]), max_size=6).map("".join),
    st.builds(lambda head, long, tail: f"{head}{long}{tail}", WORDS, LONG, WORDS),
    st.text(max_size=12),
)
REGEXES = st.one_of(
    st.lists(
        st.sampled_from(
            [*PARTS, ".", r"\b", r"\s", "[ab]", "(?:abc|xyz)", "(abc)?", "x?", "c+", "(?:ab|tes)co", "^", "$", r"\?"]
        ),
        min_size=1,
        max_size=4,
    ).map("".join),
    st.sampled_from(["(?=abc)", "(abc", "abc|", "(?i)ABC", "abc{2}", "(?:abc|)xyz", "^$", "", r"\d", "^abc.*xyz$"]),
)
SPOTS = st.sampled_from(["text", "text", "counterparty", "anywhere", "anywhere"])
SENSITIVE = st.sampled_from([False, False, True])
NUMBERS = st.sampled_from(["-10", "-9.99", "0", "0.1", "10", "10.00", "1e3", "123456789012345678.000000000001"])
DAYS = st.sampled_from(["2026-01-31", "2026-02-01", "2025-12-31"])


def ordered(field: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(
            lambda op, value: leaf(field, op, value), st.sampled_from(["lt", "lte", "gt", "gte", "equals"]), values
        ),
        st.builds(lambda some: leaf(field, "in", some), st.lists(values, min_size=1, max_size=3)),
        st.builds(
            lambda pair: leaf(field, "between", pair),
            st.tuples(values, values).map(
                lambda pair: sorted(pair, key=lambda one: Decimal(str(one)) if field != "date" else one)
            ),
        ),
    )


def texty(field: st.SearchStrategy[str], words: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    filled = words.filter(lambda word: bool(normalise(word)))
    return st.one_of(
        st.builds(
            lambda where, op, word, sensitive: leaf(where, op, word, case_sensitive=sensitive),
            field,
            st.sampled_from(["equals", "contains", "starts_with", "ends_with"]),
            filled,
            SENSITIVE,
        ),
        st.builds(
            lambda where, some, sensitive: leaf(where, "in", some, case_sensitive=sensitive),
            field,
            st.lists(words | st.just(""), min_size=1, max_size=4),
            SENSITIVE,
        ),
        st.builds(lambda where, sensitive: leaf(where, "equals", "", case_sensitive=sensitive), field, SENSITIVE),
    )


ATTRIBUTES = st.sampled_from(["attributes.cc", "attributes.deep.er", "attributes.gone"])
LEAVES = st.one_of(
    texty(SPOTS, PHRASES),
    texty(SPOTS, PHRASES),
    st.builds(
        lambda where, pattern, sensitive: leaf(where, "regex", pattern, case_sensitive=sensitive),
        SPOTS,
        REGEXES,
        SENSITIVE,
    ).filter(lambda one: bool(one["value"])),
    texty(st.sampled_from(["account", "kind", "currency"]), st.sampled_from(["Giro", "GIRO 2", "invoice", "eur", "é"])),
    texty(ATTRIBUTES, st.sampled_from(["12", "7", "true", "1", "1.0", "Food", "-0.0"])),
    st.builds(lambda where, pattern: leaf(where, "regex", pattern), ATTRIBUTES, st.sampled_from(["^1", "o+", "("])),
    st.sampled_from([str(UUID(int=2)), str(UUID(int=3))]).map(lambda id_: leaf("connection", "equals", id_)),
    ordered("amount", NUMBERS),
    ordered("date", DAYS),
    ordered("weekday", st.sampled_from([1, 6, 7])),
    ordered("days_left", st.sampled_from([0, 1])),
    ordered("attributes.cc", st.sampled_from(["7", "12"])),
    st.builds(
        lambda op, days: leaf("attributes.due", op, {"days": days}), st.sampled_from(["lt", "gte"]), st.integers(-1, 1)
    ),
    st.sampled_from([True, False, None, "raise"]).map(lambda answer: {"type": "answer", "params": {"answer": answer}}),
    st.sampled_from([{"type": "choosy"}, {"type": "gone"}]),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda children: st.one_of(
        st.lists(children, min_size=1, max_size=3).map(lambda items: {"all": items}),
        st.lists(children, min_size=1, max_size=3).map(lambda items: {"any": items}),
        children.map(lambda child: {"not": child}),
    ),
    max_leaves=4,
)
ACTIONS = st.sampled_from(
    [
        *(Action(category_id=UUID(int=n)) for n in (1, 2, 3)),
        Action(review=True),
        Action(skip=True),
        Action(tags=("a",), fields={"f": "1"}),
        Action(fields={"f": "2"}),
    ]
)
CHANGES = st.fixed_dictionaries(
    {
        "stage": st.sampled_from(RuleStage),
        "priority": st.integers(1, 3),
        "stop": st.sampled_from([False, False, True]),
        "enabled": st.sampled_from([True, True, True, False]),
        "trusted": st.booleans(),
        "then": ACTIONS,
    }
)
RULES = st.lists(st.tuples(CONDITIONS, CHANGES), max_size=7).map(
    lambda pairs: [a_rule(when, n, **changes) for n, (when, changes) in enumerate(pairs, 1)]
)
VALUES = st.sampled_from(
    [None, 1, True, 1.0, "1", 7, "12", Decimal("1.0"), Decimal("1.00"), -0.0, 0.0, ["Food", 12], [], {"er": 7}, 10**30]
)
INSTANTS = st.sampled_from(
    [
        date(2026, 1, 31),
        date(2026, 2, 1),
        datetime(2026, 1, 31, 23, 30, tzinfo=UTC),
        datetime(2026, 1, 31, 18, 30, tzinfo=timezone(timedelta(hours=-5))),
    ]
)
RECORDS = st.lists(
    st.builds(
        lambda text, counterparty, amount, cc, due, at, account, connection: a_record(
            text,
            amount,
            counterparty=counterparty,
            account=account,
            occurred_at=at,
            connection_id=UUID(int=connection),
            attributes={"cc": cc, "deep": cc, "due": due},
        ),
        TEXTS,
        st.just("") | TEXTS,
        st.none() | NUMBERS,
        VALUES,
        st.sampled_from([None, "2026-01-31", "2026-02-01T10:00:00Z", "soon"]),
        INSTANTS,
        st.sampled_from(["", "Giro", "giro 2", "É"]),
        st.sampled_from([2, 3]),
    ),
    max_size=5,
)
ZONES = st.sampled_from([ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")])
SIZES = st.tuples(st.sampled_from([2, 10_000]), st.sampled_from([0, 0, 64]))
"""Records joined at a time, and from which number of them masks are used."""


class Choosy:
    """A rule type that says something else of each record, and chokes on some."""

    def compile(self, params: Mapping[str, Any]) -> Choosy:
        return self

    def evaluate(self, records: Any, history: Any) -> list[bool | None]:
        return [self._say(record.text) for record in records]

    def _say(self, text: str) -> bool | None:
        if "xyz" in text:
            raise ValueError("choked")
        return (None, True, False)[len(text) % 3]


SLOW: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}
TYPES = rule_types(choosy=Choosy())


@contextmanager
def sizes(batch: int, few: int) -> Iterator[None]:
    with (
        patch.object(rule_set, "BATCH", batch),
        patch.object(rule_set, "FEW", few),
        patch.object(parts, "MANY", few),
    ):
        yield


def assert_equal(found: RuleSet, rules: list[Rule], records: list[Record], zone: ZoneInfo) -> None:
    expected = ReferenceMatcher(TYPES).compile(rules)
    assert found.rules == expected.rules
    outcomes = expected.evaluate(records, zone)
    assert list(found.evaluate(records, zone)) == outcomes
    assert list(found.evaluate(records, zone)) == outcomes, "what is remembered differs"
    assert list(found.winners(records, zone)) == list(expected.winners(records, zone))


FULL = ZoneInfo("UTC"), (10_000, 0)


@given(RULES, RECORDS, ZONES, SIZES)
@example([a_rule(leaf("text", "contains", "Σ"))], [a_record("ΟΔΟΣ"), a_record("οδος")], *FULL)
@example([a_rule(leaf("text", "regex", "kiss"))], [a_record("\u212ai\u017f\u017f"), a_record("ab")], *FULL)
@example([a_rule(leaf("anywhere", "equals", ""))], [a_record(""), a_record("a", counterparty="b")], *FULL)
@example([a_rule(leaf("text", "equals", "abc"))], [a_record("\x00"), a_record("abc\x00abc"), a_record("abc")], *FULL)
@example([a_rule(leaf("text", "contains", "ab"))], [a_record("a"), a_record("b")], *FULL)
@example([a_rule(leaf("text", "regex", r"abc\s+xyz"))], [a_record("abc"), a_record("xyz")], *FULL)
@settings(max_examples=500, **SLOW)
def test_it_equals_the_reference(
    rules: list[Rule], records: list[Record], zone: ZoneInfo, size: tuple[int, int]
) -> None:
    with sizes(*size):
        assert_equal(CompiledMatcher(TYPES).compile(rules), rules, records, zone)


@given(RULES, st.lists(st.tuples(st.integers(0, 6), RULES), max_size=3), RECORDS, ZONES, SIZES)
@settings(max_examples=150, **SLOW)
def test_what_is_kept_while_rules_change_equals_the_reference(
    rules: list[Rule],
    edits: list[tuple[int, list[Rule]]],
    records: list[Record],
    zone: ZoneInfo,
    size: tuple[int, int],
) -> None:
    matcher = CompiledMatcher(TYPES)
    with sizes(*size):
        for version, (kept, others) in enumerate([(0, rules), *edits]):
            rules = [*rules[:kept], *others[kept:]]
            assert_equal(matcher.ruleset(TENANT, version, partial(list, rules)), rules, records, zone)
            assert_equal(matcher.compile(rules[1:]), rules[1:], records, zone)


@pytest.mark.slow
@pytest.mark.timeout(900)  # two minutes on an idle machine, many on one that has other work
@given(RULES, RECORDS, ZONES, SIZES)
@settings(max_examples=12_000, **SLOW)
def test_it_equals_the_reference_over_ten_thousand_cases(
    rules: list[Rule], records: list[Record], zone: ZoneInfo, size: tuple[int, int]
) -> None:
    with sizes(*size):
        assert_equal(CompiledMatcher(TYPES).compile(rules), rules, records, zone)


@given(st.lists(TEXTS, min_size=1, max_size=6))
@settings(max_examples=500)
def test_texts_are_normalised_together_as_each_alone(texts: list[str]) -> None:
    joined = join(texts)
    segments = [
        joined.data[start:end].decode("utf-8", "surrogatepass")
        for start, end in zip(joined.starts, joined.ends, strict=True)
    ]
    plain = dict(zip(joined.owner[: joined.plain].tolist(), segments, strict=False))
    stored = dict(zip(joined.owner[joined.plain :].tolist(), segments[joined.plain :], strict=True))
    assert [plain[place] for place in range(len(texts))] == [normalise(text) for text in texts]
    assert stored == {n: text.casefold() for n, text in enumerate(texts) if text.casefold() != normalise(text)}


def test_whatever_is_whitespace_is_collapsed() -> None:
    for text in (f"a{white}b" for code in range(0x110000) if (white := chr(code)).isspace()):
        assert join([text, "é"]).data.split(b"\0")[0] == normalise(text).encode()


def test_a_rule_without_words_is_asked_once_for_each_value() -> None:
    said = []
    rules = [
        a_rule(leaf("account", "equals", "Giro"), 1),
        a_rule({"all": [leaf("weekday", "equals", 6), {"not": leaf("attributes.cc", "equals", "12")}]}, 2),
        a_rule({"any": [leaf("amount", "gt", 0), leaf("text", "contains", "aldi")]}, 3),
    ]
    records = [
        a_record(f"shop {n} {'aldi' * (n % 2)}", account=f"{'Giro' * (n % 3)}", attributes={"cc": str(n % 7)})
        for n in range(500)
    ]
    ready = CompiledMatcher(TYPES).compile(rules)
    with patch.object(
        batch.Batch, "facts", lambda self, place, facts=batch.Batch.facts: said.append(place) or facts(self, place)
    ):
        found = ready.winners(records)
    assert len(said) < 15
    assert list(found) == list(ReferenceMatcher(TYPES).compile(rules).winners(records))


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "abc " * 1_000, "ß" * 4_000, "Tesco stores"])
def test_huge_texts_and_many_records(text: str) -> None:
    rules = [
        a_rule(leaf("text", "contains", "abc " * 120 + "abc"), 1),
        a_rule(leaf("text", "starts_with", "ss" * 240), 2, stop=True),
        a_rule(leaf("text", "equals", "tesco stores"), 3),
        a_rule(leaf("text", "in", ["", "a"]), 4),
        a_rule(leaf("text", "regex", "(?:abc ){50}$"), 5),
    ]
    records = [a_record(f"{text}{n}" if n % 3 else text, counterparty=text[:500]) for n in range(300)]
    assert_equal(CompiledMatcher(TYPES).compile(rules), rules, records, ZoneInfo("UTC"))
