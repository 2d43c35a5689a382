"""Jobs: units of background work. The row in Postgres is the truth; a broker only carries its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

MAX_BACKOFF = timedelta(minutes=30)


class Stream(StrEnum):
    INGEST = "records:ingest"
    PROCESS = "records:process"
    LLM = "records:llm"
    EMBED = "examples:embed"
    REFIT = "models:refit"
    LEARN = "rules:learn"
    RUN = "rules:run"
    EVALUATE = "evaluations:run"
    READ_RECEIPT = "receipts:read"
    MATCH_RECEIPTS = "receipts:match"
    WEBHOOK = "webhooks:receive"
    SYNC = "connections:sync"
    MAIL = "mail:send"
    BILLING = "billing:sync"
    RESUME = "records:resume"
    REPORT = "billing:report"
    SEND = "notifications:send"
    GENERATE = "reports:generate"


class JobStatus(StrEnum):
    QUEUED = "queued"
    PUBLISHED = "published"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


OPEN_STATUSES = (JobStatus.QUEUED, JobStatus.PUBLISHED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """Work to be done after the transaction that stores this commits. `payload` is small: ids, never data."""

    id: UUID
    stream: Stream
    payload: Mapping[str, Any]
    request_id: str | None = None
    source_agent: str = "balance"
    max_attempts: int = 5
    delay_seconds: float = 0.0
    """How long it waits before it is due."""
    trace_parent: str | None = None
    """The W3C `traceparent` of the call that queued it, so that a trace goes on in the worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`progress` is what a resumed run continues from. `lease_token` is set while a worker holds the job."""

    id: UUID
    tenant_id: UUID
    stream: Stream
    status: JobStatus
    payload: Mapping[str, Any]
    progress: Mapping[str, Any]
    attempts: int
    max_attempts: int
    due_at: datetime
    request_id: str | None
    source_agent: str
    trace_parent: str | None
    last_error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    lease_token: UUID | None = field(default=None, repr=False)

    @property
    def last_attempt(self) -> bool:
        return self.attempts >= self.max_attempts

    @property
    def dead_letter_queue(self) -> str:
        return f"{self.stream.value}:dead"


def backoff(attempts: int, base: timedelta, jitter: float) -> timedelta:
    """How long to wait after the `attempts`-th failure: exponential, capped, with half of it drawn at random.

    `jitter` is uniform in [0, 1): "equal jitter", so that workers which failed together don't come back together.
    """
    full: timedelta = min(base * 2.0 ** min(attempts - 1, 30), MAX_BACKOFF)
    return full / 2 + full / 2 * jitter
