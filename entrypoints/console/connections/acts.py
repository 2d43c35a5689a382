"""What is done to a connection by its buttons."""

from __future__ import annotations

import base64
from datetime import timedelta
from uuid import UUID

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.connections import Connection
from core.domain.permissions import Permission
from core.domain.plugins import WebhookScheme
from core.errors import (
    Conflict,
    Invalid,
    LimitReached,
    NotFound,
    PluginUnavailable,
    SecretUnreadable,
    VersionMismatch,
)
from core.usecases.sources import Checked
from entrypoints.api.connections import giving_back
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.api.waiting import Busy, of_app, takes_turn
from entrypoints.console.connections.parts import manifest_of
from entrypoints.console.connections.view import connection_page
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import done, show

blp = Blueprint("connection_acts", __name__)
_REFUSALS = (Conflict, Invalid, LimitReached, PluginUnavailable, SecretUnreadable, VersionMismatch, Busy)
_OVERLAPS = ("0", "3600", "86400", "604800")


@blp.post("/connections/<uuid:connection_id>/sync")
@limited(Kind.COSTLY)
@page_for(Permission.CONNECTIONS_WRITE)
def sync(connection_id: UUID) -> Response:
    anew = request.form.get("anew") == "on"
    try:
        container().start_sync(me(), connection_id, anew=anew)
    except _REFUSALS as error:
        return connection_page(connection_id, error)
    return done(f"/connections/{connection_id}", "Reading all from the beginning." if anew else "Syncing.", "info")


@blp.post("/connections/<uuid:connection_id>/check")
@takes_turn
@limited(Kind.COSTLY)
@page_for(Permission.CONNECTIONS_WRITE)
def check(connection_id: UUID) -> Response:
    try:
        with of_app().turn(me().tenant_id):
            checked: Checked = container().check_connection(me(), connection_id)
    except _REFUSALS as error:
        return connection_page(connection_id, error)
    return connection_page(connection_id, checked=checked)


@blp.post("/connections/<uuid:connection_id>/resume")
@page_for(Permission.CONNECTIONS_WRITE)
def resume(connection_id: UUID) -> Response:
    try:
        container().resume_connection(me(), connection_id)
    except _REFUSALS as error:
        return connection_page(connection_id, error)
    return done(f"/connections/{connection_id}", "It has a fresh chance: it is tried as soon as it can be.")


@blp.post("/connections/<uuid:connection_id>/disable")
@page_for(Permission.CONNECTIONS_WRITE)
def disable(connection_id: UUID) -> Response:
    try:
        with giving_back(connection_id):
            container().disable_connection(me(), connection_id)
    except _REFUSALS as error:
        return connection_page(connection_id, error)
    return done(f"/connections/{connection_id}", "It is disabled: its secrets are wiped, its records stay.")


@blp.post("/connections/<uuid:connection_id>/delete")
@page_for(Permission.CONNECTIONS_WRITE)
def delete(connection_id: UUID) -> Response:
    try:
        with giving_back(connection_id):
            container().delete_connection(me(), connection_id, version=_version())
    except _REFUSALS as error:
        return connection_page(connection_id, error)
    return done("/connections", "The connection is deleted.")


@blp.post("/connections/<uuid:connection_id>/imports/<uuid:import_id>/undo")
@limited(Kind.COSTLY)
@page_for(Permission.RECORDS_WRITE)
def undo_import(connection_id: UUID, import_id: UUID) -> Response:
    me().require(Permission.CONNECTIONS_READ)
    if container().get_import(me(), import_id).connection_id != connection_id:
        raise NotFound("this connection has no such import")
    try:
        _, removed, kept = container().undo_import(me(), import_id)
    except Conflict as error:
        return connection_page(connection_id, error)
    said = f"{removed:,} records are removed again; {kept:,} stay, since somebody decided them."
    return done(f"/connections/{connection_id}", said)


@blp.post("/connections/<uuid:connection_id>/webhook-secret")
@page_for(Permission.CONNECTIONS_WRITE)
def rotate(connection_id: UUID) -> Response:
    """The new secret is on the page that answers, and on no other one."""
    connection: Connection = container().get_connection(me(), connection_id)
    given = request.form.get("secret", "").strip()
    overlap = request.form.get("overlap", "86400")
    try:
        if overlap not in _OVERLAPS:
            raise Invalid("say how long the former secret serves on, by the list")
        secret = given or _fresh(connection)
        changed, until = container().rotate_webhook_secret(
            me(), connection_id, secret, overlap=timedelta(seconds=int(overlap))
        )
    except _REFUSALS as error:
        return connection_page(connection_id, error)
    if given:
        return done(f"/connections/{connection_id}", "Deliveries are verified by the new secret from now on.")
    return show("connections/secret.html", connection=changed, secret=secret, until=until)


def _fresh(connection: Connection) -> str:
    """A secret as the connector's scheme has them. Raises `Invalid` where the source makes them itself."""
    manifest = manifest_of(connection)
    scheme = None if manifest is None or manifest.webhook is None else manifest.webhook.scheme
    if scheme is WebhookScheme.STRIPE:
        raise Invalid("the source makes this secret: enter the one that it shows")
    entropy = container().ids().entropy(32)
    if scheme is WebhookScheme.STANDARD:
        return f"whsec_{base64.b64encode(entropy).decode()}"
    return entropy.hex()


def _version() -> int | None:
    given = request.form.get("version", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else None
