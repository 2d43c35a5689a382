"""The reference evaluator says what a condition's JSON says, read off by a second, naive reading of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.matching.regex import re2_search
from core.domain.records import Record, clean_text, normalise
from core.domain.rule_evaluation import RuleOutcome, compile_rules, evaluate
from core.domain.rules import Action, Rule, RuleStage, order_key
from core.errors import RuleInvalid
from tests.unit.building import a_record, a_rule, leaf, rule_types

PARTS = [
    "abc",
    "ABC",
    "xyz",
    "Tesco",
    "ss",
    "ß",
    "ſ",
    "K",
    "é",
    "e\u0301",
    "İ",
    "ı",
    "ﬁ",
    "fi",
    "&",
    "?",
    "-",
    "\u0345",
    "ΐ",
]
GAPS = [" ", "  ", "\n", "\u00a0", "\x1c", ""]
WORDS = st.lists(st.sampled_from([*PARTS, " "]), min_size=1, max_size=4).map("".join)
TEXTS = st.lists(st.sampled_from([*PARTS, *GAPS, "\ud800", "😀"]), max_size=8).map("".join) | st.text(max_size=20)
REGEXES = st.lists(
    st.sampled_from(
        [*PARTS, ".", r"\b", r"\s", "[ab]", "(?:abc|xyz)", "(abc)?", "x?", "c+", "(?:ab|tes)co", "^", "$", r"\?"]
    ),
    min_size=1,
    max_size=5,
).map("".join) | st.sampled_from(["(?=abc)", "(abc", "abc|", "(?i)ABC", "abc{2}", "(?:abc|)xyz"])
FIELDS = st.sampled_from(["text", "counterparty", "anywhere"])
LEAVES = st.one_of(
    st.builds(
        lambda field, op, word, sensitive: leaf(field, op, word, case_sensitive=sensitive),
        FIELDS,
        st.sampled_from(["equals", "contains", "starts_with", "ends_with"]),
        WORDS.filter(lambda word: bool(normalise(word))),
        st.booleans(),
    ),
    st.builds(lambda field, words: leaf(field, "in", words), FIELDS, st.lists(WORDS | st.just(""), min_size=1)),
    st.builds(lambda field, pattern: leaf(field, "regex", pattern), FIELDS, REGEXES),
    st.just(leaf("amount", "lt", 0)),
    st.sampled_from([True, False, None, "raise"]).map(lambda answer: {"type": "answer", "params": {"answer": answer}}),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda children: st.one_of(
        st.lists(children, min_size=1, max_size=3).map(lambda items: {"all": items}),
        st.lists(children, min_size=1, max_size=3).map(lambda items: {"any": items}),
        children.map(lambda child: {"not": child}),
    ),
    max_leaves=5,
)
SETTINGS = st.fixed_dictionaries(
    {
        "stage": st.sampled_from(RuleStage),
        "priority": st.integers(1, 3),
        "stop": st.booleans(),
        "then": st.sampled_from(
            [Action(review=True), Action(skip=True), Action(tags=("a",), fields={"f": "1"}), Action(fields={"f": "2"})]
        ),
    }
)
RECORDS = st.builds(
    lambda text, counterparty, amount: a_record(text, amount, counterparty=counterparty),
    TEXTS,
    TEXTS,
    st.sampled_from([None, "-1", "1"]),
)


def verdict(when: Mapping[str, Any], record: Record) -> bool | str | None:
    """What the condition says of the record, read off its JSON: yes, no, unknown or fault."""
    if "not" in when:
        inner = verdict(when["not"], record)
        return not inner if isinstance(inner, bool) else inner
    if "all" in when or "any" in when:
        each = [verdict(child, record) for child in when.get("all") or when["any"]]
        decisive = "any" in when
        if any(one is decisive for one in each):
            return decisive
        return "fault" if "fault" in each else None if None in each else not decisive
    if "type" in when:
        answer = when["params"]["answer"]
        return "fault" if answer == "raise" else answer
    if when["field"] == "amount":
        return record.amount is not None and record.amount < Decimal(when["value"])
    texts = {"text": [record.text], "counterparty": [record.counterparty]}
    return says(when, texts.get(when["field"], [record.text, record.counterparty]))


def says(when: Mapping[str, Any], texts: list[str]) -> bool | str:
    op, value, sensitive = when["op"], when["value"], when.get("case_sensitive", False)
    if op == "regex":
        try:
            return any(re2_search(value, sensitive)(text) for text in texts)
        except RuleInvalid:
            return "fault"
    if not sensitive:
        texts = [normalise(text) for text in texts]
    words = [(clean_text if sensitive else normalise)(word) for word in ([value] if op != "in" else value)]
    pattern = {"contains": "%s", "starts_with": r"\A%s", "ends_with": r"%s\Z"}.get(op, r"\A%s\Z")
    return any(re.search(pattern % re.escape(word), text) for word in words for text in texts)


def ask_every_rule(rules: list[tuple[Rule, Mapping[str, Any]]], record: Record) -> tuple[Any, ...]:
    matched, failed = [], set()
    for rule, when in sorted(rules, key=lambda pair: order_key(pair[0])):
        said = verdict(when, record)
        if said == "fault":
            failed.add(rule.id)
        elif said is True:
            matched.append(rule)
            if rule.stop:
                break
    fields: dict[str, str] = {}
    for rule in reversed(matched):
        fields |= rule.then.fields
    deciding = sorted((rule for rule in matched if rule.then.decides), key=lambda rule: not rule.trusted)
    winner = deciding[0].id if deciding else None
    tags = ("a",) if any(rule.then.tags for rule in matched) else ()
    return [rule.id for rule in matched], winner, tags, fields, failed


def told(outcome: RuleOutcome) -> tuple[Any, ...]:
    winner = outcome.winner.rule.id if outcome.winner else None
    failed = {error.rule_id for error in outcome.errors}
    return [match.rule.id for match in outcome.matches], winner, outcome.tags, dict(outcome.fields), failed


@given(st.lists(st.tuples(CONDITIONS, SETTINGS), max_size=6), st.lists(RECORDS, min_size=1, max_size=5))
@example([(leaf("text", "regex", "abc  xyz"), {})], [a_record("abc  xyz")])
@example([(leaf("text", "regex", "kiss"), {})], [a_record("\u212ai\u017f\u017f")])
@example([(leaf("text", "regex", "office"), {})], [a_record("o\ufb03ce"), a_record("office")])
@example([(leaf("text", "contains", "e\u0301tage"), {})], [a_record("\u00c9TAGE"), a_record("e\u0301tage")])
@settings(max_examples=300)
def test_the_evaluator_says_what_the_json_says(
    pairs: list[tuple[Mapping[str, Any], dict[str, Any]]], records: list[Record]
) -> None:
    rules = [(a_rule(when, n, **changes), when) for n, (when, changes) in enumerate(pairs, 1)]
    compiled = compile_rules([rule for rule, _ in rules], re2_search, rule_types())
    expected = [ask_every_rule(rules, record) for record in records]
    assert [told(found) for found in evaluate(compiled, records)] == expected


@given(st.lists(RECORDS, max_size=5), CONDITIONS)
def test_no_text_makes_the_evaluator_raise(records: list[Record], when: Mapping[str, Any]) -> None:
    compiled = compile_rules([a_rule(when)], re2_search, rule_types())
    assert len(evaluate(compiled, records)) == len(records)
