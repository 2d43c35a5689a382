"""Connectors that are installed, and the tenant's connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any
from uuid import UUID

from core.domain.connections import Connection, split_secrets
from core.domain.health import HEALTHY_ACTION, MAX_HISTORY
from core.domain.jobs import Job
from core.domain.permissions import Permission
from core.domain.plugins import AuthKind, PluginInfo
from core.domain.webhooks import REASONS
from core.usecases.connections import ConnectionState
from core.usecases.sources import Checked
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional, fails_with, keyless
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import fields_of, if_match, page, part, polled, versioned
from entrypoints.api.schemas.base import WholeListSchema, everything, page_of
from entrypoints.api.schemas.connections import (
    CheckConfigurationSchema,
    CheckedSchema,
    ConnectionChangeSchema,
    ConnectionHealthSchema,
    ConnectionSchema,
    ConnectorsSchema,
    LogLineSchema,
    LogQuerySchema,
    NewConnectionSchema,
    StreamsSchema,
    SyncSchema,
    WebhookSecretChangedSchema,
    WebhookSecretSchema,
)
from entrypoints.api.schemas.jobs import JobSchema
from entrypoints.api.state import actor, container
from entrypoints.api.waiting import of_app, takes_turn

blp = Blueprint("connections", "Where records come from.", "")


@blp.route("/connectors")
@needs(Permission.CONNECTIONS_READ)
@blp.answer(200, ConnectorsSchema)
def list_connectors() -> dict[str, Any]:
    """What is installed here: connectors, and every plugin with its state; and what other processes have otherwise."""
    host = container().host()
    connectors = [fields_of(m) | {"secrets": sorted(m.secret_fields())} for m in host.connectors().values()]
    spread = container().plugins_spread()
    apart = [fields_of(one) | {"role": one.role.value} for one in spread.apart]
    present = sorted(role.value for role in spread.present)
    return everything(connectors) | {
        "plugins": [_plugin(p) for p in host.inventory()],
        "present": present,
        "apart": apart,
    }


@blp.route("/connections")
@needs(Permission.CONNECTIONS_READ)
@blp.query(WholeListSchema)
@blp.answer(200, page_of(ConnectionSchema))
def list_connections(query: dict[str, Any]) -> dict[str, Any]:
    """All connections."""
    return part([_shown(c) for c in container().list_connections(actor())], query)


@blp.route("/connections", "POST")
@needs(Permission.CONNECTIONS_WRITE)
@blp.body(NewConnectionSchema)
@blp.answer(201, ConnectionSchema)
def create_connection(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Adds a connection; its configuration is checked against the connector's JSON Schema, its secrets are sealed."""
    connection = container().create_connection(posting(), **body)
    versioned(connection.version)
    return _shown(connection), {"Location": f"/api/v1/connections/{connection.id}"}


@blp.route("/connections/check", "POST")
@takes_turn
@limited(Kind.COSTLY)
@needs(Permission.CONNECTIONS_WRITE)
@keyless
@fails_with(502)
@blp.body(CheckConfigurationSchema)
@blp.answer(200, CheckedSchema)
def check_configuration(body: dict[str, Any]) -> Checked:
    """Asks a source whether it can be read with a configuration; nothing is kept. Takes up to 30 seconds. One at a time
    for a tenant, few for all: else 503 `busy`."""
    with of_app().turn(actor().tenant_id):
        checked: Checked = container().check_configuration(actor(), **body)
    return checked


@blp.route("/connections/<uuid:connection_id>")
@needs(Permission.CONNECTIONS_READ)
@blp.answer(200, ConnectionSchema)
def get_connection(connection_id: UUID) -> dict[str, Any]:
    """A connection."""
    connection = container().get_connection(actor(), connection_id)
    versioned(connection.version)  # its health shows too, which the version does not cover
    return _shown(connection)


@blp.route("/connections/<uuid:connection_id>", "PATCH")
@needs(Permission.CONNECTIONS_WRITE)
@conditional
@blp.body(ConnectionChangeSchema)
@blp.answer(200, ConnectionSchema)
def change_connection(changes: dict[str, Any], connection_id: UUID) -> dict[str, Any]:
    """Renames a connection, or gives it another configuration, schedule or choice of streams."""
    with giving_back(connection_id) if "config" in changes else nullcontext():
        connection = container().change_connection(actor(), connection_id, changes, version=if_match())
    versioned(connection.version)
    return _shown(connection)


@blp.route("/connections/<uuid:connection_id>/webhook-secret", "POST")
@needs(Permission.CONNECTIONS_WRITE)
@blp.body(WebhookSecretSchema)
@blp.answer(200, WebhookSecretChangedSchema)
def rotate_webhook_secret(body: dict[str, Any], connection_id: UUID) -> dict[str, Any]:
    """Sets another secret that the connection's webhook is signed with; the former one serves on for a while, so that
    no delivery is refused until the source has the new one."""
    overlap = timedelta(seconds=body["overlap_seconds"])
    connection, until = container().rotate_webhook_secret(posting(), connection_id, body["secret"], overlap=overlap)
    versioned(connection.version)
    return _shown(connection) | {"former_until": until}


@blp.route("/connections/<uuid:connection_id>", "DELETE")
@needs(Permission.CONNECTIONS_WRITE)
@conditional
@blp.answer(204)
def delete_connection(connection_id: UUID) -> None:
    """Removes a connection that has no records, with its secrets and its log. One that has some can be disabled."""
    with giving_back(connection_id):
        container().delete_connection(actor(), connection_id, version=if_match())


@blp.route("/connections/<uuid:connection_id>/check", "POST")
@takes_turn
@limited(Kind.COSTLY)
@needs(Permission.CONNECTIONS_WRITE)
@keyless
@fails_with(502)
@blp.answer(200, CheckedSchema)
def check_connection(connection_id: UUID) -> Checked:
    """Asks the source of each stream whether it can be read. Takes up to 30 seconds; 503 `busy` as above."""
    with of_app().turn(actor().tenant_id):
        checked: Checked = container().check_connection(actor(), connection_id)
    return checked


@blp.route("/connections/<uuid:connection_id>/streams")
@needs(Permission.CONNECTIONS_READ)
@fails_with(409, 502)
@blp.answer(200, StreamsSchema)
def list_streams(connection_id: UUID) -> dict[str, Any]:
    """What the source has to read; it is asked now. 503 `busy` as for checks."""
    with of_app().turn(actor().tenant_id):
        return everything(container().list_streams(actor(), connection_id))


@blp.route("/connections/<uuid:connection_id>/sync", "POST")
@limited(Kind.COSTLY)
@needs(Permission.CONNECTIONS_WRITE)
@blp.query(SyncSchema)
@blp.answer(202, JobSchema)
def start_sync(query: dict[str, Any], connection_id: UUID) -> tuple[Job, dict[str, str]]:
    """Syncs now, in the background; 409 while a sync is under way. Location tells where to follow the job."""
    job = container().start_sync(posting(), connection_id, anew=query["anew"])
    return job, {"Location": f"/api/v1/jobs/{job.id}"}


@blp.route("/connections/<uuid:connection_id>/disable", "POST")
@needs(Permission.CONNECTIONS_WRITE)
@blp.answer(200, ConnectionSchema)
def disable_connection(connection_id: UUID) -> dict[str, Any]:
    """Ends a connection whose records stay: wipes its secrets, gives its tokens back, and takes nothing more by it."""
    with giving_back(connection_id):
        connection = container().disable_connection(posting(), connection_id)
    versioned(connection.version)
    return _shown(connection)


@blp.route("/connections/<uuid:connection_id>/resume", "POST")
@needs(Permission.CONNECTIONS_WRITE)
@blp.answer(200, ConnectionSchema)
def resume_connection(connection_id: UUID) -> dict[str, Any]:
    """Gives a connection that was paused a fresh chance: it is synced as soon as it can be. One that was disabled needs
    its secrets again first."""
    connection = container().resume_connection(posting(), connection_id)
    versioned(connection.version)
    return _shown(connection)


@blp.route("/connections/<uuid:connection_id>/health")
@needs(Permission.CONNECTIONS_READ)
@conditional
@blp.answer(200, ConnectionHealthSchema)
def connection_health(connection_id: UUID) -> dict[str, Any]:
    """How a connection is, since when, why, and what to do about it; and what it brought."""
    polled()
    state: ConnectionState = container().connection_health(actor(), connection_id, limit=MAX_HISTORY)
    connection, history, refused = state.connection, state.history, state.refused
    present = history[0] if history and history[0].health is connection.health else None
    return {
        "health": connection.health.value,
        "code": present.code if present else "ok",
        "message": present.message if present else "",
        "action": present.action if present else HEALTHY_ACTION,
        "failures": connection.failures,
        "next_sync_at": connection.next_sync_at,
        "last_synced_at": connection.last_synced_at,
        "totals": fields_of(state.ever) | {"last_30_days": state.month, "last_24_hours": state.day},
        "refused_deliveries": refused and fields_of(refused) | {"reason": REASONS[refused.outcome]},
        "cursors": [fields_of(cursor) for cursor in state.cursors],
        "history": [fields_of(entry) | {"health": entry.health.value} for entry in history],
    }


@blp.route("/connections/<uuid:connection_id>/log")
@needs(Permission.CONNECTIONS_READ)
@blp.query(LogQuerySchema)
@blp.answer(200, page_of(LogLineSchema))
def connection_log(query: dict[str, Any], connection_id: UUID) -> dict[str, Any]:
    """What its connector and the host said of it, newest first; the last 1,000 lines are kept."""
    lines = container().connection_log(actor(), connection_id, before=query["before"], limit=query["limit"] + 1)
    return page(lines, query["limit"], lambda line: str(line.id))


@contextmanager
def giving_back(connection_id: UUID) -> Iterator[None]:
    """Around what may give tokens back: then the source's provider is waited for. Raises `Busy`."""
    services = container()
    manifest = services.host().connectors().get(services.get_connection(actor(), connection_id).connector)
    if manifest is None or manifest.auth.kind not in (AuthKind.OAUTH2, AuthKind.CLIENT_CREDENTIALS):
        yield
        return
    with of_app().turn(actor().tenant_id):
        yield


def _shown(connection: Connection) -> dict[str, Any]:
    """Also without what a newer plugin calls a secret, and an older one did not."""
    manifest = container().host().connectors().get(connection.connector)
    shown, hidden = split_secrets(connection.config, manifest.secret_fields() if manifest is not None else ())
    named = sorted({*connection.secrets, *hidden})
    return fields_of(connection, "sealed") | {"config": shown, "secrets": named, "health": connection.health.value}


def last_line(error: str | None) -> str | None:
    """Of a traceback what went wrong, without where."""
    return error.strip().splitlines()[-1] if error and error.strip() else None


def _plugin(info: PluginInfo) -> dict[str, Any]:
    """Tenants learn what failed; the traceback, which tells of the machine, is for its operator's log."""
    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "state": info.state.value,
        "connectors": [manifest.key for manifest in info.connectors],
        "rule_types": [manifest.key for manifest in info.rule_types],
        "error": last_line(info.error),
    }
