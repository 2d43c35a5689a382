"""Reports in words: what each kind answers, of which days, and when it is made by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from core.domain.record_filters import RecordFilter
from core.domain.report_periods import Granularity, Period, Relative, Span, span_of
from core.domain.report_schedules import Every, Schedule
from core.domain.reports import BY_TIME, OF_MONEY, OVER_RECORDS, Format, ReportKind, ReportRun, ReportSpec, RunStatus
from entrypoints.console.records.filters import STAGES, STATUSES

MOST_LISTED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class KindWords:
    """`answers` is the one question that a report of the kind is asked."""

    title: str
    answers: str
    icon: str


KINDS: Mapping[ReportKind, KindWords] = {
    ReportKind.CATEGORIES: KindWords(
        title="Categories by time",
        answers="What came in and went out of each category, part by part of the period?",
        icon="bar-chart-steps",
    ),
    ReportKind.CASH_FLOW: KindWords(
        title="Cash flow",
        answers="How much came in and went out, and what is left since the beginning?",
        icon="arrow-left-right",
    ),
    ReportKind.COUNTERPARTIES: KindWords(
        title="Counterparties",
        answers="To and from whom did most of the money move?",
        icon="people",
    ),
    ReportKind.RECURRING: KindWords(
        title="Recurring payments",
        answers="What is paid again and again, what is it a year, and when is it due next?",
        icon="arrow-repeat",
    ),
    ReportKind.CHANGES: KindWords(
        title="Changes between periods",
        answers="Which categories differ most from another period?",
        icon="plus-slash-minus",
    ),
    ReportKind.RECORDS: KindWords(
        title="Records",
        answers="Which records were there, one by one, as a file to keep or to work with?",
        icon="list-ul",
    ),
    ReportKind.STAGES: KindWords(
        title="Stages and precision",
        answers="Who decided, and how right is each stage by spot checks?",
        icon="bullseye",
    ),
    ReportKind.LLM: KindWords(
        title="Language model",
        answers="What did the language model cost, month by month?",
        icon="cpu",
    ),
    ReportKind.REVIEWERS: KindWords(
        title="Reviewers",
        answers="Who answered how much in the review queue, and how long had it waited?",
        icon="person-check",
    ),
}
RELATIVES: Mapping[Relative, str] = {
    Relative.YESTERDAY: "Yesterday",
    Relative.LAST_7_DAYS: "Last 7 days",
    Relative.LAST_30_DAYS: "Last 30 days",
    Relative.LAST_90_DAYS: "Last 90 days",
    Relative.LAST_365_DAYS: "Last 365 days",
    Relative.THIS_WEEK: "This week",
    Relative.LAST_WEEK: "Last week",
    Relative.THIS_MONTH: "This month",
    Relative.LAST_MONTH: "Last month",
    Relative.THIS_QUARTER: "This quarter",
    Relative.LAST_QUARTER: "Last quarter",
    Relative.THIS_YEAR: "This year",
    Relative.LAST_YEAR: "Last year",
    Relative.EVER: "All days",
}
GRANULARITIES: Mapping[Granularity, str] = {
    Granularity.DAY: "Day",
    Granularity.WEEK: "Week",
    Granularity.MONTH: "Month",
    Granularity.QUARTER: "Quarter",
    Granularity.YEAR: "Year",
}
FORMATS: Mapping[Format, tuple[str, str]] = {
    Format.CSV: ("CSV", "the main table, for programs and spreadsheets"),
    Format.XLSX: ("XLSX", "a workbook with a sheet for each table"),
    Format.JSON: ("JSON", "all tables, for programs; what the report's page here is made of"),
    Format.HTML: ("Printable page", "charts and tables, to print as they are"),
}
STATUSES_OF_RUNS: Mapping[RunStatus, tuple[str, str]] = {
    RunStatus.QUEUED: ("waits", "secondary"),
    RunStatus.RUNNING: ("being made", "primary"),
    RunStatus.DONE: ("ready", "success"),
    RunStatus.FAILED: ("failed", "danger"),
}
"""What each is called, and its badge."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIELDS: Mapping[str, str] = {
    "text": "text or counterparty with",
    "account": "account",
    "kind": "kind",
    "currency": "currency",
    "min_amount": "amount at least",
    "max_amount": "amount at most",
}


def days(span: Span) -> str:
    """`1 Oct to 31 Oct 2026`; a single day alone."""
    first, last = _day(span.since), _day(span.until)
    if span.since.year == span.until.year:
        first = first.removesuffix(f" {span.since.year}") if first != last else first
    return first if first == last else f"{first} to {last}"


def period(asked: Period, today: date) -> str:
    """`Last month: 1 Oct to 31 Oct 2026`, as of the day `today`."""
    if isinstance(asked, Span):
        return days(asked)
    if asked is Relative.EVER:
        return RELATIVES[asked]
    return f"{RELATIVES[asked]}: {days(span_of(asked, today))}"


def short_period(asked: Period) -> str:
    """Without the days that a relative one means today."""
    return days(asked) if isinstance(asked, Span) else RELATIVES[asked]


def schedule(asked: Schedule | None) -> str:
    """`On Mondays at 6:00`; where nothing is scheduled, that it is made when somebody asks."""
    if asked is None:
        return "Only when asked"
    at = f"at {asked.hour}:00"
    if asked.every is Every.WEEK:
        return f"On {WEEKDAYS[(asked.weekday or 1) - 1]}s {at}"
    if asked.every is Every.MONTH:
        day = asked.day or 1
        return f"Each month on the {_nth(day)}{' or its last day' if day > 28 else ''} {at}"
    return f"Each day {at}"


def facts(spec: ReportSpec, today: date, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """(what, how) of all that was asked for. `names` has what categories, connections and imports are called, by id."""
    kind = spec.kind
    told = [("Period", period(spec.period, today))]
    if kind is ReportKind.CHANGES:
        told.append(("Compared with", _compared(spec, today)))
    if kind in BY_TIME:
        told.append(("Told by", GRANULARITIES[spec.granularity].lower()))
    if kind is ReportKind.COUNTERPARTIES:
        told.append(("Counterparties", f"the {spec.parties:,} largest of each currency"))
    if kind in OF_MONEY:
        told.append(("Currencies", _currencies(spec)))
    if kind in OVER_RECORDS:
        told.append(("Of records", "; ".join(_filter(spec.where, names)) or "all"))
    return told


def summary(spec: ReportSpec) -> str:
    """`Cash flow · Last month`."""
    return f"{KINDS[spec.kind].title} · {short_period(spec.period)}"


def formats_of(run: ReportRun) -> list[Format]:
    """Those that there are files of, in the order that people want them."""
    there = {file.format for file in run.files}
    return [one for one in FORMATS if one in there]


def asked_by(run: ReportRun) -> str:
    """Who asked: a person, a key, or the schedule."""
    return "its schedule" if run.slot is not None else run.requested_by


def _compared(spec: ReportSpec, today: date) -> str:
    before = days(spec.span_before(today))
    return f"the period before: {before}" if spec.compare is None else period(spec.compare, today)


def _currencies(spec: ReportSpec) -> str:
    if spec.conversion is None:
        return "each apart"
    rates = [f"1 {one} = {rate:f} {spec.conversion.to}" for one, rate in sorted(spec.conversion.rates.items())]
    shown = rates[:MOST_LISTED] + ([f"{len(rates) - MOST_LISTED} more"] if len(rates) > MOST_LISTED else [])
    return f"in {spec.conversion.to}, by {', '.join(shown) or 'no rates'}; others apart"


def _filter(where: RecordFilter, names: Mapping[str, str]) -> list[str]:
    told = [f"{said} {value}" for name, said in _FIELDS.items() if (value := getattr(where, name)) is not None]
    if where.statuses:
        told.append(f"status {' or '.join(STATUSES.get(one, one).lower() for one in where.statuses)}")
    if where.stage is not None:
        told.append(f"decided by {STAGES.get(where.stage, where.stage).lower()}")
    ids = ((name, getattr(where, f"{name}_id")) for name in ("category", "connection", "import"))
    return [*told, *(f"{name} {names.get(str(id), 'that is gone')}" for name, id in ids if id is not None)]


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _nth(number: int) -> str:
    ending = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
