"""What reports come to in all: out of exact sums, each rounded once: nothing adds up what was rounded before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from core.domain.decisions import Stage
from core.domain.report_money import add
from core.domain.report_money_tables import CURRENCY, RECORDS, Flow, Money
from core.domain.report_rows import Sum
from core.domain.report_tables import Column, Table, Value, amount_of, counted
from core.domain.reports import ReportKind

DOLLARS = "USD"
_OF_WORK = frozenset({ReportKind.STAGES, ReportKind.LLM, ReportKind.REVIEWERS})
Row = Mapping[str, Any]


def flow_totals(sums: Iterable[Sum], money: Money) -> Table:
    """Of each currency: what came in, what went out, and both. Records without an amount have a row, too."""
    found = _flows(sums, money)
    rows = [
        (currency, flow.records, *(money.tell(amount, currency) for amount in (flow.incoming, flow.outgoing, flow.net)))
        for currency, flow in sorted(found.items(), key=lambda item: item[0] or "")
    ]
    columns = (
        CURRENCY,
        RECORDS,
        amount_of("incoming", "In"),
        amount_of("outgoing", "Out"),
        amount_of("amount", "Net"),
    )
    return _in_all(columns, rows)


def change_totals(before: Iterable[Sum], now: Iterable[Sum], money: Money) -> Table:
    """Of each currency: both periods and how they differ."""
    was, came = _flows(before, money), _flows(now, money)
    rows: list[Sequence[Value]] = []
    for currency in sorted(one for one in {*was, *came} if one is not None):
        first, second = was.get(currency, Flow()).net, came.get(currency, Flow()).net
        amounts = (first, second, add(second, first.copy_negate()))
        rows.append((currency, *(money.tell(amount, currency) for amount in amounts)))
    columns = (
        CURRENCY,
        amount_of("amount_before", "Before"),
        amount_of("amount", "Now"),
        amount_of("change", "Change"),
    )
    return _in_all(columns, rows)


def recurring_totals(years: Iterable[tuple[str, Decimal]], money: Money) -> Table:
    """Out of what each series comes to in a year, in the currency that it is told in."""
    found: defaultdict[str, Flow] = defaultdict(Flow)
    for currency, amount in years:
        found[currency].put(1, max(amount, Decimal(0)), min(amount, Decimal(0)))
    rows = [
        (currency, money.tell_about(flow.incoming, currency), money.tell_about(flow.outgoing, currency))
        for currency, flow in sorted(found.items())
    ]
    return _in_all((CURRENCY, amount_of("in", "In a year, about"), amount_of("out", "Out a year, about")), rows)


def work_totals(kind: ReportKind, table: Table) -> Table | None:
    """Of who does the work: counts and dollars, which no row rounds. None for other kinds, whose rows may be without
    end."""
    if kind not in _OF_WORK:
        return None
    keys = [column.key for column in table.columns]
    rows: list[Row] = [dict(zip(keys, row, strict=True)) for row in table.rows]
    match kind:
        case ReportKind.STAGES:
            alone = [row for row in rows if row["stage"] != Stage.HUMAN]
            asked = [row for row in rows if row["stage"] == Stage.HUMAN]
            columns = (
                counted("alone", "Decided alone"),
                counted("asked", "Asked of a person"),
                counted("checked", "Spot checks"),
            )
            return _in_all(columns, [(_count(alone, "records"), _count(asked, "records"), _count(rows, "checked"))])
        case ReportKind.LLM:
            spent = Decimal(0)
            for row in rows:
                spent = add(spent, row["cost"])
            columns = (CURRENCY, counted("calls", "Calls"), counted("records", "Records by calls"))
            told = (DOLLARS, _count(rows, "calls"), _count(rows, "records"), spent)
            return _in_all((*columns, amount_of("cost", "Spent")), [told] if rows else [])
        case ReportKind.REVIEWERS:
            columns = (
                counted("answers", "Answers"),
                counted("approved", "As suggested"),
                counted("withdrawn", "Withdrawn since"),
            )
            return _in_all(columns, [tuple(_count(rows, column.key) for column in columns)] if rows else [])
    raise AssertionError(f"{kind} is of work")


def _flows(sums: Iterable[Sum], money: Money) -> Mapping[str | None, Flow]:
    found: defaultdict[str | None, Flow] = defaultdict(Flow)
    for row in sums:
        money.put(found[money.told_in(row.currency)], row)
    return found


def _count(rows: Iterable[Row], key: str) -> int:
    return sum(row[key] for row in rows)


def _in_all(columns: tuple[Column, ...], rows: Sequence[Sequence[Value]]) -> Table:
    return Table(key="totals", title="In all", columns=columns, rows=rows)
