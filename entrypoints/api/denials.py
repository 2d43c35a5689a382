"""What somebody was refused, logged once a request: with ids and from where, never with what they sent."""

from __future__ import annotations

import re
from typing import Any

import structlog
from flask import Flask, Response, g, request

from core.errors import CodeWrong, Forbidden, SignInFailed, SortationError, Transient
from entrypoints.api.access import is_page
from entrypoints.api.state import container

_EMAIL = re.compile(r"[^\s:]+@[^\s:]+")
log = structlog.get_logger("sortation.api")


def register(app: Flask) -> None:
    @app.after_request
    def noted(response: Response) -> Response:
        """Pages that catch an error, to be shown with a form, are logged also where they forget to say what it was."""
        if response.status_code in (401, 403) and is_page():
            _log("refused", {"status": response.status_code})
        return response


def note(error: SortationError, event: str = "refused", **more: Any) -> None:
    """Logs the error, unless this request had one."""
    told = {"code": error.code, "reason": _EMAIL.sub("(an address)", str(error))}
    if "permission" in error.details:
        told["permission"] = error.details["permission"]
    _log(event, told | error.details.get("whose", {}) | more)


def note_unexpected(error: SortationError) -> None:
    """Of an error that no view caught, if it is a refusal. What has no credential at all is none."""
    if isinstance(error, Forbidden | SignInFailed | CodeWrong):
        note(error)


def doubt() -> None:
    """Somebody was denied something for want of a payment: the provider is asked whether that is so."""
    if (actor := g.get("actor")) is None:
        return
    try:
        container().doubt_denial(actor)
    except Transient as error:  # the denial is answered all the same
        log.warning("denial not doubted", error=str(error))


def _log(event: str, told: dict[str, Any]) -> None:
    if g.get("denial_noted"):
        return
    g.denial_noted = True
    log.warning(event, **{"endpoint": request.endpoint, "address": request.remote_addr} | _who() | told)


def _who() -> dict[str, str]:
    if (actor := g.get("actor")) is None:
        return {"by": "operator"} if g.get("operator") else {}
    ids = {"tenant_id": actor.tenant_id, "user_id": actor.user_id, "api_key_id": actor.api_key_id}
    return {name: str(id) for name, id in ids.items() if id is not None}
