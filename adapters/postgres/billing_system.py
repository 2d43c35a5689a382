"""What is done of billing across tenants, with the system's role."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, func, select

from adapters.postgres.events import notify
from adapters.postgres.unit_of_work import passing_faults
from core.domain.billing import EventOutcome, PaymentEvent


class PostgresBillingSystem:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def receive(self, event: PaymentEvent, job_id: UUID, *, max_attempts: int) -> EventOutcome:
        told = (event.provider, event.id, event.type, event.customer_id, event.known, event.created_at)
        with passing_faults(), self._engine.connect() as connection:
            received = func.receive_payment_event(*told, job_id, max_attempts)
            outcome = EventOutcome(connection.execute(select(received)).scalar_one())
            if outcome is EventOutcome.ACCEPTED:
                notify(connection)
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
