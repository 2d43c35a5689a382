"""The built-in rule types: what recurs, what is an unusual amount, and that a verdict is of its record alone."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.matching.regex import re2_search
from core.domain.records import Record
from core.domain.rule_evaluation import check_rule, compile_rules, evaluate
from core.errors import RuleInvalid
from sortation import MAX_AMOUNTS, CompiledRule, NoHistory
from tests.stubs.host import installed
from tests.unit.building import a_record, a_rule
from tests.unit.pasts import ListedHistory

HOST = installed()
FIXED = {"weekly": (7, 1), "fortnightly": (14, 2), "four-weekly": (28, 3)}
"""Intervals of so many days, each with its tolerance by default."""
MONTHS = {"monthly": 1, "two-monthly": 2, "quarterly": 3, "half-yearly": 6, "yearly": 12}


def recurring(**params: Any) -> CompiledRule:
    return HOST.rule_type("recurring").compile(params)


def outlier(**params: Any) -> CompiledRule:
    return HOST.rule_type("amount_outlier").compile(params)


def payments(days: Sequence[date], amounts: Sequence[str] = ("-10.00",)) -> list[Record]:
    """A record for each day, with ids from 1 on; the last amount is that of all further ones too."""
    padded = [*amounts, *[amounts[-1]] * len(days)]
    return [
        a_record("RENT", amount, id=UUID(int=number), counterparty="Rent Ltd", occurred_at=day)
        for number, (day, amount) in enumerate(zip(days, padded, strict=False), start=1)
    ]


def last_recurs(records: Sequence[Record], **params: Any) -> bool | None:
    (verdict,) = recurring(**params).evaluate(records[-1:], ListedHistory(records))
    return verdict


def days(*texts: str) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


def due(first: date, day_of_month: int, months: int) -> date:
    index = first.year * 12 + first.month - 1 + months
    length = monthrange(index // 12, index % 12 + 1)[1]
    return date(index // 12, index % 12 + 1, min(day_of_month, length))


@pytest.mark.parametrize(
    ("interval", "on", "holds"),
    [
        ("monthly", days("2026-01-31", "2026-02-28", "2026-03-31"), True),
        ("monthly", days("2025-12-31", "2026-01-31", "2026-02-28"), True),
        ("monthly", days("2025-12-31", "2026-02-02", "2026-03-02"), True),  # both due on the last, a Saturday
        ("monthly", days("2026-02-05", "2026-03-05", "2026-04-11"), True),  # due on the 8th
        ("monthly", days("2026-02-05", "2026-03-05", "2026-04-12"), False),
        ("monthly", days("2026-01-05", "2026-03-05", "2026-04-05"), False),  # one was missed
        ("monthly", days("2026-02-05", "2026-03-05"), False),  # too few
        ("monthly", days("2026-01-05", "2026-02-05", "2026-02-20", "2026-03-05"), False),  # one is off the schedule
        ("monthly", days("2026-01-05", "2026-02-05", "2026-02-05", "2026-03-05", "2026-03-05"), True),  # twice a day
        ("yearly", days("2024-02-29", "2025-02-28", "2026-02-28"), True),
        ("quarterly", days("2025-08-31", "2025-11-30", "2026-02-28"), True),
        ("weekly", days("2026-01-05", "2026-01-12", "2026-01-20"), True),
        ("weekly", days("2026-01-05", "2026-01-10", "2026-01-15"), False),
        ("weekly", days("2026-01-05", "2026-01-06", "2026-01-07"), False),
        ("monthly", days("2026-01-05", "2026-01-12", "2026-01-19"), False),
    ],
)
def test_a_series_is_one_of_its_interval(interval: str, on: list[date], holds: bool) -> None:
    assert last_recurs(payments(on), interval=interval) is holds


def test_a_month_is_due_on_its_last_day_where_it_is_too_short() -> None:
    for on in (days("2025-12-31", "2026-01-31", "2026-02-28"), days("2026-01-30", "2026-02-28", "2026-03-30")):
        assert last_recurs(payments(on), interval="monthly", tolerance_days=0) is True
    assert last_recurs(payments(days("2025-12-29", "2026-01-31", "2026-02-28")), tolerance_days=0) is False


def test_an_absent_interval_is_any_of_the_known_ones() -> None:
    assert last_recurs(payments(days("2026-01-05", "2026-01-12", "2026-01-19"))) is True
    assert last_recurs(payments(days("2026-01-05", "2026-01-15", "2026-01-25"))) is False
    assert last_recurs(payments(days("2024-01-05", "2025-01-05", "2026-01-05"))) is True


def test_amounts_are_similar_of_one_currency_and_one_sign() -> None:
    on = days("2026-01-05", "2026-02-05", "2026-03-05")
    assert last_recurs(payments(on, ["-9.00", "-11.00", "-10.00"])) is True
    assert last_recurs(payments(on, ["-8.99", "-11.00", "-10.00"])) is False
    assert last_recurs(payments(on, ["-8.99", "-11.00", "-10.00"]), amount_tolerance=0.2) is True
    assert last_recurs(payments(on, ["-10.00", "10.00", "-10.00"]), amount_tolerance=1) is False
    assert last_recurs(payments(on, ["0", "-10.00", "-10.00"]), amount_tolerance=1) is False
    first, *others = payments(on)
    assert last_recurs([replace(first, currency="USD"), *others]) is False
    assert last_recurs([replace(first, amount=None, currency=None), *others]) is False
    assert last_recurs([replace(first, counterparty="Other Ltd"), *others]) is False


def test_a_record_without_an_amount_gets_no_verdict_and_costs_no_question() -> None:
    records = payments(days("2026-01-05", "2026-02-05"))
    nothing = a_record("RENT", None, id=UUID(int=99))
    history = ListedHistory()
    for rule in (recurring(), outlier(), outlier(category="rent")):
        assert rule.evaluate([nothing], history) == [None]
        assert rule.evaluate([], history) == []
    assert history.asked == []
    assert recurring().evaluate([records[0], nothing, records[1]], NoHistory()) == [False, None, False]


def test_an_instant_counts_by_its_day_in_utc() -> None:
    records = payments(days("2026-01-05", "2026-02-05", "2026-03-05"))
    records[-1] = replace(records[-1], occurred_at=datetime(2026, 3, 5, 23, 30, tzinfo=UTC))
    assert last_recurs(records, tolerance_days=0) is True


@given(
    first=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    day_of_month=st.integers(1, 31),
    interval=st.sampled_from(sorted(MONTHS)),
    tolerance=st.integers(0, 4),
    jitter=st.lists(st.integers(-4, 4), min_size=2, max_size=8),
)
def test_a_series_of_months_with_each_payment_within_the_tolerance_recurs(
    first: date, day_of_month: int, interval: str, tolerance: int, jitter: list[int]
) -> None:
    shifts = [max(-tolerance, min(tolerance, shift)) for shift in jitter]
    on = [due(first, day_of_month, i * MONTHS[interval]) + timedelta(days=shift) for i, shift in enumerate(shifts)]
    series = payments(on)
    assert last_recurs(series, interval=interval, tolerance_days=tolerance, occurrences=len(on)) is True
    assert last_recurs(series, tolerance_days=tolerance, occurrences=len(on)) is True
    if interval == "monthly":
        assert last_recurs(series, interval="quarterly", occurrences=len(on)) is False


@given(
    gaps=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    interval=st.sampled_from(sorted(FIXED)),
)
def test_a_series_of_days_recurs_exactly_when_its_days_fit_one_schedule(gaps: list[int], interval: str) -> None:
    """Days fit a schedule of a fixed interval when, moved together by it, they lie within twice the tolerance."""
    length, tolerance = FIXED[interval]
    on = [date(2026, 1, 1) + timedelta(days=sum(gaps[:i])) for i in range(len(gaps) + 1)]
    moved = [(day - on[0]).days - i * length for i, day in enumerate(on)]
    fits = max(moved) - min(moved) <= 2 * tolerance
    assert last_recurs(payments(on), interval=interval, occurrences=len(on)) is fits


@given(interval=st.sampled_from(sorted(FIXED)), jitter=st.lists(st.integers(-3, 3), min_size=2, max_size=8))
def test_a_series_of_days_with_each_payment_within_the_tolerance_recurs(interval: str, jitter: list[int]) -> None:
    length, tolerance = FIXED[interval]
    shifts = [max(-tolerance, min(tolerance, shift)) for shift in jitter]
    on = [date(2026, 1, 1) + timedelta(days=i * length + shift) for i, shift in enumerate(shifts)]
    assert last_recurs(payments(on), interval=interval, occurrences=len(on)) is True


@given(st.lists(st.integers(1, 400), min_size=2, max_size=6))
def test_shuffled_intervals_do_not_recur(gaps: list[int]) -> None:
    """Whatever recurs has all its gaps near one interval: each payment may be off by the tolerance, and so may the
    length of a month."""
    lengths = [(length, length, t) for length, t in FIXED.values()] + [(28 * m, 31 * m, 3) for m in MONTHS.values()]
    assume(not any(all(low - 2 * t <= gap <= high + 2 * t for gap in gaps) for low, high, t in lengths))
    on = [date(2026, 1, 1) + timedelta(days=sum(gaps[:i])) for i in range(len(gaps) + 1)]
    assert last_recurs(payments(on), occurrences=len(on)) is False


@given(extra=st.lists(st.tuples(st.integers(0, 120), st.sampled_from(["-8.00", "-13.50", "10.00"])), max_size=20))
def test_payments_of_other_amounts_in_between_change_nothing(extra: list[tuple[int, str]]) -> None:
    series = payments(days("2026-01-05", "2026-02-05", "2026-03-05", "2026-04-05"))
    noise = [
        replace(
            series[0],
            id=UUID(int=100 + i),
            occurred_at=date(2026, 1, 1) + timedelta(days=shift),
            amount=Decimal(amount),
        )
        for i, (shift, amount) in enumerate(extra)
    ]
    assert last_recurs([*noise, *series], occurrences=4) is True


USUAL = [Decimal(-n) for n in range(80, 121)]


def is_outlier(amount: str, usual: Sequence[Decimal] = USUAL, **params: Any) -> bool | None:
    history = ListedHistory(sorted_amounts={("power", "EUR"): usual})
    (verdict,) = outlier(category="power", **params).evaluate([a_record("POWER", amount)], history)
    return verdict


def test_an_amount_far_from_the_usual_ones_is_an_outlier() -> None:
    # The middle is ln 100 and the MAD ln 1.11, so 3.5 spreads lie between 100 / 1.7186 = 58.2 and 100 * 1.7186 = 171.9.
    inside, above, below = ("-59", "-100", "-171"), ("-172", "-1000"), ("-1", "-58")
    assert [is_outlier(amount) for amount in inside] == [False] * 3
    assert [is_outlier(amount) for amount in (*above, *below)] == [True] * 4
    assert [is_outlier(amount, direction="above") for amount in ("-1000", "-1")] == [True, False]
    assert [is_outlier(amount, direction="below") for amount in ("-1000", "-1")] == [False, True]
    assert is_outlier("-172", factor=5) is False


def test_a_few_wild_amounts_do_not_hide_an_outlier() -> None:
    assert is_outlier("-1000", [*USUAL, *[Decimal(-9_999)] * 15]) is True


def test_no_verdict_without_enough_amounts_of_the_same_sign_and_currency() -> None:
    assert is_outlier("-1000", USUAL[:19]) is None
    assert is_outlier("-1000", USUAL[:20]) is True
    assert is_outlier("-1000", USUAL[:20], min_count=21) is None
    assert is_outlier("1000") is None
    assert is_outlier("0") is None
    assert is_outlier("-1000", [Decimal(0)] * 50) is None
    history = ListedHistory(sorted_amounts={("power", "EUR"): USUAL})
    assert outlier(category="power").evaluate([a_record(amount="-9", currency="USD")], history) == [None]
    assert outlier(category="gas").evaluate([a_record(amount="-9")], history) == [None]


def test_where_most_amounts_are_equal_a_small_difference_is_none() -> None:
    same = [Decimal("-9.99")] * 30
    assert [is_outlier(amount, same) for amount in ("-9.99", "-11.50", "-12.50")] == [False, False, True]
    # Half and more are equal, so the MAD is 0: the others must still not be outliers as soon as they differ.
    mixed = [*same, *(Decimal(-n) for n in range(5, 25))]
    assert [is_outlier(amount, mixed) for amount in ("-12.50", "-20.00", "-200.00")] == [False, False, True]


@given(amount=st.integers(1, 10_000), scale=st.sampled_from(["0.01", "0.5", "7", "1000000"]))
def test_the_unit_of_the_amounts_does_not_matter(amount: int, scale: str) -> None:
    scaled = [usual * Decimal(scale) for usual in USUAL]
    assert is_outlier(str(-amount * Decimal(scale)), scaled) is is_outlier(str(-amount))


def test_the_category_is_the_one_that_people_gave_most_often_to_the_counterparty() -> None:
    past = payments([date(2026, 1, day) for day in range(1, 6)])
    new = a_record("RENT", "-1000", id=UUID(int=99), counterparty="Rent Ltd")
    amounts = {("power", "EUR"): USUAL, ("rent", "EUR"): [usual * 10 for usual in USUAL]}

    def verdict(*categories: str | None) -> bool | None:
        given_by = {record.id: key for record, key in zip(past, categories, strict=False) if key}
        (answer,) = outlier().evaluate([new], ListedHistory(past, given_by, amounts))
        return answer

    assert verdict("rent", None, "power", "rent") is False
    assert verdict("rent", "power", None, "power") is True
    assert verdict("power", "rent") is False  # as often: the later one
    assert verdict(None) is None


PARTIES = ["Rent Ltd", "Power Ltd", ""]
SOME = st.lists(
    st.tuples(
        st.sampled_from(PARTIES),
        st.integers(0, 12).map(lambda step: step * 15),
        st.sampled_from([None, "-10.00", "-10.50", "-99.00", "10.00", "0"]),
        st.sampled_from(["EUR", "USD"]),
        st.sampled_from([None, "rent", "power"]),
    ),
    max_size=25,
)


@given(drawn=SOME, order=st.randoms(use_true_random=False))
def test_a_verdict_does_not_depend_on_the_batch_and_a_batch_asks_once(drawn: list[Any], order: Any) -> None:
    records = [
        a_record(
            "TEXT",
            amount,
            id=UUID(int=i),
            counterparty=party,
            occurred_at=date(2026, 1, 1) + timedelta(days=shift),
            currency=currency if amount else None,
        )
        for i, (party, shift, amount, currency, _) in enumerate(drawn)
    ]
    categories = {record.id: item[-1] for record, item in zip(records, drawn, strict=True) if item[-1]}
    amounts = {(key, code): USUAL for key in ("rent", "power") for code in ("EUR", "USD")}
    for rule in (recurring(), recurring(interval="monthly", occurrences=2), outlier(), outlier(category="rent")):
        history = ListedHistory(records, categories, amounts)
        together = dict(zip(records_ids(records), rule.evaluate(records, history), strict=True))
        assert len(history.asked) == len(set(history.asked))
        shuffled = list(records)
        order.shuffle(shuffled)
        assert dict(zip(records_ids(shuffled), rule.evaluate(shuffled, history), strict=True)) == together
        alone = {record.id: rule.evaluate([record], history)[0] for record in records}
        assert alone == together


def records_ids(records: Sequence[Record]) -> list[UUID]:
    return [record.id for record in records]


@pytest.mark.parametrize(
    ("key", "params", "reason"),
    [
        ("recurring", {"occurrences": 1}, "params.occurrences: 1 is less than the minimum of 2"),
        ("recurring", {"interval": "daily"}, "params.interval: 'daily' is not one of"),
        ("recurring", {"amount_tolerance": 1.5}, "params.amount_tolerance: 1.5 is greater"),
        ("recurring", {"tolerance": 3}, r"params: Additional properties .*'tolerance'"),
        ("amount_outlier", {"category": ""}, "params.category: "),
        ("amount_outlier", {"factor": True}, "params.factor: True is not of type 'number'"),
        ("amount_outlier", {"min_count": MAX_AMOUNTS + 1}, "params.min_count: "),
        ("amount_outlier", {"direction": "sideways"}, "params.direction: "),
    ],
)
def test_parameters_that_the_schema_refuses(key: str, params: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(RuleInvalid, match=f"^{reason}"):
        HOST.rule_type(key).compile(params)


def test_json_knows_no_whole_numbers_and_defaults_are_those_of_the_schema() -> None:
    records = payments(days("2026-01-05", "2026-02-05", "2026-03-05"))
    assert last_recurs(records, occurrences=3.0, tolerance_days=3.0, amount_tolerance=0) is True
    assert is_outlier("-1000", min_count=20.0) is True
    for key, manifest in HOST.rule_types().items():
        if manifest.factory.startswith("plugins."):
            rule_type = HOST.rule_type(key)
            properties = manifest.params_schema["properties"]
            written_out = {name: value["default"] for name, value in properties.items() if "default" in value}
            assert rule_type.compile(written_out) == rule_type.compile({})
            assert all(value["description"] for value in properties.values())


def test_a_rule_asks_a_rule_type_with_the_history_of_its_tenant() -> None:
    records = payments(days("2026-01-05", "2026-02-05", "2026-03-05"))
    compiled = compile_rules([a_rule({"type": "recurring"})], re2_search, HOST.rule_type)
    outcomes = evaluate(compiled, records, history=ListedHistory(records))
    assert [outcome.winner is not None for outcome in outcomes] == [False, False, True]
    with pytest.raises(RuleInvalid, match=r"params\.occurrences: 1 is less than the minimum of 2"):
        check_rule(a_rule({"type": "recurring", "params": {"occurrences": 1}}), re2_search, HOST.rule_type)
