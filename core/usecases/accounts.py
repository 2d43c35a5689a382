"""Tenants, API keys, and who is calling."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from uuid import UUID

from core.domain import api_keys
from core.domain.categories import Category
from core.domain.defaults import default_categories, starter_rules
from core.domain.events import EventType, NewEvent
from core.domain.permissions import GRANTABLE, Role
from core.domain.report_schedules import next_slot
from core.domain.rules import Action, Rule, RuleStage
from core.domain.tenants import (
    Actor,
    ApiKey,
    Membership,
    Tenant,
    TenantSettings,
    User,
    check_person_name,
    check_scopes,
    check_settings,
    check_tenant,
)
from core.errors import Conflict, Invalid, Unauthenticated
from core.usecases.shared.keys import IssuedKey, issue_key
from core.usecases.shared.leaving import person_behind
from core.usecases.shared.people import Caller, operator
from ports.clock import Clock, Ids
from ports.storage import Transaction, UnitOfWork
from ports.system import SystemStorage

STARTER_PACK = "bank"
STARTER_PRIORITY = 1_000
"""Added to the priorities within the pack, so that a tenant's own rules (100 by default) are asked first."""


def authenticate(bearer: str, *, system: SystemStorage, clock: Clock) -> ApiKey:
    """The usable key that a bearer token names; raises `Unauthenticated`, whose `details["whose"]` are ids for the log.

    A token that is no key of ours costs no query, a wrong secret one, and none a slow hash.
    """
    key_id, secret = api_keys.read_key(bearer)
    key = system.find_api_key(key_id)
    whose = {} if key is None else {"tenant_id": str(key.tenant_id), "api_key_id": str(key.id)}
    if key is None or not hmac.compare_digest(api_keys.hash_secret(secret), key.secret_hash):
        raise Unauthenticated(whose=whose)
    if not key.usable(clock.now()):
        raise Unauthenticated("this API key has expired or was revoked", whose=whose)
    return key


def touch_key(actor: Actor, *, uow: UnitOfWork, clock: Clock) -> None:
    """Notes that the actor's key was used."""
    if actor.api_key_id is not None:
        with uow.begin(actor) as tx:
            tx.api_keys.touch(actor.api_key_id, clock.now())
            tx.commit()


def create_tenant(
    name: str,
    *,
    time_zone: str = "UTC",
    settings: TenantSettings | None = None,
    owner_email: str | None = None,
    owner_name: str = "",
    defaults: bool = True,
    caller: Caller | None = None,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> tuple[Tenant, IssuedKey]:
    """A tenant with the default category tree and the starter rules (unless `defaults` is False), its owner (if named)
    and a key with all scopes.

    Raises `Invalid` for a bad name, time zone or setting.
    """
    check_tenant(name, time_zone)
    now = clock.now()
    tenant = Tenant(
        id=ids.new(),
        name=name.strip(),
        time_zone=time_zone,
        settings=check_settings(settings or TenantSettings()),
        rules_version=1,
        created_at=now,
        version=1,
    )
    with uow.begin(operator(tenant.id, caller or Caller(address="", user_agent=""))) as tx:
        tx.tenants.add(tenant)
        if owner_email:
            owner_name = check_person_name(owner_name)
            user = User(id=ids.new(), email=owner_email.strip().lower(), name=owner_name, created_at=now)
            tx.members.add(user, Membership(tenant_id=tenant.id, user_id=user.id, role=Role.OWNER))
        keys = _add_defaults(tx, tenant, now, ids) if defaults else 0
        issued = issue_key(tx, tenant.id, "first key", GRANTABLE, None, now, ids)
        tx.events.append([NewEvent(type=EventType.TENANT_CREATED, subject_id=tenant.id, payload={"categories": keys})])
        tx.commit()
    return tenant, issued


def _add_defaults(tx: Transaction, tenant: Tenant, now: datetime, ids: Ids) -> int:
    by_key: dict[str, UUID] = {}
    categories = []
    for seed in default_categories():
        by_key[seed.key] = ids.new()
        categories.append(
            Category(
                id=by_key[seed.key],
                tenant_id=tenant.id,
                parent_id=by_key[seed.parent] if seed.parent else None,
                key=seed.key,
                name=seed.name,
                description=seed.description,
                created_at=now,
                version=1,
            )
        )
    tx.categories.add(categories)
    tx.rules.add(
        [
            Rule(
                id=ids.new(),
                tenant_id=tenant.id,
                name=rule.name,
                stage=RuleStage.MAIN,
                priority=STARTER_PRIORITY + rule.priority,
                when=rule.when,
                then=Action(category_id=by_key[rule.category_key]),
                stop=False,
                enabled=True,
                pack=STARTER_PACK,
                trusted=STARTER_PACK in tenant.settings.trusted_packs,
                hits=0,
                last_hit_at=None,
                created_at=now,
                version=1,
            )
            for rule in starter_rules()
        ]
    )
    return len(categories)


def get_tenant(actor: Actor, *, uow: UnitOfWork) -> Tenant:
    with uow.begin(actor) as tx:
        return tx.tenants.get()


def list_tenants(*, system: SystemStorage, after: UUID | None, limit: int) -> Sequence[Tenant]:
    """All tenants of the installation, for its operator."""
    return system.tenants(after=after, limit=limit)


def change_tenant(
    actor: Actor,
    *,
    version: int | None,
    name: str | None = None,
    time_zone: str | None = None,
    settings: TenantSettings | None = None,
    uow: UnitOfWork,
    clock: Clock,
) -> Tenant:
    """In another time zone the turns of scheduled reports that are not due yet come at the same hours there. Raises
    `VersionMismatch` or `Invalid`."""
    with uow.begin(actor) as tx:
        tenant = tx.tenants.get()
        changed = replace(
            tenant,
            name=(name or tenant.name).strip(),
            time_zone=time_zone or tenant.time_zone,
            settings=check_settings(settings or tenant.settings),
            version=tenant.version if version is None else version,
        )
        check_tenant(changed.name, changed.time_zone)
        tx.tenants.update(changed)
        if changed.time_zone != tenant.time_zone:
            now = clock.now()
            for one in tx.reports.definitions():
                if one.schedule is None or one.schedule.paused:
                    continue
                if one.next_run_at is None or one.next_run_at > now:
                    following = next_slot(one.schedule, now, changed.zone)
                    tx.reports.update_definition(replace(one, next_run_at=following))
        payload = {"changed": _changes(tenant, changed)}
        tx.events.append([NewEvent(type=EventType.TENANT_CHANGED, subject_id=tenant.id, payload=payload)])
        tx.commit()
    return get_tenant(actor, uow=uow)


def _changes(before: Tenant, now: Tenant) -> list[str]:
    """What of a tenant was changed, by name."""
    settings = (f.name for f in fields(TenantSettings))
    return [
        *(name for name in ("name", "time_zone") if getattr(before, name) != getattr(now, name)),
        *(name for name in settings if getattr(before.settings, name) != getattr(now.settings, name)),
    ]


def create_api_key(
    actor: Actor,
    *,
    name: str,
    scopes: frozenset[str],
    expires_at: datetime | None = None,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> IssuedKey:
    """A key with at most the caller's own scopes: nobody hands out more than they have.

    Raises `Invalid`, `Forbidden`.
    """
    granted = check_scopes(scopes)
    for scope in sorted(granted):
        actor.require(scope)
    now = clock.now()
    if not 0 < len(name.strip()) <= 200:
        raise Invalid("an API key's name has 1 to 200 characters")
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
        raise Invalid("expires_at is an instant with a time zone, in the future")
    with uow.begin(actor) as tx:
        made_by = person_behind(tx, actor, clock=clock)
        issued = issue_key(tx, actor.tenant_id, name.strip(), granted, expires_at, now, ids, created_by=made_by)
        tx.commit()
    return issued


def rotate_api_key(
    actor: Actor, key_id: UUID, *, overlap: timedelta, uow: UnitOfWork, clock: Clock, ids: Ids
) -> IssuedKey:
    """Another key with the same name and scopes; the former one serves on for `overlap`, so that nothing stands still
    while the new one is brought where it is used. Raises `NotFound`, `Conflict`, or `Forbidden` for a key that may more
    than the caller."""
    now = clock.now()
    with uow.begin(actor) as tx:
        former = tx.api_keys.get(key_id)
        for scope in sorted(former.scopes):
            actor.require(scope)
        if not former.usable(now):
            raise Conflict("this API key has expired or was revoked: make another one")
        if former.operators:
            raise Conflict("the operator acts by this API key: it ends when it was said to")
        ends = former.expires_at
        made_by = person_behind(tx, actor, clock=clock)  # before the key: who removes them takes both in this order
        tx.api_keys.expire(key_id, now + overlap)
        issued = issue_key(tx, actor.tenant_id, former.name, former.scopes, ends, now, ids, created_by=made_by)
        payload = {"key_id": issued.key.id, "overlap_seconds": overlap.total_seconds()}
        tx.events.append([NewEvent(type=EventType.KEY_ROTATED, subject_id=key_id, payload=payload)])
        tx.commit()
    return issued


def list_api_keys(actor: Actor, *, uow: UnitOfWork) -> Sequence[ApiKey]:
    with uow.begin(actor) as tx:
        return tx.api_keys.list()


def revoke_api_key(actor: Actor, key_id: UUID, *, uow: UnitOfWork, clock: Clock) -> ApiKey:
    """At once: the next request with it is refused. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        key = tx.api_keys.revoke(key_id, clock.now())
        tx.events.append([NewEvent(type=EventType.KEY_REVOKED, subject_id=key_id)])
        tx.commit()
    return key
