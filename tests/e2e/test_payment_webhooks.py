"""A provider of payments tells much at once, some of it twice, among what others forge: all of what it told is kept,
once, nothing of theirs, and everybody has in the end what the provider says."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.integration.stripe_support import with_prices
from tests.payment_load import A_SECOND, FORGED, SECONDS, Sender, Telling, settings, subscribed
from tests.stack import Stack, running_stack
from tests.stubs.stripe_billing_server import StripeBillingServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def provider() -> Iterator[StripeBillingServer]:
    with StripeBillingServer() as server:
        server.now = datetime.now(UTC)
        yield with_prices(server)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, provider: StripeBillingServer) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("payments"), **settings(provider)) as stack:
        yield stack


def kept(stack: Stack) -> list[str]:
    with psycopg.connect(stack.services()["system_database_url"]) as system:
        return [row[0] for row in system.execute("SELECT event_id FROM payment_events").fetchall()]


def quiet(stack: Stack, tenants: dict[str, str]) -> bool:
    """Whether no job of any of them is open."""
    return all(stack.idle() for stack.tenant_id in tenants)


def accounts(stack: Stack, tenants: dict[str, str]) -> dict[str, Any]:
    """The prices that they pay, as far as it is known here."""
    found = {}
    for stack.tenant_id in tenants:
        [(price,)] = stack.query("SELECT subscription ->> 'price_id' FROM billing_accounts")
        found[stack.tenant_id] = price
    return found


def test_nothing_forged_is_taken_and_nothing_is_lost(
    stack: Stack, provider: StripeBillingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    tenants, count = subscribed(stack, provider), A_SECOND * SECONDS
    sender = Sender(port=stack.port)
    telling = Telling(provider=provider, subscriptions=list(tenants.values()), told=list(provider.events))
    sender.send_all(telling.first())
    before = len(sender.answers)
    took = sender.send_all(telling.next(count), A_SECOND)

    answers = sender.answers[before:]
    assert len(answers) == count
    forged = [one.status for one in sender.answers if one.kind == "forged"]
    assert len(forged) > count * FORGED / 2
    assert set(forged) == {401}
    assert {one.status for one in sender.answers if one.kind == "true"} == {200}
    assert sorted(kept(stack)) == sorted(event["id"] for event in telling.told), "each once, and none beside"
    stack.wait_until(lambda: quiet(stack, tenants))
    truth = {tenant: provider.subscriptions[id]["items"]["data"][0]["price"]["id"] for tenant, id in tenants.items()}
    assert accounts(stack, tenants) == truth
    with capsys.disabled():
        percentiles = statistics.quantiles([one.seconds for one in answers], n=100)
        shown = ", ".join(f"p{n} {1_000 * percentiles[n - 1]:.1f} ms" for n in (50, 95, 99))
        sys.stdout.write(f"\n{count} deliveries, {count / took:.0f} a second; answered within {shown}\n")
