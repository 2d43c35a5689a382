"""Categories: what records are sorted into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from core.domain.categories import MAX_NAME, Category, check_key, check_parent, key_from_name
from core.domain.category_changes import Belongings, lost_names, new_parents
from core.domain.events import EventType, NewEvent
from core.domain.records import clean_text
from core.domain.tenants import Actor
from core.errors import Invalid, VersionMismatch
from core.usecases.shared.present import hold_categories
from core.usecases.shared.teaching import REFIT_SECONDS, queue_learning
from ports.clock import Clock, Ids
from ports.storage import Transaction, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The category that remains, and what `moved` into it."""

    into: Category
    moved: Belongings


def list_categories(actor: Actor, *, uow: UnitOfWork) -> Sequence[Category]:
    with uow.begin(actor) as tx:
        return tx.categories.list()


def category_usage(actor: Actor, *, uow: UnitOfWork) -> Mapping[UUID, Belongings]:
    """What belongs to each category; those to which nothing does are left out."""
    with uow.begin(actor) as tx:
        return tx.categories.usage()


def category_belongings(actor: Actor, category_id: UUID, *, uow: UnitOfWork) -> Belongings:
    """What belongs to a category; nothing for an unknown one."""
    with uow.begin(actor) as tx:
        return tx.categories.belongings(category_id)


def get_category(actor: Actor, category_id: UUID, *, uow: UnitOfWork) -> Category:
    """The category; for one that was merged, what it was merged into. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        return tx.categories.get(tx.categories.aliases().get(str(category_id), category_id))


def create_category(
    actor: Actor,
    *,
    name: str,
    key: str | None = None,
    parent_id: UUID | None = None,
    description: str = "",
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Category:
    """Without a key, one is made of the parent's key and the name. Raises `Invalid`, or `Conflict` (key taken)."""
    name = _check_name(name)
    with uow.begin(actor) as tx:
        parents = {c.id: c for c in tx.categories.list()}
        category_id = ids.new()
        check_parent(category_id, parent_id, {c.id: c.parent_id for c in parents.values()})
        if key is None:
            key = key_from_name(name)
            if parent_id is not None:
                key = f"{parents[parent_id].key}.{key}"
        category = Category(
            id=category_id,
            tenant_id=actor.tenant_id,
            parent_id=parent_id,
            key=check_key(key),
            name=name,
            description=clean_text(description),
            created_at=clock.now(),
            version=1,
        )
        tx.categories.add([category])
        tx.events.append([NewEvent(type=EventType.CATEGORY_CREATED, subject_id=category.id, payload={"key": key})])
        tx.commit()
    return category


def change_category(
    actor: Actor, category_id: UUID, changes: Mapping[str, Any], *, version: int | None, uow: UnitOfWork
) -> Category:
    """`changes` may hold name, key, parent_id and description. What it was called stays an alias, so that files and
    programs that say so find it. Raises `NotFound`, `VersionMismatch`, `Invalid`, `Conflict`."""
    with uow.begin(actor) as tx:
        tx.categories.lock_tree()
        before = tx.categories.list()
        category = tx.categories.get(category_id)
        if version is not None and category.version != version:
            raise VersionMismatch
        changed = replace(category, **changes)
        changed = replace(
            changed,
            name=_check_name(changed.name),
            key=check_key(changed.key),
            description=clean_text(changed.description),
        )
        check_parent(category_id, changed.parent_id, {c.id: c.parent_id for c in before})
        tx.categories.update(changed)
        tx.categories.add_aliases(_lost(tx, before))
        tx.events.append(
            [NewEvent(type=EventType.CATEGORY_CHANGED, subject_id=category_id, payload={"changed": sorted(changes)})]
        )
        tx.commit()
    return replace(changed, version=category.version + 1)


def merge_category(
    actor: Actor,
    category_id: UUID,
    into: UUID,
    *,
    version: int | None,
    learn_delay: float | None = None,
    refit_delay: float = REFIT_SECONDS,
    uow: UnitOfWork,
    ids: Ids,
) -> Merged:
    """Gives all that belongs to a category to `into`, and removes it; its id and its names stay aliases. Nothing undoes
    it. The ensemble learns of it `refit_delay` seconds later; rules are proposed anew after `learn_delay` (None: not
    at all).

    Raises `NotFound` (the category), `VersionMismatch` or `Invalid` (no such `into`, or itself)."""
    with uow.begin(actor) as tx:
        tx.categories.lock_tree()
        before = tx.categories.list()
        category = tx.categories.get(category_id)
        into = hold_categories(tx, [into])[into]
        if into == category_id:
            raise Invalid("a category can't be merged into itself")
        parents = new_parents(category_id, into, before)
        moved = tx.categories.merge(category_id, into, version=version, parents=parents)
        tx.categories.add_aliases({name: into if id == category_id else id for name, id in _lost(tx, before).items()})
        told = {"into": str(into), "key": category.key, **moved.counts()}
        tx.events.append([NewEvent(type=EventType.CATEGORY_MERGED, subject_id=category_id, payload=told)])
        queue_learning(tx, actor, learn_delay, ids, refit_delay=refit_delay)
        remaining = tx.categories.get(into)
        tx.commit()
    return Merged(into=remaining, moved=moved)


def delete_category(actor: Actor, category_id: UUID, *, version: int | None, uow: UnitOfWork) -> None:
    """Raises `NotFound`, `VersionMismatch`, or `Conflict` while something uses it."""
    with uow.begin(actor) as tx:
        tx.categories.lock_tree()
        tx.categories.delete(category_id, version)
        tx.events.append([NewEvent(type=EventType.CATEGORY_DELETED, subject_id=category_id)])
        tx.commit()


def unsort_category(
    actor: Actor,
    category_id: UUID,
    *,
    version: int | None,
    learn_delay: float | None = None,
    refit_delay: float = REFIT_SECONDS,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Belongings:
    """Removes a category that is used: its records wait for a person again, whoever decided them, its examples go, its
    rules are disabled, its children move up. Nothing undoes it. Returns what belonged to it.

    Raises `NotFound`, `VersionMismatch`."""
    with uow.begin(actor) as tx:
        tx.categories.lock_tree()
        before = tx.categories.list()
        category = tx.categories.get(category_id)
        why = f"category “{category.name}” was deleted by {actor.name} at {clock.now().isoformat(timespec='seconds')}"
        parents = new_parents(category_id, None, before)
        lost = tx.categories.unsort(category_id, version=version, parents=parents, by=actor.name, why=why)
        names = {name: id for name, id in _lost(tx, before).items() if id != category_id}
        tx.categories.add_aliases(names)
        told = {"key": category.key, **lost.counts()}
        tx.events.append([NewEvent(type=EventType.CATEGORY_DELETED, subject_id=category_id, payload=told)])
        queue_learning(tx, actor, learn_delay, ids, refit_delay=refit_delay)
        tx.commit()
    return lost


def _lost(tx: Transaction, before: Sequence[Category]) -> dict[str, UUID]:
    return lost_names(before, tx.categories.list())


def _check_name(name: str) -> str:
    name = clean_text(name)
    if not 0 < len(name) <= MAX_NAME or "\x00" in name:
        raise Invalid(f"a name has 1 to {MAX_NAME} characters")
    return name
