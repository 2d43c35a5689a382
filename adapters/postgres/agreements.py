"""What was agreed by hand with tenants who pay by invoice."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.billing_tables import agreements
from adapters.postgres.documents import read, written
from adapters.postgres.unit_of_work import passing_faults, set_tenant
from core.domain.agreements import Agreement
from core.domain.tenants import worker_actor


class PostgresAgreements:
    """`app` is the engine of the app's role, `system` that of the system's, who may read them all."""

    def __init__(self, app: Engine, system: Engine) -> None:
        self._app = app
        self._system = system

    def get(self, tenant_id: UUID) -> Agreement | None:
        with passing_faults(), self._app.connect() as connection:
            set_tenant(connection, worker_actor(tenant_id))
            query = select(agreements.c.agreement).where(agreements.c.tenant_id == tenant_id)
            stored = connection.execute(query).scalar_one_or_none()
        return None if stored is None else read(Agreement, stored, tenant_id=tenant_id)

    def put(self, agreement: Agreement) -> None:
        document = {name: kept for name, kept in written(agreement).items() if name != "tenant_id"}
        values = {"agreement": document, "ordered_at": agreement.ordered_at}
        with passing_faults(), self._app.connect() as connection:
            set_tenant(connection, worker_actor(agreement.tenant_id))
            connection.execute(
                insert(agreements)
                .values(tenant_id=agreement.tenant_id, **values)
                .on_conflict_do_update(index_elements=["tenant_id"], set_=values)
            )
            connection.commit()

    def list(self) -> Sequence[Agreement]:
        query = select(agreements).order_by(agreements.c.ordered_at, agreements.c.tenant_id)
        with passing_faults(), self._system.connect() as connection:
            rows = connection.execute(query).all()
        return [read(Agreement, row.agreement, tenant_id=row.tenant_id) for row in rows]
