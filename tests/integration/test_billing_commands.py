"""`sortation billing`: each command as the operator gives it, and what becomes of the tenant."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from entrypoints.cli import billing
from entrypoints.cli.main import main
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.billing_support import billed, bring_in, order, paid_until, told

NOBODY = "00000000-0000-7000-8000-000000000000"
Give = Callable[..., str]


@pytest.fixture
def api(make_container: Callable[..., Container], monkeypatch: pytest.MonkeyPatch) -> Api:
    api = billed(make_container)
    monkeypatch.setattr(billing, "container", lambda: api.container)
    return api


@pytest.fixture
def give(capsys: pytest.CaptureFixture[str]) -> Give:
    """What a command prints, which must go well."""

    def give(*arguments: object) -> str:
        capsys.readouterr()  # what was logged before
        code = main(["billing", *map(str, arguments)])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out.strip()

    return give


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Give:
    """What a command is refused with: one line, and exit code 2."""

    def refused(*arguments: object) -> str:
        capsys.readouterr()
        assert main(["billing", *map(str, arguments)]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("sortation: ")
        return line.removeprefix("sortation: ")

    return refused


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def payment(api: Api, **changed: object) -> list[object]:
    given = {"until": day(30), "number": "2026-017", "total": "588.00", "currency": "EUR", **changed}
    return ["paid", api.tenant_id, *(part for name, value in given.items() for part in (f"--{name}", value))]


def test_plans_are_listed_as_they_are_set(give: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {"key": "solo", "title": "Solo", "limits": {"records": {"soft": 1000, "hard": None}, "seats": 1}}
    monkeypatch.setenv("SORTATION_PLANS", json.dumps([plan, {**plan, "version": 2, "title": "Solo again"}]))
    monkeypatch.setenv("SORTATION_BASE_PLAN", "solo")
    lines = give("plans").splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["solo", "1", "Solo"],
        ["solo", "(base)", "2"],
        ["unlimited", "1", "Unlimited"],
    ]
    assert "1,000 to any" in lines[1]
    assert "manual by month or year" in lines[1]


def test_the_operator_sees_why_a_tenant_is_limited(api: Api, give: Give) -> None:
    bring_in(api, 5)
    shown = give("show", api.tenant_id)
    assert "This month's 3 records are used up: 2 records are held until 1 " in shown
    lines = {name: " ".join(rest) for name, *rest in map(str.split, shown.splitlines()[1:])}
    assert lines == {
        "plan:": "Free (free, version 1)",
        "access:": "full, none",
        "records:": "3 of 3 this month (100 %)",
        "llm_spend:": "0 of 0 this month",
        "connections:": "0 of 1",
        "seats:": "1 of 2",
        "held:": "2",
        "provider:": "manual, never asked",
    }
    assert json.loads(give("show", api.tenant_id, "--json")) == api.get("/billing")


def test_a_plan_is_given_and_taken_back(api: Api, give: Give) -> None:
    bring_in(api, 5)
    assert "The operator gave the plan Team until " in (
        give("comp", api.tenant_id, "--plan", "team", "--until", day(0), "--reason", "A pilot")
    )
    state = api.get("/billing")
    midnight = datetime.fromisoformat(f"{day(1)}T00:00:00+00:00")
    assert datetime.fromisoformat(state["until"]) == midnight, "the last day is one that it is given for"
    assert "given:        team, version 1 until" in give("show", api.tenant_id)
    api.drain()
    assert api.get("/billing")["held"] == 0
    assert "The plan Free" in give("uncomp", api.tenant_id, "--reason", "It is over")
    assert give("comp", api.tenant_id, "--plan", "tried", "--reason", "For good").startswith(
        "The operator gave the plan Tried."
    )
    [first, *_] = told(api, "PLAN_COMPED")
    assert first["actor"] == "operator"
    assert first["user_agent"].startswith("sortation billing comp (")


def test_what_was_ordered_waits_is_paid_and_runs(api: Api, give: Give) -> None:
    assert give("orders") == "nothing was ordered to be paid by invoice"
    order(api, interval="year")
    [waiting] = json.loads(give("orders", "--waiting", "--json"))
    assert (waiting["tenant"], waiting["plan"], waiting["by_the"], waiting["state"]) == (
        *(str(api.tenant_id), "team"),
        *("year", "incomplete"),
    )
    assert give(*payment(api)).startswith(f"Noted: paid to the end of {day(30)}.")
    api.drain()
    state = api.get("/billing")
    assert (state["plan"]["key"], state["reason"]) == ("team", "active")
    assert "subscription: active, team by the year" in give("show", api.tenant_id)
    assert give("orders", "--waiting") == "nothing waits for a payment"
    [line] = give("orders").splitlines()[1:]
    assert str(api.tenant_id) in line
    assert line.split()[-1] == "1"
    [event] = told(api, "PAYMENT_NOTED")
    assert event["payload"] == {"number": "2026-017", "until": day(30), "total": "588.00", "currency": "EUR"}


def test_what_nobody_pays_is_ended_and_the_tenant_can_be_erased(api: Api, give: Give, refused: Give) -> None:
    order(api)
    paid_until(api, datetime.now(UTC) - timedelta(days=100))
    give("refresh", api.tenant_id)
    api.drain()
    assert api.get("/billing")["access"] == "read_only"
    assert give("end", api.tenant_id, "--reason", "They left").startswith(f"It ends {day(0)} ")
    api.drain()
    assert "The subscription of the plan Team has ended." in give("show", api.tenant_id)
    assert refused("end", api.tenant_id, "--reason", "They left") == "this agreement has ended already"
    assert [event["payload"]["reason"] for event in told(api, "AGREEMENT_ENDED")] == ["They left"]
    api.container.erase_tenant(api.tenant_id, "A tenant")


def test_an_order_that_waits_is_taken_back(api: Api, give: Give) -> None:
    order(api)
    assert give("end", api.tenant_id, "--reason", "A mistake") == "The order is taken back."
    api.drain()
    assert api.get("/billing")["subscription"] is None
    [line] = give("orders").splitlines()[1:]
    assert "taken back" in line


def test_the_provider_is_asked(api: Api, give: Give) -> None:
    order(api)
    paid_until(api, datetime.now(UTC) + timedelta(days=9))
    job = give("refresh", api.tenant_id).removeprefix("Queued: ")
    api.drain()
    assert api.get(f"/jobs/{job}")["status"] == "done"
    assert api.get("/billing")["plan"]["key"] == "team"


def test_what_no_payment_is(api: Api, refused: Give, give: Give) -> None:
    assert refused(*payment(api)) == "this tenant has ordered nothing"
    order(api)
    for changed, why in (
        ({"until": "2026-02-30"}, "is no day such as"),
        ({"until": day(-1)}, "what is paid now begins on"),
        ({"until": day(5_000)}, "reaches at most to"),
        ({"total": "much"}, "is no amount such as"),
        ({"total": "NaN"}, "is an amount from 0"),
        ({"total": "1.005"}, "at most 2 decimals"),
        ({"currency": "Euro"}, "is not an ISO 4217 code"),
        ({"number": " "}, "1 to 100 characters"),
    ):
        assert why in refused(*payment(api, **changed)), changed
    give(*payment(api))
    assert refused(*payment(api, until=day(60))) == "the invoice 2026-017 is noted already"
    assert told(api, "PAYMENT_NOTED")[1:] == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("comp", "--plan", "gold", "--reason", "x"), "'gold' is none of the plans: free, team, tried, unlimited"),
        (("comp", "--plan", "team", "--reason", " "), "a reason has 1 to 200 characters"),
        (("comp", "--plan", "team", "--reason", "x", "--until", "2020-01-01"), "in the future"),
        (("comp", "--plan", "team", "--reason", "x", "--until", "soon"), "is no day such as"),
        (("comp", "--plan", "team"), "--reason"),
        (("uncomp", "--reason", "x"), "the operator gave this tenant no plan"),
        (("end", "--reason", "x"), "this tenant has ordered nothing"),
    ],
)
def test_what_is_refused(api: Api, refused: Give, arguments: tuple[str, ...], why: str) -> None:
    command, *options = arguments
    assert why in refused(command, api.tenant_id, *options)


def test_of_a_tenant_that_is_not_there(api: Api, refused: Give) -> None:
    for command, *options in (
        ("show",),
        ("comp", "--plan", "team", "--reason", "x"),
        ("uncomp", "--reason", "x"),
        ("paid", "--until", day(9), "--number", "1", "--total", "1", "--currency", "EUR"),
        ("end", "--reason", "x"),
        ("refresh",),
    ):
        assert refused(command, NOBODY, *options) == "this tenant does not exist", command
    assert "valid UUID" in refused("show", "somebody")


def test_where_a_provider_takes_payments_none_is_noted(
    api: Api, refused: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(api)
    payments = api.container.payments()
    monkeypatch.setattr(payments, "name", "stripe", raising=False)
    monkeypatch.setattr(payments, "prices", "live", raising=False)
    for command in (payment(api), ["end", api.tenant_id, "--reason", "x"]):
        assert refused(*command) == "payments are taken by stripe: nothing is agreed by hand here"


def test_orders_of_all_tenants_are_listed(api: Api, give: Give) -> None:
    other = new_tenant(api.container, api.client, "Other Books")
    order(api)
    order(other, "tried")
    states = {row["tenant"]: (row["plan"], row["state"]) for row in json.loads(give("orders", "--json"))}
    assert states == {str(api.tenant_id): ("team", "incomplete"), str(other.tenant_id): ("tried", "trialing")}
