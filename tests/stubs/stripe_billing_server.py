"""A small Stripe over HTTP on loopback: plans are ordered and paid there, and it tells what happened by webhook.

It keeps what it is told, speaks well enough for the real SDK, and fails on command. What people do at its pages, and
what time does, tests do by the methods that it has of `StripeBilling`.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from tests.stubs.scripted_http import Answer, Asked, ScriptedServer
from tests.stubs.stripe_billing_forms import Refused, nested, signature
from tests.stubs.stripe_billing_routes import StripeRoutes
from tests.stubs.stripe_billing_state import StripeBilling, Thing
from tests.stubs.stripe_server import KEY

SIGNED_BY = "whsec_canary"
RETRY_AFTER = 7
_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event as it is sent; names of `headers` are in lower case."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was answered under an idempotency key, and to which request."""

    asked: tuple[str, str, bytes]
    answer: Answer


class StripeBillingServer(StripeBilling, ScriptedServer):
    """`behave(...)` queues how the next requests are met, one each: an HTTP status as "429" (nothing is done), "drop"
    (as before, and the connection ends), "html" (a page with status 200), "lost" (it is done, and the connection ends),
    "wait" (it is done, and answered once `go` is set), "ok".

    Idempotency keys are kept for good, and with them what broke down. The API keys in `keys` are let in.
    """

    def __init__(self) -> None:
        StripeBilling.__init__(self)
        ScriptedServer.__init__(self)
        self.keys = {KEY}
        self.routes = StripeRoutes(self)
        self.arrived = threading.Semaphore(0)
        """Released with each request."""
        self.go = threading.Event()
        self.webhook_url = ""
        self._behaviours: deque[str] = deque()
        self._kept: dict[str, Kept] = {}
        self._under_way: set[str] = set()
        self._delivered = 0

    def behave(self, *behaviours: str) -> None:
        self._behaviours.extend(behaviours)

    def answer_to(self, request: Asked) -> Answer:
        with self.lock:
            self.requests.append(request)
            behaviour = self._behaviours.popleft() if self._behaviours else "ok"
        self.arrived.release()
        if behaviour == "drop":
            return Answer(fault="drop")
        if behaviour == "html":
            return Answer(content=b"<html>Hello</html>", headers={"Content-Type": "text/html"})
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.keys:
            # Unlike Stripe's, which masks it: somebody between may not.
            return _refusal(Refused(f"Invalid API Key: {request.headers.get('authorization')}", status=401))
        if request.method != "POST" or "idempotency-key" not in request.headers:
            return self._act(request, behaviour)
        return self._once(request, request.headers["idempotency-key"], behaviour)

    def _once(self, request: Asked, key: str, behaviour: str) -> Answer:
        asked = (request.method, request.path, request.body)
        with self.lock:
            if key in self._under_way:
                told = "There is currently another in-progress request using this Stripe-Idempotent-Key."
                return _refusal(Refused(told, code="idempotency_key_in_use", status=409), "idempotency_error")
            if (kept := self._kept.get(key)) is not None:
                if kept.asked != asked:
                    told = "Keys for idempotent requests can only be used with the same parameters."
                    return _refusal(Refused(told), "idempotency_error")
                return Answer(status=kept.answer.status, json=kept.answer.json, headers={"Idempotent-Replayed": "true"})
            self._under_way.add(key)
        try:
            answer = self._act(request, behaviour)
            if not 400 <= answer.status < 500:
                self._kept[key] = Kept(asked=asked, answer=Answer(status=answer.status, json=answer.json))
            return answer
        finally:
            self._under_way.discard(key)

    def _act(self, request: Asked, behaviour: str) -> Answer:
        if behaviour.isdecimal():
            told = f"provoked by {request.headers['authorization']} with {request.body.decode()} {request.query}"
            return _refusal(Refused(told, status=int(behaviour)), "api_error")
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True)) or request.query
        try:
            with self.lock:
                body: Any = json.loads(json.dumps(self.routes.answer(request.method, request.path, nested(form))))
        except Refused as refused:
            return _refusal(refused)
        if behaviour == "wait":
            self.go.wait(_SECONDS)
        return Answer(json=body, headers={"Request-Id": "req_stub"}, fault="drop" if behaviour == "lost" else "")

    def signed(self, event: Thing, *, secret: str = SIGNED_BY, at: datetime | None = None) -> Delivery:
        """As it is sent, signed at that time (now, unless said)."""
        body = json.dumps(event).encode()
        header = signature(body, secret, at or self.now)
        return Delivery(body=body, headers={"content-type": "application/json", "stripe-signature": header})

    def deliver(self, *events: Thing, secret: str = SIGNED_BY, at: datetime | None = None) -> list[int]:
        """Sends these to `webhook_url`, as they stand there, or all that happened since the last time that none was
        named; what it answered to each."""
        if not events:
            with self.lock:
                events, self._delivered = tuple(self.events[self._delivered :]), len(self.events)
        return [self._sent(self.signed(event, secret=secret, at=at)) for event in events]

    def _sent(self, delivery: Delivery) -> int:
        request = urllib.request.Request(  # noqa: S310
            self.webhook_url, data=delivery.body, headers=delivery.headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def _refusal(refused: Refused, kind: str = "invalid_request_error") -> Answer:
    headers = {"Request-Id": "req_stub"} | ({"Retry-After": str(RETRY_AFTER)} if refused.status == 429 else {})
    return Answer(status=refused.status, json=refused.body(kind), headers=headers)
