"""Jobs that sync a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from core.domain.jobs import NewJob, Stream
from core.domain.tenants import Actor
from ports.clock import Ids


def sync_job(actor: Actor, connection_id: UUID, max_attempts: int, ids: Ids, streams: Sequence[str] = ()) -> NewJob:
    """A job that syncs a connection: all its streams, or these in their order."""
    id, import_id = ids.batch(2)
    payload: dict[str, Any] = {"connection_id": str(connection_id), "import_id": str(import_id)}
    return NewJob(
        id=id,
        stream=Stream.SYNC,
        payload=payload | ({"streams": list(streams)} if streams else {}),
        request_id=actor.request_id,
        source_agent=actor.source_agent,
        max_attempts=max_attempts,
    )
