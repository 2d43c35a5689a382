"""Plans: what a tenant may do for what it pays. They are data, in versions; see `docs/billing.md` for their form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from core.errors import Invalid

MOST = Decimal(10) ** 12
MOST_TRIAL_DAYS = 730
"""As at Stripe."""
MOST_KEPT_DAYS = 36_500
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Meter(StrEnum):
    """What is counted of a tenant, by calendar month (UTC)."""

    RECORDS = "records"
    """Records that were taken up to be sorted. What came in as approved is not, and what is held is not yet."""
    LLM_SPEND = "llm_spend"
    """What the LLM cost, in US dollars."""


class Feature(StrEnum):
    """What a plan may leave out."""

    LLM = "llm"
    EVALUATIONS = "evaluations"


class Interval(StrEnum):
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`soft` is what the plan holds: people are told at 80 and at 100 % of it. `hard` is where it ends; at least
    `soft`. None is no limit."""

    soft: Decimal | None = None
    hard: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a price buys. `version` rises when a plan changes: who has an earlier one keeps it.

    `limits` are those of a month; a meter that has none is unlimited, as are `connections` (that are configured),
    `seats` (members and open invitations) and `retention_days` (of records) where they are None. `prices` are the
    provider's ids, by environment and interval. `meters` are the names under which the provider counts usage.
    """

    key: str
    version: int
    title: str
    limits: Mapping[Meter, Limit] = field(default_factory=dict)
    connections: int | None = None
    seats: int | None = None
    retention_days: int | None = None
    features: frozenset[Feature] = frozenset(Feature)
    trial_days: int = 0
    prices: Mapping[str, Mapping[Interval, str]] = field(default_factory=dict)
    meters: Mapping[Meter, str] = field(default_factory=dict)

    @property
    def name(self) -> tuple[str, int]:
        """What tells it from all others: of a key there are versions, which differ in what they hold."""
        return self.key, self.version

    def limit(self, meter: Meter) -> Limit:
        return self.limits.get(meter, Limit())


UNLIMITED = Plan(key="unlimited", version=1, title="Unlimited")
"""What everybody has where nobody pays."""
FREE = "free"
"""The plan of who does not pay, where others do."""
BY_HAND = "manual"
"""The environment of prices that are invoiced by hand: every plan has them."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All versions of all plans, the newest of a key last."""

    plans: tuple[Plan, ...]

    def newest(self, key: str) -> Plan | None:
        return next((plan for plan in reversed(self.plans) if plan.key == key), None)

    def get(self, key: str, version: int) -> Plan | None:
        return next((plan for plan in self.plans if plan.name == (key, version)), None)

    def of_price(self, price_id: str) -> tuple[Plan, Interval] | None:
        """What a price of the provider's buys, in whatever environment."""
        for plan in self.plans:
            for by_interval in plan.prices.values():
                for interval, id in by_interval.items():
                    if id == price_id:
                        return plan, interval
        return None

    def offered(self) -> Sequence[Plan]:
        """The newest version of each, in their order."""
        return [plan for plan in self.plans if plan is self.newest(plan.key)]


def catalog_from(written: Any) -> Catalog:
    """The catalog out of its JSON form: a list of plans, to which `UNLIMITED` is added unless it is among them. Raises
    `Invalid`, which says what is wrong where."""
    if not isinstance(written, list) or not written:
        raise Invalid("plans are a list of objects")
    plans = sorted((_plan(one, f"plan {place}") for place, one in enumerate(written, start=1)), key=_version)
    names = [plan.name for plan in plans]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Invalid(f"the plan {twice[0]} has version {twice[1]} twice")
    prices = [id for plan in plans for of in plan.prices.values() for id in of.values()]
    if taken := next((id for id in prices if prices.count(id) > 1), None):
        raise Invalid(f"the price {taken} is named twice")
    order = [str(one["key"]) for one in written]
    ordered = tuple(sorted(plans, key=lambda plan: order.index(plan.key)))
    return Catalog(ordered if UNLIMITED.key in order else (*ordered, UNLIMITED))


def _version(plan: Plan) -> int:
    return plan.version


def _plan(written: Any, where: str) -> Plan:
    known = {"key", "version", "title", "limits", "features", "trial_days", "prices", "meters"}
    given = _mapping(written, where, known)
    key = given.get("key")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise Invalid(f"{where}: key is a name in small letters")
    where = f"plan {key}"
    version = _count(given.get("version", 1), f"{where}: version")
    if not version:
        raise Invalid(f"{where}: version is a whole number from 1")
    title = given.get("title")
    if not isinstance(title, str) or not title.strip():
        raise Invalid(f"{where}: title is a text")
    limits = _mapping(given.get("limits", {}), f"{where}: limits", {*Meter, "connections", "seats", "retention_days"})
    prices = _mapping(given.get("prices", {}), f"{where}: prices", None)
    if BY_HAND in prices:
        raise Invalid(f"{where}: prices of {BY_HAND} are not to be said: every plan has them")
    return Plan(
        key=key,
        version=version,
        title=title.strip(),
        limits=MappingProxyType({m: _limit(limits[m], f"{where}: {m}", m) for m in Meter if m in limits}),
        connections=_count(limits.get("connections"), f"{where}: connections"),
        seats=_count(limits.get("seats"), f"{where}: seats"),
        retention_days=_days(limits.get("retention_days"), f"{where}: retention_days", 1, MOST_KEPT_DAYS),
        features=frozenset(_names(given.get("features", list(Feature)), f"{where}: features", Feature)),
        trial_days=_days(given.get("trial_days", 0), f"{where}: trial_days", 0, MOST_TRIAL_DAYS) or 0,
        prices=MappingProxyType(
            {
                environment: MappingProxyType(_ids(ids, f"{where}: prices of {environment}", Interval))
                for environment, ids in prices.items()
            }
            | {BY_HAND: MappingProxyType({interval: f"{key}@{version}/{interval}" for interval in Interval})}
        ),
        meters=MappingProxyType(_ids(given.get("meters", {}), f"{where}: meters", Meter, {Meter.RECORDS})),
    )


def _mapping(value: Any, where: str, known: set[str] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(f"{where} is an object")
    if known is not None and (unknown := sorted(set(value) - known)):
        raise Invalid(f"{where}: {unknown[0]!r} is none of {', '.join(sorted(known))}")
    return value


def _count(value: Any, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST:
        raise Invalid(f"{where} is a whole number from 0, or null")
    return value


def _days(value: Any, where: str, least: int, most: int) -> int | None:
    days = _count(value, where)
    if days is not None and not least <= days <= most:
        raise Invalid(f"{where} lies between {least} and {most}")
    return days


def _limit(value: Any, where: str, meter: Meter) -> Limit:
    """A number is both; null is none."""
    ends = value if isinstance(value, dict) else {"soft": value, "hard": value}
    ends = _mapping(ends, where, {"soft", "hard"})
    soft, hard = (_amount(ends.get(name), f"{where}, {name}", meter) for name in ("soft", "hard"))
    if soft is not None and hard is not None and soft > hard:
        raise Invalid(f"{where}: soft is at most hard")
    return Limit(soft=soft, hard=hard)


def _amount(value: Any, where: str, meter: Meter) -> Decimal | None:
    if meter is Meter.RECORDS or value is None:
        count = _count(value, where)
        return None if count is None else Decimal(count)
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount < MOST:
        raise Invalid(f"{where} is an amount in US dollars from 0, or null")
    return amount


def _names(value: Any, where: str, known: type[StrEnum]) -> list[Any]:
    if not isinstance(value, list) or any(not isinstance(one, str) for one in value):
        raise Invalid(f"{where} is a list of names")
    if unknown := sorted(set(value) - set(known)):
        raise Invalid(f"{where}: {unknown[0]!r} is none of {', '.join(known)}")
    return [known(one) for one in value]


def _ids(value: Any, where: str, known: type[StrEnum], among: set[str] | None = None) -> dict[Any, str]:
    given = _mapping(value, where, among or set(known))
    if wrong := next((name for name, id in given.items() if not isinstance(id, str) or not id.strip()), None):
        raise Invalid(f"{where}: {wrong} is a text")
    return {known(name): id.strip() for name, id in given.items()}
