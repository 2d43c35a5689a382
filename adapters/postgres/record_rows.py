"""Rows of records and what they become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.postgres.tables import records
from core.domain.records import Record, RecordStatus

RECORD_COLUMNS = tuple(c for c in records.c if c.name not in ("party", "former_external_id", "magnitude"))
_PLAIN = tuple(name for name in Record.__slots__ if name not in ("occurred_at", "status", "tags"))


def to_record(row: Mapping[Any, Any]) -> Record:
    """The instant where the source gave one, else the calendar date."""
    return Record(
        **{name: row[name] for name in _PLAIN},
        occurred_at=row["occurred_at"] or row["occurred_on"],
        status=RecordStatus(row["status"]),
        tags=tuple(row["tags"]),
    )
