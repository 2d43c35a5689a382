"""The tenant's connections, and how each is."""

from __future__ import annotations

from flask import Blueprint, Response, request

from core.domain.health import Health
from core.domain.permissions import Permission
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id, following
from entrypoints.console.connections.words import TITLES, schedule_of, told
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import show

blp = Blueprint("connection_list", __name__)
SHOWN = 25


@blp.get("/connections")
@page_for(Permission.CONNECTIONS_READ)
def connections() -> Response:
    every = sorted(container().list_connections(me()), key=lambda one: one.id)
    wanted, name = request.args.get("health", ""), request.args.get("name", "").strip()
    fitting = [
        one
        for one in every
        if (wanted not in TITLES or one.health is Health(wanted)) and name.casefold() in one.name.casefold()
    ]
    after = asked_id("after")
    rest = [one for one in fitting if after is None or one.id > after]
    shown = rest[:SHOWN]
    titles = {key: manifest.title for key, manifest in container().host().connectors().items()}
    return show(
        "connections/list.html",
        states=[(state, told(state)) for state in container().list_connection_states(me(), shown)],
        any=bool(every),
        healths=TITLES,
        wanted=wanted,
        name=name,
        titles=titles,
        schedule_of=schedule_of,
        more=following("/connections", shown[-1].id, health=wanted, name=name) if len(rest) > SHOWN else None,
    )
