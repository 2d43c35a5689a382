"""What tests of rule runs do over and over, each step in a transaction of its own."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from core.domain.approvals import Approval
from core.domain.decisions import Decision
from core.domain.records import Record
from core.domain.rule_runs import RunChange
from core.domain.tenants import Actor
from tests.contract.storage import Storage, open_of


def redecide(storage: Storage, actor: Actor, run: UUID, *decisions: tuple[Decision, int]) -> list[UUID]:
    with storage.writing(actor) as tx:
        return list(tx.records.redecide(run, decisions))


def restore(
    storage: Storage, actor: Actor, run: UUID, after: UUID | None = None, limit: int = 9
) -> tuple[int, int, UUID | None]:
    """How many records were restored, how many kept, and the last one."""
    with storage.writing(actor) as tx:
        done = tx.records.restore(run, after=after, limit=limit)
        return done.restored, done.kept, done.last


def look(storage: Storage, actor: Actor, id: UUID) -> tuple[Record, Approval | None]:
    with storage.reading(actor) as tx:
        return tx.records.get(id), open_of(tx, id)


def changes(storage: Storage, actor: Actor, run: UUID) -> list[RunChange]:
    with storage.reading(actor) as tx:
        return list(tx.runs.changes(run, after=None, limit=99))


def but_for_version(record: Record, other: Record) -> Record:
    return replace(record, version=other.version, updated_at=other.updated_at)
