"""What a tenant may do for what it pays: the whole table, and the pure functions around it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import permutations, product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.documents import read, written
from core.domain.billing import (
    ENDED,
    MAX_REASON,
    PLAN_SETTLES,
    Access,
    Account,
    Comp,
    Entitlement,
    Subscription,
    SubscriptionStatus,
    Terms,
    Told,
    changes_at,
    check_reason,
    entitle,
    kept_days,
    pick,
)
from core.domain.payments import MAX_RETURN_URL, check_return_url
from core.domain.plans import Feature, Interval, Limit, Meter, Plan
from core.errors import Invalid
from tests.contract.storage import some_terms
from tests.unit.hostile_urls import FRIEND, urls

DAY = timedelta(days=1)
NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
DUE = NOW - 10 * DAY
"""When the payment was due that is missing."""
PRICE, NO_PRICE = "price_team", "price_of_nobody"
FREE = Plan(key="free", version=1, title="Free", limits={Meter.RECORDS: Limit(soft=Decimal(5), hard=Decimal(5))})
TEAM = Plan(key="team", version=2, title="Team", retention_days=400, prices={"test": {Interval.MONTH: PRICE}})
OLD_TEAM = replace(TEAM, version=1, title="Team of old", prices={})
TERMS = some_terms(FREE, OLD_TEAM, TEAM, grace_days=14)
COMPS = {
    "none": None,
    "runs": Comp(plan_key="team", plan_version=1, until=NOW + DAY, reason="a pilot"),
    "for good": Comp(plan_key="team", plan_version=1, until=None, reason="a pilot"),
    "over": Comp(plan_key="team", plan_version=1, until=NOW, reason="a pilot"),
    "of a version that went": Comp(plan_key="team", plan_version=9, until=None, reason="a pilot"),
    "of a plan that went": Comp(plan_key="gone", plan_version=1, until=None, reason="a pilot"),
}
GIVEN = {"runs": OLD_TEAM, "for good": OLD_TEAM, "of a version that went": TEAM}
"""The plans of comps that count."""
DENIED = {
    SubscriptionStatus.UNPAID,
    SubscriptionStatus.PAUSED,
    SubscriptionStatus.CANCELED,
    SubscriptionStatus.INCOMPLETE_EXPIRED,
}


def a_subscription(status: SubscriptionStatus = SubscriptionStatus.ACTIVE, **fields: Any) -> Subscription:
    standard: dict[str, Any] = {
        "id": "sub_1",
        "price_id": PRICE,
        "created_at": NOW - 40 * DAY,
        "period_start": NOW - 9 * DAY,
        "period_end": NOW + 22 * DAY,
        "trial_end": NOW + 3 * DAY if status is SubscriptionStatus.TRIALING else None,
        "past_due_since": DUE if status is SubscriptionStatus.PAST_DUE else None,
    }
    return Subscription(status=status, **{**standard, **fields})


def an_account(subscription: Subscription | None = None, **fields: Any) -> Account:
    return Account(tenant_id=UUID(int=7), subscription=subscription, **fields)


@pytest.mark.parametrize("status", [None, *SubscriptionStatus])
@pytest.mark.parametrize("comp", COMPS)
def test_what_a_tenant_may_do(status: SubscriptionStatus | None, comp: str) -> None:
    """One by one, in the order in which one outdoes the next: what the operator gives, an order that never began or an
    end that the tenant chose, and the subscription's status."""
    for grace_days, without_since, price in product(
        [0, 9, 10, 11, 14], [None, NOW - 41 * DAY, NOW - 40 * DAY, NOW], [PRICE, NO_PRICE]
    ):
        case = f"grace {grace_days}, without since {without_since}, {price}"
        subscription = None if status is None else a_subscription(status, price_id=price)
        account = an_account(subscription, comp=COMPS[comp], without_since=without_since)
        now = entitle(account, replace(TERMS, grace=grace_days * DAY), NOW)

        left = without_since is not None and without_since >= NOW - 40 * DAY and status in ENDED
        if comp in GIVEN:
            until = NOW + DAY if comp == "runs" else None
            assert now == Entitlement(plan=GIVEN[comp], access=Access.FULL, reason="comp", until=until), case
            continue
        if status in (None, SubscriptionStatus.INCOMPLETE) or left:
            assert now == Entitlement(plan=FREE, access=Access.FULL, reason="none"), case
            continue
        assert status is not None
        graced = status is SubscriptionStatus.PAST_DUE and grace_days > 10
        denied = status in DENIED or (status is SubscriptionStatus.PAST_DUE and not graced)
        assert now.access is (Access.READ_ONLY if denied else Access.GRACE if graced else Access.FULL), case
        assert now.plan.key == ("team" if price == PRICE else "unknown"), case
        assert now.reason == (status.value if denied or price == PRICE else "unknown_price"), case
        ends = {SubscriptionStatus.TRIALING: NOW + 3 * DAY, SubscriptionStatus.PAST_DUE: DUE + grace_days * DAY}
        assert now.until == (None if denied else ends.get(status)), case


def test_a_payment_that_is_missing_is_waited_for_from_when_it_was_due() -> None:
    for since, start in ((DUE, NOW), (None, DUE)):
        late = a_subscription(SubscriptionStatus.PAST_DUE, past_due_since=since, period_start=start)
        ends = DUE + 14 * DAY
        just_before = entitle(an_account(late), TERMS, ends - timedelta(microseconds=1))
        assert (just_before.access, just_before.until) == (Access.GRACE, ends)
        assert entitle(an_account(late), TERMS, ends).access is Access.READ_ONLY


def test_who_pays_for_a_price_that_no_plan_has_is_denied_nothing() -> None:
    for status in (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING, SubscriptionStatus.PAST_DUE):
        now = entitle(an_account(a_subscription(status, price_id=NO_PRICE)), TERMS, NOW)
        assert now.reason == "unknown_price"
        assert all(now.has(feature) for feature in Feature)
        assert all(now.limit(meter) == Limit() for meter in Meter)
        assert (now.plan.connections, now.plan.seats, now.plan.retention_days) == (None, None, None)


def test_nothing_is_used_and_no_feature_is_there_while_it_is_read_only() -> None:
    now = entitle(an_account(a_subscription(SubscriptionStatus.UNPAID)), TERMS, NOW)
    full = Entitlement(plan=FREE, access=Access.FULL, reason="none")
    assert now.limit(Meter.RECORDS) == Limit(soft=None, hard=Decimal(0))
    assert replace(full, access=Access.READ_ONLY).limit(Meter.RECORDS) == Limit(soft=Decimal(5), hard=Decimal(0))
    assert full.limit(Meter.RECORDS) == Limit(soft=Decimal(5), hard=Decimal(5))
    assert full.has(Feature.LLM)
    assert not now.has(Feature.LLM)
    grace = entitle(an_account(a_subscription(SubscriptionStatus.PAST_DUE)), TERMS, NOW)
    assert (grace.has(Feature.LLM), grace.limit(Meter.RECORDS)) == (True, Limit())
    bare = Entitlement(plan=replace(FREE, features=frozenset()), access=Access.FULL, reason="none")
    assert not bare.has(Feature.LLM)


@given(
    st.lists(
        st.tuples(st.sampled_from(SubscriptionStatus), st.integers(0, 2), st.sampled_from("ab")), min_size=1, max_size=4
    )
)
def test_the_subscription_that_counts_is_the_same_in_any_order(
    found: list[tuple[SubscriptionStatus, int, str]],
) -> None:
    subscriptions = [
        a_subscription(status, id=f"{id}{place}", created_at=NOW - 40 * DAY + age * DAY)
        for place, (status, age, id) in enumerate(found)
    ]
    counts = {pick(order) for order in permutations(subscriptions)}
    assert len(counts) == 1
    (best,) = counts
    assert best is not None
    began = [one for one in subscriptions if one.status is not SubscriptionStatus.INCOMPLETE]
    assert best in (began or subscriptions)

    def allows(one: Subscription) -> int:
        access = entitle(an_account(one), TERMS, NOW).access
        return [Access.READ_ONLY, Access.GRACE, Access.FULL].index(access)

    for other in began:
        assert allows(best) >= allows(other)
        if other.status is best.status:
            assert (other.created_at, other.id) <= (best.created_at, best.id)


def test_of_what_ended_and_an_order_that_is_not_paid_what_ended_counts() -> None:
    ended = a_subscription(SubscriptionStatus.CANCELED)
    for status in (SubscriptionStatus.INCOMPLETE, SubscriptionStatus.INCOMPLETE_EXPIRED):
        assert pick([ended, a_subscription(status, id="sub_2", created_at=NOW)]) == ended
    assert pick([]) is None


def test_it_is_known_when_what_a_tenant_may_do_changes_next() -> None:
    comp = Comp(plan_key="team", plan_version=2, until=NOW + DAY, reason="a pilot")
    tried = a_subscription(SubscriptionStatus.TRIALING)
    late = a_subscription(SubscriptionStatus.PAST_DUE)
    for account, at, next_change in (
        (an_account(), NOW, None),
        (an_account(a_subscription()), NOW, None),
        (an_account(tried), NOW, NOW + 3 * DAY),
        (an_account(tried), NOW + 3 * DAY, None),
        (an_account(late), NOW, DUE + 14 * DAY),
        (an_account(late), DUE + 14 * DAY, None),
        (an_account(late, comp=comp), NOW, NOW + DAY),
        (an_account(late, comp=comp), NOW + DAY, DUE + 14 * DAY),
        (an_account(late, comp=replace(comp, until=None)), NOW, None),
    ):
        assert changes_at(account, TERMS, at) == next_change


@pytest.mark.parametrize("wanted", [None, 100, 1_000])
@pytest.mark.parametrize("has", ["no subscription", "team", "grace", "read-only", "a comp"])
@pytest.mark.parametrize("settled", [True, False])
def test_a_plans_days_count_after_a_month_and_never_while_a_payment_is_missing(
    wanted: int | None, has: str, settled: bool
) -> None:
    statuses = {
        "team": SubscriptionStatus.ACTIVE,
        "grace": SubscriptionStatus.PAST_DUE,
        "read-only": SubscriptionStatus.UNPAID,
    }
    account = an_account(a_subscription(statuses[has]) if has in statuses else None)
    if has == "a comp":
        account = replace(account, comp=Comp(plan_key="team", plan_version=2, until=None, reason="a pilot"))
    since = NOW - PLAN_SETTLES if settled else NOW - PLAN_SETTLES + timedelta(microseconds=1)
    account = replace(account, told=entitle(account, TERMS, NOW).told(since))
    by_plan = 400 if has in ("team", "a comp") and settled else None
    expected = [days for days in (wanted, by_plan) if days is not None]
    assert kept_days(account, TERMS, wanted, NOW) == (min(expected) if expected else None)


def test_the_days_of_a_plan_that_nobody_was_told_of_do_not_count() -> None:
    account = an_account(a_subscription())
    assert kept_days(account, TERMS, None, NOW) is None
    before = entitle(an_account(), TERMS, NOW).told(NOW - 300 * DAY)
    assert kept_days(replace(account, told=before), TERMS, None, NOW) is None
    of_old = Told(plan_key="team", plan_version=1, access=Access.FULL, reason="active", plan_since=NOW - 300 * DAY)
    assert kept_days(replace(account, told=of_old), TERMS, None, NOW) is None


ORIGINS = (f"https://{FRIEND}", "http://localhost:8080")
REST = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\\<>\"'"), max_size=40)


@given(st.sampled_from(ORIGINS), st.just("") | st.tuples(st.sampled_from("/?#"), REST).map("".join))
def test_whatever_lies_at_an_origin_of_ours_may_be_returned_to(origin: str, rest: str) -> None:
    assert check_return_url(origin + rest, ORIGINS) == origin + rest


@given(
    urls(443)
    | st.text(max_size=30)
    | st.tuples(st.sampled_from(ORIGINS), st.text(max_size=5), st.text("/\\?#@:.[]a1 \t\n", max_size=12)).map("".join)
    | st.tuples(st.text(" \t\n\x00\\/:@a", max_size=4), st.sampled_from(ORIGINS), st.text(max_size=8)).map("".join)
    | st.tuples(st.sampled_from(["https:", "HTTPS:/", "javascript:", "//"]), st.just(FRIEND), REST).map("".join)
)
def test_nothing_leads_to_another_origin(url: str) -> None:
    """By the letters: what is let through is one of the origins, and then nothing that could still be part of a name,
    a port or a user, or that some browser takes for such."""
    try:
        assert check_return_url(url, ORIGINS) == url
    except Invalid:
        return
    scheme, mark, rest = url.partition("://")
    plain = f"{scheme.lower()}{mark}{rest}"
    (origin,) = [one for one in ORIGINS if plain.startswith(one)]
    assert plain[len(origin) : len(origin) + 1] in ("", "/", "?", "#")
    assert all("!" <= letter <= "~" and letter not in "\\<>\"'" for letter in url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/billing",
        "//partner.example/",
        "https:partner.example/",
        "https:/partner.example/",
        "https:///partner.example/",
        "http://partner.example/",
        "javascript:alert(1)//https://partner.example/",
        "https://partner.example.evil.example/",
        "https://partner.example:443/",
        "https://partner.example:8443/",
        "https://partner.example@evil.example/",
        "https://evil.example@partner.example/",
        "https://@partner.example/",
        "https://partner.example\\@evil.example/",
        "https://partner.example\\.evil.example/",
        "https://partner.example/\\evil.example",
        "https://partner.example/a b",
        "https://partner.example\t/",
        "https://partner.example/\r\nLocation: https://evil.example",
        "https://partner.example/\x00",
        "https://partner.example/\x7f",
        "https://partner.exam\u00adple/",
        "https://pаrtner.example/",
        "https://partner。example/",
        "https://partner.example%2eevil.example/",
        "https://sort℀.example/",
        "https://[::1/",
        "https://[partner.example]/",
        "http://localhost:8080\u2044@evil.example/",
        "https://partner.example/" + "a" * MAX_RETURN_URL,
    ],
)
def test_what_is_no_address_of_ours_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match=r"begins with https://partner\.example or http://localhost:8080"):
        check_return_url(url, ORIGINS)


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "a\x00b", "a\u202eb", "x" * (MAX_REASON + 1)])
def test_what_is_no_reason_is_refused(reason: str) -> None:
    with pytest.raises(Invalid, match=f"1 to {MAX_REASON} characters"):
        check_reason(reason)
    assert check_reason(f" {'x' * MAX_REASON} ") == "x" * MAX_REASON


INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))
MAYBE = st.none() | INSTANTS


@given(
    st.builds(
        Subscription,
        id=st.text(),
        status=st.sampled_from(SubscriptionStatus),
        price_id=st.text(),
        created_at=INSTANTS,
        period_start=INSTANTS,
        period_end=INSTANTS,
        trial_end=MAYBE,
        cancel_at=MAYBE,
        past_due_since=MAYBE,
    )
)
def test_a_subscription_is_stored_whole(subscription: Subscription) -> None:
    assert read(Subscription, _stored(subscription)) == subscription


@given(st.builds(Comp, plan_key=st.text(), plan_version=st.integers(1), until=MAYBE, reason=st.text()))
def test_a_comp_is_stored_whole(comp: Comp) -> None:
    assert read(Comp, _stored(comp)) == comp


@given(
    st.builds(
        Told,
        plan_key=st.text(),
        plan_version=st.integers(1),
        access=st.sampled_from(Access),
        reason=st.text(),
        plan_since=INSTANTS,
    )
)
def test_what_was_told_is_stored_whole(told: Told) -> None:
    assert read(Told, _stored(told)) == told


def _stored(value: Subscription | Comp | Told) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(json.dumps(written(value)))
    assert None not in stored.values()
    return stored


def test_terms_name_the_newest_version_of_the_plan_that_everybody_has() -> None:
    terms = Terms(catalog=TERMS.catalog, base="team", grace=DAY)
    assert terms.base_plan == TEAM
