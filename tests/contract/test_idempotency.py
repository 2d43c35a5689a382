"""Idempotency-Keys: a request is carried out once, and answered the same each time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.tenants import Actor, Idempotency
from core.errors import IdempotencyMismatch, IdempotencyReplay
from tests.contract.storage import Storage, a_category


def keyed(actor: Actor, key: str = "k-1", digest: str = "d-1") -> Actor:
    return replace(actor, idempotency=Idempotency(key=key, request_digest=digest))


def test_a_request_is_carried_out_once_and_answered_the_same(storage: Storage) -> None:
    actor = keyed(storage.tenant())
    with storage.writing(actor) as tx:
        tx.categories.add([a_category(storage.ids.new(), actor)])
    assert storage.uow.saved_response(actor) is None  # carried out, and not answered yet
    storage.uow.save_response(actor, 201, b'{"id": "1"}\x00')
    with pytest.raises(IdempotencyReplay), storage.uow.begin(actor):
        pytest.fail("carried out twice")
    assert storage.uow.saved_response(actor) == (201, b'{"id": "1"}\x00')


def test_the_same_key_for_another_request_is_a_mistake(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(keyed(actor)):
        pass
    with pytest.raises(IdempotencyMismatch), storage.uow.begin(keyed(actor, digest="d-2")):
        pytest.fail("carried out")


def test_another_key_is_another_request(storage: Storage) -> None:
    actor = storage.tenant()
    for key in ("k-1", "k-2"):
        with storage.writing(keyed(actor, key)):
            pass
    storage.uow.save_response(keyed(actor, "k-1"), 200, b"one")
    assert storage.uow.saved_response(keyed(actor, "k-2")) is None


def test_a_rollback_frees_the_key(storage: Storage) -> None:
    actor = keyed(storage.tenant())
    with storage.uow.begin(actor):
        pass
    with pytest.raises(ZeroDivisionError), storage.writing(actor):
        raise ZeroDivisionError
    assert storage.uow.saved_response(actor) is None
    with storage.writing(actor):
        pass


def test_the_same_key_belongs_to_each_tenant_alone(storage: Storage) -> None:
    first, second = storage.tenant(), storage.tenant()
    with storage.writing(keyed(first)):
        pass
    storage.uow.save_response(keyed(first), 200, b"first")
    with storage.writing(keyed(second, digest="d-2")):
        pass
    assert storage.uow.saved_response(keyed(second)) is None


def test_without_a_key_every_request_is_carried_out(storage: Storage) -> None:
    actor = storage.tenant()
    for key in ("a", "b"):
        with storage.writing(actor) as tx:
            tx.categories.add([a_category(storage.ids.new(), actor, key)])
    with storage.reading(actor) as tx:
        assert len(tx.categories.list()) == 2
