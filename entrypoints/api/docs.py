"""The OpenAPI document, and Swagger UI over it, served from here: nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import flask_swagger_ui  # type: ignore[import-untyped]
from flask import Flask, Response, send_from_directory

from entrypoints.api import describing
from entrypoints.api.auth import public
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
        return dumps(describing.describe(app, describe()))

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
