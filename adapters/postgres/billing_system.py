"""What is done of billing across tenants, with the system's role."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, func, select, text

from adapters.postgres.events import notify
from adapters.postgres.unit_of_work import passing_faults
from core.domain.payments import EventOutcome, PaymentEvent

_RECEIVE = text("SELECT receive_payment_event(:provider, :id, :type, :customer, :known, :at, :job, :attempts, :delay)")


class PostgresBillingSystem:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def receive(self, event: PaymentEvent, job_id: UUID, *, max_attempts: int, delay_seconds: float) -> EventOutcome:
        told = {
            "provider": event.provider,
            "id": event.id,
            "type": event.type,
            "customer": event.customer_id,
            "known": event.known,
            "at": event.created_at,
            "job": job_id,
            "attempts": max_attempts,
            "delay": delay_seconds,
        }
        with passing_faults(), self._engine.connect() as connection:
            outcome = EventOutcome(connection.execute(_RECEIVE, told).scalar_one())
            connection.commit()
        return outcome

    def queue(
        self,
        ids: Sequence[UUID],
        now: datetime,
        *,
        max_attempts: int,
        reconcile_seconds: float,
        report_seconds: float,
    ) -> int:
        with passing_faults(), self._engine.connect() as connection:
            due = func.queue_billing(now, list(ids), max_attempts, reconcile_seconds, report_seconds)
            queued: int = connection.execute(select(due)).scalar_one()
            if queued:
                notify(connection)
            connection.commit()
        return queued

    def sweep(self, seconds: float) -> int:
        with passing_faults(), self._engine.connect() as connection:
            gone: int = connection.execute(select(func.sweep_payment_events(seconds))).scalar_one()
            connection.commit()
        return gone
