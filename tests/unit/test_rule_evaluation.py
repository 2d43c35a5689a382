"""What rules mean: every leaf, the connectives with unknown and fault, the order, `stop`, plugins that misbehave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from adapters.matching.regex import re2_search
from core.domain.records import Record, Sortable
from core.domain.rule_evaluation import RuleOutcome, check_rule, compile_rules, evaluate
from core.domain.rule_history import History
from core.domain.rules import Action, Rule, RuleStage
from core.errors import RuleInvalid
from tests.unit.building import Answering, a_record, a_rule, leaf, rule_types

YES, NO = leaf("text", "contains", "tesco"), leaf("text", "contains", "aldi")
UNKNOWN = {"type": "answer", "params": {"answer": None}}
FAULT = {"type": "answer", "params": {"answer": "raise"}}
BERLIN = ZoneInfo("Europe/Berlin")

A_RECORD = a_record(
    "Café Größe 12, Straße",
    "-10.00",
    counterparty="TESCO Stores",
    account="DE12 Giro",
    attributes={
        "mcc": "5411",
        "count": 7,
        "share": 0.5,
        "paid": True,
        "due": "2026-02-01T08:00:00Z",
        "tags": ["Food", "home"],
        "nested": {"deep": {"er": "Value"}},
        "nothing": None,
        "huge": 10**200,
        "nan": float("nan"),
        "odd": {1: 2},
    },
)


def outcome(record: Record, *rules: Rule, zone: ZoneInfo | None = None, **types: Any) -> RuleOutcome:
    compiled = compile_rules(rules, re2_search, rule_types(**types))
    (only,) = evaluate(compiled, [record], zone) if zone else evaluate(compiled, [record])
    return only


def holds(when: Mapping[str, Any], record: Record = A_RECORD, zone: ZoneInfo | None = None) -> bool:
    found = outcome(record, a_rule(when), zone=zone)
    assert not found.errors
    return bool(found.matches)


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("text", "equals", "CAFÉ GRÖSSE 12,  STRASSE", True),
        ("text", "equals", "Café", False),
        ("text", "in", ["x", "café größe 12, straße"], True),
        ("text", "contains", "GROSSE", False),
        ("text", "contains", "GRÖSSE", True),
        ("text", "starts_with", "cafe\u0301 ", True),
        ("text", "starts_with", "größe", False),
        ("text", "ends_with", "STRASSE", True),
        ("text", "ends_with", "12", False),
        ("text", "regex", r"^caf.*\d\d, stra", True),
        ("text", "regex", r"^gr", False),
        ("counterparty", "contains", "tesco", True),
        ("counterparty", "contains", "café", False),
        ("anywhere", "contains", "tesco", True),
        ("anywhere", "regex", r"^tesco", True),
        ("anywhere", "equals", "tesco stores", True),
        ("anywhere", "contains", "aldi", False),
        ("currency", "equals", "eur", True),
        ("account", "contains", "giro", True),
        ("kind", "in", ["invoice", "transaction"], True),
        ("connection", "equals", str(UUID(int=2)).upper(), True),
        ("amount", "equals", "-10", True),
        ("amount", "in", [3, "-10.000"], True),
        ("amount", "lt", "-9.99", True),
        ("amount", "lt", "-10", False),
        ("amount", "lte", "-10", True),
        ("amount", "gt", "-10", False),
        ("amount", "gte", "-10", True),
        ("amount", "between", ["-10", "-10"], True),
        ("date", "equals", "2026-01-31", True),
        ("date", "in", ["2026-01-30"], False),
        ("date", "between", ["2026-01-01", "2026-01-31"], True),
        ("date", "lt", "2026-01-31", False),
        ("year", "equals", 2026, True),
        ("month", "in", [1, 2], True),
        ("day", "gte", 31, True),
        ("weekday", "equals", 6, True),
        ("attributes.mcc", "equals", 5411, True),
        ("attributes.mcc", "gt", "5410.5", True),
        ("attributes.count", "equals", "7.0", True),
        ("attributes.count", "between", [1, 7], True),
        ("attributes.share", "lt", "0.51", True),
        ("attributes.paid", "equals", True, True),
        ("attributes.paid", "equals", 1, False),
        ("attributes.due", "lt", "2026-02-02", True),
        ("attributes.due", "equals", "2026-02-01", False),
        ("attributes.tags", "equals", "food", True),
        ("attributes.tags", "regex", "^ho", True),
        ("attributes.nested.deep.er", "starts_with", "val", True),
        ("attributes.nested", "equals", "value", False),
        ("attributes.nothing", "equals", "", False),
        ("attributes.missing.at.all", "regex", ".*", False),
        ("attributes.huge", "gt", 0, False),
        ("attributes.nan", "lt", 10, False),
        ("attributes.odd.x", "equals", "2", False),
    ],
)
def test_every_field_and_operator(field: str, op: str, value: Any, expected: bool) -> None:
    assert holds(leaf(field, op, value)) is expected
    assert holds({"not": leaf(field, op, value)}) is not expected


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("Aral", "Aral", True),
        ("Aral", "ARAL", False),
        ("Größe", "Gro\u0308ße", False),
        ("  Aral  Station ", "Aral Station", True),
    ],
)
def test_case_sensitive_texts_are_compared_as_they_are_stored(value: str, text: str, expected: bool) -> None:
    assert holds(leaf("text", "contains", value, case_sensitive=True), a_record(text)) is expected


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("strasse", "Hauptstraße"),
        ("STRAẞE", "strasse"),
        ("istanbul", "ISTANBUL"),
        ("i\u0307stanbul", "İSTANBUL"),
        ("café", "CAFE\u0301"),
        ("cafe\u0301", "CAFÉ"),
        ("office", "oﬃce"),
        ("tesco", "ＴＥＳＣＯ"),
        ("łódź", "ŁÓDŹ"),
        ("\u212a9 unit", "k9 unit"),
    ],
)
def test_texts_fold_beyond_ascii(word: str, text: str) -> None:
    assert holds(leaf("text", "contains", word), a_record(f"x {text} y"))


def test_a_regex_sees_what_is_stored_even_where_folding_changes_it() -> None:
    assert holds(leaf("text", "regex", "stra.e"), a_record("STRAßE"))
    assert holds(leaf("text", "regex", "kiss"), a_record("\u212ai\u017f\u017f"))
    assert not holds(leaf("text", "regex", "office"), a_record("oﬃce"))


def test_what_a_record_lacks_is_no() -> None:
    record = a_record(amount=None)
    assert not holds(leaf("amount", "lt", 0), record)
    assert holds({"not": leaf("amount", "gt", 0)}, record)
    assert not holds(leaf("currency", "equals", "EUR"), record)
    assert holds(leaf("counterparty", "equals", ""), record)
    assert holds(leaf("anywhere", "in", ["", "x"]), record)
    assert holds(leaf("anywhere", "regex", "^$"), record)


def test_the_calendar_day_is_that_of_the_tenant() -> None:
    late = a_record(occurred_at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC))
    first_of_february = leaf("date", "equals", "2026-02-01")
    assert holds(first_of_february, late, BERLIN)
    assert not holds(first_of_february, late)
    assert holds(leaf("weekday", "equals", 7), late, BERLIN)
    assert not holds(first_of_february, a_record(occurred_at=date(2026, 1, 31)), BERLIN)


@pytest.mark.parametrize(
    ("when", "matches", "fails"),
    [
        ({"not": NO}, True, False),
        ({"not": UNKNOWN}, False, False),
        ({"not": FAULT}, False, True),
        ({"all": [YES, YES]}, True, False),
        ({"all": [YES, UNKNOWN]}, False, False),
        ({"all": [UNKNOWN, NO]}, False, False),
        ({"all": [YES, FAULT]}, False, True),
        ({"all": [FAULT, NO]}, False, False),
        ({"all": [UNKNOWN, FAULT]}, False, True),
        ({"any": [NO, YES]}, True, False),
        ({"any": [UNKNOWN, YES]}, True, False),
        ({"any": [FAULT, YES]}, True, False),
        ({"any": [NO, UNKNOWN]}, False, False),
        ({"any": [UNKNOWN, FAULT, NO]}, False, True),
        ({"not": {"all": [UNKNOWN, NO]}}, True, False),
        ({"not": {"any": [UNKNOWN, NO]}}, False, False),
        ({"type": "nowhere"}, False, True),
        (leaf("text", "regex", "(?=a)"), False, True),
        ({"any": [leaf("text", "regex", "(?=a)"), YES]}, True, False),
    ],
)
def test_unknown_and_fault_travel_through_the_connectives(when: Any, matches: bool, fails: bool) -> None:
    found = outcome(a_record(), a_rule(when))
    assert bool(found.matches) is matches
    assert bool(found.errors) is fails


def test_matches_come_in_order_and_the_first_that_decides_wins() -> None:
    found = outcome(
        a_record(),
        a_rule(YES, 4, stage=RuleStage.POST, then=Action(tags=("late", "a"))),
        a_rule(YES, 3, priority=200),
        a_rule(YES, 2, priority=10, then=Action(review=True, fields={"b": "2", "c": "2"})),
        a_rule(NO, 9, priority=1),
        a_rule(YES, 8, priority=2, enabled=False),
        a_rule(YES, 1, stage=RuleStage.PRE, priority=999, then=Action(tags=("a", "b"), fields={"b": "1"})),
    )
    assert [match.rule.id.int for match in found.matches] == [1, 2, 3, 4]
    assert found.winner is not None
    assert found.winner.rule.id.int == 2
    assert found.tags == ("a", "b", "late")
    assert found.fields == {"b": "1", "c": "2"}


def test_after_a_match_with_stop_nothing_is_asked() -> None:
    found = outcome(
        a_record(),
        a_rule(NO, 1, priority=1, stop=True),
        a_rule(YES, 2, priority=2, stop=True, then=Action(tags=("a",))),
        a_rule(YES, 3, priority=3),
        a_rule(FAULT, 4, priority=4),
    )
    assert [match.rule.id.int for match in found.matches] == [2]
    assert found.winner is None
    assert not found.errors


def test_a_rule_type_is_asked_once_for_a_batch_and_only_when_needed() -> None:
    answering = Answering()
    always = {"type": "mine", "params": {"answer": True}}
    compiled = compile_rules([a_rule({"all": [NO, always]})], re2_search, rule_types(mine=answering))
    evaluate(compiled, [a_record(), a_record()])
    assert answering.calls == 0
    found = evaluate(compiled, [a_record("aldi 1"), a_record(), a_record("aldi 2")])
    assert [bool(each.matches) for each in found] == [True, False, True]
    assert answering.calls == 1


class Choking:
    """A rule type that spoils the batch when one record of it is poison."""

    def compile(self, params: Mapping[str, Any]) -> Choking:
        if "wrong" in params:
            raise ValueError("bad\nparameters")
        return self

    def evaluate(self, records: Sequence[Sortable], history: History) -> Sequence[bool | None]:
        if any("poison" in record.text for record in records):
            raise ValueError("choked")
        return [True for _ in records]


class Miscounting:
    """A rule type that does not answer as the contract says."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def compile(self, params: Mapping[str, Any]) -> Miscounting:
        return self

    def evaluate(self, records: Sequence[Sortable], history: History) -> Any:
        return self._answer


def test_one_poison_record_spoils_no_other() -> None:
    compiled = compile_rules([a_rule({"type": "choking"})], re2_search, rule_types(choking=Choking()))
    found = evaluate(compiled, [a_record("a"), a_record("poison"), a_record("b")])
    assert [bool(each.matches) for each in found] == [True, False, True]
    assert [each.errors[0].reason for each in found if each.errors] == ["choking: ValueError: choked"]


@pytest.mark.parametrize("answer", [[], [True, False], ["yes"], [1], None, 7])
def test_answers_that_break_the_contract_are_faults(answer: Any) -> None:
    found = outcome(a_record(), a_rule({"type": "odd"}), odd=Miscounting(answer))
    assert not found.matches
    assert found.errors[0].reason.startswith("odd")


def test_a_missing_plugin_says_so_for_each_record() -> None:
    found = outcome(a_record(), a_rule({"type": "gone"}), a_rule(YES, 2))
    assert [match.rule.id.int for match in found.matches] == [2]
    assert "gone" in found.errors[0].reason
    assert found.errors[0].rule_id == UUID(int=1)


@pytest.mark.parametrize(
    ("when", "place"),
    [
        ({"all": [YES, {"not": leaf("text", "regex", "(")}]}, "when.all[1].not.value: the regex can't be used"),
        ({"any": [{"type": "gone"}]}, "when.any[0]: gone: PluginUnavailable"),
        ({"type": "choking", "params": {"wrong": 1}}, "when: choking: ValueError: bad parameters"),
    ],
)
def test_a_rule_that_can_not_be_served_is_refused_when_it_is_made(when: Any, place: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        check_rule(a_rule(when), re2_search, rule_types(choking=Choking()))
    assert str(refused.value).startswith(place)


def test_amounts_are_compared_as_decimals() -> None:
    assert holds(leaf("amount", "equals", "0.1"), a_record(amount=Decimal("0.10")))
    assert not holds(leaf("amount", "equals", "0.1"), a_record(amount=Decimal("0.1000000000001")))
