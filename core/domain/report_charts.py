"""The charts of reports, out of their tables: a table tells all that a chart shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from core.domain.report_tables import Chart, ChartKind, Table
from core.domain.reports import ReportKind

MOST_CURRENCIES = 3
MOST_SERIES = 8
MOST_BARS = 15
MOST_PARTS = 120
"""Labels of a chart: the latest ones of more."""
OTHERS = "all others"
Row = Mapping[str, Any]


def charts_of(kind: ReportKind, tables: Sequence[Table]) -> list[Chart]:
    """Of kinds whose rows are few; those of records are gone through once, by who writes them."""
    if kind is ReportKind.RECORDS:
        return []
    keys = [column.key for column in tables[0].columns]
    rows = [dict(zip(keys, row, strict=True)) for row in tables[0].rows]
    if not rows:
        return []
    match kind:
        case ReportKind.CATEGORIES:
            return [_spending(name, some) for name, some in _by_currency(rows)]
        case ReportKind.CASH_FLOW:
            return [_flow(name, some) for name, some in _by_currency(rows)]
        case ReportKind.COUNTERPARTIES:
            return [_first(name, some, "counterparty", "Counterparties") for name, some in _by_currency(rows)]
        case ReportKind.RECURRING:
            return [_recurring(name, some) for name, some in _by_currency(rows)]
        case ReportKind.CHANGES:
            return [_changes(name, some) for name, some in _by_currency(rows)]
        case ReportKind.STAGES:
            return [_shares(rows), *_precision(rows)]
        case ReportKind.LLM:
            return [_bars(rows, "period", {"US dollars": "cost"}, "What the LLM took", "US dollars, by time.")]
        case ReportKind.REVIEWERS:
            return [_answers(rows)]


def _by_currency(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The currencies of most records, each with its rows."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["currency"] is not None:
            found[row["currency"]].append(row)

    def records(rows: Sequence[Row]) -> int:
        return sum(row["records"] if "records" in row else row["payments"] for row in rows)

    return sorted(found.items(), key=lambda item: (-records(item[1]), item[0]))[:MOST_CURRENCIES]


def _named(labels: Sequence[Any]) -> tuple[str, ...]:
    """Parts of time by their first days, as short as tells them apart: years, months, or days."""
    days = [label for label in labels if isinstance(label, date)]
    letters = 4 if all(day.month == day.day == 1 for day in days) else 7 if all(day.day == 1 for day in days) else 10
    return tuple(str(label)[:letters] if isinstance(label, date) else str(label) for label in labels)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _bars(rows: Sequence[Row], label: str, series: Mapping[str, str], title: str, description: str) -> Chart:
    some = rows[-MOST_PARTS:]
    return Chart(
        kind=ChartKind.BARS,
        title=title,
        description=description,
        labels=_named([row[label] for row in some]),
        series={name: [_number(row[key]) for row in some] for name, key in series.items()},
    )


def _flow(currency: str, rows: Sequence[Row]) -> Chart:
    series = {"In": "incoming", "Out": "outgoing", "Net": "net"}
    return _bars(rows, "period", series, f"Cash flow, {currency}", f"{currency} in, out and both, by time.")


def _first(currency: str, rows: Sequence[Row], label: str, title: str) -> Chart:
    series = {"In": "incoming", "Out": "outgoing"}
    return _bars(rows[:MOST_BARS], label, series, f"{title}, {currency}", f"{currency} in and out, of the first ones.")


def _changes(currency: str, rows: Sequence[Row]) -> Chart:
    some = [row for row in rows if row["level"] == 0][:MOST_BARS]
    series = {"Before": "amount_before", "Now": "amount"}
    return _bars(some, "category", series, f"Changes, {currency}", f"{currency} in both periods, by main category.")


def _recurring(currency: str, rows: Sequence[Row]) -> Chart:
    leaving = [row for row in rows if row["a_year"] < 0]
    first, rest = leaving[: MOST_SERIES - 1], leaving[MOST_SERIES - 1 :]
    series = {f"{n}. {row['counterparty']}": [-float(row["a_year"])] for n, row in enumerate(first, start=1)}
    if rest:
        series[OTHERS] = [-float(sum(row["a_year"] for row in rest))]
    return Chart(
        kind=ChartKind.DONUT,
        title=f"Recurring payments a year, {currency}",
        description=f"What goes out in a year, about, in {currency}, by counterparty.",
        labels=(currency,),
        series=series,
    )


def _spending(currency: str, rows: Sequence[Row]) -> Chart:
    main = [row for row in rows if row["level"] == 0]
    labels = sorted({row["period"] for row in main})[-MOST_PARTS:]
    sums: defaultdict[str, dict[Any, float]] = defaultdict(dict)
    for row in main:
        sums[row["category"]][row["period"]] = -float(row["outgoing"])
    order = sorted(sums, key=lambda name: (-sum(sums[name].values()), name))
    series = {name: [sums[name].get(label, 0.0) for label in labels] for name in order[:MOST_SERIES]}
    if rest := order[MOST_SERIES:]:
        series[OTHERS] = [sum(sums[name].get(label, 0.0) for name in rest) for label in labels]
    return Chart(
        kind=ChartKind.STACKED,
        title=f"What went out, {currency}",
        description=f"{currency} that went out, by time and main category.",
        labels=_named(labels),
        series=series,
    )


def _shares(rows: Sequence[Row]) -> Chart:
    labels, of = _by_part(rows, "stage")
    return Chart(
        kind=ChartKind.STACKED,
        title="Who decides",
        description="Records by time: decided alone by each stage, or asked of a person.",
        labels=labels,
        series={stage: [_number(row and row["records"]) for row in some] for stage, some in of.items()},
    )


def _precision(rows: Sequence[Row]) -> list[Chart]:
    """One of each stage that was checked, with its interval."""
    labels, of = _by_part(rows, "stage")
    return [
        Chart(
            kind=ChartKind.LINES,
            title=f"Precision of {stage}",
            description="The share that is right by spot checks, with its 95 % interval.",
            labels=labels,
            series={stage: [_number(row and row["precision"]) for row in some]},
            band=[None if row is None or row["low"] is None else (row["low"], row["high"]) for row in some],
            share=True,
        )
        for stage, some in of.items()
        if any(row is not None and row["precision"] is not None for row in some)
    ]


def _answers(rows: Sequence[Row]) -> Chart:
    labels, of = _by_part(rows, "reviewer")
    order = sorted(of, key=lambda name: (-sum(row["answers"] for row in of[name] if row), name))
    series = {name: [float(row["answers"]) if row else 0.0 for row in of[name]] for name in order[:MOST_SERIES]}
    if rest := order[MOST_SERIES:]:
        told = [[float(row["answers"]) if row else 0.0 for row in of[name]] for name in rest]
        series[OTHERS] = [sum(values) for values in zip(*told, strict=True)]
    return Chart(
        kind=ChartKind.STACKED,
        title="Answers of people",
        description="Answers in the review queue, by time and person.",
        labels=labels,
        series=series,
    )


def _by_part(rows: Sequence[Row], by: str) -> tuple[tuple[str, ...], dict[str, list[Row | None]]]:
    """The latest parts of time, and for each name its row of every one of them."""
    parts = sorted({row["period"] for row in rows})[-MOST_PARTS:]
    found = {(row[by], row["period"]): row for row in rows}
    names = dict.fromkeys(row[by] for row in rows)
    return _named(parts), {name: [found.get((name, part)) for part in parts] for name in names}
