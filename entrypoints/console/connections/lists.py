"""The whole of what a connection's page shows the latest of: its log, deliveries and imports."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response

from core.domain.permissions import Permission
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id, following
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import show

blp = Blueprint("connection_lists", __name__)
LINES, SHOWN = 100, 25


@blp.get("/connections/<uuid:connection_id>/log")
@page_for(Permission.CONNECTIONS_READ)
def log(connection_id: UUID) -> Response:
    connection = container().get_connection(me(), connection_id)
    found = container().connection_log(me(), connection_id, before=asked_id("after"), limit=LINES + 1)
    more = following(f"/connections/{connection_id}/log", found[LINES - 1].id) if len(found) > LINES else None
    return show("connections/log.html", connection=connection, lines=found[:LINES], more=more)


@blp.get("/connections/<uuid:connection_id>/deliveries")
@page_for(Permission.CONNECTIONS_READ)
def deliveries(connection_id: UUID) -> Response:
    connection = container().get_connection(me(), connection_id)
    found = container().list_deliveries(me(), connection_id, before=asked_id("after"), limit=SHOWN + 1)
    more = following(f"/connections/{connection_id}/deliveries", found[SHOWN - 1].id) if len(found) > SHOWN else None
    return show("connections/deliveries.html", connection=connection, deliveries=found[:SHOWN], more=more)


@blp.get("/connections/<uuid:connection_id>/imports")
@page_for(Permission.RECORDS_READ)
def imports(connection_id: UUID) -> Response:
    me().require(Permission.CONNECTIONS_READ)
    connection = container().get_connection(me(), connection_id)
    found = container().list_imports(me(), before=asked_id("after"), limit=SHOWN + 1, connection_id=connection_id)
    more = following(f"/connections/{connection_id}/imports", found[SHOWN - 1].id) if len(found) > SHOWN else None
    return show("connections/imports.html", connection=connection, imports=found[:SHOWN], more=more)
