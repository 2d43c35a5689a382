"""Sums of reports: exact, rounded once, rolled up; series of payments; charts."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.charts.svg import draw, scale
from adapters.reports import page, plain, reading, workbook
from core.domain.categories import Category
from core.domain.recurrences import Payment, series_in
from core.domain.report_charts import charts_of
from core.domain.report_money import Conversion, rounded
from core.domain.report_money_tables import (
    Money,
    cash_flow_table,
    category_table,
    change_table,
    recurring_table,
)
from core.domain.report_rows import Sum
from core.domain.report_tables import Chart, ChartKind, Column, ColumnKind, Report, Table
from core.domain.report_totals import change_totals, flow_totals, recurring_totals
from core.domain.reports import Format, ReportKind, ReportSpec, spec_from_json, spec_to_json
from core.errors import Invalid

AMOUNTS = st.decimals(min_value=-(10**24), max_value=10**24, places=6)
RATES = st.decimals(min_value=Decimal("0.000001"), max_value=10**6, places=9)
JAN = date(2026, 1, 1)


@given(st.lists(st.tuples(AMOUNTS, st.sampled_from(["EUR", "USD", "JPY"])), min_size=1, max_size=30), RATES, RATES)
def test_converted_sums_are_exact_and_rounded_once_half_to_even(
    amounts: list[tuple[Decimal, str]], dollar: Decimal, yen: Decimal
) -> None:
    money = Money(conversion=Conversion(to="EUR", rates={"USD": dollar, "JPY": yen}))
    worth = {"EUR": Fraction(1), "USD": Fraction(dollar), "JPY": Fraction(yen)}
    each = [Fraction(amount) * worth[currency] for amount, currency in amounts]
    incoming, outgoing = sum(one for one in each if one > 0), sum(one for one in each if one < 0)
    exact = [Fraction(round(one * 100), 100) for one in (incoming, outgoing, incoming + outgoing)]
    sums = [a_sum(JAN, currency, amount=amount) for amount, currency in amounts]
    (flow,) = cash_flow_table(sums, [JAN], money).rows
    assert fractions(flow[3:]) == [*exact, exact[2]], "round() is half to even"
    table, totals = category_table(sums, [], money), flow_totals(sums, money)
    (row,), (whole,) = table.rows, totals.rows
    assert fractions(row[8:]) == fractions(whole[2:]) == exact


def fractions(told: Sequence[Any]) -> list[Fraction]:
    return [Fraction(one) for one in told]


def a_sum(part: date, currency: str, category_id: UUID | None = None, *, amount: Decimal = Decimal(1)) -> Sum:
    flows = {"incoming": max(amount, Decimal(0)), "outgoing": min(amount, Decimal(0))}
    return Sum(part=part, currency=currency, category_id=category_id, records=1, **flows)


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [("1.5", "EUR", "1.50"), ("1.5000", "EUR", "1.50"), ("1.505", "EUR", "1.505"), ("100", "JPY", "100")],
)
def test_what_is_not_converted_keeps_its_decimals(amount: str, currency: str, shown: str) -> None:
    assert f"{rounded(Decimal(amount), currency, None):f}" == shown


def a_category(n: int, parent: int | None) -> Category:
    return Category(
        id=UUID(int=n),
        tenant_id=UUID(int=0),
        parent_id=None if parent is None else UUID(int=parent),
        key=f"c{n}",
        name=f"C{n}",
        description="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        version=1,
    )


TREE = [a_category(n, None if n < 3 else n // 3) for n in range(1, 12)]
SUMS = st.lists(
    st.builds(
        Sum,
        part=st.sampled_from([JAN, date(2026, 2, 1)]),
        category_id=st.sampled_from([None, *(one.id for one in TREE)]),
        currency=st.sampled_from(["EUR", "USD"]),
        records=st.integers(1, 9),
        incoming=st.decimals(0, 10**9, places=2),
        outgoing=st.decimals(-(10**9), 0, places=2),
    ),
    max_size=40,
    unique_by=lambda one: (one.part, one.category_id, one.currency),
)


@given(SUMS)
def test_what_is_below_is_rolled_up_and_the_whole_is_the_sum_of_the_roots(sums: list[Sum]) -> None:
    money = Money(conversion=None)
    table, totals = category_table(sums, TREE, money), flow_totals(sums, money)
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, row, strict=True)) for row in table.rows]
    roots: defaultdict[object, Decimal] = defaultdict(Decimal)
    own: defaultdict[object, Decimal] = defaultdict(Decimal)
    for row in rows:
        assert isinstance(row["amount"], Decimal)
        assert isinstance(row["own_amount"], Decimal)
        own[row["currency"]] += row["own_amount"]
        if row["level"] == 0:
            roots[row["currency"]] += row["amount"]
    told = {row[0]: row[4] for row in totals.rows}
    assert dict(roots) == dict(own) == told
    assert len({tuple(map(str, row[:5])) for row in table.rows}) == len(rows), "each has a place of its own"


def test_a_table_of_very_many_rows_is_refused_before_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    money, parts = Money(conversion=None), [JAN, date(2026, 2, 1), date(2026, 3, 1)]
    leaf, paid = a_sum(JAN, "EUR", TREE[8].id), [("A", "EUR", monthly(3, 5)), ("B", "EUR", monthly(3, 5))]
    builds: dict[str, Callable[[], object]] = {
        "three parts of two currencies": lambda: cash_flow_table([a_sum(JAN, "EUR"), a_sum(JAN, "USD")], parts, money),
        "a category and the two above it": lambda: category_table([leaf], TREE, money),
        "changes of these": lambda: change_table([], [leaf], TREE, money),
        "two series": lambda: recurring_table(paid, money),
    }
    for name, rows in zip(builds, (6, 3, 3, 2), strict=True):
        monkeypatch.setattr("core.domain.report_rows.MOST_ROWS", rows)
        builds[name]()
        monkeypatch.setattr("core.domain.report_rows.MOST_ROWS", rows - 1)
        with pytest.raises(Invalid, match="take longer parts, a shorter period"):
            builds[name]()


@given(SUMS, SUMS, RATES)
def test_what_changes_come_to_is_out_of_exact_sums(before: list[Sum], now: list[Sum], dollar: Decimal) -> None:
    money = Money(conversion=Conversion(to="EUR", rates={"USD": dollar}))
    rate = {"EUR": Fraction(1), "USD": Fraction(dollar)}

    def exact(sums: list[Sum]) -> Fraction:
        return sum(
            ((Fraction(one.incoming) + Fraction(one.outgoing)) * rate[one.currency or ""] for one in sums), Fraction(0)
        )

    was, came = exact(before), exact(now)
    told = [fractions(row[1:]) for row in change_totals(before, now, money).rows]
    assert told == ([[Fraction(round(one * 100), 100) for one in (was, came, came - was)]] if before or now else [])


def test_roundings_are_not_added_up() -> None:
    """Three times 0.4 of a cent are more than a cent; told each, they are nothing."""
    money = Money(conversion=Conversion(to="EUR", rates={"USD": Decimal("0.004")}))
    parts = [date(2026, month, 1) for month in (1, 2, 3)]
    sums = [a_sum(part, "USD") for part in parts]
    table = cash_flow_table(sums, parts, money)
    assert [row[5] for row in table.rows] == [0, 0, 0]
    assert [row[3:] for row in table.rows][-1][-1] == Decimal("0.01")
    assert flow_totals(sums, money).rows == [("EUR", 3, Decimal("0.01"), Decimal("0.00"), Decimal("0.01"))]
    paid = [(party, "USD", monthly(3, 5, "-0.10")) for party in "ABC"]
    series, years = recurring_table(paid, money)
    assert [row[4] for row in series.rows] == [0, 0, 0]
    assert recurring_totals(years, money).rows == [("EUR", Decimal("0.00"), Decimal("-0.01"))]


def test_a_main_category_is_told_by_its_place_and_not_by_its_name() -> None:
    money, above = Money(conversion=None), replace(TREE[0], name="Food > out")
    below = replace(TREE[2], name="Lunch")
    table = change_table([], [a_sum(JAN, "EUR", below.id)], [above, below], money)
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, row, strict=True)) for row in table.rows]
    assert {(row["category"], row["level"]) for row in rows} == {("Food > out", 0), ("Food > out > Lunch", 1)}
    (chart,) = charts_of(ReportKind.CHANGES, [table])
    assert chart.labels == ("Food > out",)


def monthly(day: int, months: int, amount: str = "-9.99") -> list[Payment]:
    return [Payment(day=date(2026, month, min(day, 28)), amount=Decimal(amount)) for month in range(1, months + 1)]


def test_series_are_found_among_other_payments() -> None:
    noise = [Payment(day=date(2026, 1, 1) + timedelta(days=n * n), amount=Decimal(-50 - 20 * n)) for n in range(9)]
    (found,) = series_in([*monthly(15, 5), *noise])
    assert (found.interval, found.payments, found.since, found.due) == (
        "monthly",
        5,
        date(2026, 1, 15),
        date(2026, 6, 15),
    )
    weekly = [Payment(day=JAN + timedelta(days=7 * n), amount=Decimal("-5")) for n in range(8)]
    both = series_in([*monthly(20, 4, "-100"), *weekly])
    assert {(one.interval, one.payments) for one in both} == {("monthly", 4), ("weekly", 8)}


def test_what_is_too_few_or_off_is_no_series() -> None:
    assert series_in(monthly(15, 2)) == []
    odd = [Payment(day=JAN + timedelta(days=n), amount=Decimal("-5")) for n in (0, 11, 50)]
    assert series_in(odd) == []
    grown = [Payment(day=p.day, amount=p.amount * (n + 1)) for n, p in enumerate(monthly(15, 4))]
    assert series_in(grown) == []


@pytest.mark.parametrize("kind", list(ReportKind))
def test_what_is_asked_for_is_stored_and_read_again(kind: ReportKind) -> None:
    spec = ReportSpec(kind=kind, formats=(Format.HTML,), conversion=Conversion(to="EUR", rates={"USD": Decimal("0.9")}))
    assert spec_from_json(spec_to_json(spec)) == spec


HOSTILE = '<script>alert("1")</script>'


@pytest.mark.parametrize("kind", list(ChartKind))
def test_a_chart_is_a_picture_that_any_policy_lets_stand(kind: ChartKind) -> None:
    chart = Chart(
        kind=kind,
        title=HOSTILE,
        description="A & B",
        labels=("a", HOSTILE, "c"),
        series={HOSTILE: [1.0, None, 3.0], "other": [2.0, -1.5, 0.0]},
        band=[(0.5, 1.5), None, (2.5, 3.5)] if kind in (ChartKind.LINES, ChartKind.RANGES) else (),
        target=2.0 if kind is ChartKind.RANGES else None,
    )
    drawn = draw(chart)
    tree = ElementTree.fromstring(drawn)  # noqa: S314 - our own
    names = {one.tag.rpartition("}")[2] for one in tree.iter()}
    assert names <= {"svg", "title", "desc", "rect", "line", "text", "circle", "polyline", "polygon"}
    attributes = {name for one in tree.iter() for name in one.attrib}
    assert not {name for name in attributes if name.startswith("on") or name in ("style", "class", "href", "id")}
    assert (tree.get("role"), tree.get("aria-label")) == ("img", HOSTILE)
    assert [tree[0].text, tree[1].text] == [HOSTILE, "A & B"]
    assert draw(chart) == drawn


@pytest.mark.parametrize("kind", list(ChartKind))
def test_a_chart_of_nothing_says_what_it_is_of(kind: ChartKind) -> None:
    drawn = draw(Chart(kind=kind, title="t", description="d", labels=(), series={}))
    tree = ElementTree.fromstring(drawn)  # noqa: S314 - our own
    assert [(one.tag.rpartition("}")[2], one.text) for one in tree[:2]] == [("title", "t"), ("desc", "d")]
    assert not {"rect", "circle", "polyline", "polygon"} & {one.tag.rpartition("}")[2] for one in tree.iter()}


def test_a_range_lies_where_its_ends_are_and_the_target_across() -> None:
    drawn = draw(
        Chart(
            kind=ChartKind.RANGES,
            title="t",
            description="d",
            labels=("In all", "Rules"),
            series={"right": [0.9, None]},
            band=[(0.8, 1.0), None],
            target=0.9,
            share=True,
        )
    )
    tree = ElementTree.fromstring(drawn)  # noqa: S314 - our own
    [dot] = [one for one in tree if one.tag.endswith("circle")]
    lines = [one for one in tree if one.tag.endswith("line")]
    [interval] = [one for one in lines if one.get("stroke-width") == "8"]
    [target] = [one for one in lines if one.get("stroke-dasharray")]
    assert dot.get("cx") == target.get("x1") == target.get("x2")
    assert float(interval.get("x1", "")) < float(dot.get("cx", "")) < float(interval.get("x2", ""))
    assert interval.get("y1") == dot.get("cy")


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_scales_hold_their_values_in_few_steps(one: float, other: float) -> None:
    low, high, step = scale(min(one, other), max(one, other))
    slack = step * 1e-6
    assert low - slack <= min(one, other) <= max(one, other) <= high + slack
    assert 1 <= round((high - low) / step) <= 7


def a_report(rows: int) -> Report:
    columns = (
        Column(key="day", title="Day", kind=ColumnKind.DATE),
        Column(key="text", title="Text"),
        Column(key="amount", title="Amount", kind=ColumnKind.MONEY),
    )
    made = ((JAN, f"=row {n}", Decimal(n) / 4) for n in range(rows))
    return Report(
        kind="records", title="R", about={}, tables=[Table(key="r", title="R" * 40, columns=columns, rows=made)]
    )


def test_a_sheet_that_is_full_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    import openpyxl

    monkeypatch.setattr(workbook, "MOST_ROWS", 10)
    book = openpyxl.load_workbook(io.BytesIO(b"".join(workbook.pieces(a_report(25)))))
    sizes = [sheet.max_row for sheet in book.worksheets[:-1]]
    assert sizes == [11, 11, 6], "each with a heading"
    assert [book.worksheets[2].cell(6, n).value for n in (2, 3)] == ["=row 24", 6]
    assert b"".join(workbook.pieces(a_report(25))) == b"".join(workbook.pieces(a_report(25)))


def test_a_sheet_is_as_large_as_its_rows_are(monkeypatch: pytest.MonkeyPatch) -> None:
    import openpyxl

    monkeypatch.setattr("zipfile.ZIP64_LIMIT", 1_000)  # as if these bytes were 4 GiB
    book = openpyxl.load_workbook(io.BytesIO(b"".join(workbook.pieces(a_report(100)))))
    assert book.worksheets[0].max_row == 101


def test_a_page_shows_the_first_rows_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_ROWS", 3)
    text = b"".join(page.pieces(a_report(5))).decode()
    assert text.count("=row") == 3
    assert "The first 3 rows" in text
    assert "The first" not in b"".join(page.pieces(a_report(3))).decode()


def test_csv_is_read_as_it_was_written() -> None:
    lines = b"".join(plain.csv_pieces(a_report(3))).decode()
    assert list(csv.reader(io.StringIO(lines)))[2] == ["2026-01-01", "'=row 1", "0.25"]


@pytest.mark.parametrize(
    ("parts", "labels"),
    [
        ([date(2025, 1, 1), date(2026, 1, 1)], ("2025", "2026")),
        ([date(2026, 1, 1), date(2026, 2, 1)], ("2026-01", "2026-02")),
        ([date(2026, 1, 5), date(2026, 1, 12)], ("2026-01-05", "2026-01-12")),
    ],
)
def test_parts_of_time_are_told_in_charts_as_shortly_as_they_differ(parts: list[date], labels: tuple[str, ...]) -> None:
    table = cash_flow_table([a_sum(parts[0], "EUR")], parts, Money(conversion=None))
    (chart,) = charts_of(ReportKind.CASH_FLOW, [table])
    assert chart.labels == labels


def test_the_currency_of_most_records_has_the_first_chart() -> None:
    sums = [a_sum(JAN, "CHF"), a_sum(JAN, "USD"), replace(a_sum(JAN, "EUR"), records=3)]
    charts = charts_of(ReportKind.CASH_FLOW, [cash_flow_table(sums, [JAN], Money(conversion=None))])
    assert [chart.title for chart in charts] == ["Cash flow, EUR", "Cash flow, CHF", "Cash flow, USD"]


@pytest.mark.parametrize("most", [1 << 20, 1_000, 1_300])
def test_a_report_is_read_as_its_json_was_written(most: int) -> None:
    money, sums = Money(conversion=None), [a_sum(JAN, "EUR", amount=Decimal("-0.10"))]
    table, in_all = cash_flow_table(sums, [JAN] * 9, money), flow_totals(sums, money)
    report = Report(kind="cash_flow", title="T", about={"since": "2026-01-01"}, tables=[table], in_all=in_all)
    written = list(plain.json_pieces(report))
    whole = reading.read(iter(written), most=most)
    read = whole.tables[0]
    rows = [list(row) for row in table.rows]
    assert read.columns == table.columns
    assert 0 < len(list(read.rows)) <= 9
    assert list(read.rows) == rows[: len(list(read.rows))]
    assert (len(list(read.rows)) == 9) == (most > len(b"".join(written)))
    assert whole.in_all == replace(in_all, rows=[list(row) for row in in_all.rows]), "of all rows, however few are read"
