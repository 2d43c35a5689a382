"""What several pages of connections take: the connector, the form as it was sent, an open sync."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from flask import request

from core.domain.connections import UPLOADS, Connection
from core.domain.jobs import OPEN_STATUSES, Job, Stream
from core.domain.plugins import ConnectorManifest
from core.errors import Invalid
from entrypoints.api.state import container
from entrypoints.console.guard import me
from entrypoints.console.schema_forms.typed import Form

_MOST_SYNCS = 500
_CHOICES_OF_ALL = "all"


def manifest_of(connection: Connection) -> ConnectorManifest | None:
    return container().host().connectors().get(connection.connector)


def sent() -> Form:
    """The form of the request, and which button sent it."""
    return Form(values=request.form.getlist, do=request.form.get("do", ""))


def schedule_sent() -> int | None:
    """Raises `Invalid`."""
    given = request.form.get("schedule", "")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise Invalid("schedule: choose one of the list", fields={"schedule_seconds": ["Choose one of the list."]})
    return int(given)


def streams_sent() -> list[str] | None:
    """Those that were chosen; None for all that there are. Raises `Invalid` where none was."""
    if request.form.get("streams", _CHOICES_OF_ALL) == _CHOICES_OF_ALL:
        return None
    chosen = request.form.getlist("stream")
    if not chosen:
        raise Invalid("streams: choose one at least", fields={"streams": ["Choose one at least, or all."]})
    return chosen


def open_sync(connection_id: UUID) -> Job | None:
    """The connection's sync that waits or runs."""
    statuses = [one.value for one in OPEN_STATUSES]
    jobs: Sequence[Job] = container().list_jobs(
        me(), stream=Stream.SYNC.value, statuses=statuses, limit=_MOST_SYNCS, newest=True
    )
    return next((job for job in jobs if job.payload.get("connection_id") == str(connection_id)), None)


def errors_of(error: Exception) -> Mapping[str, Sequence[str]]:
    """By place: what the error says of each."""
    details = getattr(error, "details", {})
    fields: Mapping[str, Sequence[str]] = details.get("fields") or {}
    return fields


def is_uploads(connection: Connection) -> bool:
    return connection.name == UPLOADS
