"""Imports: their payloads, and how one is undone."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from core.domain.approvals import Verdict
from core.domain.connections import CHUNK_BYTES, ImportStatus
from core.domain.records import RecordStatus
from core.errors import Conflict, Invalid, NotFound
from tests.contract.storage import START, Storage, a_draft, an_import, answered, asked, decided, open_of


def test_a_payload_comes_back_whole_whatever_pieces_it_came_in(storage: Storage) -> None:
    actor = storage.tenant()
    imported = an_import(storage.ids.new(), actor, storage.connection(actor))
    content = bytes(range(256)) * (CHUNK_BYTES // 256) * 2 + b"the end"
    pieces = [content[:3], b"", content[3 : CHUNK_BYTES + 1], content[CHUNK_BYTES + 1 :]]
    with storage.writing(actor) as tx:
        kept = tx.imports.add(imported, iter(pieces))
    assert kept == replace(imported, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    with storage.reading(actor) as tx:
        assert tx.imports.get(imported.id) == kept
        with tx.imports.open(imported.id) as payload:
            assert payload.read(5) == content[:5]
            assert payload.read() == content[5:]


def test_an_empty_payload_is_empty(storage: Storage) -> None:
    actor = storage.tenant()
    imported = an_import(storage.ids.new(), actor, storage.connection(actor))
    with storage.writing(actor) as tx:
        assert tx.imports.add(imported, []).bytes == 0
        assert tx.imports.open(imported.id).read() == b""


def test_what_does_not_exist_is_not_found(storage: Storage) -> None:
    actor = storage.tenant()
    unknown = an_import(storage.ids.new(), actor, storage.connection(actor))
    with storage.reading(actor) as tx:
        for call in (
            lambda: tx.imports.get(unknown.id),
            lambda: tx.imports.open(unknown.id),
            lambda: tx.imports.update(unknown),
        ):
            with pytest.raises(NotFound):
                call()
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.imports.add(replace(unknown, connection_id=storage.ids.new()), [])


def test_imports_are_listed_newest_first_page_by_page(storage: Storage) -> None:
    actor = storage.tenant()
    connection_id = storage.connection(actor)
    ids = storage.ids.batch(3)
    with storage.writing(actor) as tx:
        for id in ids:
            tx.imports.add(an_import(id, actor, connection_id), [])
        assert [i.id for i in tx.imports.list(before=None, limit=2)] == [ids[2], ids[1]]
        assert [i.id for i in tx.imports.list(before=ids[1], limit=2)] == [ids[0]]


def test_updating_an_import_writes_how_it_went_and_nothing_else(storage: Storage) -> None:
    actor = storage.tenant()
    imported = an_import(storage.ids.new(), actor, storage.connection(actor))
    with storage.writing(actor) as tx:
        kept = tx.imports.add(imported, [b"a;b"])
        outcome = replace(
            kept,
            status=ImportStatus.FAILED,
            inserted=3,
            known=2,
            refused=1,
            refusals=({"position": 7, "reason": "no date"},),
            gaps=({"account": "giro", "currency": "EUR", "gap": "3.10"},),
            failure="line 7 has no date",
            finished_at=START,
        )
        tx.imports.update(replace(outcome, filename="other.csv", bytes=0))
    with storage.reading(actor) as tx:
        assert tx.imports.get(imported.id) == outcome


def test_undoing_an_import_keeps_what_people_decided(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    import_id, earlier = storage.ids.batch(2)
    storage.store(actor, [a_draft("earlier")], import_id=earlier)
    drafts = [a_draft(name) for name in ("open", "sorted", "waiting", "approved", "overridden")]
    fresh, sorted_, waiting, approved, overridden = storage.store(actor, drafts, import_id=import_id).inserted
    with storage.writing(actor) as tx:
        reviewed = (waiting, approved, overridden)
        tx.records.decide([decided(sorted_, food), *(asked(id, suggested_id=food) for id in reviewed)])
        for id, verdict, status in (
            (approved, Verdict.APPROVE, RecordStatus.APPROVED),
            (overridden, Verdict.OVERRIDE, RecordStatus.OVERRIDDEN),
        ):
            approval = open_of(tx, id)
            assert approval is not None
            tx.approvals.decide([answered(approval, verdict, food)])
            tx.records.update([replace(tx.records.get(id), status=status, category_id=food, stage="human")])
    with storage.writing(actor) as tx:
        assert tx.records.undo_import(import_id) == (3, 2)
        assert tx.approvals.count_open() == 0
        for id in (fresh, sorted_, waiting):
            with pytest.raises(NotFound):
                tx.records.get(id)
        assert tx.records.get(approved).status is RecordStatus.APPROVED
        assert tx.records.get(overridden).status is RecordStatus.OVERRIDDEN
    deleted = storage.events(actor, "DELETED")
    assert {e.subject_id for e in deleted} == {fresh, sorted_, waiting}
    assert deleted[0].payload == {"import_id": str(import_id)}


def test_history_that_came_in_as_approved_is_undone_with_its_examples(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    import_id = storage.ids.new()
    drafts = [a_draft(category="food"), a_draft("2", category="food")]
    _, changed = storage.store(actor, drafts, import_id=import_id, categories={"food": food}).inserted
    with storage.writing(actor) as tx:  # a person changed their mind about this one
        tx.records.update([replace(tx.records.get(changed), status=RecordStatus.OVERRIDDEN)])
        assert tx.records.undo_import(import_id) == (1, 1)
        assert [e.record_id for e in tx.examples.list(after=None, limit=9)] == [changed]


def test_what_was_undone_may_come_again(storage: Storage) -> None:
    actor = storage.tenant()
    import_id = storage.ids.new()
    storage.store(actor, [a_draft()], import_id=import_id)
    with storage.writing(actor) as tx:
        tx.records.undo_import(import_id)
    assert len(storage.store(actor, [a_draft()], import_id=import_id).inserted) == 1


def test_what_was_undone_is_not_written_any_more(storage: Storage) -> None:
    actor = storage.tenant()
    imported = an_import(storage.ids.new(), actor, storage.connection(actor))
    with storage.writing(actor) as tx:
        tx.imports.add(imported, [b"payload"])
        tx.imports.update(replace(imported, status=ImportStatus.UNDONE))
    with storage.reading(actor) as tx, pytest.raises(Conflict, match="undone"):
        tx.imports.update(replace(imported, status=ImportStatus.READING))
    with storage.reading(actor) as tx:
        assert tx.imports.get(imported.id).status is ImportStatus.UNDONE


def test_the_imports_of_a_connection_are_listed_newest_first(storage: Storage) -> None:
    actor = storage.tenant()
    mine, other = storage.connection(actor, "mine"), storage.connection(actor, "other")
    with storage.writing(actor) as tx:
        ids = [tx.imports.add(an_import(storage.ids.new(), actor, c), []).id for c in (mine, other, mine, mine)]
    with storage.reading(actor) as tx:
        assert [one.id for one in tx.imports.list(before=None, limit=2, connection_id=mine)] == [ids[3], ids[2]]
        assert [one.id for one in tx.imports.list(before=ids[2], limit=2, connection_id=mine)] == [ids[0]]
        assert len(tx.imports.list(before=None, limit=9)) == 4
