"""OAuth2: a person is sent to the source's provider, and comes back."""

from __future__ import annotations

from html import escape
from typing import Any
from uuid import UUID

import structlog
from flask import Response, current_app, g, request

from core.domain.permissions import Permission
from core.errors import SortationError
from entrypoints.api.auth import needs, public
from entrypoints.api.blueprint import Blueprint, fails_with, foreign_query, keyless
from entrypoints.api.schemas.oauth import SignInSchema
from entrypoints.api.state import actor, container
from entrypoints.api.waiting import Busy, of_app

blp = Blueprint("oauth", "Sign-ins at sources.", "")
log = structlog.get_logger("sortation.api")
COMING_BACK = "sortation.coming_back"
"""The application's extension that leads who signed in at the console back to it: (what is said, whether it went well)
→ its answer, or None for who began elsewhere."""
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<h1>{title}</h1>
<p>{text}</p>
</html>
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",  # the address holds a code
}


@blp.route("/connections/<uuid:connection_id>/oauth/start", "POST")
@needs(Permission.CONNECTIONS_WRITE)
@keyless
@fails_with(502)
@blp.answer(200, SignInSchema)
def start_sign_in(connection_id: UUID) -> dict[str, Any]:
    """Begins a sign-in: send a person to `url`. When they come back, the connection is signed in. Signing in again is
    for the same account alone."""
    url, expires_at = container().start_sign_in(actor(), connection_id)
    return {"url": url, "expires_at": expires_at}


@blp.route("/oauth/callback")
@public
@foreign_query
@blp.documented(
    parameters=[{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("state", "code", "error")],
    responses={
        "200": {"description": "A page that says it is done.", "content": {"text/html": {}}},
        "4XX": {"description": "A page that says what is wrong.", "content": {"text/html": {}}},
        "5XX": {"description": "A page that says what is wrong.", "content": {"text/html": {}}},
    },
)
def finish_sign_in() -> Response:
    """Where providers send people back to; answers with a page for them."""
    given = request.args
    try:
        with of_app().turn(None):
            connection = container().finish_sign_in(
                given.get("state", ""), code=given.get("code"), error=given.get("error"), request_id=g.request_id
            )
    except Busy as busy:
        return _page("Not just now", "Too many people sign in at the moment: load this page again.", busy.status)
    except SortationError as error:
        if error.status == 500:
            raise
        log.warning("sign-in failed", code=error.code, error=str(error))
        return _page("This did not work", f"{_sentence(str(error))} You may close this page.", error.status)
    return _page("Signed in", f"The connection “{connection.name}” is signed in. You may close this page.", 200)


def _page(title: str, text: str, status: int) -> Response:
    back: Response | None = current_app.extensions[COMING_BACK](text, status == 200)
    if back is not None:
        back.headers["Referrer-Policy"] = _HEADERS["Referrer-Policy"]
        return back
    page = _PAGE.format(title=escape(title), text=escape(text))
    return Response(page, status, _HEADERS, mimetype="text/html")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
