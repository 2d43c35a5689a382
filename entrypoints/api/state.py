"""What belongs to the request at hand: the container, the actor, the body."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from core.domain.tenants import Actor

if TYPE_CHECKING:
    from entrypoints.container import Container

EXTENSION = "sortation"
MAX_JSON_BYTES = 4 << 20
"""Of a body that is read into memory; uploads have `max_upload_bytes`."""


def container() -> Container:
    return cast("Container", current_app.extensions[EXTENSION])


def actor() -> Actor:
    """Who calls, without an Idempotency-Key: for reads, and for changes that are no POST."""
    return cast(Actor, g.actor)


def is_operator() -> bool:
    return bool(g.get("operator"))


def small_body(limit: int = MAX_JSON_BYTES) -> bytes:
    """The body, in memory; the request ends with 413 when it is larger than `limit` bytes."""
    limit = min(limit, current_app.config["MAX_CONTENT_LENGTH"])
    request.max_content_length = limit + 1  # a body that comes in chunks is cut off there without a word
    body = request.get_data(cache=True)
    if len(body) > limit:
        raise RequestEntityTooLarge
    return body
