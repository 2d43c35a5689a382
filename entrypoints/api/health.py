"""What probes and scrapers ask: alive, ready, metrics."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, cast

from flask import Flask, Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST

from core.errors import Unauthenticated
from entrypoints.api import metrics
from entrypoints.api.auth import bearer, public
from entrypoints.api.errors import NotReady
from entrypoints.api.kept import Kept
from entrypoints.api.responses import json_response
from entrypoints.api.state import EXTENSION, container
from entrypoints.container import Container
from entrypoints.setting_values import PREFIX

READY_SECONDS = 1.0
_READY = "sortation.ready"
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
"""What proxies add: then the address is theirs, and not whose request it is."""


def register(app: Flask) -> None:
    services: Container = app.extensions[EXTENSION]
    app.extensions[_READY] = Kept(lambda: _readiness(services), seconds=READY_SECONDS)
    app.add_url_rule("/livez", "livez", livez)
    app.add_url_rule("/readyz", "readyz", readyz)
    app.add_url_rule("/metrics", "metrics", scrape)


@public
def livez() -> Response:
    """Touches nothing: the process answers."""
    return json_response({"status": "ok"})


@public
def readyz() -> Response:
    """200 when the database answers and is migrated. It is `degraded` without the broker, when jobs wait in the
    database, and while processes have different plugins, when the jobs of those named wait. It tells how it was at
    most some seconds ago.

    Raises `NotReady`, or `Transient` where it is not told in time.
    """
    readiness = cast("Kept[Mapping[str, Any] | None]", current_app.extensions[_READY]).get()
    if readiness is None:
        raise NotReady
    return json_response(readiness)


@public
def scrape() -> Response:
    """The metrics of all tenants together, for whoever has the key that the settings name. Raises `Unauthenticated`."""
    _check_scraper()
    return Response(metrics.of_app().exposition(), content_type=CONTENT_TYPE_LATEST)


def _readiness(services: Container) -> Mapping[str, Any] | None:
    if not services.system().ready():
        return None
    apart = sorted(services.plugins_apart())
    whole = services.broker().reachable() and not apart
    plugins = {"digest": services.inventory().digest, "apart": apart}
    return {"status": "ready" if whole else "degraded", "plugins": plugins}


def _check_scraper() -> None:
    settings = container().settings()
    if settings.metrics_key is None and settings.profile == "dev" and _on_this_machine():
        return
    with suppress(Unauthenticated):  # which would ask for a key of the API
        if settings.metrics_key is not None and hmac.compare_digest(bearer().encode(), settings.metrics_key.encode()):
            return
    raise Unauthenticated(f"metrics are for who has the key that {PREFIX}METRICS_KEY names, as a bearer token")


def _on_this_machine() -> bool:
    try:
        loopback = ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
    return loopback and not any(name in request.headers for name in _FORWARDED)
