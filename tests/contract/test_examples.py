"""Examples, their embeddings, and the cache of embeddings."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from core.errors import Invalid
from tests.contract.storage import Storage, an_example, vector


def test_examples_are_listed_page_by_page(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    examples = [an_example(storage.ids.new(), actor, food, text=f"text {n}") for n in range(3)]
    with storage.writing(actor) as tx:
        tx.examples.put(examples)
        tx.examples.put([])
    with storage.reading(actor) as tx:
        assert list(tx.examples.list(after=None, limit=2)) == examples[:2]
        assert list(tx.examples.list(after=examples[1].id, limit=2)) == examples[2:]


def test_an_example_of_the_same_record_replaces_the_former_and_its_embedding(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    record_id = storage.record(actor)
    former = an_example(storage.ids.new(), actor, food, record_id)
    with storage.writing(actor) as tx:
        tx.examples.put([former])
        tx.examples.set_embeddings("m1", {former: vector(x=1)})
        tx.examples.put([an_example(storage.ids.new(), actor, car, record_id, text="shell")])
    with storage.reading(actor) as tx:
        (example,) = tx.examples.list(after=None, limit=9)
        assert example == replace(former, category_id=car, text="shell")
        assert list(tx.examples.without_embedding("m1", 9)) == [example]
        assert list(tx.examples.nearest("m1", [vector(x=1)], 5)) == [[]]


def test_a_vector_of_a_text_that_was_replaced_meanwhile_is_not_taken(storage: Storage) -> None:
    actor = storage.tenant()
    food, record_id = storage.category(actor), storage.record(actor)
    read, other = an_example(storage.ids.new(), actor, food, record_id), an_example(storage.ids.new(), actor, food)
    with storage.writing(actor) as tx:
        tx.examples.put([read, other])
    with storage.writing(actor) as tx:
        tx.examples.put([replace(read, text="shell")])
        tx.examples.set_embeddings("m1", {read: vector(x=1), other: vector(y=1)})
    with storage.reading(actor) as tx:
        (lacking,) = tx.examples.without_embedding("m1", 9)
        assert lacking == replace(read, text="shell")
        (found,) = tx.examples.nearest("m1", [vector(x=1)], 9)
        assert [n.example_id for n in found] == [other.id]


@pytest.mark.parametrize("unknown", ["category", "record"])
def test_an_example_needs_its_category_and_record(storage: Storage, unknown: str) -> None:
    actor = storage.tenant()
    category_id = storage.ids.new() if unknown == "category" else storage.category(actor)
    record_id = storage.ids.new() if unknown == "record" else None
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.examples.put([an_example(storage.ids.new(), actor, category_id, record_id)])


def test_examples_wait_for_the_embedding_of_each_model(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    examples = [an_example(storage.ids.new(), actor, food) for _ in range(3)]
    with storage.writing(actor) as tx:
        tx.examples.put(examples)
        assert list(tx.examples.without_embedding("m1", 2)) == examples[:2]
        gone = an_example(storage.ids.new(), actor, food)
        tx.examples.set_embeddings("m1", {examples[0]: vector(x=1), examples[2]: vector(y=1), gone: vector(z=1)})
        tx.examples.set_embeddings("m1", {})
        assert list(tx.examples.without_embedding("m1", 9)) == [examples[1]]
        assert list(tx.examples.without_embedding("m2", 9)) == examples


def test_a_model_serves_until_another_has_every_example(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    one, two = (an_example(storage.ids.new(), actor, food) for _ in range(2))
    with storage.writing(actor) as tx:
        tx.examples.put([one, two])
        assert tx.examples.serving() is None  # nothing that a search could find yet
        assert not tx.examples.serve("m1")
        tx.examples.set_embeddings("m1", {one: vector(x=1)})
        assert tx.examples.serving() == "m1"
        tx.examples.set_embeddings("m2", {one: vector(y=1)})
        assert not tx.examples.serve("m2")
        assert tx.examples.serving() == "m1"
    assert storage.system.served_otherwise("m2") == [actor.tenant_id]
    with storage.writing(actor) as tx:
        tx.examples.set_embeddings("m2", {two: vector(y=1)})
        assert tx.examples.serve("m2")
        assert tx.examples.serving() == "m2"
        (was,), (now,) = (tx.examples.nearest(model, [vector(x=1)], 1) for model in ("m1", "m2"))
        assert [round(n.similarity, 6) for n in (*was, *now)] == [1, 0]
    assert storage.system.served_otherwise("m2") == []


def test_the_vectors_of_a_model_are_forgotten_unless_it_serves(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    examples = [an_example(storage.ids.new(), actor, food) for _ in range(3)]
    with storage.writing(actor) as tx:
        tx.examples.put(examples)
        for model in ("m1", "m2"):
            tx.examples.set_embeddings(model, {e: vector(x=1) for e in examples})
            tx.embeddings.put(model, {bytes([n]) * 32: vector(x=1) for n in range(3)})
        assert tx.examples.forget_embeddings("m1", 9) == 0
        assert tx.examples.serve("m2")
        assert [tx.examples.forget_embeddings("m1", 2) for _ in range(3)] == [2, 1, 0]
        assert [tx.embeddings.forget("m1", 2) for _ in range(3)] == [2, 1, 0]
        assert list(tx.examples.nearest("m1", [vector(x=1)], 9)) == [[]]
        assert len(tx.examples.nearest("m2", [vector(x=1)], 9)[0]) == 3
        assert len(tx.embeddings.get("m2", [bytes([n]) * 32 for n in range(3)])) == 3


def test_a_search_finds_the_same_whether_for_few_vectors_or_many(storage: Storage) -> None:
    chance = random.Random(4)
    actor = storage.tenant()
    food = storage.category(actor)
    examples = [an_example(storage.ids.new(), actor, food) for _ in range(60)]
    places = [{axis: chance.choice([0.01, 0.5, 1.0]) for axis in "xyz"} for _ in range(30)]
    stored = {e: vector(**places[i // 2]) for i, e in enumerate(examples)}  # so that some are equally near
    asked = [vector(**{axis: chance.uniform(-1, 1) for axis in "xyz"}) for _ in range(40)]
    with storage.writing(actor) as tx:
        tx.examples.put(examples)
        tx.examples.set_embeddings("m1", stored)
        many = tx.examples.nearest("m1", asked, 5)
        alone = [tx.examples.nearest("m1", [one], 5)[0] for one in asked]
    assert [[n.example_id for n in near] for near in many] == [[n.example_id for n in near] for near in alone]
    for near, same in zip(many, alone, strict=True):
        assert [n.similarity for n in near] == pytest.approx([n.similarity for n in same], abs=1e-6)


def test_the_nearest_by_cosine_come_first_for_each_vector(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    east = an_example(storage.ids.new(), actor, food, text="east")
    north = an_example(storage.ids.new(), actor, car, text="north")
    far_east = an_example(storage.ids.new(), actor, food, text="far east")
    other_model = an_example(storage.ids.new(), actor, car, text="other model")
    unembedded = an_example(storage.ids.new(), actor, car, text="unembedded")
    with storage.writing(actor) as tx:
        tx.examples.put([east, north, far_east, other_model, unembedded])
        vectors = {east: vector(x=1), north: vector(y=1), far_east: vector(x=1, y=0.5)}
        tx.examples.set_embeddings("m1", vectors)
        tx.examples.set_embeddings("m2", {other_model: vector(x=1)})
    with storage.reading(actor) as tx:
        for_east, for_north, for_west = tx.examples.nearest("m1", [vector(x=2), vector(y=1), vector(x=-1)], 2)
        assert list(tx.examples.nearest("m1", [], 2)) == []
    assert [n.text for n in for_east] == ["east", "far east"]
    assert [n.text for n in for_north] == ["north", "far east"]
    assert [n.text for n in for_west] == ["north", "far east"]
    assert [n.similarity for n in for_east] == pytest.approx([1, 2 / math.sqrt(5)], abs=1e-6)
    assert [n.similarity for n in for_west] == pytest.approx([0, -2 / math.sqrt(5)], abs=1e-6)
    assert (for_east[0].example_id, for_east[0].category_id) == (east.id, food)


def test_equally_near_examples_come_by_id(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    examples = [an_example(storage.ids.new(), actor, food) for _ in range(4)]
    with storage.writing(actor) as tx:
        tx.examples.put(examples)
        tx.examples.set_embeddings("m1", {e: vector(x=1) for e in reversed(examples)})
        (found,) = tx.examples.nearest("m1", [vector(x=1)], 3)
    assert [n.example_id for n in found] == [e.id for e in examples[:3]]


def test_embeddings_are_cached_by_model_and_content(storage: Storage) -> None:
    actor = storage.tenant()
    one, two, three = (bytes([n]) * 32 for n in range(3))
    with storage.writing(actor) as tx:
        tx.embeddings.put("m1", {one: vector(x=0.25), two: vector(y=-1)})
        tx.embeddings.put("m1", {one: vector(z=1)})  # the same content has the same vector
        tx.embeddings.put("m1", {})
    with storage.reading(actor) as tx:
        found = tx.embeddings.get("m1", [one, three, two])
        assert {digest: list(v) for digest, v in found.items()} == {one: vector(x=0.25), two: vector(y=-1)}
        assert tx.embeddings.get("m2", [one]) == {}
        assert tx.embeddings.get("m1", []) == {}


def test_a_forgotten_example_is_found_no_longer(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    gone, kept = storage.record(actor, "1"), storage.record(actor, "2")
    examples = [an_example(storage.ids.new(), actor, food, id) for id in (gone, kept)]
    with storage.writing(actor) as tx:
        tx.examples.put(examples)
        tx.examples.set_embeddings("m1", {e: vector(x=1) for e in examples})
        tx.examples.forget([gone, storage.ids.new()])
        tx.examples.forget([])
    with storage.reading(actor) as tx:
        assert list(tx.examples.list(after=None, limit=9)) == examples[1:]
        (found,) = tx.examples.nearest("m1", [vector(x=1)], 9)
        assert [n.example_id for n in found] == [examples[1].id]
