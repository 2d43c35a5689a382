"""Billing at a glance: what the plan holds and why, what of it is used, and what was agreed about paying for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from flask import Blueprint, Response

from core.domain.billing import RUNNING, Access, read_only_since
from core.domain.llm_spending import month_of
from core.domain.permissions import Permission
from core.domain.plans import Meter
from core.domain.usage import NOTICES, Usage, next_month
from core.errors import SortationError
from core.usecases.billing import BillingState
from entrypoints.api.state import container
from entrypoints.console.billing import words
from entrypoints.console.billing.gauges import gauges_of
from entrypoints.console.billing.parts import shared
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import show

blp = Blueprint("billing_overview", __name__)
MONTHS = 12


@blp.get("/billing")
@page_for(Permission.BILLING_READ)
def billing() -> Response:
    return billing_page()


def billing_page(error: SortationError | None = None) -> Response:
    """With what went wrong at one of its buttons."""
    actor, services = me(), container()
    state: BillingState = services.show_billing(actor)
    terms, now = services.terms(), services.clock().now()
    months = services.show_usage(actor, months=MONTHS)
    return show(
        "billing/overview.html",
        200 if error is None else error.status,
        **shared(state),
        tone=words.tone_of(state),
        to_come=words.to_come(state),
        to_do=words.to_do(state),
        since=read_only_since(state.account, terms, now) if state.entitlement.access is Access.READ_ONLY else None,
        gauges=gauges_of(state),
        notices=NOTICES,
        mails=terms.mails,
        month=month_of(now),
        anew=next_month(month_of(now)).date(),
        earlier=_earlier(months, month_of(now)),
        statuses=words.STATUSES,
        intervals=words.INTERVALS,
        running=state.account.subscription is not None and state.account.subscription.status in RUNNING,
        acts=words.acts(state, terms.catalog),
        owed=state.entitlement.reason in words.OWED and not words.by_hand(state),
        orderable=words.orderable(state),
        error=error,
    )


def _earlier(usages: Sequence[Usage], present: date) -> Sequence[tuple[date, Decimal, Decimal]]:
    """(month, records, what the LLM cost) of the months before in which something was used, the latest first."""
    by_month: defaultdict[date, dict[Meter, Decimal]] = defaultdict(dict)
    for one in usages:
        by_month[one.month][one.meter] = one.used
    none = Decimal(0)
    return [
        (month, used.get(Meter.RECORDS, none), used.get(Meter.LLM_SPEND, none))
        for month, used in by_month.items()
        if month < present
    ]
