"""What was agreed by hand with tenants who pay by invoice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.billing_tables import agreements
from adapters.postgres.unit_of_work import passing_faults, set_tenant
from core.domain.agreements import Agreement
from core.domain.billing import Invoice
from core.domain.tenants import worker_actor

_AMOUNTS = frozenset({"total", "due"})
_TIMES = ("_at", "_from", "_until", "_start", "_end")
"""How times are called; all else is text."""


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
        return None if stored is None else _agreement(tenant_id, stored)

    def put(self, agreement: Agreement) -> None:
        values = {"agreement": _written(agreement), "ordered_at": agreement.ordered_at}
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
            return [_agreement(row.tenant_id, row.agreement) for row in connection.execute(query)]


def _written(agreement: Agreement) -> dict[str, Any]:
    plain = {f.name: getattr(agreement, f.name) for f in fields(Agreement) if f.name not in ("tenant_id", "invoices")}
    invoices = [{f.name: _plain(getattr(one, f.name)) for f in fields(Invoice)} for one in agreement.invoices]
    return {name: _plain(value) for name, value in plain.items()} | {"invoices": invoices}


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, Decimal) else value


def _agreement(tenant_id: UUID, stored: Mapping[str, Any]) -> Agreement:
    invoices = tuple(Invoice(**_read(one)) for one in stored["invoices"])
    return Agreement(tenant_id=tenant_id, **_read(stored) | {"invoices": invoices})


def _read(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: Decimal(value)
        if name in _AMOUNTS
        else datetime.fromisoformat(value)
        if isinstance(value, str) and name.endswith(_TIMES)
        else value
        for name, value in stored.items()
    }
