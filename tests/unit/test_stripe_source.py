"""Stripe's balance through its real library: amounts, fees, what is pending, and that no crash or tie loses any."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugins.stripe_balance.connector import OVERLAP, STREAM, StripeBalance
from sortation import (
    Batch,
    Context,
    CursorInvalid,
    Draft,
    PermissionDenied,
    RateLimited,
    ReadRequest,
    ReauthRequired,
    SchemaChanged,
    Transient,
    WebhookMessage,
)
from tests.stubs.host import installed
from tests.stubs.source_server import Http, Reply, SourceServer
from tests.stubs.stripe_server import KEY, StripeStub, a_transaction

MANAGER = installed()
T0 = 1_772_359_200  # 2026-03-01T10:00:00Z


@pytest.fixture(scope="module")
def running() -> Iterator[SourceServer]:
    with SourceServer(StripeStub()) as server:
        yield server


@pytest.fixture
def stripe(running: SourceServer) -> StripeStub:
    running.answering = stub = StripeStub()
    running.requests.clear()
    return stub


def ctx(running: SourceServer, **config: Any) -> Context:
    config = {"api_key": "never-sent", "base_url": running.url, **config}
    MANAGER.check_config("stripe", config)
    return Context(config=config, http=Http({"Authorization": f"Bearer {KEY}"}))


def read(context: Context, cursor: Mapping[str, Any] | None = None, size: int = 100) -> Iterator[Batch]:
    return StripeBalance().read(context, ReadRequest(stream=STREAM, cursor=cursor, batch_size=size))


def drafts(batches: Sequence[Batch]) -> list[Draft]:
    return [draft for batch in batches for draft in batch.drafts]


def ids(batches: Sequence[Batch]) -> list[str]:
    return [draft.external_id or "" for draft in drafts(batches)]


CHARGE = {
    "id": "ch_1",
    "object": "charge",
    "description": "Order 77",
    "billing_details": {"name": "Ada Lovelace", "email": "ada@example.org"},
    "calculated_statement_descriptor": "SHOP",
}
FEES = [
    {
        "amount": 59,
        "application": None,
        "currency": "eur",
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    },
    {"amount": 100, "application": "ca_1", "currency": "eur", "description": None, "type": "application_fee"},
]


def test_a_transaction_and_its_fees_add_up_to_the_balance(stripe: StripeStub, running: SourceServer) -> None:
    stripe.stored = [a_transaction("txn_1", T0, 2_050, fee=159, fee_details=FEES, source="ch_1", status="pending")]
    stripe.sources = {"ch_1": CHARGE}
    itself, fee, application = drafts(list(read(ctx(running, account="acct_7"))))
    assert itself == Draft(
        external_id="txn_1",
        account="acct_7",
        text="Order 77 SHOP",
        counterparty="Ada Lovelace",
        occurred_at=datetime(2026, 3, 1, 10, tzinfo=UTC),
        amount=Decimal("20.50"),
        currency="EUR",
        pending=True,
        attributes={
            "type": "charge",
            "reporting_category": "charge",
            "source": "ch_1",
            "available_on": "2026-03-03",
            "fee": "1.59",
            "net": "18.91",
        },
        raw=itself.raw,
    )
    assert json.dumps(itself.raw)
    assert "ada@example.org" not in json.dumps(itself.raw), "of the charge, only its id is kept"
    assert (fee.external_id, fee.text, fee.counterparty, fee.amount) == (
        "txn_1:fee:1",
        "Stripe processing fees",
        "Stripe",
        Decimal("-0.59"),
    )
    assert (application.counterparty, application.amount, application.pending) == ("ca_1", Decimal("-1.00"), True)
    assert itself.amount is not None
    assert itself.amount + sum(d.amount or 0 for d in (fee, application)) == Decimal(itself.attributes["net"])
    asked = running.requests[-1]
    assert (asked.headers["stripe-account"], "never-sent" in str(asked)) == ("acct_7", False)
    assert not any(name.startswith("x-stripe-client") for name in asked.headers), "nothing is told of this machine"


def test_fees_may_be_attributes(stripe: StripeStub, running: SourceServer) -> None:
    stripe.stored = [a_transaction("txn_1", T0, fee=159, fee_details=FEES)]
    (itself,) = drafts(list(read(ctx(running, fees="attributes"))))
    assert (itself.amount, itself.attributes["fee"]) == (Decimal("10.00"), "1.59")


def test_fees_that_are_not_told_apart_are_one(stripe: StripeStub, running: SourceServer) -> None:
    stripe.stored = [a_transaction("txn_1", T0, -1_000, fee=-30, type="refund")]
    itself, fee = drafts(list(read(ctx(running))))
    assert (itself.amount, fee.amount) == (Decimal("-10.00"), Decimal("0.30"))


@pytest.mark.parametrize(
    ("currency", "amount"),
    [
        ("jpy", "1250"),
        ("krw", "1250"),
        ("mga", "1250"),
        ("eur", "12.50"),
        ("isk", "12.50"),
        ("ugx", "12.50"),
        ("kwd", "1.250"),
    ],
)
def test_amounts_are_in_the_units_that_stripe_counts_in(
    stripe: StripeStub, running: SourceServer, currency: str, amount: str
) -> None:
    stripe.stored = [a_transaction("txn_1", T0, 1_250, currency=currency)]
    (draft,) = drafts(list(read(ctx(running))))
    assert (str(draft.amount), draft.currency) == (amount, currency.upper())


def test_a_key_that_may_read_less_reads_what_it_may(stripe: StripeStub, running: SourceServer) -> None:
    stripe.stored = [a_transaction(f"txn_{n}", T0 + n, description="Payout", source="ch_1") for n in range(5)]
    stripe.sources, stripe.denied = {"ch_1": CHARGE}, True
    found = drafts(list(read(ctx(running))))
    assert {(d.text, d.counterparty, d.attributes["source"]) for d in found} == {("Payout", "", "ch_1")}
    assert sum("expand[0]" in r.query for r in running.requests) == 1, "it is not asked again and again"
    (check,) = StripeBalance().check(ctx(running))
    assert (check.ok, "may not read what" in check.reason) == (True, True)


def test_what_is_pending_is_read_again_until_it_is_available(stripe: StripeStub, running: SourceServer) -> None:
    old, new = a_transaction("txn_1", T0, status="pending"), a_transaction("txn_2", T0 + 500_000)
    stripe.stored = [old, new]
    first = list(read(ctx(running)))
    assert first[-1].cursor == {"since": T0}
    old["status"] = "available"
    again = list(read(ctx(running), first[-1].cursor))
    assert [(d.external_id, d.pending) for d in drafts(again)] == [("txn_2", False), ("txn_1", False)]
    assert again[-1].cursor == {"since": T0 + 500_000 - OVERLAP}


def test_the_first_day_may_be_chosen(stripe: StripeStub, running: SourceServer) -> None:
    stripe.stored = [a_transaction("txn_1", T0 - 86_400), a_transaction("txn_2", T0)]
    assert ids(list(read(ctx(running, start="2026-03-01")))) == ["txn_2"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_tie_or_crash_loses_a_transaction(stripe: StripeStub, running: SourceServer, data: st.DataObject) -> None:
    stripe.stored.clear()
    stripe.page = data.draw(st.integers(1, 4), label="page")
    size = data.draw(st.integers(1, 4), label="batch size")
    expected: set[str] = set()

    def add() -> None:
        for _ in range(data.draw(st.integers(0, 5), label="new")):
            number = len(stripe.stored)
            created = T0 + data.draw(st.integers(0, 3), label="second")
            fee = data.draw(st.sampled_from([0, 30]), label="fee")
            stripe.stored.append(a_transaction(f"txn_{number}", created, fee=fee))
            expected.update({f"txn_{number}", f"txn_{number}:fee:1"} if fee else {f"txn_{number}"})

    found: set[str] = set()
    cursor: dict[str, Any] | None = None
    for _ in range(3):
        add()
        for _ in range(100):
            crash_after = data.draw(st.integers(1, 3), label="crash after")
            for batch in islice(read(ctx(running), cursor, size), crash_after):
                assert len(batch.drafts) <= size
                found.update(ids([batch]))
                cursor = json.loads(json.dumps(batch.cursor))
            assert cursor is not None
            if not cursor.keys() - {"since"}:
                break
        else:
            pytest.fail("it never comes to an end")
        assert found == expected


def test_a_transaction_that_stripe_has_forgotten_begins_the_round_anew(
    stripe: StripeStub, running: SourceServer
) -> None:
    stripe.stored = [a_transaction(f"txn_{n}", T0 + n) for n in range(5)]
    cursor = next(read(ctx(running))).cursor
    assert cursor is not None
    assert cursor["after"] == "txn_2"
    stripe.stored = [one for one in stripe.stored if one["id"] != "txn_2"]
    assert ids(list(read(ctx(running), cursor))) == ["txn_4", "txn_3", "txn_1", "txn_0"]
    with pytest.raises(CursorInvalid):
        list(read(ctx(running), {"page": 7}))


def test_one_that_can_not_be_read_is_refused_alone(stripe: StripeStub, running: SourceServer) -> None:
    stripe.stored = [
        a_transaction("txn_1", T0),
        a_transaction("txn_2", T0 + 1, net=None),
        a_transaction("txn_3", T0 + 2),
    ]
    stripe.page = 2
    batches = list(read(ctx(running)))
    assert ids(batches) == ["txn_3", "txn_1"]
    assert [r.position for b in batches for r in b.refusals] == [2]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=401), ReauthRequired),
        (Reply(status=403), PermissionDenied),
        (Reply(status=429, headers={"Retry-After": "3"}), RateLimited),
        (Reply(status=500), Transient),
        (Reply(body=b"<html>"), SchemaChanged),
        (Reply(body={"object": "list"}), SchemaChanged),
        (Reply(body={"object": "list", "has_more": False, "data": [{"object": "balance_transaction"}]}), SchemaChanged),
    ],
)
def test_what_stripe_says_is_told_by_its_kind(
    stripe: StripeStub, running: SourceServer, reply: Reply, error: type[Exception]
) -> None:
    running.answering = lambda _: reply
    with pytest.raises(error):
        list(read(ctx(running)))


def told(running: SourceServer, event: Any, **config: Any) -> Batch:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    message = WebhookMessage(id="evt_1", body=body, headers={}, received_at=datetime(2026, 3, 1, tzinfo=UTC))
    return StripeBalance().parse_webhook(ctx(running, **config), message)


def test_an_event_brings_the_transactions_that_it_names(stripe: StripeStub, running: SourceServer) -> None:
    stripe.stored = [a_transaction("txn_1", T0, fee=30), a_transaction("txn_2", T0)]
    charge = {"type": "charge.succeeded", "data": {"object": {"id": "ch_1", "balance_transaction": "txn_1"}}}
    assert ids([told(running, charge)]) == ["txn_1", "txn_1:fee:1"]
    dispute = {"type": "charge.dispute.closed", "data": {"object": {"balance_transactions": [{"id": "txn_2"}]}}}
    batch = told(running, dispute)
    assert (ids([batch]), batch.cursor) == (["txn_2"], None)


@pytest.mark.parametrize(
    ("event", "config"),
    [
        ({"data": {"object": {"id": "cus_1"}}}, {}),
        ({"data": {"object": {"balance_transaction": None}}}, {}),
        ({"account": "acct_8", "data": {"object": {"balance_transaction": "txn_1"}}}, {"account": "acct_7"}),
    ],
)
def test_events_of_no_interest_bring_nothing(
    stripe: StripeStub, running: SourceServer, event: Any, config: dict[str, Any]
) -> None:
    assert told(running, event, **config) == Batch()
    assert running.requests == []


@pytest.mark.parametrize("body", [b"\xff", b"[]", b"{}", b'{"data": {"object": 7}}'])
def test_an_event_that_is_none_is_told(stripe: StripeStub, running: SourceServer, body: bytes) -> None:
    with pytest.raises(SchemaChanged):
        told(running, body)
