"""Whether a tenant may work, or is read-only until it pays."""

from __future__ import annotations

from core.domain.billing import Access, Terms
from core.domain.billing_words import Standing, standing
from core.domain.tenants import Actor
from core.errors import ReadOnly
from core.usecases.shared.admitting import ask_anew, entitled
from ports.clock import Clock, Ids
from ports.kept import Kept
from ports.storage import UnitOfWork


def check_may_work(actor: Actor, *, terms: Terms, uow: UnitOfWork, clock: Clock) -> None:
    """Raises `ReadOnly`."""
    with uow.begin(actor) as tx:
        if entitled(tx, terms, clock).access is Access.READ_ONLY:
            raise ReadOnly


def show_standing(actor: Actor, *, terms: Terms, uow: UnitOfWork, clock: Clock, kept: Kept) -> Standing:
    """Whether the tenant may work, and why; it may be some seconds old. Raises `Transient`."""

    def compute() -> Standing:
        with uow.begin(actor) as tx:
            return standing(tx.billing.get(), terms, clock.now())

    return kept.get(("standing", actor.tenant_id), compute)


def doubt_denial(actor: Actor, *, max_attempts: int, uow: UnitOfWork, clock: Clock, ids: Ids) -> bool:
    """After somebody was denied something for want of a payment: the provider is asked anew, unless that was done a
    moment ago; whether it is."""
    with uow.begin(actor) as tx:
        asked = ask_anew(tx, max_attempts, clock=clock, ids=ids)
        tx.commit()
    return asked
