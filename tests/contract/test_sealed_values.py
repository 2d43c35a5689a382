"""What is kept sealed: found where another key sealed it, and written anew where it still is what it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from core.domain.connections import SealedPurpose, SealedValue
from core.domain.health import Health
from core.domain.tenants import Actor
from tests.contract.notification_support import an_endpoint
from tests.contract.storage import Storage, a_sealed, a_sign_in, some_tokens


def keeping(storage: Storage, actor: Actor, name: str, sealed: bytes) -> UUID:
    """A connection, and an endpoint of that id, with a value in each place, each as `sealed`."""
    id = storage.connection(actor, name, sealed=sealed)
    later = storage.now() + timedelta(hours=1)
    with storage.writing(actor) as tx:
        tx.oauth.put(some_tokens(id, sealed=sealed))
        tx.endpoints.add(an_endpoint(id, actor, sealed=sealed))
        tx.oauth.begin(a_sign_in(actor, id, name.encode(), sealed=sealed, expires_at=later))
    return id


def found(storage: Storage, actor: Actor, after: UUID | None = None, limit: int = 9) -> list[SealedValue]:
    with storage.reading(actor) as tx:
        return list(tx.sealed.otherwise(b"new", after=after, limit=limit))


def in_every_place(*kept: tuple[UUID, bytes]) -> set[SealedValue]:
    return {a_sealed(id, sealed, purpose) for id, sealed in kept for purpose in SealedPurpose}


def test_values_of_another_key_are_found_connection_by_connection(storage: Storage) -> None:
    actor = storage.tenant()
    old = [keeping(storage, actor, name, b"old-" + name.encode()) for name in "abc"]
    keeping(storage, actor, "new", b"new-d")
    storage.connection(actor, "without")
    first = found(storage, actor, limit=2)
    assert set(first) == in_every_place((old[0], b"old-a"), (old[1], b"old-b"))
    assert set(found(storage, actor, after=first[-1].of_id)) == in_every_place((old[2], b"old-c"))
    assert found(storage, actor, after=old[2]) == []


def test_each_is_written_anew_unless_it_was_changed_meanwhile(storage: Storage) -> None:
    actor = storage.tenant()
    id = keeping(storage, actor, "a", b"old")
    other = keeping(storage, actor, "b", b"old")
    values = found(storage, actor)
    with storage.writing(actor) as tx:
        tx.connections.note(replace(tx.connections.get(id), health=Health.DEGRADED, failures=2))
        tx.oauth.put(some_tokens(id, sealed=b"new-renewed"))
    with storage.writing(actor) as tx:
        assert tx.sealed.reseal([(value, b"new-" + value.purpose.encode()) for value in values]) == 7
        assert tx.sealed.reseal([(value, b"new-again") for value in values]) == 0
    with storage.reading(actor) as tx:
        connection, tokens = tx.connections.get(id), tx.oauth.get(id)
        assert (connection.sealed, connection.version, connection.failures) == (b"new-config", 1, 2)
        assert tokens == some_tokens(id, sealed=b"new-renewed")
        assert [one.sealed for one in tx.endpoints.list()] == [b"new-endpoint"] * 2
        assert tx.oauth.get(other) == some_tokens(other, sealed=b"new-oauth")
    assert found(storage, actor) == []
    for name in (b"a", b"b"):
        taken = storage.system.take_sign_in(name)
        assert taken is not None
        assert taken.sealed == b"new-oauth-sign-in"


def test_nothing_is_written_where_it_went(storage: Storage) -> None:
    actor = storage.tenant()
    id = keeping(storage, actor, "a", b"old")
    values = found(storage, actor)
    with storage.writing(actor) as tx:
        tx.connections.delete(id, None)
        tx.endpoints.delete(id, None)
    with storage.writing(actor) as tx:
        assert tx.sealed.reseal([(value, b"new") for value in values]) == 0
        assert tx.sealed.reseal([]) == 0
