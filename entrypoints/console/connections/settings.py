"""A connection's name, configuration and schedule; and which streams of its source are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.connections import Connection, split_secrets
from core.domain.permissions import Permission
from core.domain.plugins import ConnectorManifest, StreamInfo
from core.errors import Conflict, Invalid, PluginUnavailable, SecretUnreadable, SortationError, VersionMismatch
from entrypoints.api.connections import giving_back
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.api.waiting import Busy, of_app, takes_turn
from entrypoints.console.connections.parts import errors_of, is_uploads, manifest_of, schedule_sent, sent, streams_sent
from entrypoints.console.connections.words import SCHEDULES, scheduled
from entrypoints.console.fields import STALE, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.schema_forms.fields import fields_of, told_nowhere
from entrypoints.console.schema_forms.typed import plain, typed
from entrypoints.console.shell import done, show

blp = Blueprint("connection_settings", __name__)
_EDITS = ("add:", "remove:")
_REFUSALS = (Conflict, Invalid, PluginUnavailable, SecretUnreadable, VersionMismatch, Busy)


@blp.get("/connections/<uuid:connection_id>/settings")
@page_for(Permission.CONNECTIONS_WRITE)
def settings(connection_id: UUID) -> Response:
    connection: Connection = container().get_connection(me(), connection_id)
    manifest = manifest_of(connection)
    secret = frozenset[str]() if manifest is None else manifest.secret_fields()
    return _form(connection, manifest, split_secrets(connection.config, secret)[0])


@blp.post("/connections/<uuid:connection_id>/settings")
@page_for(Permission.CONNECTIONS_WRITE)
def change(connection_id: UUID) -> Response:
    connection: Connection = container().get_connection(me(), connection_id)
    manifest, given = manifest_of(connection), sent()
    config = {} if manifest is None else typed(given, manifest.config_schema)
    if given.do.startswith(_EDITS):
        return _form(connection, manifest, config)
    try:
        if given.faults:
            raise Invalid("some of it can't be read", fields=given.faults)
        changes = _changes(connection, manifest, plain(config))
        if changes:
            with giving_back(connection_id) if "config" in changes else nullcontext():
                container().change_connection(me(), connection_id, changes, version=sent_version())
    except _REFUSALS as error:
        return _form(connection, manifest, config, error)
    return done(f"/connections/{connection_id}", "Saved." if changes else "Nothing was changed.")


@blp.get("/connections/<uuid:connection_id>/streams")
@takes_turn
@limited(Kind.COSTLY)
@page_for(Permission.CONNECTIONS_WRITE)
def streams(connection_id: UUID) -> Response:
    """Asks the source what it has."""
    connection: Connection = container().get_connection(me(), connection_id)
    found: Sequence[StreamInfo] = ()
    problem: SortationError | None = None
    try:
        with of_app().turn(me().tenant_id):
            found = container().list_streams(me(), connection_id)
    except (Conflict, PluginUnavailable, Busy) as error:
        problem = error
    return _streams(connection, found, problem)


@blp.post("/connections/<uuid:connection_id>/streams")
@page_for(Permission.CONNECTIONS_WRITE)
def choose_streams(connection_id: UUID) -> Response:
    connection: Connection = container().get_connection(me(), connection_id)
    try:
        container().change_connection(me(), connection_id, {"streams": streams_sent()}, version=sent_version())
    except (Conflict, Invalid, VersionMismatch) as error:
        known = [StreamInfo(name=name) for name in dict.fromkeys(request.form.getlist("known"))]
        return _streams(connection, known, error)
    return done(f"/connections/{connection_id}", "The next sync reads these streams.")


def _changes(
    connection: Connection, manifest: ConnectorManifest | None, config: Mapping[str, Any]
) -> Mapping[str, Any]:
    """What differs from what there is: a configuration that is sent anew would give the connection a fresh chance.
    Raises `Invalid`."""
    changes: dict[str, Any] = {}
    name = request.form.get("name", "").strip()
    if name != connection.name and not is_uploads(connection):
        changes["name"] = name
    if manifest is None:
        return changes
    shown = split_secrets(connection.config, manifest.secret_fields())[0]
    removed = {field: None for field in request.form.getlist("remove") if field in manifest.secret_fields()}
    given = {**config, **{field: None for field in removed if field not in config}}
    if given != shown:
        changes["config"] = given
    if manifest.pulls and (schedule := schedule_sent()) != connection.schedule_seconds:
        changes["schedule_seconds"] = schedule
    return changes


def _form(
    connection: Connection,
    manifest: ConnectorManifest | None,
    config: Mapping[str, Any],
    error: SortationError | None = None,
) -> Response:
    errors: Mapping[str, Sequence[str]] = {} if error is None else errors_of(error)
    fields = () if manifest is None else fields_of(manifest.config_schema, config, errors, secrets=connection.secrets)
    at_fields = {place: said for place, said in errors.items() if place.startswith("config")}
    schedules = dict(SCHEDULES)
    if connection.schedule_seconds is not None:
        schedules.setdefault(connection.schedule_seconds, scheduled(connection.schedule_seconds))
    return show(
        "connections/settings.html",
        _status(error),
        connection=connection,
        manifest=manifest,
        uploads=is_uploads(connection),
        fields=fields,
        name=request.form.get("name", connection.name),
        schedule=request.form.get("schedule", str(connection.schedule_seconds or "")),
        schedules=dict(sorted(schedules.items())),
        version=request.form.get("version", connection.version),
        problem=_said(error),
        errors=errors,
        elsewhere=told_nowhere(fields, at_fields),
    )


def _streams(connection: Connection, found: Sequence[StreamInfo], error: SortationError | None) -> Response:
    state = container().connection_health(me(), connection.id, limit=1)
    names = {one.name for one in found}
    gone = [StreamInfo(name=name) for name in connection.streams or () if name not in names]
    posted = request.method == "POST"
    return show(
        "connections/streams.html",
        _status(error),
        connection=connection,
        streams=[*found, *gone],
        gone={one.name for one in gone} if found else set(),
        cursors={cursor.stream: cursor for cursor in state.cursors},
        all=request.form.get("streams", "all") == "all" if posted else connection.streams is None,
        chosen=request.form.getlist("stream") if posted else connection.streams or [one.name for one in found],
        version=request.form.get("version", connection.version),
        problem=_said(error),
    )


def _said(error: SortationError | None) -> str:
    return "" if error is None else STALE if isinstance(error, VersionMismatch) else str(error)


def _status(error: SortationError | None) -> int:
    return 200 if error is None else 409 if isinstance(error, VersionMismatch) else error.status
