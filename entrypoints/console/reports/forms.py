"""The form that asks for a report: as it was typed, as what it asks for, and what of it does not hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import request
from marshmallow import Schema, ValidationError

from core.domain.report_periods import Granularity, Period, Relative, Span
from core.domain.report_schedules import Schedule
from core.domain.reports import BY_TIME, OF_MONEY, OVER_RECORDS, Format, ReportKind, ReportSpec
from core.errors import Invalid
from entrypoints.api.schemas.reports import ReportSpecSchema, ScheduleSchema
from entrypoints.console.words import as_sentence

DAYS = "days"
"""The choice of a period that is told by its first and its last day."""
FILTERS = (
    "text",
    "category_id",
    "stage",
    "connection_id",
    "import_id",
    "kind",
    "account",
    "currency",
    "min_amount",
    "max_amount",
)
_TEXTS = (
    "name",
    "period",
    "since",
    "until",
    "compare",
    "compare_since",
    "compare_until",
    "granularity",
    "currencies",
    "to",
    "parties",
    "every",
    "weekday",
    "day",
    "hour",
)
_CODE = re.compile(r"[A-Z]{3}")
_FIRST_RATES, _MORE_RATES = 2, 3
_AT = {
    ("period", "since"): "since",
    ("period", "until"): "until",
    ("compare", "since"): "compare_since",
    ("compare", "until"): "compare_until",
    ("conversion", "to"): "to",
    ("conversion", "rates"): "rates",
    ("conversion",): "rates",
}
"""Where in the form it stands what schemas and the domain complain of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """`texts` has a text by field's name, filters as `where.…`; `rates` are (currency, rate)."""

    kind: ReportKind
    texts: Mapping[str, str]
    rates: Sequence[tuple[str, str]] = ()
    statuses: Sequence[str] = ()
    formats: Sequence[str] = tuple(one.value for one in Format)
    rows: int = field(default=_FIRST_RATES)
    """How many rates there is room for."""

    def __getitem__(self, name: str) -> str:
        return self.texts.get(name, "")

    @property
    def filtered(self) -> int:
        """How many filters are set."""
        return sum(bool(self[f"where.{name}"]) for name in FILTERS) + bool(self.statuses)

    def rate_rows(self) -> list[tuple[str, str]]:
        return [*self.rates, *[("", "")] * max(0, self.rows - len(self.rates))]


def as_sent(kind: ReportKind) -> Typed:
    form = request.form
    pairs = zip(form.getlist("rate_currency"), form.getlist("rate"), strict=False)
    rates = [(currency.strip().upper(), rate.strip()) for currency, rate in pairs]
    rates = [(currency, rate) for currency, rate in rates if currency or rate]
    names = (*_TEXTS, *(f"where.{name}" for name in FILTERS))
    return Typed(
        kind=kind,
        texts={name: form.get(name, "").strip() for name in names},
        rates=rates,
        statuses=[one for one in form.getlist("where.status") if one],
        formats=form.getlist("formats"),
        rows=len(rates) + (_MORE_RATES if form.get("do") == "rates" else _FIRST_RATES - bool(rates)),
    )


def as_kept(spec: ReportSpec, name: str = "", schedule: Schedule | None = None) -> Typed:
    """As somebody would have typed it."""
    where = {f"where.{name}": _written(getattr(spec.where, name)) for name in FILTERS}
    conversion = spec.conversion
    rates = [] if conversion is None else [(one, f"{rate:f}") for one, rate in sorted(conversion.rates.items())]
    texts = {
        "name": name,
        **_period_typed(spec.period, ""),
        **({"compare": ""} if spec.compare is None else _period_typed(spec.compare, "compare")),
        "granularity": spec.granularity.value,
        "currencies": "apart" if conversion is None else "one",
        "to": "" if conversion is None else conversion.to,
        "parties": str(spec.parties),
        "every": "" if schedule is None else schedule.every.value,
        "weekday": _written(schedule and schedule.weekday),
        "day": _written(schedule and schedule.day),
        "hour": str(6 if schedule is None else schedule.hour),
        **where,
    }
    return Typed(
        kind=spec.kind,
        texts=texts,
        rates=rates,
        statuses=list(spec.where.statuses),
        formats=[one.value for one in spec.formats],
        rows=len(rates) + _FIRST_RATES - bool(rates),
    )


def fresh(kind: ReportKind) -> Typed:
    return as_kept(ReportSpec(kind=kind))


def spec_of(typed: Typed) -> ReportSpec:
    """Raises `Invalid`, whose fields are those of the form."""
    kind, wrong = typed.kind, dict[str, str]()
    asked: dict[str, Any] = {"kind": kind.value, "formats": list(dict.fromkeys(typed.formats))}
    asked["period"] = _period(typed, "period", "since", "until", wrong)
    if kind is ReportKind.CHANGES and typed["compare"]:
        asked["compare"] = _period(typed, "compare", "compare_since", "compare_until", wrong)
    if kind in BY_TIME:
        asked["granularity"] = typed["granularity"] or Granularity.MONTH.value
    if kind in OVER_RECORDS:
        asked["where"] = {name: typed[f"where.{name}"] for name in FILTERS if typed[f"where.{name}"]}
        if typed.statuses:
            asked["where"]["status"] = list(typed.statuses)
    if kind in OF_MONEY and typed["currencies"] == "one":
        asked["conversion"] = _conversion(typed, wrong)
    if kind is ReportKind.COUNTERPARTIES and typed["parties"]:
        asked["parties"] = _number(typed["parties"])
    if not typed.formats:
        wrong["formats"] = "Choose one at least."
    try:
        loaded: ReportSpec = _loaded(ReportSpecSchema, asked)
    except Invalid as error:
        raise _refused(wrong_at(error) | wrong) from None
    if wrong:
        raise _refused(wrong)
    return loaded


def schedule_of(typed: Typed) -> Schedule | None:
    """Raises `Invalid`, whose fields are those of the form."""
    if not typed["every"]:
        return None
    asked: dict[str, Any] = {"every": typed["every"], "hour": _number(typed["hour"])}
    if typed["every"] == "week":
        asked["weekday"] = _number(typed["weekday"] or "1")
    if typed["every"] == "month":
        asked["day"] = _number(typed["day"] or "1")
    loaded: Schedule = _loaded(ScheduleSchema, asked)
    return loaded


def spec_and_schedule_of(typed: Typed) -> tuple[ReportSpec, Schedule | None]:
    """Raises `Invalid`, with what is wrong with both."""
    try:
        spec = spec_of(typed)
    except Invalid as error:
        try:
            schedule_of(typed)
        except Invalid as other:
            raise _refused(wrong_at(other) | wrong_at(error)) from None
        raise
    return spec, schedule_of(typed)


def wrong_at(error: Invalid) -> dict[str, str]:
    """By the form's field what is wrong with it, '' for what is of none."""
    told = error.details.get("fields")
    return _flat(told) if isinstance(told, Mapping) and told else {"": as_sentence(error)}


def _period(typed: Typed, name: str, since: str, until: str, wrong: dict[str, str]) -> dict[str, str]:
    if typed[name] != DAYS:
        return {"relative": typed[name]}
    wrong.update({place: "Say which day." for place in (since, until) if not typed[place]})
    return {"since": typed[since], "until": typed[until]}


def _conversion(typed: Typed, wrong: dict[str, str]) -> dict[str, Any]:
    to, currencies = typed["to"].upper(), [currency for currency, _ in typed.rates]
    if not _CODE.fullmatch(to):
        wrong["to"] = "Say which, by its code of three letters, such as EUR."
    odd = next((one for one in currencies if one and not _CODE.fullmatch(one)), None)
    twice = next((one for n, one in enumerate(currencies) if one and one in currencies[:n]), None)
    half = next((one or rate for one, rate in typed.rates if not (one and rate)), None)
    if half is not None:
        wrong["rates"] = f"“{half}” stands alone: a rate is a currency and a number."
    elif odd is not None:
        wrong["rates"] = f"“{odd}” is no code of a currency, such as USD."
    elif twice is not None:
        wrong["rates"] = f"{twice} stands there twice."
    return {"to": to, "rates": dict(typed.rates)}


def _loaded(schema: type[Schema], asked: Mapping[str, Any]) -> Any:
    try:
        return schema().load(asked)
    except ValidationError as error:
        raise Invalid("what was sent is not valid", fields=error.messages_dict) from None


def _flat(messages: Mapping[Any, Any], above: tuple[str, ...] = ()) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, said in messages.items():
        path = (*above, str(name))
        if isinstance(said, Mapping):
            found = _flat(said, path) | found
        else:
            text = " ".join(map(str, said)) if isinstance(said, list) else str(said)
            rate = f"{path[2]}: " if path[:2] == ("conversion", "rates") and len(path) > 2 else ""
            found.setdefault(_field(path), f"{rate}{text}")
    return found


def _field(path: tuple[str, ...]) -> str:
    if path[0] == "where" and len(path) > 1:
        return f"where.{path[1]}"
    return _AT.get(path[:2]) or _AT.get(path[:1]) or path[0]


def _refused(wrong: Mapping[str, str]) -> Invalid:
    return Invalid("some of it does not hold", fields={name: [said] for name, said in wrong.items()})


def _number(written: str) -> int | str:
    """As a schema of JSON takes it, which says what is wrong with all else."""
    return int(written) if written.isascii() and written.isdecimal() and len(written) < 10 else written


def _period_typed(period: Period, prefix: str) -> dict[str, str]:
    name, before = (prefix or "period"), f"{prefix}_" if prefix else ""
    if isinstance(period, Span):
        return {
            name: DAYS,
            f"{before}since": period.since.isoformat(),
            f"{before}until": period.until.isoformat(),
        }
    return {name: Relative(period).value}


def _written(value: object) -> str:
    return "" if value is None else str(value)
