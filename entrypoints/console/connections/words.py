"""How a connection is, in words: what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.domain.connections import Connection
from core.domain.health import HEALTHY_ACTION, Health
from core.domain.plugins import AuthKind, ConnectorManifest
from core.usecases.connections import ConnectionState
from entrypoints.console.words import as_sentence

TITLES: Mapping[Health, str] = {
    Health.HEALTHY: "Works",
    Health.DEGRADED: "Has trouble",
    Health.REAUTH: "Waits to be connected again",
    Health.PAUSED: "Paused",
    Health.PLUGIN_MISSING: "Its plugin is missing",
}
TONES: Mapping[Health, str] = {
    Health.HEALTHY: "success",
    Health.DEGRADED: "warning",
    Health.REAUTH: "danger",
    Health.PAUSED: "secondary",
    Health.PLUGIN_MISSING: "danger",
}
AUTH: Mapping[AuthKind, str] = {
    AuthKind.NONE: "",
    AuthKind.API_KEY: "by an API key",
    AuthKind.OAUTH2: "a person signs in there, once",
    AuthKind.CLIENT_CREDENTIALS: "by client credentials",
}
SCHEDULES: Mapping[int, str] = {
    900: "Every 15 minutes",
    3_600: "Every hour",
    21_600: "Every 6 hours",
    86_400: "Every day",
    604_800: "Every week",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`title` is two or three words; `what` says what is wrong, `action` what a person does about it, both '' where
    all is well."""

    title: str
    tone: str
    what: str = ""
    action: str = ""


def told(state: ConnectionState) -> Told:
    connection = state.connection
    health, tone = connection.health, TONES[connection.health]
    present = state.history[0] if state.history and state.history[0].health is health else None
    if connection.disabled_at is not None:
        return Told(title="Disabled", tone=tone, action="To have it again, enter its secrets, then resume it.")
    if health is Health.HEALTHY:
        return Told(title=TITLES[health], tone=tone)
    what, action = (present.message, present.action) if present is not None else ("", "")
    return Told(
        title=TITLES[health], tone=tone, what=as_sentence(what), action="" if action == HEALTHY_ACTION else action
    )


def schedule_of(connection: Connection) -> str:
    return scheduled(connection.schedule_seconds)


def scheduled(seconds: int | None) -> str:
    """`Every 15 minutes`; where nothing is scheduled, that it is synced when somebody asks."""
    if seconds is None:
        return "Only when asked"
    if seconds in SCHEDULES:
        return SCHEDULES[seconds]
    size, unit = next(
        (size, unit) for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
        if seconds % size == 0
    )  # fmt: skip
    return f"Every {seconds // size:,} {unit}s" if seconds != size else f"Every {unit}"


def brings(manifest: ConnectorManifest) -> str:
    """How records come in by it."""
    ways = []
    if manifest.pulls:
        ways.append("asked by syncs")
    if manifest.webhook is not None:
        ways.append("told by its deliveries")
    if manifest.file_extensions:
        ways.append(f"reads {' '.join(manifest.file_extensions)} files")
    return as_sentence(", ".join(ways) or "brings nothing by itself")
