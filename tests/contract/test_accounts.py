"""Tenants, their people and their API keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.permissions import Permission, Role
from core.domain.tenants import Membership, TenantSettings, User, worker_actor
from core.errors import Conflict, NotFound, VersionMismatch
from tests.contract.storage import START, Storage, a_key, a_tenant


def test_a_tenant_comes_back_as_it_was_stored(storage: Storage) -> None:
    settings = TenantSettings(default_currency="SEK", trusted_packs=("bank",), similarity_threshold=0.7)
    actor = storage.tenant("Harbour Books", settings)
    with storage.reading(actor) as tx:
        assert tx.tenants.get() == a_tenant(actor.tenant_id, "Harbour Books", settings)


def test_a_tenant_that_was_never_added_is_not_found(storage: Storage) -> None:
    with storage.reading(worker_actor(storage.ids.new())) as tx, pytest.raises(NotFound):
        tx.tenants.get()


def test_the_operators_reading_is_noted_for_the_first_time_in_a_while(storage: Storage) -> None:
    actor, minute = storage.tenant(), timedelta(minutes=1)
    noted = []
    for at in (0, 1, 59, 60, 61):
        with storage.writing(actor) as tx:
            noted.append(tx.tenants.note_reading(START + at * minute, START + (at - 60) * minute))
    assert noted == [True, False, False, True, False]
    with storage.writing(worker_actor(storage.ids.new())) as tx:
        assert not tx.tenants.note_reading(START, START - minute), "there is no such tenant"


def test_a_tenant_cannot_be_added_twice(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.reading(actor) as tx, pytest.raises(Conflict):
        tx.tenants.add(a_tenant(actor.tenant_id))


def test_updating_a_tenant_raises_its_versions_and_refuses_a_stale_one(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        changed = replace(
            tx.tenants.get(), name="Quay Books", time_zone="UTC", settings=TenantSettings(llm_threshold=1)
        )
        tx.tenants.update(changed)
    with storage.reading(actor) as tx:
        stored = tx.tenants.get()
        assert stored == replace(changed, version=2, rules_version=stored.rules_version)
        assert stored.rules_version > changed.rules_version  # trusted packs are settings, and change what rules do
        with pytest.raises(VersionMismatch):
            tx.tenants.update(changed)


def test_nothing_is_kept_without_commit(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.uow.begin(actor) as tx:
        tx.tenants.update(replace(tx.tenants.get(), name="Lost"))
    with pytest.raises(ZeroDivisionError), storage.writing(actor) as tx:  # noqa: PT012 - what was done before is lost
        tx.tenants.update(replace(tx.tenants.get(), name="Lost as well"))
        raise ZeroDivisionError
    with storage.reading(actor) as tx:
        assert tx.tenants.get().name == "Harbour Books"


def test_people_are_the_same_person_in_every_tenant_by_email(storage: Storage) -> None:
    first, second = storage.tenant(), storage.tenant()
    people = []
    for actor, email in ((first, "Reviewer@Example.org"), (second, "reviewer@example.org")):
        user = User(id=storage.ids.new(), email=email, name="Reviewer", created_at=START)
        membership = Membership(tenant_id=actor.tenant_id, user_id=user.id, role=Role.REVIEWER)
        with storage.writing(actor) as tx:
            tx.members.add(user, membership)
        with storage.reading(actor) as tx:
            ((found, member),) = tx.members.list()
        assert (found.email, member.role, member.tenant_id) == ("reviewer@example.org", Role.REVIEWER, actor.tenant_id)
        assert member.user_id == found.id
        people.append(found)
    assert people[0] == people[1]


def test_nobody_is_a_member_twice_and_members_are_listed_by_email(storage: Storage) -> None:
    actor = storage.tenant()

    def add(email: str) -> None:
        user = User(id=storage.ids.new(), email=email, name=email, created_at=START)
        with storage.writing(actor) as tx:
            tx.members.add(user, Membership(tenant_id=actor.tenant_id, user_id=user.id, role=Role.ADMIN))

    add("z@example.org")
    add("a@example.org")
    with pytest.raises(Conflict):
        add("Z@example.org")
    with storage.reading(actor) as tx:
        assert [user.email for user, _ in tx.members.list()] == ["a@example.org", "z@example.org"]


def test_an_api_key_is_found_before_its_tenant_is_known(storage: Storage) -> None:
    actor = storage.tenant()
    key = a_key(
        storage.ids.new(),
        actor,
        scopes=frozenset({Permission.RECORDS_READ, Permission.RULES_WRITE}),
        expires_at=START + timedelta(days=30),
    )
    with storage.writing(actor) as tx:
        tx.api_keys.add(key)
    assert storage.system.find_api_key("k1") == key
    assert storage.system.find_api_key("k2") is None
    with storage.reading(actor) as tx:
        assert tx.api_keys.get(key.id) == key
        assert list(tx.api_keys.list()) == [key]


def test_a_key_is_revoked_once(storage: Storage) -> None:
    actor = storage.tenant()
    key = a_key(storage.ids.new(), actor)
    with storage.writing(actor) as tx:
        tx.api_keys.add(key)
        assert tx.api_keys.revoke(key.id, START) == replace(key, revoked_at=START)
        assert tx.api_keys.revoke(key.id, START + timedelta(days=1)).revoked_at == START
    with storage.reading(actor) as tx:
        assert tx.api_keys.get(key.id).revoked_at == START
        with pytest.raises(NotFound):
            tx.api_keys.revoke(storage.ids.new(), START)


def test_the_use_of_a_key_is_written_once_a_minute(storage: Storage) -> None:
    actor = storage.tenant()
    key = a_key(storage.ids.new(), actor)
    with storage.writing(actor) as tx:
        tx.api_keys.add(key)
        for seconds, seen in ((0, 0), (59, 0), (61, 61)):
            tx.api_keys.touch(key.id, START + timedelta(seconds=seconds))
            assert tx.api_keys.get(key.id).last_used_at == START + timedelta(seconds=seen)


def test_the_operator_pages_through_the_tenants(storage: Storage) -> None:
    ids = [storage.tenant(name).tenant_id for name in ("Ash", "Birch", "Cedar")]
    first = storage.system.tenants(after=None, limit=2)
    rest = storage.system.tenants(after=first[-1].id, limit=2)
    assert [tenant.id for tenant in (*first, *rest)] == ids
    assert rest[0].name == "Cedar"


def test_the_storage_is_ready(storage: Storage) -> None:
    assert storage.system.ready()


def test_a_key_ends_when_it_is_told_to_and_never_later_than_before(storage: Storage) -> None:
    actor = storage.tenant()
    key = a_key(storage.ids.new(), actor, "k1")
    with storage.writing(actor) as tx:
        tx.api_keys.add(key)
        assert tx.api_keys.expire(key.id, START + timedelta(days=2)) == replace(
            key, expires_at=START + timedelta(days=2)
        )
        assert tx.api_keys.expire(key.id, START + timedelta(days=1)).expires_at == START + timedelta(days=1)
        assert tx.api_keys.expire(key.id, START + timedelta(days=3)).expires_at == START + timedelta(days=1)
        assert tx.api_keys.get(key.id).expires_at == START + timedelta(days=1)
        tx.api_keys.revoke(key.id, START)
        with pytest.raises(Conflict):
            tx.api_keys.expire(key.id, START)
        with pytest.raises(NotFound):
            tx.api_keys.expire(storage.ids.new(), START)
