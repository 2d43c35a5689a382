"""Stripe's library, which keeps to itself what it is asked for, and its errors as ours."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import stripe

from adapters.http.client import retry_after
from core.errors import PaymentsRefused, PaymentsUnavailable, SortationError

T = TypeVar("T")
RETRIES = 2
_PASSING = {408, 409, 425, 429}
_NAME = re.compile(r"[\w.\[\]-]{1,80}", re.ASCII)

stripe.enable_telemetry = False
# Its lines hold what was sent and answered, and so whose payments these are.
logging.getLogger("stripe").setLevel(logging.WARNING)


class NoSuchCustomer(PaymentsRefused):
    """Stripe knows no such customer."""


class StripeApi:
    """Where to ask, and by which key; may be shared by threads.

    `key` may change while the service runs. `base_url` is the API's root (None: Stripe's own), `timeout` is per try, in
    seconds; the library tries again where that does no harm. In each request it names the version of the API that it
    was made for, so what is read here does not change when Stripe's account does.
    """

    def __init__(self, key: str | Callable[[], str], *, base_url: str | None, timeout: float, retries: int) -> None:
        self._key = key if callable(key) else lambda: key
        self._base_url = base_url
        self._retries = retries
        self._sender = stripe.RequestsClient(timeout=timeout)
        self._made: tuple[str, stripe.StripeClient] | None = None

    @property
    def live(self) -> bool:
        """Whether money is moved; what Stripe knows under keys of the other kind, it does not know under this one."""
        return self._key().startswith(("sk_live_", "rk_live_"))

    def client(self) -> stripe.StripeClient:
        """That of the key as it is now, the same for as long as the key is."""
        key, made = self._key(), self._made
        if made is None or made[0] != key:
            client = stripe.StripeClient(
                key,
                base_addresses={} if self._base_url is None else {"api": self._base_url.rstrip("/")},
                max_network_retries=self._retries,
                http_client=self._sender,
            )
            self._made = made = (key, client)
        return made[1]


def once(key: str, send: Callable[[str], T]) -> T:
    """Sends what Stripe shall do once however often it is asked for, by an idempotency key. A breakdown of its own it
    keeps under the key, and tells it for a day to all who ask: then another key takes its place."""
    try:
        return send(key)
    except stripe.StripeError as error:
        if (error.http_status or 0) < 500 or _header(error, "idempotent-replayed") != "true":
            raise
    return send(f"{key}-again")


@contextmanager
def translated() -> Iterator[None]:
    """Raises `PaymentsUnavailable` and `PaymentsRefused` for the library's errors, and the latter for answers that are
    not as the library knows them. Of what Stripe says the codes are told alone: its words may quote what was sent."""
    try:
        yield
    except stripe.StripeError as error:
        raise _as_ours(error) from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise PaymentsRefused(f"Stripe's answer is not one that is known here: {type(error).__name__}") from error


def _as_ours(error: stripe.StripeError) -> SortationError:
    status = error.http_status
    details = {} if status is None else {"http_status": status}
    # An answer that is none, with a status that tells of no fault, comes from somebody between here and there.
    passing = status is not None and (status < 400 or status >= 500 or status in _PASSING)
    if passing or isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        waiting = retry_after(_header(error, "retry-after"), datetime.now(UTC))
        more = {} if waiting is None else {"retry_after": waiting}
        return PaymentsUnavailable(f"Stripe is not available now ({_codes(error)}).", **details, **more)
    if isinstance(error, stripe.IdempotencyError):
        return PaymentsRefused(f"Stripe was sent another order under the same key ({_codes(error)}).", **details)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return PaymentsRefused(f"Stripe does not let this key do that ({_codes(error)}).", **details)
    if is_missing(error) and getattr(error, "param", None) == "customer":
        return NoSuchCustomer(f"Stripe knows no such customer ({_codes(error)}).", **details)
    return PaymentsRefused(f"Stripe refuses this: check its key and its prices ({_codes(error)}).", **details)


def is_missing(error: stripe.StripeError) -> bool:
    """Whether there is no such thing; not where a key of the other kind would find it, so that the operator has set the
    wrong one."""
    return error.code == "resource_missing" and "similar object exists" not in (error.user_message or "")


def _codes(error: stripe.StripeError) -> str:
    # Of most errors the library has the code in what it was sent alone.
    told = (error.code or getattr(error.error, "code", None), getattr(error, "param", None))
    codes = [code for code in told if isinstance(code, str) and _NAME.fullmatch(code)]
    codes.append("no answer" if error.http_status is None else f"HTTP {error.http_status}")
    if error.request_id is not None and _NAME.fullmatch(error.request_id):
        codes.append(f"request {error.request_id}")
    return ", ".join(codes)


def _header(error: stripe.StripeError, name: str) -> str | None:
    return next((value for known, value in (error.headers or {}).items() if known.lower() == name), None)
