"""What spans of requests say: the route, and no address. Paths and queries hold links, codes, states, and whatever
somebody puts there by mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, request
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.trace import Span

_ADDRESSES = ("http.url", "http.target", "url.full", "url.path", "url.query")


def instrument(app: Flask) -> None:
    FlaskInstrumentor().instrument_app(app, response_hook=_without_address)  # type: ignore[no-untyped-call]


def _without_address(span: Span | None, *_: object) -> None:
    """When the answer begins: what the instrumentation knows of the request it has noted by then."""
    if span is None or not span.is_recording():
        return
    route = request.url_rule.rule if request.url_rule else "unmatched"
    span.update_name(f"{request.method} {route}")
    noted: Mapping[str, Any] = getattr(span, "attributes", None) or {}
    for name in _ADDRESSES:
        if name in noted:
            span.set_attribute(name, route)
