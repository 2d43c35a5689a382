"""Values that are sealed anew while others hold the rows that they stand in: what others wrote stays, and what they
left alone is sealed anew nevertheless."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg

from core.domain.health import Health
from core.domain.tenants import Actor
from tests.contract.storage import Storage, some_tokens
from tests.integration.test_transactions_that_meet import until_waiting


def reseal(storage: Storage, actor: Actor) -> int:
    """Finds what another key sealed, and seals it anew."""
    with storage.writing(actor) as tx:
        found = tx.sealed.otherwise(b"new", after=None, limit=9)
        return tx.sealed.reseal([(value, b"new-" + value.purpose.encode()) for value in found])


def test_a_token_that_is_renewed_meanwhile_stays(
    storage: Storage, superuser: psycopg.Connection, meanwhile: ThreadPoolExecutor
) -> None:
    actor = storage.tenant()
    id = storage.connection(actor)
    with storage.writing(actor) as tx:
        tx.oauth.put(some_tokens(id, sealed=b"old"))
    with storage.writing(actor) as tx:
        tx.oauth.put(some_tokens(id, sealed=b"new-renewed"))
        resealing = meanwhile.submit(reseal, storage, actor)
        until_waiting(superuser, resealing)
    assert resealing.result(30) == 0
    with storage.reading(actor) as tx:
        assert tx.oauth.get(id) == some_tokens(id, sealed=b"new-renewed")


def test_secrets_of_a_connection_whose_health_is_noted_meanwhile_are_sealed_anew(
    storage: Storage, superuser: psycopg.Connection, meanwhile: ThreadPoolExecutor
) -> None:
    actor = storage.tenant()
    id = storage.connection(actor, sealed=b"old")
    with storage.writing(actor) as tx:
        tx.connections.note(replace(tx.connections.get(id), health=Health.DEGRADED, failures=2))
        resealing = meanwhile.submit(reseal, storage, actor)
        until_waiting(superuser, resealing)
    assert resealing.result(30) == 1
    with storage.reading(actor) as tx:
        connection = tx.connections.get(id)
        assert (connection.sealed, connection.failures) == (b"new-config", 2)
