"""Secrets are sealed anew when the installation's key has changed, while the service runs."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from core.domain.connections import secrets_context
from core.domain.tenants import worker_actor
from core.errors import SecretUnreadable
from core.usecases.shared.oauth import tokens_context
from core.usecases.shared.signing_in import factor_context
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import UnitOfWork
from ports.system import SystemStorage

BATCH = 100
TENANTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How many values were sealed anew, and the connections and people of whom some could not be opened: those stay as
    they are."""

    resealed: int
    unreadable: tuple[UUID, ...]


def rotate_secrets(*, uow: UnitOfWork, system: SystemStorage, people: PeopleStorage, secrets: SecretBox) -> Rotation:
    """Seals with the present key all that another one sealed, tenant by tenant, then people's second factors. It may be
    interrupted and repeated; what somebody changes meanwhile is sealed with the present key anyway."""
    resealed = 0
    unreadable: list[UUID] = []
    after = None
    while tenants := system.tenants(after=after, limit=TENANTS):
        for tenant in tenants:
            resealed += _rotate(tenant.id, unreadable, uow, secrets)
        after = tenants[-1].id
    resealed += _rotate_factors(unreadable, people, secrets)
    return Rotation(resealed=resealed, unreadable=tuple(unreadable))


def _rotate_factors(unreadable: list[UUID], people: PeopleStorage, secrets: SecretBox) -> int:
    count, after = 0, None
    while found := people.factors_sealed_otherwise(secrets.prefix, after=after, limit=BATCH):
        for user_id, sealed in found:
            bound_to = factor_context(user_id)
            try:
                fresh = secrets.seal(secrets.open(sealed, bound_to), bound_to)
            except SecretUnreadable:
                unreadable.append(user_id)
            else:
                count += people.reseal_factor(user_id, sealed, fresh)
        after = found[-1][0]
    return count


def _rotate(tenant_id: UUID, unreadable: list[UUID], uow: UnitOfWork, secrets: SecretBox) -> int:
    count = _rotate_tokens(tenant_id, unreadable, uow, secrets)
    after = None
    while True:
        with uow.begin(worker_actor(tenant_id)) as tx:
            found = tx.connections.sealed_otherwise(secrets.prefix, after=after, limit=BATCH)
            for connection in found:
                sealed, bound_to = connection.sealed or b"", secrets_context(tenant_id, connection.id)
                try:
                    fresh = secrets.seal(secrets.open(sealed, bound_to), bound_to)
                except SecretUnreadable:
                    unreadable.append(connection.id)
                else:
                    count += tx.connections.reseal(connection.id, sealed, fresh)
            tx.commit()
        if len(found) < BATCH:
            return count
        after = found[-1].id


def _rotate_tokens(tenant_id: UUID, unreadable: list[UUID], uow: UnitOfWork, secrets: SecretBox) -> int:
    count, after = 0, None
    while True:
        with uow.begin(worker_actor(tenant_id)) as tx:
            found = tx.oauth.sealed_otherwise(secrets.prefix, after=after, limit=BATCH)
            for tokens in found:
                bound_to = tokens_context(tenant_id, tokens.connection_id)
                try:
                    fresh = secrets.seal(secrets.open(tokens.sealed, bound_to), bound_to)
                except SecretUnreadable:
                    unreadable.append(tokens.connection_id)
                else:
                    count += tx.oauth.reseal(tokens.connection_id, tokens.sealed, fresh)
            tx.commit()
        if len(found) < BATCH:
            return count
        after = found[-1].connection_id
