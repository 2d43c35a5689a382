"""A new connection: a gallery of connectors, and a form made of each one's JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.permissions import Permission
from core.domain.plugins import AuthKind, ConnectorManifest
from core.domain.webhooks import SECRET_FIELD
from core.errors import Conflict, Invalid, LimitReached, NotFound, SortationError
from core.usecases.sources import Checked
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.api.waiting import Busy, of_app, takes_turn
from entrypoints.console.connections.parts import errors_of, schedule_sent, sent, streams_sent
from entrypoints.console.connections.words import AUTH, SCHEDULES, brings
from entrypoints.console.guard import me, page_for
from entrypoints.console.schema_forms.fields import fields_of, told_nowhere
from entrypoints.console.schema_forms.typed import plain, typed
from entrypoints.console.shell import done, show

blp = Blueprint("connection_new", __name__)
_EDITS = ("add:", "remove:")


@blp.get("/connections/new")
@page_for(Permission.CONNECTIONS_WRITE)
def gallery() -> Response:
    manifests = sorted(container().host().connectors().values(), key=lambda one: (not one.pulls, one.title.casefold()))
    return show("connections/gallery.html", connectors=[(one, brings(one), AUTH[one.auth.kind]) for one in manifests])


@blp.get("/connections/new/<connector>")
@page_for(Permission.CONNECTIONS_WRITE)
def form(connector: str) -> Response:
    manifest = _manifest(connector)
    return _form(manifest, {}, name="")


@blp.post("/connections/new/<connector>")
@page_for(Permission.CONNECTIONS_WRITE)
def create(connector: str) -> AnyResponse:
    manifest, given = _manifest(connector), sent()
    config = typed(given, manifest.config_schema)
    if given.do.startswith(_EDITS):
        return _form(manifest, config)
    try:
        if given.faults:
            raise Invalid("some of it can't be read", fields=given.faults)
        connection = container().create_connection(
            me(),
            connector=connector,
            name=request.form.get("name", ""),
            config=plain(config),
            schedule_seconds=schedule_sent() if manifest.pulls else None,
            streams=streams_sent(),
        )
    except (Invalid, Conflict, LimitReached) as error:
        return _form(manifest, config, error=error)
    said = f"“{connection.name}” is connected."
    if manifest.auth.kind is AuthKind.OAUTH2:
        said = f"“{connection.name}” is saved. Sign in at the source now."
    return done(f"/connections/{connection.id}", said)


@blp.post("/connections/new/<connector>/check")
@takes_turn
@limited(Kind.COSTLY)
@page_for(Permission.CONNECTIONS_WRITE)
def check(connector: str) -> Response:
    """Asks the source with what was typed; nothing is kept."""
    manifest, given = _manifest(connector), sent()
    config = typed(given, manifest.config_schema)
    try:
        if given.faults:
            raise Invalid("some of it can't be read", fields=given.faults)
        with of_app().turn(me().tenant_id):
            checked: Checked = container().check_configuration(me(), connector=connector, config=plain(config))
    except (Invalid, Conflict, Busy) as error:
        return _form(manifest, config, error=error)
    return _form(manifest, config, checked=checked)


def _form(
    manifest: ConnectorManifest,
    config: Mapping[str, Any],
    *,
    name: str | None = None,
    error: SortationError | None = None,
    checked: Checked | None = None,
) -> Response:
    """As it was sent, with what is wrong, or with what the source said."""
    errors: Mapping[str, Sequence[str]] = {} if error is None else errors_of(error)
    fields = fields_of(manifest.config_schema, config, errors)
    at_fields = {place: said for place, said in errors.items() if place.startswith("config")}
    streams = list(dict.fromkeys(one.stream for one in checked.streams)) if checked is not None else []
    return show(
        "connections/new.html",
        200 if error is None else error.status,
        manifest=manifest,
        brings=brings(manifest),
        auth=AUTH[manifest.auth.kind],
        fields=fields,
        signed=manifest.webhook is not None and SECRET_FIELD in manifest.secret_fields(),
        name=request.form.get("name", "") if name is None else name,
        schedule=request.form.get("schedule", "3600" if manifest.pulls else ""),
        schedules=SCHEDULES,
        streams=streams or request.form.getlist("known"),
        chosen=request.form.getlist("stream"),
        choice=request.form.get("streams", "all"),
        error=error,
        errors=errors,
        elsewhere=told_nowhere(fields, at_fields),
        checked=checked,
    )


def _manifest(connector: str) -> ConnectorManifest:
    """Raises `NotFound`."""
    manifest: ConnectorManifest | None = container().host().connectors().get(connector)
    if manifest is None:
        raise NotFound("no plugin that is loaded here offers this connector")
    return manifest
