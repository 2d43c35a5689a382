"""Plans out of their JSON form: what is written is what is meant, and each fault is named where it stands."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.defaults import default_plans
from core.domain.plans import (
    BY_HAND,
    FREE,
    MOST,
    UNLIMITED,
    Catalog,
    Feature,
    Interval,
    Limit,
    Meter,
    Plan,
    catalog_from,
)
from core.errors import Invalid

TEAM: dict[str, Any] = {"key": "team", "title": "Team"}


def one(**fields: Any) -> Plan:
    """The plan that is written so."""
    return catalog_from([TEAM | fields]).plans[0]


def written(plan: Plan) -> dict[str, Any]:
    """A plan in the form that it is read from."""
    limits: dict[str, Any] = {
        meter.value: {
            "soft": _plain(limit.soft, meter),
            "hard": _plain(limit.hard, meter),
        }
        for meter, limit in plan.limits.items()
    }
    kept = {name: getattr(plan, name) for name in ("connections", "seats", "retention_days")}
    return {
        "key": plan.key,
        "version": plan.version,
        "title": plan.title,
        "limits": limits | kept,
        "features": sorted(plan.features),
        "trial_days": plan.trial_days,
        "prices": {name: dict(ids) for name, ids in plan.prices.items() if name != BY_HAND},
        "meters": dict(plan.meters),
    }


def _plain(amount: Decimal | None, meter: Meter) -> int | str | None:
    return None if amount is None else int(amount) if meter is Meter.RECORDS else str(amount)


COUNTS = st.none() | st.integers(0, int(MOST) - 1)
AMOUNTS = st.none() | st.decimals(0, MOST - 1, places=2)
NAMES = st.text("abc_-019", min_size=1, max_size=8).map(lambda tail: f"p{tail}")


@st.composite
def limits(draw: st.DrawFn, amounts: st.SearchStrategy[Any]) -> Limit:
    soft, hard = draw(amounts), draw(amounts)
    if soft is not None and hard is not None and soft > hard:
        soft, hard = hard, soft
    return Limit(soft=_decimal(soft), hard=_decimal(hard))


def _decimal(amount: Any) -> Decimal | None:
    return None if amount is None else Decimal(amount)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    key, version = draw(NAMES), draw(st.integers(1, 9))
    own = {
        environment: {interval: f"{environment}_{key}_{version}_{interval}" for interval in intervals}
        for environment, intervals in draw(
            st.dictionaries(st.sampled_from(["test", "live"]), st.sets(st.sampled_from(Interval)))
        ).items()
    }
    by_hand = {interval: f"{key}@{version}/{interval}" for interval in Interval}
    return Plan(
        key=key,
        version=version,
        title=draw(st.text("Team &9é", min_size=1).map(str.strip).filter(bool)),
        limits=draw(
            st.fixed_dictionaries({}, optional={Meter.RECORDS: limits(COUNTS), Meter.LLM_SPEND: limits(AMOUNTS)})
        ),
        connections=draw(COUNTS),
        seats=draw(COUNTS),
        retention_days=draw(st.none() | st.integers(1, 36_500)),
        features=frozenset(draw(st.sets(st.sampled_from(Feature)))),
        trial_days=draw(st.integers(0, 90)),
        prices=own | {BY_HAND: by_hand},
        meters=draw(st.just({}) | st.just({Meter.RECORDS: "sorted_records"})),
    )


@given(st.lists(plans(), min_size=1, max_size=5, unique_by=lambda plan: (plan.key, plan.version)))
def test_what_is_written_is_read_as_it_was_meant(wanted: list[Plan]) -> None:
    read = catalog_from(json.loads(json.dumps([written(plan) for plan in wanted])))
    assert {(plan.key, plan.version): plan for plan in read.plans} == {
        (plan.key, plan.version): plan for plan in [*wanted, UNLIMITED]
    }
    for plan in wanted:
        assert read.get(plan.key, plan.version) == plan
        newest = read.newest(plan.key)
        assert newest is not None
        assert newest.version == max(other.version for other in wanted if other.key == plan.key)
        for ids in plan.prices.values():
            for interval, id in ids.items():
                assert read.of_price(id) == (plan, interval)
    assert [plan.key for plan in read.offered()] == [*dict.fromkeys(plan.key for plan in wanted), UNLIMITED.key]


def test_a_plan_of_which_little_is_said_holds_all_and_is_sold_by_hand() -> None:
    plan = one()
    assert (plan.version, plan.features, plan.trial_days) == (1, frozenset(Feature), 0)
    assert (plan.connections, plan.seats, plan.retention_days) == (None, None, None)
    assert all(plan.limit(meter) == Limit() for meter in Meter)
    assert plan.prices == {BY_HAND: {Interval.MONTH: "team@1/month", Interval.YEAR: "team@1/year"}}


def test_one_number_is_both_limits_and_null_is_none() -> None:
    plan = one(limits={"records": 50, "llm_spend": {"soft": 0.1}, "seats": None})
    assert plan.limit(Meter.RECORDS) == Limit(soft=Decimal(50), hard=Decimal(50))
    assert plan.limit(Meter.LLM_SPEND) == Limit(soft=Decimal("0.1"), hard=None)
    assert plan.seats is None
    assert one(limits={"records": {"hard": 7}}).limit(Meter.RECORDS) == Limit(soft=None, hard=Decimal(7))
    assert one(limits={"records": 0}).limit(Meter.RECORDS) == Limit(soft=Decimal(0), hard=Decimal(0))


def test_all_may_be_left_out_that_a_plan_can_leave_out() -> None:
    assert one(features=[]).features == frozenset()
    assert one(features=["llm"]).features == {Feature.LLM}


def test_versions_stand_in_their_order_whatever_the_order_in_which_they_are_written() -> None:
    catalog = catalog_from([TEAM | {"version": 2}, {"key": "solo", "title": "Solo"}, TEAM | {"version": 1}])
    assert [(plan.key, plan.version) for plan in catalog.plans] == [
        ("team", 1),
        ("team", 2),
        ("solo", 1),
        (UNLIMITED.key, 1),
    ]
    assert [(plan.key, plan.version) for plan in catalog.offered()] == [("team", 2), ("solo", 1), (UNLIMITED.key, 1)]
    assert catalog.get("team", 3) is None
    assert catalog.newest("none") is None
    assert catalog.of_price("price_of_nobody") is None


def test_who_names_the_plan_without_limits_says_what_it_is() -> None:
    own = {"key": UNLIMITED.key, "title": "All that fits", "limits": {"seats": 9}}
    catalog = catalog_from([own])
    assert [(plan.title, plan.seats) for plan in catalog.plans] == [("All that fits", 9)]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({}, "plans are a list of objects"),
        ([], "plans are a list of objects"),
        ("team", "plans are a list of objects"),
        (["team"], "plan 1 is an object"),
        ([TEAM, None], "plan 2 is an object"),
        ([{"title": "Team"}], "plan 1: key is a name in small letters"),
        ([TEAM | {"key": "Team"}], "plan 1: key is a name in small letters"),
        ([TEAM | {"key": "1st"}], "plan 1: key is a name in small letters"),
        ([TEAM | {"key": "t" * 41}], "plan 1: key is a name in small letters"),
        ([TEAM | {"key": "team\n"}], "plan 1: key is a name in small letters"),
        ([TEAM | {"key": 1}], "plan 1: key is a name in small letters"),
        ([{"key": "team"}], "plan team: title is a text"),
        ([TEAM | {"title": " "}], "plan team: title is a text"),
        ([TEAM | {"title": 3}], "plan team: title is a text"),
        ([TEAM | {"limit": {}}], "plan 1: 'limit' is none of features, key, limits"),
        ([TEAM | {"version": 0}], "plan team: version is a whole number from 1"),
        ([TEAM | {"version": None}], "plan team: version is a whole number from 1"),
        ([TEAM | {"version": "2"}], "plan team: version is a whole number"),
        ([TEAM | {"version": True}], "plan team: version is a whole number"),
        ([TEAM | {"limits": []}], "plan team: limits is an object"),
        ([TEAM | {"limits": {"users": 3}}], "plan team: limits: 'users' is none of connections, llm_spend, records"),
        ([TEAM | {"limits": {"records": -1}}], "plan team: records, soft is a whole number from 0, or null"),
        ([TEAM | {"limits": {"records": 1.5}}], "plan team: records, soft is a whole number"),
        ([TEAM | {"limits": {"records": True}}], "plan team: records, soft is a whole number"),
        ([TEAM | {"limits": {"records": "5"}}], "plan team: records, soft is a whole number"),
        ([TEAM | {"limits": {"records": 10**12}}], "plan team: records, soft is a whole number"),
        ([TEAM | {"limits": {"records": {"hard": -1}}}], "plan team: records, hard is a whole number"),
        ([TEAM | {"limits": {"records": {"soft": 2, "hard": 1}}}], "plan team: records: soft is at most hard"),
        ([TEAM | {"limits": {"records": {"most": 1}}}], "plan team: records: 'most' is none of hard, soft"),
        ([TEAM | {"limits": {"llm_spend": "much"}}], "plan team: llm_spend, soft is an amount in US dollars"),
        ([TEAM | {"limits": {"llm_spend": True}}], "plan team: llm_spend, soft is an amount in US dollars"),
        ([TEAM | {"limits": {"llm_spend": []}}], "plan team: llm_spend, soft is an amount in US dollars"),
        ([TEAM | {"limits": {"llm_spend": -0.01}}], "plan team: llm_spend, soft is an amount in US dollars"),
        ([TEAM | {"limits": {"llm_spend": "NaN"}}], "plan team: llm_spend, soft is an amount in US dollars"),
        ([TEAM | {"limits": {"llm_spend": "sNaN"}}], "plan team: llm_spend, soft is an amount in US dollars"),
        ([TEAM | {"limits": {"llm_spend": float("inf")}}], "plan team: llm_spend, soft is an amount in US dollars"),
        ([TEAM | {"limits": {"seats": -1}}], "plan team: seats is a whole number from 0, or null"),
        ([TEAM | {"limits": {"connections": "1"}}], "plan team: connections is a whole number from 0, or null"),
        ([TEAM | {"limits": {"retention_days": 0.5}}], "plan team: retention_days is a whole number from 0, or null"),
        ([TEAM | {"features": "llm"}], "plan team: features is a list of names"),
        ([TEAM | {"features": [1]}], "plan team: features is a list of names"),
        ([TEAM | {"features": ["llms"]}], "plan team: features: 'llms' is none of llm, evaluations"),
        ([TEAM | {"limits": {"retention_days": 0}}], "plan team: retention_days lies between 1 and 36500"),
        ([TEAM | {"limits": {"retention_days": 36_501}}], "plan team: retention_days lies between 1 and 36500"),
        ([TEAM | {"trial_days": 731}], "plan team: trial_days lies between 0 and 730"),
        ([TEAM | {"trial_days": -1}], "plan team: trial_days is a whole number from 0"),
        ([TEAM | {"prices": []}], "plan team: prices is an object"),
        ([TEAM | {"prices": {"test": "price_1"}}], "plan team: prices of test is an object"),
        (
            [TEAM | {"prices": {"test": {"week": "price_1"}}}],
            "plan team: prices of test: 'week' is none of month, year",
        ),
        ([TEAM | {"prices": {"test": {"month": " "}}}], "plan team: prices of test: month is a text"),
        ([TEAM | {"prices": {"test": {"month": None}}}], "plan team: prices of test: month is a text"),
        ([TEAM | {"prices": {BY_HAND: {"month": "price_1"}}}], f"plan team: prices of {BY_HAND} are not to be said"),
        ([TEAM | {"meters": {"llm_spend": "spent"}}], "plan team: meters: 'llm_spend' is none of records"),
        ([TEAM | {"meters": {"records": ""}}], "plan team: meters: records is a text"),
        ([TEAM, TEAM], "the plan team has version 1 twice"),
        ([TEAM | {"prices": {"test": {"month": "price_1", "year": "price_1"}}}], "the price price_1 is named twice"),
        (
            [
                TEAM | {"prices": {"test": {"month": "price_1"}}},
                {"key": "solo", "title": "Solo", "prices": {"live": {"year": " price_1"}}},
            ],
            "the price price_1 is named twice",
        ),
    ],
)
def test_each_fault_is_named(written: Any, complaint: str) -> None:
    with pytest.raises(Invalid) as refused:
        catalog_from(written)
    assert complaint in str(refused.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["key", "title", "version", "limits", "prices", "records", "soft", "test", "month", "x"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_is_written_is_read_or_refused(written: Any) -> None:
    try:
        catalog = catalog_from([TEAM | written] if isinstance(written, dict) else written)
    except Invalid:
        return
    assert isinstance(catalog, Catalog)


def test_what_is_offered_from_the_start_has_a_plan_of_who_does_not_pay() -> None:
    catalog = default_plans()
    free = catalog.newest(FREE)
    assert free is not None
    assert catalog.newest(UNLIMITED.key) == UNLIMITED
    for plan in catalog.offered():
        for meter in Meter:
            most, least = plan.limit(meter).hard, free.limit(meter).hard
            assert least is not None
            assert most is None or most >= least, f"{plan.key} holds less {meter} than what costs nothing"
