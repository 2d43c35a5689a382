"""Saved views."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from core.domain.permissions import Role
from core.domain.tenants import Actor, Membership, User
from core.errors import Conflict, Invalid, NotFound, VersionMismatch
from tests.contract.storage import START, Storage, a_view


def member(storage: Storage, actor: Actor, name: str) -> UUID:
    user = User(id=storage.ids.new(), email=f"{name}@example.org", name=name, created_at=START)
    with storage.writing(actor) as tx:
        return tx.members.add(
            user,
            Membership(tenant_id=actor.tenant_id, user_id=user.id, role=Role.OWNER if name == "ada" else Role.VIEWER),
        ).id


def test_one_sees_ones_own_and_everybodys_by_name(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = member(storage, actor, "ada"), member(storage, actor, "ben")
    adas, bens, shared, also = storage.ids.batch(4)
    with storage.writing(actor) as tx:
        tx.views.add(a_view(adas, actor, ada, name="B"))
        tx.views.add(a_view(bens, actor, ben, name="B"))
        tx.views.add(a_view(shared, actor, name="C"))
        tx.views.add(a_view(also, actor, name="A", query={"status": ["processed"], "account": "giro"}))
    with storage.reading(actor) as tx:
        assert [v.id for v in tx.views.list(ada)] == [also, adas, shared]
        assert [v.id for v in tx.views.list(None)] == [also, shared]
        assert [tx.views.count(owner) for owner in (ada, ben, None, storage.ids.new())] == [1, 1, 2, 0]
        assert tx.views.get(also) == a_view(also, actor, name="A", query={"status": ["processed"], "account": "giro"})
        with pytest.raises(NotFound):
            tx.views.get(storage.ids.new())


def test_a_view_is_changed_by_its_version(storage: Storage) -> None:
    actor = storage.tenant()
    ada, (mine, other) = member(storage, actor, "ada"), storage.ids.batch(2)
    view = a_view(mine, actor, ada)
    with storage.writing(actor) as tx:
        tx.views.add(view)
        tx.views.add(a_view(other, actor, ada, name="Other"))
        tx.views.update(replace(view, user_id=None, name="Shared", query={}))
    with storage.reading(actor) as tx:
        assert tx.views.get(mine) == replace(view, user_id=None, name="Shared", query={}, version=2)
    for stale, error in (
        (replace(view, name="x"), VersionMismatch),
        (replace(view, user_id=ada, name="Other", version=2), Conflict),
        (replace(view, user_id=storage.ids.new(), version=2), Invalid),
        (replace(view, id=storage.ids.new()), NotFound),
    ):
        with pytest.raises(error), storage.writing(actor) as tx:
            tx.views.update(stale)
    for version, error in ((1, VersionMismatch), (None, None)):
        with storage.writing(actor) as tx:
            if error is None:
                tx.views.delete(mine, version)
            else:
                with pytest.raises(error):
                    tx.views.delete(mine, version)
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.views.delete(mine, None)


@pytest.mark.parametrize("shared", [True, False])
def test_an_owner_has_a_name_once(storage: Storage, shared: bool) -> None:
    actor = storage.tenant()
    owner = None if shared else member(storage, actor, "ada")
    with storage.writing(actor) as tx:
        tx.views.add(a_view(storage.ids.new(), actor, owner))
    with pytest.raises(Conflict), storage.writing(actor) as tx:
        tx.views.add(a_view(storage.ids.new(), actor, owner))
    with pytest.raises(Invalid), storage.writing(actor) as tx:
        tx.views.add(a_view(storage.ids.new(), actor, storage.ids.new()))


def test_ones_own_go_with_the_membership_and_with_the_person(storage: Storage) -> None:
    actor = storage.tenant()
    member(storage, actor, "ada")
    ben, eve = member(storage, actor, "ben"), member(storage, actor, "eve")
    shared = storage.ids.new()
    with storage.writing(actor) as tx:
        for owner in (ben, eve):
            tx.views.add(a_view(storage.ids.new(), actor, owner))
        tx.views.add(a_view(shared, actor))
    assert [row["name"] for kind, row in storage.privacy.person_rows(eve) if kind == "saved_views"] == ["Large"]
    with storage.writing(actor) as tx:
        tx.members.remove(ben)
    storage.privacy.erase_person(eve)
    with storage.reading(actor) as tx:
        assert [tx.views.count(owner) for owner in (ben, eve, None)] == [0, 0, 1]
