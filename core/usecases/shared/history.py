"""The past of a tenant, as rule types ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from core.domain.records import Sortable, occurred_on
from core.domain.rule_history import MAX_AMOUNTS, MAX_PAST, Past
from core.domain.tenants import Actor
from ports.storage import UnitOfWork


class TenantHistory:
    """`core.domain.rule_history.History` of the actor's tenant; each question is a transaction of its own."""

    def __init__(self, actor: Actor, uow: UnitOfWork) -> None:
        self._actor = actor
        self._uow = uow

    def days(self, records: Sequence[Sortable]) -> Sequence[date]:
        with self._uow.begin(self._actor) as tx:
            zone = tx.tenants.get().zone
        return [occurred_on(record.occurred_at, zone) for record in records]

    def of_party(self, records: Sequence[Sortable]) -> Sequence[Sequence[Past]]:
        with self._uow.begin(self._actor) as tx:
            zone = tx.tenants.get().zone
            return tx.records.past(
                [(r.id, r.counterparty or r.text, occurred_on(r.occurred_at, zone)) for r in records], MAX_PAST
            )

    def amounts(self, category: str, currency: str) -> Sequence[Decimal]:
        with self._uow.begin(self._actor) as tx:
            return tx.records.amounts(category, currency, MAX_AMOUNTS)
