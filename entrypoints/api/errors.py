"""Errors out: every one is an RFC 9457 problem with a stable code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from flask import Flask, Response, current_app, g
from werkzeug.exceptions import HTTPException

from core.errors import IdempotencyReplay, LimitReached, ReadOnly, SortationError, Transient, Unauthenticated
from entrypoints.api import idempotency
from entrypoints.api.access import is_page, wants_json
from entrypoints.api.denials import doubt, note_unexpected
from entrypoints.api.waiting import Busy

PROBLEM_PAGE = "sortation.problem_page"
"""The application's extension that writes a problem as a page of the console: (status, title, what to do)."""
RETRY_AFTER = 2
"""Seconds, where the error itself names none."""
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    411: "length_required",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "rate_limited",
}
log = structlog.get_logger("sortation.api")


class MalformedJson(SortationError):
    """The body is not JSON."""

    code = "malformed_json"
    status = 400


class NotReady(SortationError):
    """The database does not answer, or its migrations are not those of this release."""

    code = "not_ready"
    status = 503


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    errors: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """`errors` maps fields, and places in lists, to what is wrong with them. Who asked for a page gets
    a page."""
    if is_page() and not wants_json():
        page: Response = current_app.extensions[PROBLEM_PAGE](status, title, detail)
        return page
    body = {
        "type": f"urn:sortation:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": g.get("request_id"),
    }
    if errors:
        body["errors"] = errors
    return Response(
        orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS), status, headers, mimetype="application/problem+json"
    )


def register(app: Flask) -> None:
    app.register_error_handler(IdempotencyReplay, _on_replay)
    app.register_error_handler(SortationError, _on_domain_error)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_unexpected)


def _on_replay(error: IdempotencyReplay) -> Response:
    return idempotency.saved_answer() or _on_domain_error(error)


def _on_domain_error(error: SortationError) -> Response:
    if error.status == 500:
        return _on_unexpected(error)
    note_unexpected(error)
    headers = {}
    if isinstance(error, ReadOnly | LimitReached):
        doubt()
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="sortation"'
    if isinstance(error, Transient | NotReady | Busy):
        headers["Retry-After"] = str(round(error.details.get("retry_after") or RETRY_AFTER))
    if isinstance(error, Transient | NotReady):
        log.warning("unavailable", error=str(error), cause=repr(error.__cause__))
    title = next(iter((type(error).__doc__ or "").splitlines()), "")
    return problem(error.status, error.code, title, str(error), errors=error.details.get("fields"), headers=headers)


def _on_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return Response(status=status, headers=list(error.get_response().headers))
    if status == 500:
        return _on_unexpected(error)
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    code = _CODES.get(status, "http_error")
    fields = getattr(error, "data", {}).get("messages")
    if fields is not None:
        # Parsed arguments come as {location: {field: messages}}; where they came from shows in their names.
        by_field = {name: what for part in fields.values() for name, what in part.items()}
        return problem(status, code, "What was sent is not valid.", "See errors.", errors=by_field, headers=headers)
    return problem(status, code, error.name, error.description or error.name, headers=headers)


def _on_unexpected(error: Exception) -> Response:
    log.error("unexpected", exc_info=error)
    return problem(500, "internal", "Something went wrong.", "It was logged under this request_id.")
