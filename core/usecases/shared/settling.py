"""An account is written with what follows from it: its people are told, and what was held goes on."""

from __future__ import annotations

from dataclasses import replace

from core.domain.billing import Access, Account, Terms, Told, changes_at, entitle
from core.domain.events import EventType, NewEvent
from core.domain.jobs import NewJob, Stream
from core.usecases.shared.billing_notices import NOTICE
from core.usecases.shared.owner_mails import write_owners
from ports.clock import Clock, Ids
from ports.storage import Transaction


def settle(tx: Transaction, account: Account, terms: Terms, max_attempts: int, *, clock: Clock, ids: Ids) -> Account:
    """Writes the account, which was locked, and gives it back. What its tenant may do is told where that is no longer
    what was told last, or what tenants begin with."""
    now = clock.now()
    entitlement = entitle(account, terms, now)
    former = account.told or entitle(Account(tenant_id=account.tenant_id), terms, now).told(now)
    same_plan = (former.plan_key, former.plan_version) == (entitlement.plan.key, entitlement.plan.version)
    told = entitlement.told(former.plan_since if same_plan else now)
    if told != former:
        until = None if entitlement.until is None else entitlement.until.isoformat()
        payload = {"before": _shown(former), "now": _shown(told), "until": until}
        tx.events.append([NewEvent(type=EventType.ACCESS_CHANGED, payload=payload)])
        notice = {"notice": "access", "before": former.access.value, **_shown(told), "until": until}
        if terms.mails:
            write_owners(tx, notice, max_attempts, kind=NOTICE, ids=ids)
        if account.resumes_at is not None and told.access is not Access.READ_ONLY:
            tx.jobs.add([NewJob(id=ids.new(), stream=Stream.RESUME, payload={}, max_attempts=max_attempts)])
    account = replace(account, told=told)
    tx.billing.put(account, changes_at=changes_at(account, terms, now))
    return account


def _shown(told: Told) -> dict[str, str | int]:
    return {
        "plan": told.plan_key,
        "version": told.plan_version,
        "access": told.access.value,
        "reason": told.reason,
    }
