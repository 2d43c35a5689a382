"""Tokens of OAuth2, and sign-ins that are finished once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import Invalid
from tests.contract.storage import START, Storage, a_sign_in, some_tokens


def test_tokens_come_back_as_they_were_put_last(storage: Storage) -> None:
    actor = storage.tenant()
    connection = storage.connection(actor)
    with storage.writing(actor) as tx:
        tx.oauth.hold(connection)
        assert tx.oauth.get(connection) is None
        tx.oauth.put(some_tokens(connection))
    later = some_tokens(connection, sealed=b"other", account="bob", expires_at=None)
    with storage.writing(actor) as tx:
        assert tx.oauth.get(connection) == some_tokens(connection)
        tx.oauth.put(later)
    with storage.reading(actor) as tx:
        assert tx.oauth.get(connection) == later
        assert tx.oauth.get(storage.ids.new()) is None


def test_a_sign_in_is_taken_once(storage: Storage) -> None:
    actor = storage.tenant()
    sign_in = a_sign_in(actor, storage.connection(actor))
    with storage.writing(actor) as tx:
        tx.oauth.begin(sign_in)
    assert storage.system.take_sign_in(b"another") is None
    assert storage.system.take_sign_in(sign_in.state_hash) == sign_in
    assert storage.system.take_sign_in(sign_in.state_hash) is None


def test_what_is_forgotten_of_a_connection_is_its_own_alone(storage: Storage) -> None:
    actor = storage.tenant()
    mine, other = storage.connection(actor, "mine"), storage.connection(actor, "other")
    with storage.writing(actor) as tx:
        for connection, state in ((mine, b"mine"), (other, b"other")):
            tx.oauth.put(some_tokens(connection))
            tx.oauth.begin(a_sign_in(actor, connection, state))
    with storage.writing(actor) as tx:
        tx.oauth.forget(mine)
    with storage.reading(actor) as tx:
        assert (tx.oauth.get(mine), tx.oauth.get(other)) == (None, some_tokens(other))
    assert storage.system.take_sign_in(b"mine") is None
    assert storage.system.take_sign_in(b"other") is not None


def test_sign_ins_that_nobody_finished_go(storage: Storage) -> None:
    actor = storage.tenant()
    connection = storage.connection(actor)
    with storage.writing(actor) as tx:
        tx.oauth.begin(a_sign_in(actor, connection, b"old", expires_at=storage.now() - timedelta(seconds=1)))
        tx.oauth.begin(a_sign_in(actor, connection, b"new", expires_at=storage.now() + timedelta(hours=1)))
    assert storage.system.sweep(payload_seconds=1e9, job_seconds=1e9, key_seconds=1e9) == 1
    assert storage.system.take_sign_in(b"old") is None
    assert storage.system.take_sign_in(b"new") is not None


def test_an_unknown_connection_has_none(storage: Storage) -> None:
    actor = storage.tenant()
    for id in (storage.ids.new(), storage.connection(storage.tenant())):
        with storage.reading(actor) as tx, pytest.raises(Invalid):
            tx.oauth.put(some_tokens(id))
        with storage.reading(actor) as tx, pytest.raises(Invalid):
            tx.oauth.begin(a_sign_in(actor, id))


def test_both_go_with_their_connection(storage: Storage) -> None:
    actor = storage.tenant()
    connection = storage.connection(actor)
    with storage.writing(actor) as tx:
        tx.oauth.put(some_tokens(connection))
        tx.oauth.begin(a_sign_in(actor, connection))
    with storage.writing(actor) as tx:
        tx.connections.delete(connection, None)
    with storage.reading(actor) as tx:
        assert tx.oauth.get(connection) is None
    assert storage.system.take_sign_in(a_sign_in(actor, connection).state_hash) is None


def test_tokens_last_while_they_are_good_for_a_minute(storage: Storage) -> None:
    id = storage.ids.new()
    assert some_tokens(id, expires_at=None).lasting(START)
    assert some_tokens(id, expires_at=START + timedelta(seconds=61)).lasting(START)
    assert not some_tokens(id, expires_at=START + timedelta(seconds=60)).lasting(START)
