"""The OpenAPI document, and Swagger UI over it, served from here: nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import flask_swagger_ui  # type: ignore[import-untyped]
from flask import Flask, Response, send_from_directory

from entrypoints.api.auth import Access, access_of, public
from entrypoints.api.responses import dumps

ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sortation API</title>
<link rel="stylesheet" href="/api/docs/assets/swagger-ui.css">
<link rel="icon" href="/api/docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/assets/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
_START = (
    'SwaggerUIBundle({url: "/api/openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true})\n'
)
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


def register(app: Flask, describe: Callable[[], dict[str, Any]]) -> None:
    """`describe` is asked once, for the document of what is registered."""
    lock = Lock()

    @cache
    def document() -> bytes:
        return dumps(_finished(app, describe()))

    @public
    def openapi() -> Response:
        with lock:
            return Response(document(), mimetype="application/json")

    @public
    def page() -> Response:
        return Response(_PAGE, mimetype="text/html", headers={"Content-Security-Policy": _POLICY})

    @public
    def start() -> Response:
        return Response(_START, mimetype="text/javascript")

    @public
    def asset(name: str) -> Response:
        return send_from_directory(ASSETS, name, max_age=3600)

    app.add_url_rule("/api/openapi.json", "openapi", openapi)
    app.add_url_rule("/api/docs", "docs", page)
    app.add_url_rule("/api/docs/start.js", "docs_start", start)
    app.add_url_rule("/api/docs/assets/<name>", "docs_asset", asset)


def _finished(app: Flask, document: dict[str, Any]) -> dict[str, Any]:
    """Adds what holds for whole groups of operations: keys, permissions, headers, the type of problems."""
    components = document["components"]
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key of a tenant: sort_live_..."},
        "operatorKey": {"type": "http", "scheme": "bearer", "description": "The key of the installation's operator."},
    }
    for response in components.get("responses", {}).values():
        content = response.get("content", {})
        if "application/json" in content:
            content["application/problem+json"] = content.pop("application/json")
    for rule in app.url_map.iter_rules():
        path = document["paths"].get(re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule), {})
        for method in (rule.methods or set()) & {"GET", "POST", "PATCH", "DELETE"}:
            if (operation := path.get(method.lower())) is not None:
                _describe(operation, method, access_of(app, rule.endpoint), rule.endpoint)
    return document


def _describe(operation: dict[str, Any], method: str, access: Access, endpoint: str) -> None:
    operation["operationId"] = endpoint.replace(".", "_")
    only_operator = access.permission is not None and access.permission.value == "operator"
    operation["security"] = [
        *([] if only_operator else [{"apiKey": []}]),
        *([{"operatorKey": []}] if access.operator else []),
    ]
    if access.permission is not None:
        operation["x-permission"] = access.permission.value
    headers = {"X-Request-Id": "Answered as it is, and written to logs and events.", "X-Source-Agent": "Who acts."}
    if method == "POST":
        headers["Idempotency-Key"] = (
            "A repeated request with the same key is answered as the first, and not carried out."
        )
    if method in ("PATCH", "DELETE"):
        headers["If-Match"] = "The ETag that the change is based on; 412 when it is no longer the present one."
    operation.setdefault("parameters", []).extend(
        {"in": "header", "name": name, "schema": {"type": "string"}, "required": False, "description": text}
        for name, text in headers.items()
    )
