"""Categories and connections."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import Conflict, Invalid, NotFound, VersionMismatch
from tests.contract.storage import (
    Storage,
    a_category,
    a_connection,
    a_draft,
    a_rule,
    an_example,
    an_import,
    decided,
)


def test_categories_are_listed_by_key(storage: Storage) -> None:
    actor = storage.tenant()
    root = a_category(storage.ids.new(), actor, "food")
    child = a_category(storage.ids.new(), actor, "food.bakery", root.id)
    other = a_category(storage.ids.new(), actor, "car")
    with storage.writing(actor) as tx:
        tx.categories.add([root, child, other])
    with storage.reading(actor) as tx:
        assert list(tx.categories.list()) == [other, root, child]
        assert tx.categories.get(child.id) == child


@pytest.mark.parametrize(("key", "parent", "error"), [("food", False, Conflict), ("bakery", True, Invalid)])
def test_a_category_needs_a_free_key_and_a_known_parent(
    storage: Storage, key: str, parent: bool, error: type[Exception]
) -> None:
    actor = storage.tenant()
    storage.category(actor, "food")
    category = a_category(storage.ids.new(), actor, key, storage.ids.new() if parent else None)
    with storage.reading(actor) as tx, pytest.raises(error):
        tx.categories.add([category])


def test_updating_a_category_is_guarded_by_its_version(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.category(actor)
    with storage.writing(actor) as tx:
        changed = replace(tx.categories.get(id), name="Meals", description="what is eaten")
        tx.categories.update(changed)
    with storage.reading(actor) as tx:
        assert tx.categories.get(id) == replace(changed, version=2)
        with pytest.raises(VersionMismatch):
            tx.categories.update(changed)
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.categories.update(replace(changed, id=storage.ids.new()))


def test_a_category_cannot_take_anothers_key(storage: Storage) -> None:
    actor = storage.tenant()
    storage.category(actor, "food")
    id = storage.category(actor, "car")
    with storage.reading(actor) as tx, pytest.raises(Conflict):
        tx.categories.update(replace(tx.categories.get(id), key="food"))


@pytest.mark.parametrize("user", ["child", "record", "rule", "example"])
def test_a_category_is_not_deleted_while_it_is_used(storage: Storage, user: str) -> None:
    actor = storage.tenant()
    id = storage.category(actor)
    match user:
        case "child":
            storage.category(actor, "food.bakery", parent_id=id)
        case "record":
            record_id = storage.record(actor)
            with storage.writing(actor) as tx:
                tx.records.decide([decided(record_id, id)])
        case "rule":
            with storage.writing(actor) as tx:
                tx.rules.add([a_rule(storage.ids.new(), actor, id)])
        case "example":
            with storage.writing(actor) as tx:
                tx.examples.put([an_example(storage.ids.new(), actor, id)])
    with storage.reading(actor) as tx, pytest.raises(Conflict):
        tx.categories.delete(id, None)


def test_deleting_a_category_is_guarded_by_its_version(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.category(actor)
    with storage.reading(actor) as tx, pytest.raises(VersionMismatch):
        tx.categories.delete(id, 7)
    with storage.writing(actor) as tx:
        tx.categories.delete(id, 1)
    with storage.reading(actor) as tx:
        assert list(tx.categories.list()) == []
        with pytest.raises(NotFound):
            tx.categories.delete(id, None)


def test_connections_are_ensured_by_connector_and_name(storage: Storage) -> None:
    actor = storage.tenant()
    first = a_connection(storage.ids.new(), actor, "Bank", {"delimiter": ";"})
    with storage.writing(actor) as tx:
        assert tx.connections.ensure(first) == first
        assert tx.connections.ensure(a_connection(storage.ids.new(), actor, "Bank")) == first
        other = tx.connections.ensure(replace(first, id=storage.ids.new(), connector="ofx"))
    with storage.reading(actor) as tx:
        assert list(tx.connections.list()) == [first, other]
        assert tx.connections.get(first.id) == first
        with pytest.raises(NotFound):
            tx.connections.get(storage.ids.new())


def test_a_connector_has_one_connection_of_a_name(storage: Storage) -> None:
    actor = storage.tenant()
    storage.connection(actor, "Bank")
    id = storage.connection(actor, "Card")
    with storage.reading(actor) as tx, pytest.raises(Conflict):
        tx.connections.add(a_connection(storage.ids.new(), actor, "Bank"))
    with storage.reading(actor) as tx, pytest.raises(Conflict):
        tx.connections.update(replace(tx.connections.get(id), name="Bank"))


def test_updating_a_connection_is_guarded_by_its_version(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.connection(actor)
    with storage.writing(actor) as tx:
        changed = replace(tx.connections.get(id), name="Renamed", config={"encoding": "cp1252"})
        tx.connections.update(changed)
    with storage.reading(actor) as tx:
        assert tx.connections.get(id) == replace(changed, version=2)
        with pytest.raises(VersionMismatch):
            tx.connections.update(changed)


@pytest.mark.parametrize("user", ["record", "import"])
def test_a_connection_is_not_deleted_while_it_is_used(storage: Storage, user: str) -> None:
    actor = storage.tenant()
    id = storage.connection(actor)
    if user == "record":
        storage.store(actor, [a_draft()], connection_id=id)
    else:
        with storage.writing(actor) as tx:
            tx.imports.add(an_import(storage.ids.new(), actor, id), [b"x"])
    with storage.reading(actor) as tx, pytest.raises(Conflict):
        tx.connections.delete(id, None)


def test_an_unused_connection_is_deleted(storage: Storage) -> None:
    actor = storage.tenant()
    id = storage.connection(actor)
    with storage.reading(actor) as tx, pytest.raises(VersionMismatch):
        tx.connections.delete(id, 3)
    with storage.writing(actor) as tx:
        tx.connections.delete(id, None)
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.connections.delete(id, None)
