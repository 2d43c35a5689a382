"""How much one caller may ask: by Flask-Limiter, counted in the broker, so that all API processes count together.

Where the broker is away, each process counts for itself.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask_limiter import ApplicationLimit, Limiter

from entrypoints.settings import Settings

View = TypeVar("View", bound=Callable[..., Any])
SECONDS = 0.5
"""How long a request waits for the broker to count it."""
_UNCOUNTED = frozenset({"livez", "readyz", "scrape", "metrics", "bootstrap.static"})


class Kind(StrEnum):
    """Views that have a limit of their own, beside that of all requests of a credential."""

    COSTLY = "costly"
    """Work for many records, by credential."""
    SIGN_IN = "sign_in"
    """Whatever proves who somebody is, by address."""
    WEBHOOK = "webhook"
    """Deliveries, by connection."""


def limited(kind: Kind) -> Callable[[View], View]:
    def declare(view: View) -> View:
        view.limited = kind  # type: ignore[attr-defined]
        return view

    return declare


def register(app: Flask, settings: Settings) -> None:
    """Counts every request but probes and assets; to be called when all views are there."""
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
        key_prefix="sortation",
    )
    limiter.init_app(app)

    @app.after_request
    def told(response: Response) -> Response:
        """How much is left of the limit that ends first, and in how many seconds there is all of it again."""
        if (limit := limiter.current_limit) is not None:
            seconds = max(1, math.ceil(limit.reset_at - time.time()))
            response.headers["RateLimit-Limit"] = str(limit.limit.amount)
            response.headers["RateLimit-Remaining"] = str(max(0, limit.remaining))
            response.headers["RateLimit-Reset"] = str(seconds)
            if response.status_code == 429:
                response.headers["Retry-After"] = str(seconds)
        return response

    rules = {
        Kind.COSTLY: (settings.costly_limit, credential),
        Kind.SIGN_IN: (settings.sign_in_limit, address),
        Kind.WEBHOOK: (settings.webhook_limit, _connection),
    }
    for endpoint, view in list(app.view_functions.items()):
        kind = getattr(view, "limited", None)
        if kind is not None:
            limit, key = rules[kind]
            counted: Any = limiter.shared_limit(limit, kind.value, key_func=key)(view)
            app.view_functions[endpoint] = counted


def credential() -> str:
    """Whose request it is: by the bearer token, unread; without one, by the address."""
    token = request.headers.get("Authorization", "")
    return hashlib.sha256(token.encode()).hexdigest()[:32] if token else address()


def address() -> str:
    return request.remote_addr or "nowhere"


def storage_uri(broker_url: str | None) -> str:
    """The broker, as `limits` spells it; this process alone, where there is none or of another kind."""
    if broker_url is None:
        return "memory://"
    parts = urlsplit(broker_url)
    if parts.scheme == "redis+socket":
        return f"redis+unix:{broker_url.partition(':')[2]}"
    return broker_url if parts.scheme in ("redis", "rediss") else "memory://"


def _options(broker_url: str | None) -> dict[str, Any]:
    if storage_uri(broker_url) == "memory://":
        return {}
    return {"socket_connect_timeout": SECONDS, "socket_timeout": SECONDS}


def _connection() -> str:
    return str((request.view_args or {}).get("connection_id", address()))


def _uncounted() -> bool:
    return request.endpoint in _UNCOUNTED


def _refused(response: Response) -> bool:
    """Guesses count, whatever else their sender may do."""
    return response.status_code == 401
