"""What people do with records: give them categories, one or many at once, tags and attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.records import Record
from core.domain.tenants import Actor
from core.errors import Invalid, VersionMismatch
from core.usecases.shared.answering import changed_meanwhile, give_categories
from core.usecases.shared.present import hold_categories
from ports.clock import Clock, Ids
from ports.storage import UnitOfWork

MAX_CHANGED = 500
MAX_TRIES = 3
"""Of a change to whatever a record is by then, when others change it at the same moment."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A category that a person gives a record; without a `version`, to whatever the record is by then."""

    record_id: UUID
    category_id: UUID
    version: int | None = None


def categorise_records(
    actor: Actor,
    given: Sequence[Given],
    *,
    learn_delay: float | None = None,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Sequence[Record]:
    """Gives all these records their categories or none, as `change_record` does; the records as they are now. Raises as
    it does, and `Invalid` for too many, or one twice."""
    if len({one.record_id for one in given}) != len(given):
        raise Invalid("a record is named once in a request")
    if not 0 < len(given) <= MAX_CHANGED:
        raise Invalid(f"1 to {MAX_CHANGED} records go in a request")
    at_any = any(one.version is None for one in given)
    return _tried(lambda: _categorise(actor, given, learn_delay, uow, clock.now(), ids), again=at_any)


def _categorise(
    actor: Actor, given: Sequence[Given], learn_delay: float | None, uow: UnitOfWork, now: datetime, ids: Ids
) -> Sequence[Record]:
    with uow.begin(actor) as tx:
        records = tx.records.get_many([one.record_id for one in given])
        held = hold_categories(tx, {one.category_id for one in given})
        for record, one in zip(records, given, strict=True):
            if one.version is not None and record.version != one.version:
                raise changed_meanwhile(record.id)
        chosen = [held[one.category_id] for one in given]
        settled = give_categories(tx, actor, records, chosen, now, learn_delay, ids)
        tx.commit()
    return settled


def change_record(
    actor: Actor,
    record_id: UUID,
    *,
    version: int | None,
    category_id: UUID | None,
    tags: Sequence[str] | None,
    attributes: Mapping[str, Any] | None,
    learn_delay: float | None = None,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Record:
    """A person's change of a record. A category is an override (or an approval, when it is the present one): it closes
    an open approval and teaches. Without a `version` the change is made to the record as it is by then.

    Raises `NotFound`, `VersionMismatch` or `Invalid`."""
    return _tried(
        lambda: _change_record(
            actor, record_id, version, category_id, tags, attributes, learn_delay, uow, clock.now(), ids
        ),
        again=version is None,
    )


def _change_record(
    actor: Actor,
    record_id: UUID,
    version: int | None,
    category_id: UUID | None,
    tags: Sequence[str] | None,
    attributes: Mapping[str, Any] | None,
    learn_delay: float | None,
    uow: UnitOfWork,
    now: datetime,
    ids: Ids,
) -> Record:
    with uow.begin(actor) as tx:
        record = tx.records.get(record_id)
        if category_id is not None:
            category_id = hold_categories(tx, {category_id})[category_id]
        if version is not None and record.version != version:
            raise VersionMismatch
        if tags is not None or attributes is not None:
            record = replace(
                record,
                tags=tuple(tags) if tags is not None else record.tags,
                attributes=attributes if attributes is not None else record.attributes,
            )
        if category_id is not None:
            [record] = give_categories(tx, actor, [record], [category_id], now, learn_delay, ids)
        else:
            tx.records.update([record])
            tx.events.append([NewEvent(type=EventType.UPDATED, subject_id=record_id, payload={"change": "edited"})])
            record = replace(record, version=record.version + 1, updated_at=now)
        tx.commit()
    return record


def _tried(change: Callable[[], Result], *, again: bool) -> Result:
    """`again` says that it is tried anew where somebody else was quicker."""
    for _ in range(1, MAX_TRIES if again else 1):
        try:
            return change()
        except VersionMismatch:
            continue
    return change()
