"""Idempotency-Key on POST: a repeated request is answered as the first one was, and carried out once."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import replace

import structlog
from flask import Response, g, request

from core.domain.tenants import Actor, Idempotency
from core.errors import Invalid, Transient
from entrypoints.api.state import MAX_JSON_BYTES, actor, container, small_body

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_SAVED_WITHIN = 1.0
"""Seconds: a request that waited for its twin may be a moment ahead of the twin's answer being saved."""
log = structlog.get_logger("sortation.api")


def key() -> str | None:
    """Raises `Invalid` for a malformed key."""
    given = request.headers.get(HEADER)
    if given is not None and not _KEY.fullmatch(given):
        raise Invalid(f"{HEADER} has 1 to 255 printable ASCII characters")
    return given


def posting(content: str | None = None, *, limit: int = MAX_JSON_BYTES) -> Actor:
    """The actor of a change by POST, whose body has `limit` bytes at most. `content` stands for one that was too large
    to keep in memory: its name and hash."""
    given = key()
    if given is None:
        return actor()
    digest = hashlib.sha256()
    for part in (
        request.method.encode(),
        request.path.encode(),
        request.query_string,
        small_body(limit) if content is None else content.encode(),
    ):
        digest.update(b"%d:" % len(part) + part)
    g.claimed = replace(actor(), idempotency=Idempotency(key=given, request_digest=digest.hexdigest()))
    claimed: Actor = g.claimed
    return claimed


def saved_answer() -> Response | None:
    """What answered the first request with this key; None when it was never saved, as after a crash."""
    claimed: Actor = g.pop("claimed")
    waited_until = time.monotonic() + _SAVED_WITHIN
    while (saved := container().uow().saved_response(claimed)) is None:
        if time.monotonic() > waited_until:
            return None
        time.sleep(0.05)
    status, body = saved
    return Response(body, status, {"Idempotency-Replayed": "true"}, mimetype="application/json")


def save_answer(response: Response) -> None:
    """Keeps the answer of a POST that was carried out, but for secrets: those are shown once (`g.kept` has none)."""
    if "claimed" not in g or not 200 <= response.status_code < 300:
        return
    try:
        container().uow().save_response(g.claimed, response.status_code, g.get("kept") or response.get_data())
    except Transient as error:
        log.warning("answer not saved", error=str(error))
