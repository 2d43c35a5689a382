"""Saved views of records: one's own, and everybody's. A view changes nothing of what it shows, so no event tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from core.domain.permissions import Permission
from core.domain.saved_views import MAX_VIEWS, SavedView, check_view_name
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid, NotFound, VersionMismatch
from ports.clock import Clock, Ids
from ports.storage import Transaction, UnitOfWork


def list_views(actor: Actor, *, uow: UnitOfWork) -> Sequence[SavedView]:
    """The actor's own and everybody's, by name."""
    with uow.begin(actor) as tx:
        return tx.views.list(actor.user_id)


def get_view(actor: Actor, view_id: UUID, *, uow: UnitOfWork) -> SavedView:
    """Raises `NotFound`, also for another's own."""
    with uow.begin(actor) as tx:
        return _seen(tx, actor, view_id)


def create_view(
    actor: Actor, name: str, query: Mapping[str, Any], *, shared: bool, uow: UnitOfWork, clock: Clock, ids: Ids
) -> SavedView:
    """`query` is what `GET /records` takes. Raises `Invalid` (a program has no views of its own), `Forbidden` (what is
    everybody's is for who may change records), `Conflict` (there is one of this name, or too many)."""
    view = SavedView(
        id=ids.new(),
        tenant_id=actor.tenant_id,
        user_id=_owner(actor, shared=shared),
        name=check_view_name(name),
        query=query,
        created_at=clock.now(),
        version=1,
    )
    with uow.begin(actor) as tx:
        _check_room(tx, view.user_id)
        tx.views.add(view)
        tx.commit()
    return view


def change_view(
    actor: Actor,
    view_id: UUID,
    *,
    version: int | None,
    name: str | None = None,
    query: Mapping[str, Any] | None = None,
    shared: bool | None = None,
    uow: UnitOfWork,
) -> SavedView:
    """What is None stays. Raises as `create_view`, and `NotFound`, `VersionMismatch`."""
    with uow.begin(actor) as tx:
        view = _seen(tx, actor, view_id)
        if version is not None and view.version != version:
            raise VersionMismatch
        if view.user_id is None:
            actor.require(Permission.RECORDS_WRITE)
        owner = view.user_id if shared is None else _owner(actor, shared=shared)
        changed = replace(
            view,
            user_id=owner,
            name=view.name if name is None else check_view_name(name),
            query=view.query if query is None else query,
        )
        if owner != view.user_id:
            _check_room(tx, owner)
        tx.views.update(changed)
        tx.commit()
    return replace(changed, version=view.version + 1)


def delete_view(actor: Actor, view_id: UUID, *, version: int | None, uow: UnitOfWork) -> None:
    """Raises `NotFound`, `VersionMismatch`, and `Forbidden` for what is everybody's."""
    with uow.begin(actor) as tx:
        if _seen(tx, actor, view_id).user_id is None:
            actor.require(Permission.RECORDS_WRITE)
        tx.views.delete(view_id, version)
        tx.commit()


def _seen(tx: Transaction, actor: Actor, view_id: UUID) -> SavedView:
    view = tx.views.get(view_id)
    if view.user_id not in (None, actor.user_id):
        raise NotFound("this view does not exist")
    return view


def _owner(actor: Actor, *, shared: bool) -> UUID | None:
    if shared:
        actor.require(Permission.RECORDS_WRITE)
        return None
    if actor.user_id is None:
        raise Invalid("an API key keeps no views of its own: share it", fields={"shared": ["Only true by a key."]})
    return actor.user_id


def _check_room(tx: Transaction, owner: UUID | None) -> None:
    if tx.views.count(owner) >= MAX_VIEWS:
        raise Conflict(f"there are {MAX_VIEWS} views already: delete some")
