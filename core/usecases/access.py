"""Whether a tenant may work, or is read-only until it pays."""

from __future__ import annotations

from core.domain.billing import Access, Terms
from core.domain.tenants import Actor
from core.errors import ReadOnly
from core.usecases.shared.admitting import ask_anew, entitled
from ports.clock import Clock, Ids
from ports.storage import UnitOfWork


def check_may_work(actor: Actor, *, terms: Terms, uow: UnitOfWork, clock: Clock) -> None:
    """Raises `ReadOnly`."""
    with uow.begin(actor) as tx:
        if entitled(tx, terms, clock).access is Access.READ_ONLY:
            raise ReadOnly


def doubt_denial(actor: Actor, *, max_attempts: int, uow: UnitOfWork, clock: Clock, ids: Ids) -> bool:
    """After somebody was denied something for want of a payment: the provider is asked anew, unless that was done a
    moment ago; whether it is."""
    with uow.begin(actor) as tx:
        asked = ask_anew(tx, max_attempts, clock=clock, ids=ids)
        tx.commit()
    return asked
