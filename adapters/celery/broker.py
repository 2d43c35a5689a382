"""The Celery application and the publisher over it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from celery import Celery
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from core.domain.jobs import Stream
from core.errors import Transient

TASK = "sortation.run_job"


def make_celery(broker_url: str) -> Celery:
    """An application with a queue for each stream.

    Tasks are acknowledged early: redelivery is the reaper's, from the storage, so no visibility time-out of the broker
    can run a job twice or lose it.
    """
    app = Celery("sortation", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_queues=[Queue(stream.value, routing_key=stream.value) for stream in Stream],  # type: ignore[no-untyped-call]
        task_default_queue=Stream.PROCESS.value,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_enable_prefetch_count_reduction=False,
        broker_transport="adapters.celery.transport:Transport",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_connect_timeout": 5, "socket_timeout": 30, "socket_keepalive": True},
    )
    return app


class CeleryBroker:
    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, tenant_id: UUID, job_id: UUID, stream: str, headers: Mapping[str, str]) -> None:
        try:
            self._app.send_task(
                TASK, args=[str(tenant_id), str(job_id)], queue=stream, headers=dict(headers), retry=False
            )
        except (OperationalError, RedisError, OSError) as error:
            raise Transient("the broker does not answer") from error

    def reachable(self) -> bool:
        try:
            with self._app.connection_for_write(connect_timeout=1) as connection:
                connection.ensure_connection(max_retries=1, timeout=1)
        except (OperationalError, RedisError, OSError):
            return False
        return True
