"""What a tenant's LLM took, and what it may still take."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.billing import Terms
from core.domain.llm_spending import LlmMonth, LlmSpend, month_of, months_before
from core.usecases.shared.admitting import entitled
from core.usecases.shared.limits import llm_off, within_plan
from core.usecases.shared.llm_calls import why_no_call
from ports.clock import Clock
from ports.llm import Llm
from ports.storage import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmMeans:
    """What a tenant may still spend. `off` says why the LLM is not asked at all, None if it is; `left` of the `cap` is
    None where there is none. In US dollars."""

    model: str | None
    off: str | None
    cap: Decimal | None
    month: LlmMonth
    left: Decimal | None


def llm_months(tx: Transaction, count: int, clock: Clock) -> list[LlmMonth]:
    """This month and those before it, also those in which nothing was spent."""
    present = month_of(clock.now())
    wanted = [months_before(present, back) for back in range(count)]
    stored = {month.month: month for month in tx.llm_usages.since(wanted[-1])}
    return [stored.get(month) or LlmMonth(month=month, spend=LlmSpend(), reserved=Decimal(0)) for month in wanted]


def llm_means(tx: Transaction, month: LlmMonth, llm: Llm | None, terms: Terms, clock: Clock) -> LlmMeans:
    entitlement = entitled(tx, terms, clock)
    cap = within_plan(tx.tenants.get(), entitlement).settings.llm_monthly_cap
    return LlmMeans(
        model=None if llm is None else llm.model,
        off="no LLM is configured" if llm is None else llm_off(entitlement) or why_no_call(cap, llm),
        cap=cap,
        month=month,
        left=None if cap is None else month.left(cap),
    )
