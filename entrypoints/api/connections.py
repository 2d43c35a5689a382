"""Connectors that are installed, and the tenant's connections."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.connections import Connection
from core.domain.permissions import Permission
from core.domain.plugins import PluginInfo
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint
from entrypoints.api.idempotency import posting
from entrypoints.api.responses import fields_of, if_match, part, tagged
from entrypoints.api.schemas.base import WholeListSchema, everything, page_of
from entrypoints.api.schemas.catalog import (
    ConnectionChangeSchema,
    ConnectionSchema,
    ConnectorsSchema,
    NewConnectionSchema,
)
from entrypoints.api.state import actor, container

blp = Blueprint("connections", "Where records come from.", "")


@blp.route("/connectors")
@needs(Permission.CONNECTIONS_READ)
@blp.answer(200, ConnectorsSchema)
def list_connectors() -> dict[str, Any]:
    """What is installed here: connectors, and every plugin with its state."""
    host = container().host()
    return everything(list(host.connectors().values())) | {"plugins": [_plugin(p) for p in host.inventory()]}


@blp.route("/connections")
@needs(Permission.CONNECTIONS_READ)
@blp.query(WholeListSchema)
@blp.answer(200, page_of(ConnectionSchema))
def list_connections(query: dict[str, Any]) -> dict[str, Any]:
    """All connections."""
    return part([fields_of(c) for c in container().list_connections(actor())], query)


@blp.route("/connections", "POST")
@needs(Permission.CONNECTIONS_WRITE)
@blp.body(NewConnectionSchema)
@blp.answer(201, ConnectionSchema)
def create_connection(body: dict[str, Any]) -> tuple[Connection, dict[str, str]]:
    """Adds a connection; its configuration is checked against the connector's JSON Schema."""
    connection = container().create_connection(posting(), **body)
    tagged(connection.version)
    return connection, {"Location": f"/api/v1/connections/{connection.id}"}


@blp.route("/connections/<uuid:connection_id>")
@needs(Permission.CONNECTIONS_READ)
@blp.answer(200, ConnectionSchema)
def get_connection(connection_id: UUID) -> Connection:
    """A connection."""
    connection = container().get_connection(actor(), connection_id)
    tagged(connection.version)
    return connection


@blp.route("/connections/<uuid:connection_id>", "PATCH")
@needs(Permission.CONNECTIONS_WRITE)
@blp.body(ConnectionChangeSchema)
@blp.answer(200, ConnectionSchema)
def change_connection(changes: dict[str, Any], connection_id: UUID) -> Connection:
    """Renames a connection, or gives it another configuration."""
    connection = container().change_connection(actor(), connection_id, changes, version=if_match())
    tagged(connection.version)
    return connection


@blp.route("/connections/<uuid:connection_id>", "DELETE")
@needs(Permission.CONNECTIONS_WRITE)
@blp.answer(204)
def delete_connection(connection_id: UUID) -> None:
    """Removes a connection that has no records."""
    container().delete_connection(actor(), connection_id, version=if_match())


def _plugin(info: PluginInfo) -> dict[str, Any]:
    """Tenants learn what failed; the traceback, which tells of the machine, is for its operator's log."""
    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "state": info.state.value,
        "connectors": [manifest.key for manifest in info.connectors],
        "rule_types": [manifest.key for manifest in info.rule_types],
        "error": info.error.strip().splitlines()[-1] if info.error and info.error.strip() else None,
    }
