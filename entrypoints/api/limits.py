"""How much one caller may ask: by Flask-Limiter, counted in the broker, so that all API processes count together.

Where the broker is away, each process counts for itself.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from flask import Flask, Response, current_app, g, request
from flask_limiter import ApplicationLimit, Limiter
from limits import parse_many
from limits.errors import StorageError
from werkzeug.exceptions import TooManyRequests

from entrypoints.api.access import counted_token
from entrypoints.api.state import container
from entrypoints.settings import Settings

View = TypeVar("View", bound=Callable[..., Any])
SECONDS = 0.5
"""How long a request waits for the broker to count it."""
_UNCOUNTED = frozenset({"livez", "bootstrap.static"})
_EXTENSION = "sortation.limiter"
_PREFIX = "sortation"
_NETWORK_BITS = 64
log = structlog.get_logger("sortation.api")


class Kind(StrEnum):
    """Views that have a limit of their own, beside that of all requests of a credential."""

    COSTLY = "costly"
    """Work for many records, by credential."""
    SIGN_IN = "sign_in"
    """Whatever proves who somebody is, by address."""
    INVITE = "invite"
    """Invitations, by tenant: each may be a mail to a stranger."""
    WEBHOOK = "webhook"
    """Deliveries, by connection."""


def limited(kind: Kind) -> Callable[[View], View]:
    def declare(view: View) -> View:
        view.limited = kind  # type: ignore[attr-defined]
        return view

    return declare


def register(app: Flask, settings: Settings) -> None:
    """Counts every request but for `/livez` and assets; to be called when all views are there."""
    limiter = Limiter(
        credential,
        storage_uri=storage_uri(settings.broker_url),
        storage_options=_options(settings.broker_url),
        strategy="fixed-window",  # one question to the broker; the others need several, or a list of all requests
        application_limits=[
            ApplicationLimit(settings.rate_limit, scope="all", exempt_when=_uncounted),
            ApplicationLimit(settings.refused_limit, address, scope="refused", deduct_when=_refused),
        ],
        in_memory_fallback_enabled=True,
        swallow_errors=True,  # of two requests that find the broker gone at once, one would fail
        key_prefix=_PREFIX,
    )
    limiter.init_app(app)
    app.extensions[_EXTENSION] = limiter

    @app.after_request
    def told(response: Response) -> Response:
        """How much is left of the limit that ends first, and in how many seconds there is all of it again."""
        if (limit := limiter.current_limit) is not None:
            try:
                reset_at, remaining = limit.reset_at, limit.remaining
            except StorageError as error:
                log.warning("limit not told", error=repr(error.storage_error))
                return response
            seconds = _seconds_until(reset_at)
            response.headers["RateLimit-Limit"] = str(limit.limit.amount)
            response.headers["RateLimit-Remaining"] = str(max(0, remaining))
            response.headers["RateLimit-Reset"] = str(seconds)
            if response.status_code == 429:
                response.headers["Retry-After"] = str(seconds)
                log.warning(
                    "limit reached", limit=str(limit.limit), address=request.remote_addr, endpoint=request.endpoint
                )
        return response

    rules = {
        Kind.COSTLY: (settings.costly_limit, credential),
        Kind.SIGN_IN: (settings.sign_in_limit, address),
        Kind.INVITE: (settings.invite_limit, _tenant),
        Kind.WEBHOOK: (settings.webhook_limit, _connection),
    }
    for endpoint, view in list(app.view_functions.items()):
        kind = getattr(view, "limited", None)
        if kind is not None:
            limit, key = rules[kind]
            exempt = from_elsewhere if kind is Kind.SIGN_IN else None
            counted: Any = limiter.shared_limit(limit, kind.value, key_func=key, exempt_when=exempt)(view)
            app.view_functions[endpoint] = counted


def count_caller(kind: str, id: UUID) -> None:
    """Counts a request of a person or key that was let in: whoever has their token renewed, or several sessions, is
    one. Raises `TooManyRequests`."""
    _count(container().settings().rate_limit, kind, str(id))


def count_costly() -> None:
    """Counts a request that turned out to be of `Kind.COSTLY` when it was read. Raises `TooManyRequests`."""
    _count(container().settings().costly_limit, credential(), Kind.COSTLY.value)  # as Flask-Limiter counts it


def count_invitation(tenant_id: UUID) -> None:
    """Counts an invitation by a page, which is known to be of the tenant only when it is looked at. Raises
    `TooManyRequests`."""
    _count(container().settings().invite_limit, str(tenant_id), Kind.INVITE.value)  # as Flask-Limiter counts it


def count_reset(email: str) -> None:
    """Counts a link that was asked for, whether or not somebody has that address. Raises `TooManyRequests`."""
    asked_for = hashlib.sha256(email.strip().lower().encode(errors="replace")).hexdigest()[:32]
    _count(container().settings().reset_limit, "reset", asked_for)


def credential() -> str:
    """Whose request it is: by the bearer token, unread, where one opens the route; else by the address."""
    token = counted_token()
    return hashlib.sha256(token.encode()).hexdigest()[:32] if token else address()


def from_elsewhere() -> bool:
    """Whether the browser says that another site has it ask, and not by a link that somebody followed: a picture, a
    frame, a form. Pages refuse that, so it need not be counted, and uses up nobody's attempts."""
    headers = request.headers
    if headers.get("Sec-Fetch-Mode") == "no-cors":
        return True
    if headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
        return False
    followed = (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == ("navigate", "document")
    return request.method != "GET" or not followed


def address() -> str:
    """Of whom: with IPv6 a network, since everybody has 2**64 addresses of one at least."""
    try:
        found = ip_address(request.remote_addr or "")
    except ValueError:
        return request.remote_addr or "nowhere"
    if isinstance(found, IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Network((int(found), _NETWORK_BITS), strict=False))


def storage_uri(broker_url: str | None) -> str:
    """The broker, as `limits` spells it; this process alone, where there is none or of another kind."""
    if broker_url is None:
        return "memory://"
    parts = urlsplit(broker_url)
    if parts.scheme == "redis+socket":
        return f"redis+unix:{broker_url.partition(':')[2]}"
    return broker_url if parts.scheme in ("redis", "rediss") else "memory://"


def _count(limits: str, *key: str) -> None:
    limiter = current_app.extensions[_EXTENSION].limiter
    for limit in parse_many(limits):
        try:
            if limiter.hit(limit, _PREFIX, *key):
                continue
            reset_at = limiter.get_window_stats(limit, _PREFIX, *key).reset_time
        except StorageError as error:
            log.warning("caller not counted", kind=key[0], error=repr(error.storage_error))
            continue
        raise TooManyRequests(retry_after=_seconds_until(reset_at))


def _seconds_until(instant: float) -> int:
    return max(1, math.ceil(instant - time.time()))


def _options(broker_url: str | None) -> dict[str, Any]:
    if storage_uri(broker_url) == "memory://":
        return {}
    return {"socket_connect_timeout": SECONDS, "socket_timeout": SECONDS, "wrap_exceptions": True}


def _tenant() -> str:
    """Of who was let in."""
    return str(g.tenant_id)


def _connection() -> str:
    return str((request.view_args or {}).get("connection_id", address()))


def _uncounted() -> bool:
    return request.endpoint in _UNCOUNTED


def _refused(response: Response) -> bool:
    """Guesses count, whatever else their sender may do."""
    return response.status_code == 401
