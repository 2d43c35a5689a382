"""Reports: what is asked for, by whom or when, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from core.domain.record_filters import RecordFilter
from core.domain.report_money import Conversion, check_conversion
from core.domain.report_periods import (
    Granularity,
    Period,
    Relative,
    Span,
    check_parts,
    check_span,
    span_before,
    span_of,
)
from core.domain.report_schedules import Every, Schedule
from core.errors import Invalid

MAX_NAME = 120
MOST_DEFINITIONS = 200
MOST_PARTIES = 10_000
PARTIES = 100


class ReportKind(StrEnum):
    RECORDS = "records"
    CATEGORIES = "categories"
    CASH_FLOW = "cash_flow"
    COUNTERPARTIES = "counterparties"
    RECURRING = "recurring"
    STAGES = "stages"
    LLM = "llm"
    REVIEWERS = "reviewers"
    CHANGES = "changes"


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"
    HTML = "html"


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


OVER_RECORDS = frozenset(
    {
        ReportKind.RECORDS,
        ReportKind.CATEGORIES,
        ReportKind.CASH_FLOW,
        ReportKind.COUNTERPARTIES,
        ReportKind.RECURRING,
        ReportKind.CHANGES,
    }
)
"""Kinds that are made of records, which a filter may choose."""
BY_TIME = frozenset(
    {ReportKind.CATEGORIES, ReportKind.CASH_FLOW, ReportKind.STAGES, ReportKind.LLM, ReportKind.REVIEWERS}
)
OF_MONEY = OVER_RECORDS - {ReportKind.RECORDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpec:
    """What is asked for. `compare` is what `changes` are told against (None: the period before); `granularity` goes
    with what is told by time, `where` with what is made of records (its days are the period's), `conversion` with sums
    (None: each currency apart), `parties` with counterparties: how many of each currency."""

    kind: ReportKind
    period: Period = Relative.LAST_MONTH
    compare: Period | None = None
    granularity: Granularity = Granularity.MONTH
    where: RecordFilter = field(default_factory=RecordFilter)
    conversion: Conversion | None = None
    parties: int = PARTIES
    formats: tuple[Format, ...] = tuple(Format)

    def span(self, today: date) -> Span:
        return span_of(self.period, today)

    def span_before(self, today: date) -> Span:
        return span_of(self.compare, today) if self.compare is not None else span_before(self.period, today)

    def filter(self, span: Span) -> RecordFilter:
        return replace(self.where, since=span.since, until=span.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDefinition:
    """A report that is kept under a name, to be made again, or by itself when `schedule` says so: next at
    `next_run_at`."""

    id: UUID
    tenant_id: UUID
    name: str
    spec: ReportSpec
    schedule: Schedule | None
    next_run_at: datetime | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """A file of a run, in the file store at `path`; `sha256` in hexadecimal digits."""

    format: Format
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRun:
    """A report that was asked for, or is due (`slot`). `today` is the tenant's day that relative periods count from,
    however late it is made. `files` are gone when `expired_at` is set."""

    id: UUID
    tenant_id: UUID
    job_id: UUID
    definition_id: UUID | None
    name: str
    spec: ReportSpec
    today: date
    slot: datetime | None
    status: RunStatus
    requested_by: str
    created_at: datetime
    finished_at: datetime | None = None
    rows: int | None = None
    files: tuple[ReportFile, ...] = ()
    failure: str | None = None
    expired_at: datetime | None = None


def check_name(name: str) -> str:
    """The name, in one line. Raises `Invalid`."""
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        said = f"1 to {MAX_NAME} printable characters"
        raise Invalid(f"a report's name has {said}", fields={"name": [f"Has {said}."]})
    return name


def check_spec(spec: ReportSpec, today: date) -> None:
    """Raises `Invalid` for what does not go with its kind, and for periods that are none."""
    kind = spec.kind
    for field_name, period in (("period", spec.period), ("compare", spec.compare)):
        if isinstance(period, Span):
            check_span(period, field_name)
    if spec.compare is not None and kind is not ReportKind.CHANGES:
        raise Invalid("compare goes with changes", fields={"compare": ["Goes with changes."]})
    if spec.where != RecordFilter() and kind not in OVER_RECORDS:
        raise Invalid(f"{kind} is not made of records", fields={"where": [f"Does not go with {kind}."]})
    if spec.where.since is not None or spec.where.until is not None:
        raise Invalid("the days are those of the period", fields={"where": ["Has no days of its own."]})
    if spec.conversion is not None:
        if kind not in OF_MONEY:
            raise Invalid(f"{kind} adds up no amounts", fields={"conversion": [f"Does not go with {kind}."]})
        check_conversion(spec.conversion)
    if kind is ReportKind.LLM and spec.granularity in (Granularity.DAY, Granularity.WEEK):
        raise Invalid("what the LLM took is counted by month", fields={"granularity": ["Take month or longer."]})
    if not 1 <= spec.parties <= MOST_PARTIES:
        raise Invalid(f"1 to {MOST_PARTIES} counterparties", fields={"parties": [f"1 to {MOST_PARTIES}."]})
    if not spec.formats or len(set(spec.formats)) < len(spec.formats):
        raise Invalid("name each format once, and at least one", fields={"formats": ["At least one, each once."]})
    if kind in BY_TIME and kind is not ReportKind.LLM and spec.period is not Relative.EVER:
        check_parts(spec.span(today), spec.granularity)
    if kind is ReportKind.CHANGES:
        spec.span_before(today)


def spec_to_json(spec: ReportSpec) -> dict[str, Any]:
    """As it is stored: plain JSON, which `spec_from_json` reads."""
    where = {f.name: getattr(spec.where, f.name) for f in fields(RecordFilter)}
    return {
        "kind": spec.kind.value,
        "period": _period_to_json(spec.period),
        "compare": None if spec.compare is None else _period_to_json(spec.compare),
        "granularity": spec.granularity.value,
        "where": {name: _plain(value) for name, value in where.items() if value not in (None, ())},
        "conversion": None
        if spec.conversion is None
        else {
            "to": spec.conversion.to,
            "rates": {name: f"{rate:f}" for name, rate in sorted(spec.conversion.rates.items())},
        },
        "parties": spec.parties,
        "formats": [one.value for one in spec.formats],
    }


def spec_from_json(stored: Mapping[str, Any]) -> ReportSpec:
    where = {name: _typed(name, value) for name, value in stored["where"].items()}
    conversion = stored["conversion"]
    return ReportSpec(
        kind=ReportKind(stored["kind"]),
        period=_period_from_json(stored["period"]),
        compare=None if stored["compare"] is None else _period_from_json(stored["compare"]),
        granularity=Granularity(stored["granularity"]),
        where=RecordFilter(**where),
        conversion=None
        if conversion is None
        else Conversion(to=conversion["to"], rates={name: Decimal(r) for name, r in conversion["rates"].items()}),
        parties=stored["parties"],
        formats=tuple(Format(one) for one in stored["formats"]),
    )


def schedule_to_json(schedule: Schedule | None) -> dict[str, Any] | None:
    if schedule is None:
        return None
    return {f.name: getattr(schedule, f.name) for f in fields(Schedule)} | {"every": schedule.every.value}


def schedule_from_json(stored: Mapping[str, Any] | None) -> Schedule | None:
    return None if stored is None else Schedule(**{**stored, "every": Every(stored["every"])})


def files_to_json(files: Iterable[ReportFile]) -> list[dict[str, Any]]:
    return [{f.name: getattr(one, f.name) for f in fields(ReportFile)} | {"format": one.format.value} for one in files]


def files_from_json(stored: Sequence[Mapping[str, Any]]) -> tuple[ReportFile, ...]:
    return tuple(ReportFile(**{**one, "format": Format(one["format"])}) for one in stored)


def file_name(run: ReportRun, format: Format) -> str:
    """Under which a file is downloaded: of ASCII letters and digits, whatever the report is called."""
    words = "".join(c if c.isascii() and c.isalnum() else "-" for c in run.name.lower())
    name = "-".join(part for part in words.split("-") if part)[:60].strip("-")
    return f"{name or run.spec.kind.value}-{run.today.isoformat()}.{format.value}"


def _period_to_json(period: Period) -> Any:
    if isinstance(period, Span):
        return {"since": period.since.isoformat(), "until": period.until.isoformat()}
    return period.value


def _period_from_json(stored: Any) -> Period:
    if isinstance(stored, str):
        return Relative(stored)
    return Span(since=date.fromisoformat(stored["since"]), until=date.fromisoformat(stored["until"]))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return f"{value:f}" if isinstance(value, Decimal) else value if isinstance(value, str) else str(value)


def _typed(name: str, value: Any) -> Any:
    if name == "statuses":
        return tuple(value)
    if name.endswith("_id"):
        return UUID(value)
    return Decimal(value) if name.endswith("_amount") else value
