"""Secrets are sealed anew when the installation's key has changed, while the service runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from core.domain.connections import SealedPurpose, SealedValue, secrets_context
from core.domain.events import EventType, NewEvent
from core.domain.tenants import worker_actor
from core.errors import SecretUnreadable
from core.usecases.shared.signing_in import factor_context
from ports.clock import Clock
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork
from ports.system import SystemStorage

BATCH = 100
"""Connections and endpoints whose values are sealed anew in one transaction."""
TENANTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How many values were sealed anew, and the connections, endpoints and people of whom some could not be opened:
    those stay as they are. `links_until` is when the last invitation ends that is open now; None: there is none. Links
    say themselves what they are for, so those that were sent before open as long as the former key is there, and no
    longer."""

    resealed: int
    unreadable: tuple[UUID, ...]
    links_until: datetime | None


def rotate_secrets(
    *, uow: UnitOfWork, system: SystemStorage, people: PeopleStorage, secrets: SecretBox, clock: Clock
) -> Rotation:
    """Seals with the present key all that another one sealed, tenant by tenant, then people's second factors. It may be
    interrupted and repeated, and run twice at once; what somebody changes meanwhile is sealed with the present key
    anyway."""
    resealed, now = 0, clock.now()
    unreadable: dict[UUID, None] = {}
    ends: list[datetime] = []
    after = None
    while tenants := system.tenants(after=after, limit=TENANTS):
        for tenant in tenants:
            resealed += _rotate(tenant.id, unreadable, uow, secrets)
            with uow.begin(worker_actor(tenant.id)) as tx:
                ends += [invitation.expires_at for invitation in tx.invitations.list() if invitation.acceptable(now)]
        after = tenants[-1].id
    resealed += _rotate_factors(unreadable, people, secrets)
    return Rotation(resealed=resealed, unreadable=tuple(unreadable), links_until=max(ends, default=None))


def _rotate_factors(unreadable: dict[UUID, None], people: PeopleStorage, secrets: SecretBox) -> int:
    count, after = 0, None
    while found := people.factors_sealed_otherwise(secrets.prefix, after=after, limit=BATCH):
        for user_id, sealed in found:
            try:
                fresh = secrets.reseal(sealed, factor_context(user_id))
            except SecretUnreadable:
                unreadable[user_id] = None
            else:
                count += people.reseal_factor(user_id, sealed, fresh)
        after = found[-1][0]
    return count


def _rotate(tenant_id: UUID, unreadable: dict[UUID, None], uow: UnitOfWork, secrets: SecretBox) -> int:
    count, after = 0, None
    while True:
        with uow.begin(worker_actor(tenant_id)) as tx:
            found = tx.sealed.otherwise(secrets.prefix, after=after, limit=BATCH)
            if not found:
                return count
            anew = []
            for value in found:
                bound_to = secrets_context(tenant_id, value.of_id, value.purpose)
                try:
                    anew.append((value, secrets.reseal(value.sealed, bound_to)))
                except SecretUnreadable:
                    if value.purpose is not SealedPurpose.SIGN_IN:  # that one is over within minutes anyway
                        unreadable[value.of_id] = None
            count += _written(tx, anew, secrets)
            tx.commit()
        after = found[-1].of_id


def _written(tx: Transaction, anew: list[tuple[SealedValue, bytes]], secrets: SecretBox) -> int:
    count = tx.sealed.reseal(anew)
    if count:
        payload = {"key": secrets.key_name, "values": count}
        tx.events.append([NewEvent(type=EventType.SECRETS_ROTATED, payload=payload)])
    return count
