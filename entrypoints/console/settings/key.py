"""An API key: what it may do, another one in its place, and its end."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.errors import Conflict, Forbidden
from core.usecases.shared.keys import IssuedKey
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.settings.keys import KEYS, makers, secret_page, the_key
from entrypoints.console.settings.refusals import told
from entrypoints.console.settings.sections import show_section
from entrypoints.console.settings.words import AREAS, key_state
from entrypoints.console.shell import done

blp = Blueprint("settings_key", __name__)
PAGE = f"{KEYS}/<uuid:key_id>"
OVERLAPS = {"86400": "a day", "3600": "an hour", "604800": "a week", "2592000": "30 days", "0": "not at all: it leaked"}


@blp.get(PAGE)
@page_for(Permission.KEYS_READ)
def key(key_id: UUID) -> Response:
    return _page(key_id)


@blp.post(f"{PAGE}/rotate")
@page_for(Permission.KEYS_WRITE)
def rotate(key_id: UUID) -> Response:
    """The new secret is on the page that answers, and on no other one."""
    the_key(key_id)
    overlap = request.form.get("overlap", "")
    if overlap not in OVERLAPS:
        return _page(key_id, 422, "Say how long the former key serves on, by the list.")
    try:
        issued: IssuedKey = container().rotate_api_key(me(), key_id, overlap=timedelta(seconds=int(overlap)))
    except (Conflict, Forbidden) as error:
        return _page(key_id, error.status, told(error))
    return secret_page(issued, the_key(key_id))


@blp.post(f"{PAGE}/revoke")
@page_for(Permission.KEYS_WRITE)
def revoke(key_id: UUID) -> Response:
    revoked = container().revoke_api_key(me(), key_id)
    return done(f"{KEYS}/{key_id}", f"“{revoked.name}” is revoked: whatever still uses it is refused from now on.")


def _page(key_id: UUID, status: int = 200, error: str = "") -> Response:
    found, now = the_key(key_id), container().clock().now()
    areas = [(title, {p: said for p, said in allowed.items() if p in found.scopes}) for title, allowed in AREAS]
    return show_section(
        "settings/key.html",
        status,
        key=found,
        state=key_state(found, now),
        usable=found.usable(now),
        makers=makers(),
        areas=[(title, allowed) for title, allowed in areas if allowed],
        beyond=sorted(found.scopes - me().permissions),
        overlaps=OVERLAPS,
        error=error,
    )
