"""What a job does, and how far it got, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.domain.jobs import Job, JobStatus, Stream

STREAMS: Mapping[str, str] = {
    Stream.INGEST: "Read a file",
    Stream.PROCESS: "Decide records",
    Stream.LLM: "Ask the LLM",
    Stream.EMBED: "Embed examples",
    Stream.REFIT: "Refit the models",
    Stream.LEARN: "Look for rules to propose",
    Stream.RUN: "Run rules",
    Stream.EVALUATE: "Evaluate",
    Stream.WEBHOOK: "Read a delivery",
    Stream.SYNC: "Sync a connection",
    Stream.MAIL: "Send a mail",
    Stream.BILLING: "Ask the payment provider",
    Stream.RESUME: "Resume records that were held",
    Stream.REPORT: "Report usage",
    Stream.READ_RECEIPT: "Read a receipt",
    Stream.MATCH_RECEIPTS: "Match receipts to records",
    Stream.SEND: "Send a notification",
    Stream.GENERATE: "Make a report",
}
STATUSES: Mapping[str, str] = {
    JobStatus.QUEUED: "waits",
    JobStatus.PUBLISHED: "on its way to a worker",
    JobStatus.RUNNING: "at work",
    JobStatus.DONE: "done",
    JobStatus.DEAD: "dead",
}
_COUNTED = ("items", "inserted", "known", "refused", "held", "seen", "changed", "restored", "kept")


def title_of(stream: str) -> str:
    """What jobs of a stream do; a stream that has no words is told by its name."""
    return STREAMS.get(stream, stream)


def status_of(job: Job) -> str:
    if job.status is JobStatus.QUEUED and job.last_error:
        return "waits for another try"
    return STATUSES[job.status]


def progress_of(progress: Mapping[str, Any]) -> str:
    """`1,200 items, 1,180 inserted`; empty where it tells none."""
    counts = progress.get("counts")
    counts = counts if isinstance(counts, Mapping) else progress
    told = [(name, counts.get(name)) for name in _COUNTED]
    parts = [f"{n:,} {name}" for name, n in told if isinstance(n, int) and not isinstance(n, bool) and n]
    return ", ".join(parts)
