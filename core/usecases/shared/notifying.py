"""How notifications are queued."""

from __future__ import annotations

from uuid import UUID

from core.domain.jobs import NewJob, Stream
from core.domain.notifications import Notification


def sending_job(notification: Notification, max_attempts: int, delay_seconds: float = 0.0) -> NewJob:
    """The job that sends it. When it is tried again is the notification's to say: its attempts count lost workers."""
    assert notification.job_id is not None  # noqa: S101 - made with it
    return job_sending(notification.id, notification.job_id, max_attempts, delay_seconds)


def job_sending(notification_id: UUID, job_id: UUID, max_attempts: int, delay_seconds: float = 0.0) -> NewJob:
    """The same of a notification that is known by its id alone."""
    return NewJob(
        id=job_id,
        stream=Stream.SEND,
        payload={"notification_id": str(notification_id)},
        max_attempts=max_attempts,
        delay_seconds=delay_seconds,
    )
