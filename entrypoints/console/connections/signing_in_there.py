"""Signing in at a connection's source, from here and back."""

from __future__ import annotations

import json
from uuid import UUID

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.oauth import SIGN_IN_TIME
from core.domain.permissions import Permission
from core.errors import ConfigInvalid, Conflict, PluginUnavailable, SecretUnreadable
from entrypoints.api.state import container
from entrypoints.console.connections.parts import manifest_of
from entrypoints.console.connections.view import connection_page
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import MAX_SAID, SAID_COOKIE

blp = Blueprint("signing_in_there", __name__)
CONNECTING_COOKIE = "__Host-sortation-connecting"
"""The id of the connection that this browser was sent to sign in for: where to lead it when it comes back."""
_SAID_SECONDS = 60


@blp.post("/connections/<uuid:connection_id>/sign-in")
@page_for(Permission.CONNECTIONS_WRITE)
def sign_in(connection_id: UUID) -> AnyResponse:
    """A page that goes on by itself, since browsers hold `form-action` against redirects, too."""
    try:
        url, _ = container().start_sign_in(me(), connection_id)
    except (Conflict, ConfigInvalid, PluginUnavailable, SecretUnreadable) as error:
        return connection_page(connection_id, error)
    manifest = manifest_of(container().get_connection(me(), connection_id))
    answer = make_response(render_template("going_on.html", title=manifest.title if manifest else "it", url=url))
    lasts = int(SIGN_IN_TIME.total_seconds())
    answer.set_cookie(CONNECTING_COOKIE, str(connection_id), max_age=lasts, secure=True, httponly=True, samesite="Lax")
    return answer


def coming_back(said: str, well: bool) -> Response | None:
    """The way back to the connection's page, which says what came of it; None for who did not begin here. It is a page
    of its own: what follows a redirect from elsewhere is sent without our cookies that are for us alone."""
    try:
        connection_id = UUID(request.cookies[CONNECTING_COOKIE])
    except (KeyError, ValueError):
        return None
    path = f"/connections/{connection_id}"
    answer = Response(render_template("connections/back.html", url=path), mimetype="text/html")
    told = json.dumps(["success" if well else "danger", said.replace(" You may close this page.", "")[:MAX_SAID]])
    answer.set_cookie(SAID_COOKIE, told, max_age=_SAID_SECONDS, secure=True, httponly=True, samesite="Strict")
    answer.delete_cookie(CONNECTING_COOKIE, secure=True, httponly=True, samesite="Lax")
    return answer
