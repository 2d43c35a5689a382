"""Connections and imports: where a tenant's records come from, and each delivery of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

CHUNK_BYTES = 1 << 20
"""Payloads are kept in Postgres in pieces of this size until they are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One tenant's configured instance of a connector."""

    id: UUID
    tenant_id: UUID
    connector: str
    name: str
    config: Mapping[str, Any]
    created_at: datetime
    version: int


class ImportStatus(StrEnum):
    RECEIVED = "received"
    READING = "reading"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A delivery of records: a file, or a call of the API. `approved` says that its categories are a person's.

    `refusals` holds the first `MAX_REFUSALS` (position, reason) pairs; `refused` counts all. `gaps` holds the first
    `MAX_GAPS` of the statements whose balances differ from what was read.
    """

    id: UUID
    tenant_id: UUID
    connection_id: UUID
    job_id: UUID
    filename: str
    bytes: int
    sha256: str
    approved: bool
    status: ImportStatus
    inserted: int
    known: int
    refused: int
    refusals: tuple[Mapping[str, Any], ...]
    failure: str | None
    created_at: datetime
    finished_at: datetime | None
    gaps: tuple[Mapping[str, Any], ...] = ()


MAX_REFUSALS = 200
MAX_GAPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What an import would do: counts, and the first few of each."""

    connector: str
    new: int
    known: int
    refused: int
    refusals: tuple[Mapping[str, Any], ...]
    samples: tuple[Mapping[str, Any], ...]
    gaps: tuple[Mapping[str, Any], ...] = ()
