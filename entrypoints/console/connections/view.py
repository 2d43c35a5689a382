"""A connection: how it is, what it brought, what its log says."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response

from core.domain.connections import split_secrets
from core.domain.health import MAX_HISTORY
from core.domain.permissions import Permission
from core.domain.plugins import AuthKind
from core.domain.webhooks import REASONS, SECRET_FIELD
from core.errors import SortationError
from core.usecases.connections import ConnectionState
from core.usecases.sources import Checked
from entrypoints.api.responses import json_response, polled
from entrypoints.api.state import container
from entrypoints.console.connections.parts import is_uploads, manifest_of, open_sync
from entrypoints.console.connections.words import TITLES, TONES, brings, schedule_of, told
from entrypoints.console.guard import me, page_for
from entrypoints.console.jobs.views import state_of
from entrypoints.console.shell import show

blp = Blueprint("connection_view", __name__)
LATEST = 5
LINES = 12


@blp.get("/connections/<uuid:connection_id>")
@page_for(Permission.CONNECTIONS_READ)
def connection(connection_id: UUID) -> Response:
    return connection_page(connection_id)


@blp.get("/connections/<uuid:connection_id>/state")
@page_for(Permission.CONNECTIONS_READ)
def connection_state(connection_id: UUID) -> Response:
    """How it is and how far its sync got, for the page that is open."""
    polled()
    state: ConnectionState = container().connection_health(me(), connection_id, limit=1)
    job = open_sync(connection_id)
    return json_response({"health": told(state).title, "sync": None if job is None else state_of(job)})


def connection_page(
    connection_id: UUID, error: SortationError | None = None, checked: Checked | None = None
) -> Response:
    """With what went wrong at one of its buttons, or what the source said."""
    actor, services = me(), container()
    state: ConnectionState = services.connection_health(actor, connection_id, limit=MAX_HISTORY)
    found, manifest = state.connection, manifest_of(state.connection)
    secret = frozenset[str]() if manifest is None else manifest.secret_fields()
    config, hidden = split_secrets(found.config, secret)
    reads = Permission.RECORDS_READ in actor.permissions
    job = open_sync(connection_id) if Permission.JOBS_READ in actor.permissions else None
    return show(
        "connections/connection.html",
        200 if error is None else error.status,
        connection=found,
        manifest=manifest,
        brings="" if manifest is None else brings(manifest),
        told=told(state),
        state=state,
        titles=TITLES,
        tones=TONES,
        schedule=schedule_of(found),
        config=config,
        secrets=sorted({*found.secrets, *hidden}),
        uploads=is_uploads(found),
        signs_in=manifest is not None and manifest.auth.kind is AuthKind.OAUTH2,
        signed=manifest is not None and manifest.webhook is not None and SECRET_FIELD in secret,
        address=f"{services.settings().public_url}/api/v1/webhooks/{found.id}",
        refused=state.refused and REASONS[state.refused.outcome],
        lines=services.connection_log(actor, connection_id, before=None, limit=LINES),
        deliveries=services.list_deliveries(actor, connection_id, before=None, limit=LATEST),
        imports=services.list_imports(actor, before=None, limit=LATEST, connection_id=connection_id) if reads else [],
        sync=None if job is None else state_of(job),
        error=error,
        checked=checked,
    )
