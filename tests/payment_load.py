"""What a provider of payments tells of several tenants, much at once, some of it twice, among what others forge."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from tests.integration.stripe_support import BUSINESS_PRICE, TEAM_PRICE
from tests.stack import Stack
from tests.stubs.stripe_billing_server import SIGNED_BY, Delivery, StripeBillingServer
from tests.stubs.stripe_billing_state import Thing
from tests.stubs.stripe_server import KEY

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
ALIVE = "livez"


def settings(provider: StripeBillingServer) -> Mapping[str, str]:
    """Of a stack that is paid there, and counts nobody's requests."""
    return {
        "SORTATION_EMBEDDINGS": "off",
        "SORTATION_PLANS": json.dumps(PLANS),
        "SORTATION_PUBLIC_URL": HERE,
        "SORTATION_STRIPE_API_KEY": KEY,
        "SORTATION_STRIPE_BASE_URL": provider.url,
        "SORTATION_STRIPE_WEBHOOK_SECRETS": SIGNED_BY,
        "SORTATION_RATE_LIMIT": AMPLE,
        "SORTATION_REFUSED_LIMIT": AMPLE,
        "SORTATION_WEBHOOK_LIMIT": AMPLE,
    }


def subscribed(stack: Stack, provider: StripeBillingServer) -> dict[str, str]:
    """The subscriptions of new tenants, by their ids."""
    found = {}
    for number in range(TENANTS):
        stack.new_tenant(f"Tenant {number}")
        order = {"plan": "team", "success_url": HERE, "cancel_url": HERE}
        status, page = stack.call("POST", "/api/v1/billing/checkout", order)
        assert status == HTTPStatus.OK, page
        subscription = provider.complete(page["url"])
        assert subscription is not None
        found[stack.tenant_id] = str(subscription["id"])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request of this kind: a delivery, or whether the server is alive."""

    kind: str
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """`seconds` are from when it was due to be sent: who is late counts what that costs."""

    kind: str
    status: int
    seconds: float


@dataclass(kw_only=True)
class Sender:
    """Sends over connections that stay, one for each thread."""

    port: int
    answers: list[Answered] = field(default_factory=list)
    _mine: threading.local = field(default_factory=threading.local)

    def send(self, asked: Asked, due: float) -> None:
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if asked.delivery is None:
            connection.request("GET", "/livez")
        else:
            connection.request("POST", "/api/v1/billing/webhook", asked.delivery.body, asked.delivery.headers)
        answer = connection.getresponse()
        answer.read()
        self.answers.append(Answered(kind=asked.kind, status=answer.status, seconds=time.monotonic() - due))

    def send_all(self, requests: Iterable[Asked], a_second: float | None = None) -> float:
        """So many a second, whether or not those before were answered; None: as fast as they are answered. Returns in
        how many seconds all were."""
        begin, room = time.monotonic(), threading.Semaphore(CONNECTIONS)
        with ThreadPoolExecutor(CONNECTIONS) as connections:
            sent = []
            for number, asked in enumerate(requests):
                if a_second is None:
                    room.acquire()
                    due = time.monotonic()
                else:
                    due = begin + number / a_second
                    time.sleep(max(0.0, due - time.monotonic()))  # the rate is what is asked for
                sent.append(connections.submit(self.send, asked, due))
                if a_second is None:
                    sent[-1].add_done_callback(lambda _: room.release())
        for one in sent:
            one.result()
        return time.monotonic() - begin


@dataclass(kw_only=True)
class Telling:
    """All that the provider tells while subscriptions change; `told` are the events, each once."""

    provider: StripeBillingServer
    subscriptions: list[str]
    told: list[Thing]
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def first(self) -> Iterator[Asked]:
        """What happened already."""
        return (self._true(event) for event in list(self.told))

    def next(self, count: int) -> Iterator[Asked]:
        """Something new of one of them, the same again, or what others forge: each made when it is asked for."""
        for _ in range(count):
            draw = self.chance.random()
            if draw < FORGED:
                yield Asked(kind="forged", delivery=self._forged(self.chance.choice(self.told)))
                continue
            if draw >= FORGED + TWICE:
                price = self.chance.choice([TEAM_PRICE, BUSINESS_PRICE])
                self.provider.change_price(self.chance.choice(self.subscriptions), price)
                self.told.append(self.provider.events[-1])
                yield self._true(self.told[-1])
            else:
                yield self._true(self.chance.choice(self.told))

    def _true(self, event: Thing) -> Asked:
        return Asked(kind="true", delivery=self.provider.signed(event, at=datetime.now(UTC)))

    def _forged(self, event: Thing) -> Delivery:
        """Of an event that there is not: signed by another secret, long ago, or not at all; by what was signed for
        another body, or for this one before somebody altered it."""
        now, lie = datetime.now(UTC), {**event, "id": f"{event['id']}_forged"}
        match self.chance.randrange(5):
            case 0:
                return self.provider.signed(lie, secret="whsec_canary_forged", at=now)
            case 1:
                return self.provider.signed(lie, at=now - timedelta(minutes=6))
            case 2:
                return Delivery(body=json.dumps(lie).encode(), headers={"content-type": "application/json"})
            case 3:
                true = self.provider.signed(event, at=now)
                return Delivery(body=json.dumps(lie).encode(), headers=true.headers)
            case _:
                signed = self.provider.signed(lie, at=now)
                return Delivery(body=signed.body.replace(b"_forged", b"_altered"), headers=signed.headers)
