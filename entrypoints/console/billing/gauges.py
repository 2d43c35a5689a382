"""How full a plan is: what is used of each limit, what it comes to, and at which shares of it people are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Literal

from core.domain.billing_words import Fill
from core.domain.plans import Feature, Meter, Plan
from core.domain.usage import NOTICES, Usage
from core.usecases.billing import BillingState
from entrypoints.console.words import money, whole

Tone = Literal["fine", "near", "full"]
_TITLES = {Meter.RECORDS: "Records sorted", Meter.LLM_SPEND: "Language model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """`used` of what a plan `holds`, which is None where it is without a limit; `ends` is where there is no more.
    `ahead` is what it comes to by the month's end. `money` is in US dollars, else these are counts of `what`."""

    title: str
    what: str
    used: Decimal
    holds: Decimal | None
    ends: Decimal | None
    ahead: Decimal | None = None
    money: bool = False
    notices: tuple[int, ...] = ()

    def told(self, amount: Decimal) -> str:
        if self.money:
            return f"{money(amount.quantize(Decimal('0.01'), ROUND_CEILING), 'USD')} USD"
        return whole(int(amount.to_integral_value(ROUND_CEILING)))

    @property
    def percent(self) -> float | None:
        return float(100 * self.used / self.holds) if self.holds else None

    @property
    def tone(self) -> Tone:
        share = self.percent
        if share is None:
            return "full" if self.holds is not None and self.used >= self.holds else "fine"
        return "full" if share >= 100 else "near" if share >= min(self.notices, default=100) else "fine"

    @property
    def reached(self) -> int | None:
        """The highest share at which people were told."""
        return max((one for one in self.notices if self.percent is not None and self.percent >= one), default=None)

    @property
    def exceeds(self) -> bool:
        """Whether it comes to more than the plan holds by the month's end."""
        return self.holds is not None and self.ahead is not None and self.used < self.holds < self.ahead

    @property
    def marks(self) -> Sequence[str]:
        """Where in the bar people are told."""
        return [self._place(self.holds * share / 100) for share in self.notices] if self.holds else []

    @property
    def filled(self) -> str:
        return self._place(self.used)

    @property
    def forecast(self) -> str | None:
        """None also where nothing more can be used."""
        over = self.ends is not None and self.used >= self.ends
        return None if over or self.ahead is None or self.ahead <= self.used else self._place(self.ahead)

    def _place(self, amount: Decimal) -> str:
        """How far from the bar's left, in percent of it; the bar is as long as the plan goes."""
        whole = max((one for one in (self.holds, self.ends) if one), default=Decimal(1))
        return f"{min(100 * amount / whole, Decimal(100)):.2f}%"


def gauges_of(state: BillingState) -> Sequence[Gauge]:
    plan = state.entitlement.plan
    meters = [_of_meter(usage, plan) for usage in state.usages]
    return [*meters, _of_fill("Connections", "connections", state.connections), _of_fill("Seats", "seats", state.seats)]


def _of_meter(usage: Usage, plan: Plan) -> Gauge:
    """As the plan has it, also where nothing of it may be used while a payment is missing."""
    holds, ends = held(plan, usage.meter)
    return Gauge(
        title=_TITLES[usage.meter],
        what="records" if usage.meter is Meter.RECORDS else "",
        used=usage.used,
        holds=holds,
        ends=ends,
        ahead=usage.forecast,
        money=usage.meter is Meter.LLM_SPEND,
        notices=NOTICES if plan.limit(usage.meter).soft else (),
    )


def held(plan: Plan, meter: Meter) -> tuple[Decimal | None, Decimal | None]:
    """What the plan holds in a month, and where it ends; a plan without the LLM holds none of it."""
    if meter is Meter.LLM_SPEND and Feature.LLM not in plan.features:
        return Decimal(0), Decimal(0)
    limit = plan.limit(meter)
    return (limit.hard if limit.soft is None else limit.soft), limit.hard


def _of_fill(title: str, what: str, fill: Fill) -> Gauge:
    limit = None if fill.limit is None else Decimal(fill.limit)
    return Gauge(title=title, what=what, used=Decimal(fill.used), holds=limit, ends=limit)
