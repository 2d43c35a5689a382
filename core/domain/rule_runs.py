"""Rule runs: rules applied to records that were decided before, and undone again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """`total` records are in the filter, `seen` of them were looked at so far; what was done to them. `skipped` ones
    were changed by somebody while the run looked at them, and left alone. Of an undo: how many were `restored`, and how
    many `kept` since somebody changed them after the run."""

    total: int = 0
    seen: int = 0
    newly_decided: int = 0
    changed: int = 0
    released: int = 0
    contradicting: int = 0
    skipped: int = 0
    restored: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRun:
    """`rule_ids` are the rules that the run is about, None for all of them; `where` is the record filter, as JSON."""

    id: UUID
    tenant_id: UUID
    job_id: UUID
    status: RunStatus
    rule_ids: tuple[UUID, ...] | None
    where: Mapping[str, Any]
    counts: RunCounts
    requested_by: str
    created_at: datetime
    finished_at: datetime | None = None
    undone_at: datetime | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """What a run did to a record: status, category, stage, rule, tags and attributes before and after, as JSON.
    `undone` says that an undo restored it, None that no undo got to it."""

    record_id: UUID
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    undone: bool | None = None
