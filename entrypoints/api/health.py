"""What probes and scrapers ask: alive, ready, metrics."""

from __future__ import annotations

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST

from entrypoints.api import metrics
from entrypoints.api.auth import public
from entrypoints.api.errors import NotReady
from entrypoints.api.responses import json_response
from entrypoints.api.state import container


def register(app: Flask) -> None:
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
    database, and while processes have different plugins, when the jobs of those named wait.

    Raises `NotReady`.
    """
    if not container().system().ready():
        raise NotReady
    apart = sorted(container().plugins_apart())
    whole = container().broker().reachable() and not apart
    plugins = {"digest": container().inventory().digest, "apart": apart}
    return json_response({"status": "ready" if whole else "degraded", "plugins": plugins})


@public
def scrape() -> Response:
    return Response(metrics.of_app().exposition(), content_type=CONTENT_TYPE_LATEST)
