"""The category tree, and what becomes of all that belongs to a category when it goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import category_statements as sql
from adapters.postgres.category_tables import category_aliases
from adapters.postgres.engine import driver, dumps
from adapters.postgres.guards import at, conflicts, delete_versioned, update_versioned
from adapters.postgres.rule_tables import rule_proposals
from adapters.postgres.tables import categories, tenants
from core.domain.approvals import group_key, urgency
from core.domain.categories import Category
from core.domain.category_changes import Belongings, withdrawn
from core.domain.conditions import parse_condition
from core.domain.proposals import ProposalStatus, proposal_key
from core.errors import Conflict, NotFound, VersionMismatch
from ports.clock import Ids

_KEY_TAKEN = "a category with this key exists"
_NO_PARENT = "the parent category does not exist"
_TREE_LOCK = 0x5074_1074
"""First key of the advisory lock that lets one transaction of a tenant change the tree at a time: arbitrary, only
distinct."""


class _Shown(NamedTuple):
    """What tells of a record which questions are alike."""

    kind: str
    text: str
    counterparty: str
    amount: Decimal | None


class PostgresCategories:
    def __init__(self, connection: Connection, tenant_id: UUID, ids: Ids) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._ids = ids

    def list(self) -> Sequence[Category]:
        rows = self._connection.execute(
            select(categories).where(categories.c.tenant_id == self._tenant_id).order_by(categories.c.key)
        ).mappings()
        return [_to_category(row) for row in rows]

    def fingerprint(self) -> str:
        found: str = self._connection.execute(sql.FINGERPRINT, {"tenant": self._tenant_id}).scalar_one()
        return found

    def get(self, id: UUID) -> Category:
        row = self._connection.execute(select(categories).where(at(categories, self._tenant_id, id))).mappings().first()
        if row is None:
            raise NotFound("this category does not exist")
        return _to_category(row)

    def hold(self, ids: Collection[UUID]) -> Mapping[UUID, UUID]:
        held = {id: id for id in self._lock(ids)}
        missing = set(ids) - held.keys()
        while missing:
            # What it was merged into may be merged itself before it is locked: then its aliases say so.
            was = {str(id): id for id in missing}
            c = category_aliases.c
            query = select(c.alias, c.category_id).where(c.tenant_id == self._tenant_id, c.alias.in_(was))
            became = {was[alias]: id for alias, id in self._connection.execute(query)}
            there = self._lock(set(became.values()))
            held |= {id: now for id, now in became.items() if now in there}
            missing = became.keys() - held.keys()
        return held

    def lock_tree(self) -> None:
        self._connection.execute(select(func.pg_advisory_xact_lock(_TREE_LOCK, self._tenant_id.int & 0x7FFF_FFFF)))

    def aliases(self) -> Mapping[str, UUID]:
        c = category_aliases.c
        rows = self._connection.execute(select(c.alias, c.category_id).where(c.tenant_id == self._tenant_id))
        return {row.alias: row.category_id for row in rows}

    def add_aliases(self, aliases: Mapping[str, UUID]) -> None:
        if not aliases:
            return
        new = insert(category_aliases).values(
            [{"tenant_id": self._tenant_id, "alias": alias, "category_id": id} for alias, id in aliases.items()]
        )
        with conflicts(unknown="the category does not exist"):
            self._connection.execute(
                new.on_conflict_do_update(
                    index_elements=["tenant_id", "alias"], set_={"category_id": new.excluded.category_id}
                )
            )

    def add(self, categories_: Sequence[Category]) -> None:
        if categories_:
            with conflicts(taken=_KEY_TAKEN, unknown=_NO_PARENT):
                self._connection.execute(categories.insert(), [_values(c) for c in categories_])

    def update(self, category: Category) -> None:
        values = {name: getattr(category, name) for name in ("parent_id", "key", "name", "description")}
        with conflicts(taken=_KEY_TAKEN, unknown=_NO_PARENT):
            update_versioned(
                self._connection, categories, at(categories, self._tenant_id, category.id), category.version, values
            )

    def belongings(self, id: UUID) -> Belongings:
        row = self._connection.execute(sql.BELONGINGS, {"tenant": self._tenant_id, "id": id}).mappings().one()
        return Belongings(**row)

    def usage(self) -> Mapping[UUID, Belongings]:
        found: dict[UUID, dict[str, int]] = {}
        for what, id, count in self._connection.execute(sql.USAGE, {"tenant": self._tenant_id}):
            found.setdefault(id, {})[what] = count
        return {id: Belongings(**counts) for id, counts in found.items()}

    def merge(self, id: UUID, into: UUID, *, version: int | None, parents: Mapping[UUID, UUID | None]) -> Belongings:
        self._take(id, version)
        if not self._lock([into]):
            raise NotFound("the category to merge into does not exist")
        both = {"tenant": self._tenant_id, "id": id, "into": into}
        execute = self._connection.execute
        execute(sql.LOCK_APPROVALS, both)
        moved = Belongings(
            records=execute(sql.MOVE_RECORDS, both).scalar_one(),
            examples=execute(sql.MOVE_EXAMPLES, both).rowcount,
            rules=execute(sql.MOVE_RULES, both).rowcount,
            proposals=self._move_proposals(id, into),
            approvals=execute(sql.MOVE_APPROVALS, both).scalar_one(),
            children=self._move_children(parents),
        )
        execute(sql.MOVE_ALIASES, both)
        self.add_aliases({str(id): into})
        self._remove(id)
        return moved

    def unsort(
        self, id: UUID, *, version: int | None, parents: Mapping[UUID, UUID | None], by: str, why: str
    ) -> Belongings:
        self._take(id, version)
        lost, of_category = self.belongings(id), {"tenant": self._tenant_id, "id": id}
        self._connection.execute(sql.LOCK_APPROVALS, of_category)
        self._reopen_records(id, by, why)
        self._connection.execute(sql.FORGET_EXAMPLES, of_category)
        self._connection.execute(sql.DISABLE_RULES, of_category)
        self._connection.execute(sql.UNSUGGEST, of_category)
        self._move_children(parents)
        self._remove(id)
        return lost

    def delete(self, id: UUID, version: int | None) -> None:
        self._take(id, version)
        if used := str(self.belongings(id)):
            raise Conflict(f"{used} still use this category: merge it into another, or unsort it")
        of_category = {"tenant": self._tenant_id, "id": id}
        self._connection.execute(sql.LOCK_APPROVALS, of_category)
        self._connection.execute(sql.UNSUGGEST, of_category)
        with conflicts(used="records, rules, examples or other categories still use this category"):
            delete_versioned(self._connection, categories, at(categories, self._tenant_id, id), version)

    def _lock(self, ids: Collection[UUID]) -> set[UUID]:
        """Those that exist, and will until this transaction ends."""
        if not ids:
            return set()
        query = select(categories.c.id).where(categories.c.tenant_id == self._tenant_id, categories.c.id.in_(ids))
        locked = query.order_by(categories.c.id).with_for_update(read=True, key_share=True)
        return set(self._connection.execute(locked).scalars())

    def _take(self, id: UUID, version: int | None) -> None:
        """Locks a category that is to go, so that nothing comes to it any more."""
        query = select(categories.c.version).where(at(categories, self._tenant_id, id)).with_for_update()
        stored = self._connection.execute(query).scalar()
        if stored is None:
            raise NotFound("this category does not exist")
        if version is not None and stored != version:
            raise VersionMismatch

    def _remove(self, id: UUID) -> None:
        self._connection.execute(delete(categories).where(at(categories, self._tenant_id, id)))
        self._connection.execute(
            tenants.update()
            .where(tenants.c.tenant_id == self._tenant_id)
            .values(rules_version=tenants.c.rules_version + 1)
        )

    def _move_children(self, parents: Mapping[UUID, UUID | None]) -> int:
        placed = {"tenant": self._tenant_id, "ids": list(parents), "parents": list(parents.values())}
        return self._connection.execute(sql.MOVE_CHILDREN, placed).rowcount if parents else 0

    def _move_proposals(self, id: UUID, into: UUID) -> int:
        """What was settled stays so: of two that say the same an open one gives way."""
        c = rule_proposals.c
        mine = c.tenant_id == self._tenant_id
        rows = self._connection.execute(
            select(c.id, c.condition, c.status).where(mine, c.category_id == id).order_by(c.id).with_for_update()
        ).all()
        keys = {row.id: proposal_key(parse_condition(row.condition), into) for row in rows}
        query = select(c.key, c.id, c.status).where(mine, c.key.in_(keys.values()))
        theirs = {row.key: row for row in self._connection.execute(query)}
        gone = []
        for row in rows:
            if (other := theirs.get(keys[row.id])) is not None:
                yields = row if row.status == ProposalStatus.OPEN or other.status != ProposalStatus.OPEN else other
                gone.append(yields.id)
        self._connection.execute(delete(rule_proposals).where(mine, c.id.in_(gone)))
        moved = {id: key for id, key in keys.items() if id not in gone}
        placed = {"tenant": self._tenant_id, "into": into, "ids": list(moved), "keys": list(moved.values())}
        self._connection.execute(sql.MOVE_PROPOSALS, placed)
        return len(rows)

    def _reopen_records(self, id: UUID, by: str, why: str) -> None:
        with driver(self._connection).cursor(binary=True) as cursor:
            rows = cursor.execute(sql.RECORDS_TO_REOPEN, {"tenant": self._tenant_id, "id": id}).fetchall()
            cursor.execute(sql.STAGED_REOPENED)
            approval_ids = self._ids.batch(len(rows))
            with cursor.copy("COPY staged_reopened FROM STDIN") as copy:
                for (record_id, *said), approval_id in zip(rows, approval_ids, strict=True):
                    copy.write_row((record_id, approval_id, group_key(_Shown(*said))))
        trace = withdrawn(None, why)
        self._connection.execute(
            sql.REOPEN_RECORDS,
            {
                "tenant": self._tenant_id,
                "by": by,
                "reason": trace["reason"],
                "word": dumps(trace["stages"]),
                "urgency": urgency(0.0, None),
            },
        )


def _to_category(row: RowMapping) -> Category:
    return Category(**{name: row[name] for name in Category.__slots__})


def _values(category: Category) -> dict[str, Any]:
    return {name: getattr(category, name) for name in Category.__slots__}
