"""What who runs the installation does about a tenant's plan: give one, and see why a tenant is limited."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.domain.billing import Account, Comp, Terms, check_reason
from core.domain.events import EventType, NewEvent
from core.domain.tenants import Actor
from core.errors import Invalid, NotFound
from core.usecases.shared.settling import settle
from ports.clock import Clock, Ids
from ports.storage import UnitOfWork


def comp_plan(
    actor: Actor,
    *,
    plan: str | None,
    until: datetime | None = None,
    reason: str,
    terms: Terms,
    max_attempts: int,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Account:
    """Gives the tenant a plan, whatever it pays, until then (None: for good); no plan takes it back. The tenant reads
    why. Raises `Invalid`, or `NotFound`, also where there is no plan to take back."""
    reason, now = check_reason(reason), clock.now()
    if until is not None and (until.tzinfo is None or until <= now):
        raise Invalid("until is an instant with a time zone, in the future")
    comp = None
    if plan is not None:
        given = terms.catalog.newest(plan)
        if given is None:
            known = ", ".join(one.key for one in terms.catalog.offered())
            raise Invalid(f"{plan!r} is none of the plans: {known}")
        comp = Comp(plan_key=given.key, plan_version=given.version, until=until, reason=reason)
    with uow.begin(actor) as tx:
        tx.tenants.get()
        account = tx.billing.get(lock=True)
        if comp is None and account.comp is None:
            raise NotFound("the operator gave this tenant no plan")
        account = replace(account, comp=comp)
        payload = {"plan": plan, "until": until and until.isoformat(), "reason": reason}
        tx.events.append([NewEvent(type=EventType.PLAN_COMPED, payload=payload)])
        account = settle(tx, account, terms, max_attempts, clock=clock, ids=ids)
        tx.commit()
    return account
