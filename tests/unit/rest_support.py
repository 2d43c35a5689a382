"""A declared source over real HTTP, for tests of the REST poller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugins.rest.connector import Rest
from sortation import Batch, Draft, ReadRequest
from tests.stubs.host import installed
from tests.stubs.source_server import SourceServer, a_context

MANAGER = installed()
FIELDS = {"external_id": "$.id", "text": "$.text", "occurred_at": "$.at"}
ROW = {"id": 1, "text": "Coffee", "at": "2026-03-01T10:00:00Z"}


def config(source: SourceServer, **stream: Any) -> dict[str, Any]:
    return {"base_url": source.url, "streams": [{"name": "rows", "path": "/rows", "fields": FIELDS} | stream]}


def read(said: Mapping[str, Any], cursor: Mapping[str, Any] | None = None, size: int = 100) -> list[Batch]:
    MANAGER.check_config("rest", said)
    return list(Rest().read(a_context(said), ReadRequest(stream="rows", cursor=cursor, batch_size=size)))


def drafts(batches: Sequence[Batch]) -> list[Draft]:
    return [draft for batch in batches for draft in batch.drafts]


def ids(batches: Sequence[Batch]) -> list[str]:
    return [draft.external_id or "" for draft in drafts(batches)]


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [ROW | {"id": number} for number in numbers]
