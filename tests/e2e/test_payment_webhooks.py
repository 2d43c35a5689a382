"""A provider of payments tells much at once, some of it twice, among what others forge: all of what it told is kept,
once, nothing of theirs, and everybody has in the end what the provider says."""

from __future__ import annotations

import http.client
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.integration.stripe_support import BUSINESS_PRICE, TEAM_PRICE, with_prices
from tests.stack import Stack, running_stack
from tests.stubs.stripe_billing_server import SIGNED_BY, Delivery, StripeBillingServer
from tests.stubs.stripe_billing_state import Thing
from tests.stubs.stripe_server import KEY

pytestmark = pytest.mark.slow
TENANTS = 8
A_SECOND, SECONDS = 200, 20
FORGED, TWICE = 0.1, 0.3
CONNECTIONS = 8
HERE = "https://sort.example"
PLANS = [
    {"key": "free", "title": "Free"},
    {"key": "team", "title": "Team", "prices": {"test": {"month": TEAM_PRICE}}},
    {"key": "business", "title": "Business", "prices": {"test": {"month": BUSINESS_PRICE}}},
]
AMPLE = "1000000/minute"


@pytest.fixture(scope="module")
def provider() -> Iterator[StripeBillingServer]:
    with StripeBillingServer() as server:
        server.now = datetime.now(UTC)
        yield with_prices(server)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, provider: StripeBillingServer) -> Iterator[Stack]:
    with running_stack(
        tmp_path_factory.mktemp("payments"),
        SORTATION_EMBEDDINGS="off",
        SORTATION_PLANS=json.dumps(PLANS),
        SORTATION_PUBLIC_URL=HERE,
        SORTATION_STRIPE_API_KEY=KEY,
        SORTATION_STRIPE_BASE_URL=provider.url,
        SORTATION_STRIPE_WEBHOOK_SECRETS=SIGNED_BY,
        SORTATION_RATE_LIMIT=AMPLE,
        SORTATION_REFUSED_LIMIT=AMPLE,
        SORTATION_WEBHOOK_LIMIT=AMPLE,
    ) as stack:
        yield stack


@dataclass(kw_only=True)
class Sender:
    """Sends over connections that stay, one for each thread."""

    port: int
    answers: list[tuple[str, int, float]] = field(default_factory=list)
    """What was sent, how it was answered, and in how many seconds from when it was due."""
    _mine: threading.local = field(default_factory=threading.local)

    def send(self, kind: str, delivery: Delivery, due: float) -> None:
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/api/v1/billing/webhook", delivery.body, delivery.headers)
        answer = connection.getresponse()
        answer.read()
        self.answers.append((kind, answer.status, time.monotonic() - due))


def subscribed(stack: Stack, provider: StripeBillingServer) -> dict[str, str]:
    """The subscriptions of new tenants, by their ids."""
    found = {}
    for number in range(TENANTS):
        stack.new_tenant(f"Tenant {number}")
        order = {"plan": "team", "success_url": HERE, "cancel_url": HERE}
        status, page = stack.call("POST", "/api/v1/billing/checkout", order)
        assert status == 200, page
        subscription = provider.complete(page["url"])
        assert subscription is not None
        found[stack.tenant_id] = str(subscription["id"])
    return found


def forged(provider: StripeBillingServer, event: Thing, chance: random.Random) -> Delivery:
    """Of an event that there is not: signed by another secret, long ago, or for something else."""
    now, lie = datetime.now(UTC), {**event, "id": f"{event['id']}_forged"}
    match chance.randrange(3):
        case 0:
            return provider.signed(lie, secret="whsec_canary_forged", at=now)
        case 1:
            return provider.signed(lie, at=now - timedelta(minutes=6))
        case _:
            true = provider.signed(event, at=now)
            return Delivery(body=json.dumps(lie).encode(), headers=true.headers)


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
    chance, tenants = random.Random(7), subscribed(stack, provider)
    sender, told = Sender(port=stack.port), list(provider.events)
    with ThreadPoolExecutor(CONNECTIONS) as connections:
        for event in told:
            connections.submit(sender.send, "true", provider.signed(event, at=datetime.now(UTC)), time.monotonic())
        begin = time.monotonic()
        for number in range(A_SECOND * SECONDS):
            due = begin + number / A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))  # the rate is the test
            draw = chance.random()
            if draw < FORGED:
                connections.submit(sender.send, "forged", forged(provider, chance.choice(told), chance), due)
                continue
            if draw < FORGED + TWICE:
                event = chance.choice(told)
            else:
                price = chance.choice([TEAM_PRICE, BUSINESS_PRICE])
                provider.change_price(chance.choice(list(tenants.values())), price)
                event = provider.events[-1]
                told.append(event)
            connections.submit(sender.send, "true", provider.signed(event, at=datetime.now(UTC)), due)
    took = time.monotonic() - begin

    assert {status for kind, status, _ in sender.answers if kind == "forged"} == {401}
    assert {status for kind, status, _ in sender.answers if kind == "true"} == {200}
    assert len(sender.answers) >= A_SECOND * SECONDS
    assert sorted(kept(stack)) == sorted(event["id"] for event in told), "each once, and none beside"
    stack.wait_until(lambda: quiet(stack, tenants))
    truth = {tenant: provider.subscriptions[id]["items"]["data"][0]["price"]["id"] for tenant, id in tenants.items()}
    assert accounts(stack, tenants) == truth
    with capsys.disabled():
        seconds = sorted(seconds for _, _, seconds in sender.answers)
        percentiles = statistics.quantiles(seconds, n=100)
        shown = ", ".join(f"p{n} {1_000 * percentiles[n - 1]:.1f} ms" for n in (50, 95, 99))
        rate = len(sender.answers) / took
        sys.stdout.write(f"\n{len(sender.answers)} deliveries, {rate:.0f} a second; answered within {shown}\n")
