"""How notifications are queued."""

from __future__ import annotations

from core.domain.jobs import NewJob, Stream
from core.domain.notifications import Notification


def sending_job(notification: Notification, max_attempts: int, delay_seconds: float = 0.0) -> NewJob:
    """The job that sends it. When it is tried again is the notification's to say: its attempts count lost workers."""
    assert notification.job_id is not None  # noqa: S101 - made with it
    return NewJob(
        id=notification.job_id,
        stream=Stream.SEND,
        payload={"notification_id": str(notification.id)},
        max_attempts=max_attempts,
        delay_seconds=delay_seconds,
    )
