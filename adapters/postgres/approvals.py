"""The review queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Integer,
    RowMapping,
    Select,
    and_,
    column,
    delete,
    func,
    insert,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.filters import of_items, of_records, written
from adapters.postgres.guards import conflicts
from adapters.postgres.record_rows import RECORD_COLUMNS, to_record
from adapters.postgres.review_tables import approval_skips, approvals
from adapters.postgres.tables import records
from core.domain.approvals import GROUP_GAIN, URGENCY_DECIMALS, Approval, ApprovalReason, Group, Verdict, place_of
from core.domain.records import Record
from core.errors import AlreadyDecided, Conflict, NotFound
from ports.review_storage import EVERYTHING, QueueFilter, Skips

_DECIDE = text("""
    UPDATE approvals a SET
        verdict = d.verdict, category_id = d.category_id, decided_by = d.decided_by, decided_at = d.decided_at,
        decided_by_id = acting_person(), decided_agent = d.agent
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:verdicts AS text[]), CAST(:categories AS uuid[]), CAST(:people AS text[]),
        CAST(:times AS timestamptz[]), CAST(:agents AS text[])
    ) AS d(id, verdict, category_id, decided_by, decided_at, agent)
    WHERE a.tenant_id = :tenant AND a.id = d.id AND a.verdict IS NULL
""")

# `core.domain.approvals.of_group`, and the most urgent item, then the oldest, of each group. The items of all groups of
# a page are looked for at once: for each by itself, an index that does not lead to them may be taken. For many groups,
# all items are read: each would be compared with every key.
_GROUPS = """
    WITH {matching}sized AS (
        SELECT group_key, count(*) AS size, max(urgency) AS highest FROM {items}
        WHERE tenant_id = :tenant AND verdict IS NULL {conditions} GROUP BY group_key
    ), ordered AS (
        SELECT group_key, size, CAST(round(
            CAST(1 - (1 - highest) / (1 + CAST(:gain AS float8) * ln(size) / ln(2.0::float8)) AS numeric), :decimals
        ) AS float8) AS urgency FROM sized
    ), page AS MATERIALIZED (
        SELECT * FROM ordered {chosen} LIMIT :limit
    ), placed AS (
        SELECT group_key, id, suggested_id, row_number() OVER of_group AS place,
               first_value(suggested_id) OVER of_group AS suggestion
        FROM {items}
        WHERE tenant_id = :tenant AND verdict IS NULL {conditions} {of_page}
        WINDOW of_group AS (PARTITION BY group_key ORDER BY urgency DESC, id)
    ), headed AS (
        SELECT group_key, (array_agg(id) FILTER (WHERE place = 1))[1] AS id,
               count(*) FILTER (WHERE suggested_id IS NOT DISTINCT FROM suggestion) AS agreeing
        FROM placed GROUP BY group_key
    )
    SELECT page.size, page.urgency, headed.id, headed.agreeing FROM page JOIN headed USING (group_key)
"""
# Record by record: a join may be planned as one with all records of the tenant.
_MATCHING = """matching AS MATERIALIZED (
        SELECT approvals.tenant_id, approvals.id, group_key, urgency, suggested_id, verdict
        FROM approvals CROSS JOIN LATERAL (
            SELECT FROM records WHERE records.tenant_id = :tenant AND records.id = approvals.record_id AND {of_records}
            OFFSET 0
        ) AS lookup
        WHERE approvals.tenant_id = :tenant AND approvals.verdict IS NULL AND {of_items}
    ), """
_MOST_URGENT = """
    WHERE CAST(:key AS text) IS NULL OR urgency < :urgency OR urgency = :urgency AND group_key > :key
    ORDER BY urgency DESC, group_key
"""
_BY_LOT = "ORDER BY group_key"
_OF_PAGE = "AND group_key = ANY(ARRAY(SELECT group_key FROM page))"
_MANY = 300
_OF_GROUP: tuple[ColumnElement[Any], ...] = (
    column("size", Integer),
    column("urgency", Double),
    column("id", approvals.c.id.type),
    column("agreeing"),
)

# What a person is about to answer is skipped: waiting for them would be waiting in no common order.
_RANK_QUESTIONS = text("""
    WITH wanted AS (
        SELECT a.id, g.urgency FROM approvals a
        JOIN unnest(CAST(:keys AS text[]), CAST(:urgencies AS float8[])) AS g(group_key, urgency) USING (group_key)
        WHERE a.tenant_id = :tenant AND a.verdict IS NULL AND a.reason <> 'spot_check' AND a.urgency <> g.urgency
        ORDER BY a.id FOR UPDATE OF a SKIP LOCKED
    )
    UPDATE approvals a SET urgency = wanted.urgency FROM wanted WHERE a.tenant_id = :tenant AND a.id = wanted.id
""")

# As `core.domain.approvals.quantile` has it.
_PLACE_SPOT_CHECKS = text("""
    WITH asked AS (
        SELECT percentile_cont(CAST(:places AS float8[])) WITHIN GROUP (ORDER BY urgency) AS urgencies FROM approvals
        WHERE tenant_id = :tenant AND verdict IS NULL AND reason <> 'spot_check'
    ), wanted AS (
        SELECT a.id, p.urgency FROM asked
        CROSS JOIN unnest(CAST(:ids AS uuid[]), asked.urgencies) AS p(id, urgency)
        JOIN approvals a ON a.tenant_id = :tenant AND a.id = p.id AND a.verdict IS NULL
        WHERE p.urgency IS NOT NULL
        ORDER BY a.id FOR UPDATE OF a SKIP LOCKED
    )
    UPDATE approvals a SET urgency = CAST(round(CAST(wanted.urgency AS numeric), :decimals) AS float8)
    FROM wanted WHERE a.tenant_id = :tenant AND a.id = wanted.id
""")

_WITHDRAW = text("""
    UPDATE approvals SET withdrawn_by = :by, withdrawn_by_id = acting_person(), withdrawn_at = :at
    WHERE tenant_id = :tenant AND id = ANY(:ids) AND verdict IS NOT NULL AND withdrawn_at IS NULL
""")


class PostgresApprovals:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def get_many(self, ids: Sequence[UUID], *, lock: bool = False) -> Sequence[Approval]:
        query = select(approvals).where(approvals.c.tenant_id == self._tenant_id, approvals.c.id.in_(ids))
        if lock:
            query = query.order_by(approvals.c.id).with_for_update()
        found = {row["id"]: _to_approval(row) for row in self._connection.execute(query).mappings()}
        if missing := [id for id in ids if id not in found]:
            raise NotFound(f"approval {missing[0]} does not exist")
        return [found[id] for id in ids]

    def queue(
        self, *, after: tuple[float, UUID] | None, limit: int, where: QueueFilter = EVERYTHING
    ) -> Sequence[tuple[Approval, Record]]:
        joined = of_records(where.records)
        query = (
            self._with_records()
            .where(approvals.c.verdict.is_(None), *of_items(where, self._tenant_id), *joined)
            .order_by(approvals.c.urgency.desc(), approvals.c.id)
            .limit(limit)
        )
        if after is not None:
            urgency, id = after
            query = query.where(approvals.c.urgency <= urgency, or_(approvals.c.urgency < urgency, approvals.c.id > id))
        if not joined:
            return self._read_with_records(query)
        # Planned as what few records meet, all open items would be sorted, and often all records read before.
        with self._in_index_order():
            return self._read_with_records(query)

    def groups(
        self, *, after: tuple[float, str] | None, limit: int, where: QueueFilter = EVERYTHING
    ) -> Sequence[Group]:
        urgency, key = after or (None, None)
        found = self._groups(_MOST_URGENT, limit, where, urgency=urgency, key=key)
        return sorted(found, key=lambda g: (-g.urgency, g.group_key))

    def sample(self, limit: int) -> Sequence[Group]:
        return sorted(self._groups(_BY_LOT, limit), key=lambda g: g.group_key)

    def _groups(self, chosen: str, limit: int, where: QueueFilter = EVERYTHING, **page: object) -> list[Group]:
        joined = of_records(where.records)
        asked_items, given = written(of_items(where, self._tenant_id), "item")
        asked_records, more = written(joined, "record")
        sql = _GROUPS.format(
            matching=_MATCHING.format(of_items=asked_items, of_records=asked_records) if joined else "",
            items="matching" if joined else "approvals",
            conditions="" if joined else f"AND {asked_items}",
            chosen=chosen,
            of_page="" if limit > _MANY else _OF_PAGE,
        )
        g = text(sql).columns(*_OF_GROUP).subquery("groups")
        query = self._with_records(g.c.size, g.c.agreeing, g.c.urgency.label("group_urgency"))
        query = query.join(g, g.c.id == approvals.c.id)
        asked = {"tenant": self._tenant_id, "limit": limit, "gain": GROUP_GAIN, "decimals": URGENCY_DECIMALS}
        rows = self._connection.execute(query, asked | page | given | more).mappings()
        return [
            Group(
                group_key=row["approval_group_key"],
                size=row["size"],
                agreeing=row["agreeing"],
                urgency=row["group_urgency"],
                first=_to_approval(row, "approval_"),
                record=to_record(row),
            )
            for row in rows
        ]

    def of_group(self, group_key: str, limit: int, skips: Skips | None = None) -> Sequence[UUID]:
        conditions = of_items(QueueFilter(group_key=group_key, skips=skips), self._tenant_id)
        query = self._open(select(approvals.c.id)).where(*conditions)
        return self._connection.execute(query.order_by(approvals.c.id).limit(limit)).scalars().all()

    def decided(
        self, *, withdrawn: bool, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[tuple[Approval, Record]]:
        c = approvals.c
        query = (
            self._with_records()
            .where(c.verdict.is_not(None), c.withdrawn_at.is_not(None) if withdrawn else c.withdrawn_at.is_(None))
            .order_by(c.decided_at.desc(), c.id.desc())
            .limit(limit)
        )
        if before is not None:
            at, id = before
            query = query.where(c.decided_at <= at, or_(c.decided_at < at, c.id < id))
        return self._read_with_records(query)

    def standing(self, record_ids: Sequence[UUID]) -> Sequence[Approval]:
        c = approvals.c
        query = select(approvals).where(
            c.tenant_id == self._tenant_id,
            c.record_id.in_(record_ids),
            c.verdict.is_not(None),
            c.withdrawn_at.is_(None),
        )
        rows = self._connection.execute(query.order_by(c.id).with_for_update()).mappings()
        return [_to_approval(row) for row in rows]

    def open_of(self, record_ids: Sequence[UUID]) -> Sequence[Approval]:
        c = approvals.c
        query = select(approvals).where(
            c.tenant_id == self._tenant_id, c.record_id.in_(record_ids), c.verdict.is_(None)
        )
        rows = self._connection.execute(query.order_by(c.id).with_for_update()).mappings()
        return [_to_approval(row) for row in rows]

    def add(self, new: Sequence[Approval]) -> None:
        if new:
            with conflicts(taken="this record waits for a person already", unknown="the record does not exist"):
                self._connection.execute(insert(approvals), [_values(a) for a in new])

    def decide(self, decided: Sequence[Approval]) -> None:
        if not decided:
            return
        changed = self._connection.execute(
            _DECIDE,
            {
                "tenant": self._tenant_id,
                "ids": [a.id for a in decided],
                "verdicts": [a.verdict.value if a.verdict else None for a in decided],
                "categories": [a.category_id for a in decided],
                "people": [a.decided_by for a in decided],
                "times": [a.decided_at for a in decided],
                "agents": [a.decided_agent for a in decided],
            },
        )
        if changed.rowcount != len(decided):
            self.get_many([a.id for a in decided])
            raise AlreadyDecided

    def rank(self, urgencies: Mapping[str, float]) -> None:
        of_tenant = {"tenant": self._tenant_id}
        keyed = {"keys": list(urgencies), "urgencies": list(urgencies.values())}
        self._connection.execute(_RANK_QUESTIONS, of_tenant | keyed)
        query = self._open(select(approvals.c.id, approvals.c.record_id))
        checks = self._connection.execute(query.where(approvals.c.reason == ApprovalReason.SPOT_CHECK.value)).all()
        if checks:
            places = {"ids": [row.id for row in checks], "places": [place_of(row.record_id) for row in checks]}
            self._connection.execute(_PLACE_SPOT_CHECKS, of_tenant | places | {"decimals": URGENCY_DECIMALS})

    def withdraw(self, ids: Sequence[UUID], *, by: str, at: datetime) -> None:
        given = {"tenant": self._tenant_id, "ids": list(ids), "by": by, "at": at}
        if self._connection.execute(_WITHDRAW, given).rowcount != len(ids):
            self.get_many(ids)
            raise Conflict("nothing stands here that could be withdrawn")

    def sizes(self, group_keys: Sequence[str], skips: Skips | None = None) -> Mapping[str, int]:
        c, conditions = approvals.c, of_items(QueueFilter(skips=skips), self._tenant_id)
        query = self._open(select(c.group_key, func.count().label("size"))).where(c.group_key.in_(group_keys))
        query = query.where(*conditions).group_by(c.group_key)
        return {row.group_key: row.size for row in self._connection.execute(query)}

    def count_open(self, group_key: str | None = None, skips: Skips | None = None) -> int:
        conditions = of_items(QueueFilter(group_key=group_key, skips=skips), self._tenant_id)
        query = self._open(select(func.count()).select_from(approvals)).where(*conditions)
        found: int = self._connection.execute(query).scalar_one()
        return found

    def skip(self, id: UUID, *, by: UUID, at: datetime) -> None:
        skipped = upsert(approval_skips).values(tenant_id=self._tenant_id, by_id=by, approval_id=id, skipped_at=at)
        key = ["tenant_id", "by_id", "approval_id"]
        try:
            with conflicts():
                self._connection.execute(skipped.on_conflict_do_update(index_elements=key, set_={"skipped_at": at}))
        except Conflict:
            raise NotFound(f"approval {id} does not exist") from None

    def unskip(self, id: UUID, *, by: UUID) -> None:
        c = approval_skips.c
        self._connection.execute(
            delete(approval_skips).where(c.tenant_id == self._tenant_id, c.by_id == by, c.approval_id == id)
        )

    @contextmanager
    def _in_index_order(self) -> Iterator[None]:
        self._connection.execute(text("SET LOCAL enable_sort = off"))
        yield
        self._connection.execute(text("SET LOCAL enable_sort = on"))

    def _open(self, query: Select[Any]) -> Select[Any]:
        return query.where(approvals.c.tenant_id == self._tenant_id, approvals.c.verdict.is_(None))

    def _with_records(self, *more: ColumnElement[Any]) -> Select[Any]:
        of_record = and_(records.c.tenant_id == approvals.c.tenant_id, records.c.id == approvals.c.record_id)
        query = select(*(c.label(f"approval_{c.name}") for c in approvals.c), *RECORD_COLUMNS, *more)
        return query.join(records, of_record).where(approvals.c.tenant_id == self._tenant_id)

    def _read_with_records(self, query: Select[Any]) -> Sequence[tuple[Approval, Record]]:
        rows = self._connection.execute(query).mappings()
        return [(_to_approval(row, "approval_"), to_record(row)) for row in rows]


def _values(approval: Approval) -> dict[str, Any]:
    values = {name: getattr(approval, name) for name in Approval.__slots__}
    return values | {
        "reason": approval.reason.value,
        "verdict": approval.verdict.value if approval.verdict else None,
    }


def _to_approval(row: RowMapping, prefix: str = "") -> Approval:
    values = {name: row[prefix + name] for name in Approval.__slots__}
    verdict = values["verdict"]
    return Approval(
        **values
        | {"reason": ApprovalReason(values["reason"]), "verdict": Verdict(verdict) if verdict is not None else None}
    )
