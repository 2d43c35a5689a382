"""`create_app(container)`: the Flask application, whole."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import flask_smorest  # type: ignore[import-untyped]
import structlog
from flask import Flask, Request, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from entrypoints.api import (
    api_keys,
    approvals,
    auth,
    billing,
    blueprint,
    bodies,
    categories,
    comps,
    connections,
    dashboard,
    denials,
    describing,
    docs,
    errors,
    evaluations,
    events,
    health,
    idempotency,
    imports,
    jobs,
    limits,
    llm,
    members,
    metrics,
    notifications,
    oauth,
    receipts,
    records,
    records_export,
    refusals,
    report_definitions,
    reports,
    rule_previews,
    rule_proposals,
    rule_runs,
    rules,
    spans,
    tenants,
    views,
    waiting,
    webhooks,
)
from entrypoints.api.responses import OrjsonProvider, apply_etag
from entrypoints.api.schemas.problems import ProblemSchema
from entrypoints.api.state import EXTENSION, container
from entrypoints.console import pages

if TYPE_CHECKING:
    from entrypoints.container import Container

PREFIX = "/api/v1"
VERSION = "1"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_RESOURCES = (
    tenants,
    members,
    api_keys,
    categories,
    connections,
    imports,
    records,
    records_export,
    receipts,
    views,
    rules,
    rule_previews,
    rule_proposals,
    rule_runs,
    approvals,
    dashboard,
    report_definitions,
    reports,
    evaluations,
    llm,
    billing,
    comps,
    events,
    jobs,
    webhooks,
    oauth,
    notifications,
)
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not none: then browsers would not say either where a form of ours comes from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of every answer: nobody frames it, guesses its type, or learns from where somebody came."""
log = structlog.get_logger("sortation.api")


class _Api(flask_smorest.Api):  # type: ignore[misc]
    """Describes the resources when the document is first asked for, not when they are registered: it takes longer than
    all else of a start."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None  # each operation names the ways in which it fails

    def register_blueprint(self, blp: flask_smorest.Blueprint, **options: str) -> None:
        self._app.register_blueprint(blp, **options)
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self

    def describe(self, blps: Iterable[flask_smorest.Blueprint]) -> dict[str, Any]:
        """The OpenAPI document of registered resources; to be called once."""
        for blp in blps:
            blp.register_views_in_doc(self, self._app, self.spec, name=blp.name, parameters=None)
            self.spec.tag({"name": blp.name, "description": blp.description})
        return dict(self.spec.to_dict())

    def _register_error_handlers(self) -> None:
        """Ours are in `errors`."""


def create_app(services: Container) -> Flask:
    """The application over a container. Raises `RuntimeError` when a view says not who may call it."""
    settings = services.settings()
    app = Flask("sortation", static_folder=None, static_url_path="/assets")
    app.config |= {
        "MAX_CONTENT_LENGTH": settings.max_upload_bytes,
        "PROVIDE_AUTOMATIC_OPTIONS": False,
        "API_TITLE": "Sortation",
        "API_VERSION": VERSION,
        "OPENAPI_VERSION": "3.1.0",
    }
    app.json = OrjsonProvider(app)
    if settings.proxies:
        trusted = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=trusted, x_proto=trusted, x_host=trusted)  # type: ignore[method-assign]
    app.wsgi_app = bodies.WholeBodies(app.wsgi_app, threads=settings.api_threads)  # type: ignore[method-assign]
    app.extensions[EXTENSION] = services
    app.extensions["sortation.touched"] = {}
    app.extensions["sortation.metrics"] = metrics.Metrics(services.system())
    app.extensions["sortation.polls"] = events.poll_slots(settings.api_threads)
    app.extensions[refusals.EXTENSION] = refusals.Refusals()
    app.before_request(_begin)
    app.after_request(_end)
    denials.register(app)
    errors.register(app)
    api = _Api(app)
    api.ma_plugin.converter.add_attribute_function(describing.property_names)
    for resource in _RESOURCES:
        api.register_blueprint(resource.blp, url_prefix=f"{PREFIX}{resource.blp.url_prefix}")
    app.add_url_rule("/api/events", "events", app.view_functions["events.list_events"])
    health.register(app)
    pages.register(app)
    docs.register(app, lambda: api.describe(resource.blp for resource in _RESOURCES))
    waiting.register(app, settings.api_threads)
    limits.register(app, settings)  # first of all, so that guessing costs no query
    for step in (blueprint.check_coding, auth.authorise, blueprint.check_path, blueprint.check_query):
        app.before_request(step)
    auth.check_declared(app)
    if settings.otlp_endpoint is not None:
        spans.instrument(app)
    return app


def _begin() -> None:
    g.started = time.perf_counter()
    g.request_id = _request_id(request)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _request_id(incoming: Request) -> str:
    given = incoming.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(container().ids().new())


def _end(response: Response) -> Response:
    idempotency.save_answer(response)
    response = apply_etag(response)
    response.headers["X-Request-Id"] = g.request_id
    for name, value in SECURITY.items():
        response.headers.setdefault(name, value)
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    else:
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    if container().settings().public_url.startswith("https://"):
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    response.headers.setdefault("Cache-Control", "no-store")
    seconds = time.perf_counter() - g.started
    route = request.url_rule.rule if request.url_rule else "unmatched"
    metrics.of_app().observe(request.method, route, response.status_code, seconds)
    log.info(
        "request",
        method=request.method,
        route=route,
        status=response.status_code,
        ms=round(seconds * 1000, 2),
        tenant_id=g.get("tenant_id"),
    )
    return response
