"""Receipts, and what they are matched with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, delete, func, literal_column, or_, select, text
from sqlalchemy.dialects import postgresql

from adapters.postgres.guards import at, conflicts, delete_versioned, update_versioned
from adapters.postgres.receipt_statements import (
    CANDIDATES,
    DECIDE,
    MATCHES_OF,
    OF_ARRIVED,
    OF_RECORDS,
    SUGGEST,
    WITHDRAW,
)
from adapters.postgres.receipt_tables import receipt_matches, receipts
from adapters.postgres.tables import records
from core.domain.receipt_matching import Window
from core.domain.receipts import (
    SAID,
    Candidate,
    Match,
    MatchState,
    Receipt,
    ReceiptSource,
    ReceiptState,
    RecordReceipt,
    Said,
)
from core.errors import NotFound
from ports.receipt_storage import Arrived, ReceiptFilter

_NOT_HERE = "this receipt does not exist"
_KEPT = tuple(name for name in Receipt.__slots__ if name not in ("said", "links", "source", "state"))
_MATCH = (receipt_matches.c.receipt_id, receipt_matches.c.record_id, receipt_matches.c.state, receipt_matches.c.score,
          receipt_matches.c.decided_by, receipt_matches.c.decided_at)  # fmt: skip


class PostgresReceipts:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, receipt: Receipt, *, found_in: UUID | None = None) -> Receipt:
        values: dict[str, Any] = (
            {name: getattr(receipt, name) for name in _KEPT} | _said(receipt) | {"source": receipt.source.value}
        )
        if found_in is not None:
            theirs = select(receipts.c.uploaded_by_id).where(at(receipts, self._tenant_id, found_in))
            values |= {"uploaded_by_id": theirs.scalar_subquery()}
        new = postgresql.insert(receipts).values(**values | {"tenant_id": self._tenant_id})
        added = new.on_conflict_do_nothing(index_elements=["tenant_id", "sha256"]).returning(receipts.c.id)
        same = self._mine().where(receipts.c.sha256 == receipt.sha256).with_for_update(read=True, key_share=True)
        while self._connection.execute(added).first() is None:
            there = self._connection.execute(same).mappings().first()
            if there is not None:  # or else it was deleted in between
                return _to_receipt(there)
        return receipt

    def get(self, id: UUID, *, lock: bool = False) -> Receipt:
        query = select(receipts).where(at(receipts, self._tenant_id, id))
        row = self._connection.execute(query.with_for_update() if lock else query).mappings().first()
        if row is None:
            raise NotFound(_NOT_HERE)
        return _to_receipt(row)

    def hold(self, id: UUID, record_id: UUID) -> Receipt:
        record = select(records.c.id).where(at(records, self._tenant_id, record_id))
        self._connection.execute(record.with_for_update(read=True, key_share=True))
        return self.get(id, lock=True)

    def get_many(self, ids: Sequence[UUID]) -> Sequence[Receipt]:
        return self._read(self._mine().where(receipts.c.id.in_(ids)).order_by(receipts.c.id))

    def list(self, where: ReceiptFilter, *, before: UUID | None, limit: int) -> Sequence[Receipt]:
        query = _filtered(self._mine(), where)
        if before is not None:
            query = query.where(receipts.c.id < before)
        return self._read(query.order_by(receipts.c.id.desc()).limit(limit))

    def update(self, receipt: Receipt) -> None:
        where = at(receipts, self._tenant_id, receipt.id)
        update_versioned(self._connection, receipts, where, receipt.version, _said(receipt))

    def delete(self, id: UUID, version: int | None) -> Receipt:
        receipt = self.get(id, lock=True)
        delete_versioned(self._connection, receipts, at(receipts, self._tenant_id, id), version)
        return receipt

    def expire(self, before: datetime, limit: int) -> Sequence[Receipt]:
        old = self._mine().where(receipts.c.links == 0, receipts.c.uploaded_at < before).order_by(receipts.c.id)
        gone = self._read(old.limit(limit).with_for_update(skip_locked=True))
        ids = [receipt.id for receipt in gone]
        self._connection.execute(
            delete(receipts).where(receipts.c.tenant_id == self._tenant_id, receipts.c.id.in_(ids))
        )
        return gone

    def any_open(self) -> bool:
        query = self._open(select(receipts.c.id)).limit(1)
        return self._connection.execute(query).first() is not None

    def unlinked(self) -> bool:
        asked = select(func.coalesce(func.current_setting("app.unlinked", True), "") == "true")
        return bool(self._connection.execute(asked).scalar_one())

    def open(self, *, after: UUID | None, limit: int) -> Sequence[Receipt]:
        query = self._open(select(receipts))
        if after is not None:
            query = query.where(receipts.c.id > after)
        return self._read(query.order_by(receipts.c.id).limit(limit).with_for_update(key_share=True))

    def candidates(
        self, windows: Mapping[UUID, Window], limit: int, arrived: Arrived | None = None
    ) -> Sequence[Candidate]:
        if not windows:
            return []
        looked_in = list(windows.values())
        given: dict[str, Any] = {
            "tenant": self._tenant_id,
            "limit": limit,
            "ids": list(windows),
            "amounts": [float(w.amount) for w in looked_in],
            "lowest": [float(w.lowest) for w in looked_in],
            "highest": [float(w.highest) for w in looked_in],
            "since": [w.since for w in looked_in],
            "until": [w.until for w in looked_in],
            "near": [w.near for w in looked_in],
        }
        sql = CANDIDATES.format(asked="")
        if arrived is not None:
            sql = CANDIDATES.format(asked=OF_ARRIVED)
            given |= {"import": arrived.import_id, "first": arrived.first, "last": arrived.last}
        rows = self._connection.execute(text(sql), given).mappings()
        return [Candidate(**{name: row[name] for name in Candidate.__slots__}) for row in rows]

    def suggest(self, suggestions: Mapping[UUID, Mapping[UUID, float]]) -> None:
        pairs = [(receipt, record, p) for receipt, found in suggestions.items() for record, p in found.items()]
        given = {
            "tenant": self._tenant_id,
            "asked": list(suggestions),
            "receipts": [receipt for receipt, _, _ in pairs],
            "records": [record for _, record, _ in pairs],
            "scores": [score for _, _, score in pairs],
        }
        self._connection.execute(WITHDRAW, given)
        if pairs:
            self._connection.execute(SUGGEST, given)

    def matches(self, receipt_id: UUID, states: Sequence[MatchState]) -> Sequence[Match]:
        c = receipt_matches.c
        query = select(*_MATCH).where(
            c.tenant_id == self._tenant_id, c.receipt_id == receipt_id, c.state.in_([state.value for state in states])
        )
        rows = self._connection.execute(query.order_by(c.score.desc().nulls_last(), c.record_id)).mappings()
        return [_to_match(row) for row in rows]

    def matches_of(self, receipt_ids: Sequence[UUID], most: int) -> Mapping[UUID, Sequence[Match]]:
        given = {"tenant": self._tenant_id, "ids": list(receipt_ids), "most": most}
        found: dict[UUID, list[Match]] = {}
        for row in self._connection.execute(MATCHES_OF, given).mappings():
            found.setdefault(row["receipt_id"], []).append(_to_match(row))
        return found

    def of_records(self, record_ids: Sequence[UUID], suggested: int) -> Mapping[UUID, Sequence[RecordReceipt]]:
        given = {"tenant": self._tenant_id, "ids": list(record_ids), "suggested": suggested}
        found: dict[UUID, list[RecordReceipt]] = {}
        for row in self._connection.execute(OF_RECORDS, given).mappings():
            said = Said(**{name: row[name] for name in SAID})
            one = RecordReceipt(match=_to_match(row), filename=row["filename"], mime_type=row["mime_type"], said=said)
            found.setdefault(one.match.record_id, []).append(one)
        return found

    def decide(self, receipt_id: UUID, record_id: UUID, state: MatchState, *, by: str, at: datetime) -> Match | None:
        c = receipt_matches.c
        mine = (c.tenant_id == self._tenant_id, c.receipt_id == receipt_id, c.record_id == record_id)
        row = self._connection.execute(select(*_MATCH).where(*mine).with_for_update()).mappings().first()
        if row is not None and row["state"] == state.value:
            return _to_match(row)
        given = {"tenant": self._tenant_id, "receipt": receipt_id, "record": record_id, "state": state.value}
        with conflicts(unknown="this record does not exist"):
            self._connection.execute(DECIDE, given | {"by": by, "at": at})
        if state is MatchState.LINKED:
            others = (c.tenant_id == self._tenant_id, c.receipt_id == receipt_id, c.state == MatchState.SUGGESTED.value)
            self._connection.execute(delete(receipt_matches).where(*others))
        return None if row is None else _to_match(row)

    def _mine(self) -> Select[Any]:
        return select(receipts).where(receipts.c.tenant_id == self._tenant_id)

    def _open(self, query: Select[Any]) -> Select[Any]:
        c = receipts.c
        none: ColumnElement[int] = literal_column("0")  # as in the index: a plan for any number would not use it
        return query.where(c.tenant_id == self._tenant_id, c.links == none, c.amount.is_not(None))

    def _read(self, query: Select[Any]) -> Sequence[Receipt]:
        return [_to_receipt(row) for row in self._connection.execute(query).mappings()]


def _filtered(query: Select[Any], where: ReceiptFilter) -> Select[Any]:
    c = receipts.c
    if where.matched is not None:
        query = query.where(c.links > 0 if where.matched else c.links == 0)
    if where.since is not None:
        query = query.where(c.day >= where.since)
    if where.until is not None:
        query = query.where(c.day <= where.until)
    if where.min_amount is not None:
        query = query.where(c.amount >= where.min_amount)
    if where.max_amount is not None:
        query = query.where(c.amount <= where.max_amount)
    if where.currency is not None:
        query = query.where(c.currency == where.currency)
    if where.text is not None:
        part = where.text.lower()
        query = query.where(or_(*(func.strpos(func.lower(named), part) > 0 for named in (c.merchant, c.filename))))
    return query


def _said(receipt: Receipt) -> dict[str, Any]:
    """What of it changes."""
    return {
        "state": receipt.state.value,
        "failure": receipt.failure,
        "by_person": list(receipt.by_person),
        **{name: getattr(receipt.said, name) for name in SAID},
    }


def _to_receipt(row: RowMapping) -> Receipt:
    return Receipt(
        **{name: row[name] for name in _KEPT} | {"by_person": tuple(row["by_person"])},
        said=Said(**{name: row[name] for name in SAID}),
        links=row["links"],
        source=ReceiptSource(row["source"]),
        state=ReceiptState(row["state"]),
    )


def _to_match(row: RowMapping) -> Match:
    return Match(**{name: row[name] for name in Match.__slots__} | {"state": MatchState(row["state"])})
