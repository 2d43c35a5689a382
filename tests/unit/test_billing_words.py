"""Why a tenant is limited, in words: every state has some, and every limit that is reached is named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from core.domain.billing import Access, Account, Comp, Entitlement, Subscription, SubscriptionStatus, Terms, entitle
from core.domain.billing_words import Fill, explain, standing
from core.domain.plans import Catalog, Interval, Limit, Meter, Plan
from core.domain.usage import Usage

NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)
FREE = Plan(key="free", version=1, title="Free")
TEAM = Plan(key="team", version=1, title="Team", prices={"test": {Interval.MONTH: "price_1"}})
TERMS = Terms(catalog=Catalog((FREE, TEAM)), base="free", grace=timedelta(days=14))
SOMEBODY = UUID(int=1)
ANY = Fill(used=3, limit=None)
LOCKED = "Everything can be read and exported, nothing can be changed, and what comes in is held until "


def subscription(status: SubscriptionStatus, **fields: datetime | None) -> Subscription:
    start = NOW - timedelta(days=5)
    return Subscription(
        id="sub_1",
        status=status,
        price_id="price_1",
        created_at=start,
        period_start=start,
        period_end=start + timedelta(days=30),
        **fields,
    )


def words(account: Account, now: datetime = NOW) -> str:
    entitlement = entitle(account, TERMS, now)
    return explain(entitlement, account.subscription, [], connections=ANY, seats=ANY, held=0)


def of(status: SubscriptionStatus, now: datetime = NOW, **fields: datetime | None) -> str:
    return words(Account(tenant_id=SOMEBODY, subscription=subscription(status, **fields)), now)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (SubscriptionStatus.ACTIVE, "The plan Team is paid."),
        (SubscriptionStatus.TRIALING, "The plan Team is tried until 20 May 2026."),
        (
            SubscriptionStatus.PAST_DUE,
            "A payment for the plan Team is missing. Everything goes on until 19 May 2026; after that nothing can be"
            " changed.",
        ),
        (
            SubscriptionStatus.UNPAID,
            f"The plan Team is not paid, and its payment is not tried again. {LOCKED}it is paid.",
        ),
        (
            SubscriptionStatus.PAUSED,
            f"The trial of the plan Team ended without a way to pay for it. {LOCKED}it is paid.",
        ),
        (SubscriptionStatus.CANCELED, f"The subscription of the plan Team has ended. {LOCKED}a plan is ordered."),
        (
            SubscriptionStatus.INCOMPLETE_EXPIRED,
            f"The plan Team was ordered and never paid. {LOCKED}a plan is ordered.",
        ),
        (
            SubscriptionStatus.INCOMPLETE,
            "The plan Free is that of who has no subscription. An order waits for its payment.",
        ),
    ],
)
def test_every_status_has_its_words(status: SubscriptionStatus, told: str) -> None:
    trial_end = NOW + timedelta(days=10) if status is SubscriptionStatus.TRIALING else None
    assert of(status, trial_end=trial_end) == told


def test_there_are_words_for_whatever_becomes_of_a_subscription() -> None:
    for status in SubscriptionStatus:
        for days in (0, 30):
            assert of(status, NOW + timedelta(days=days)), (status, days)
    late = of(SubscriptionStatus.PAST_DUE, NOW + timedelta(days=30))
    assert late == f"A payment for the plan Team is missing for longer than is waited for. {LOCKED}it is paid."


@pytest.mark.parametrize(
    ("status", "fields", "now", "access", "since"),
    [
        (SubscriptionStatus.ACTIVE, {}, NOW, Access.FULL, None),
        (SubscriptionStatus.PAST_DUE, {"past_due_since": NOW}, NOW, Access.GRACE, None),
        (
            SubscriptionStatus.PAST_DUE,
            {"past_due_since": NOW},
            NOW + timedelta(days=20),
            Access.READ_ONLY,
            NOW + timedelta(days=14),
        ),
        (
            SubscriptionStatus.CANCELED,
            {"cancel_at": NOW - timedelta(days=1)},
            NOW,
            Access.READ_ONLY,
            NOW - timedelta(1),
        ),
        (SubscriptionStatus.CANCELED, {"cancel_at": NOW + timedelta(days=1)}, NOW, Access.READ_ONLY, None),
        (SubscriptionStatus.CANCELED, {}, NOW, Access.READ_ONLY, None),
        (SubscriptionStatus.UNPAID, {}, NOW, Access.READ_ONLY, None),
    ],
)
def test_what_a_tenants_standing_is_and_since_when(
    status: SubscriptionStatus,
    fields: dict[str, datetime],
    now: datetime,
    access: Access,
    since: datetime | None,
) -> None:
    found = standing(Account(tenant_id=SOMEBODY, subscription=subscription(status, **fields)), TERMS, now)
    assert (found.access, found.since) == (access, since)
    assert found.words == of(status, now, **fields)


def test_what_is_canceled_says_when_it_ends() -> None:
    ends = NOW + timedelta(days=3)
    assert of(SubscriptionStatus.ACTIVE, cancel_at=ends) == (
        "The plan Team is paid. It ends on 13 May 2026, and is not renewed."
    )


def test_a_plan_that_is_given_says_until_when() -> None:
    comp = Comp(plan_key="team", plan_version=1, until=None, reason="a pilot")
    assert words(Account(tenant_id=SOMEBODY, comp=comp)) == "The operator gave the plan Team."
    until = NOW + timedelta(days=1)
    account = Account(
        tenant_id=SOMEBODY,
        subscription=subscription(SubscriptionStatus.UNPAID),
        comp=Comp(plan_key="team", plan_version=1, until=until, reason="a pilot"),
    )
    assert words(account) == "The operator gave the plan Team until 11 May 2026."


def test_a_price_that_no_plan_has_is_the_operators_to_mend() -> None:
    account = Account(tenant_id=SOMEBODY, subscription=subscription(SubscriptionStatus.ACTIVE))
    entitlement = entitle(account, Terms(catalog=Catalog((FREE,)), base="free", grace=timedelta(0)), NOW)
    told = explain(entitlement, account.subscription, [], connections=ANY, seats=ANY, held=0)
    assert "nothing is limited until the operator has put that right" in told


def reached(
    used: int = 0,
    hard: int | None = 1_000,
    held: int = 0,
    access: Access = Access.FULL,
    spent: str = "0",
    connections: Fill = ANY,
    seats: Fill = ANY,
) -> str:
    """What is told beside the plan and its payment."""
    entitlement = Entitlement(plan=TEAM, access=access, reason="unpaid" if access is Access.READ_ONLY else "active")
    month = date(2026, 12, 1)
    usages = [
        Usage(
            meter=meter,
            month=month,
            used=Decimal(amount),
            limit=Limit(soft=Decimal(1), hard=None if most is None else Decimal(most)),
            forecast=None,
        )
        for meter, amount, most in ((Meter.RECORDS, used, hard), (Meter.LLM_SPEND, spent, "2.50"))
    ]
    told = explain(entitlement, None, usages, connections=connections, seats=seats, held=held)
    return told.removeprefix("The plan Team is paid.").rpartition(f"{LOCKED}it is paid.")[2].strip()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (reached(used=999), ""),
        (reached(used=10**9, hard=None), ""),
        (
            reached(used=1_000),
            "This month's 1,000 records are used up: what comes in is held until 1 January 2027, or another plan.",
        ),
        (
            reached(used=1_000, held=1),
            "This month's 1,000 records are used up: 1 record is held until 1 January 2027, or another plan.",
        ),
        (reached(used=10, held=2_500), "2,500 records are held, and sorted as soon as there is a worker for it."),
        (reached(used=0, hard=0, held=7, access=Access.READ_ONLY), "7 records are held."),
        (reached(used=0, hard=0, access=Access.READ_ONLY, spent="9"), ""),
        (reached(spent="2.50"), "This month's 2.50 US dollars of the LLM are spent: it is asked nothing more."),
        (reached(spent="2.49"), ""),
        (reached(connections=Fill(used=1, limit=1)), "The connection of the plan is taken."),
        (reached(connections=Fill(used=3, limit=2)), "All 2 connections are taken."),
        (reached(seats=Fill(used=0, limit=0)), "The plan holds no seats."),
        (reached(seats=Fill(used=1, limit=2)), ""),
    ],
)
def test_what_is_reached_is_named_and_nothing_else(told: str, expected: str) -> None:
    assert told == expected
