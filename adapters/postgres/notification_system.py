"""What is done of notifications across tenants, with the system's role."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine, func, select

from adapters.postgres.unit_of_work import passing_faults


class PostgresNotificationSystem:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tenants_with_news(self) -> Sequence[UUID]:
        with passing_faults(), self._engine.connect() as connection:
            return list(connection.execute(select(func.tenants_with_news())).scalars())

    def queues_to_tell(self, low_share: float) -> Sequence[UUID]:
        with passing_faults(), self._engine.connect() as connection:
            return list(connection.execute(select(func.queues_to_tell(low_share))).scalars())

    def sweep(self, seconds: float) -> int:
        with passing_faults(), self._engine.connect() as connection:
            gone: int = connection.execute(select(func.sweep_notifications(seconds))).scalar_one()
            connection.commit()
        return gone
