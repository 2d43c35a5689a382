"""What is kept of a tenant or a person: given out as a whole, and erased."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from core.domain.approvals import Verdict
from core.domain.events import EventType, NewEvent
from core.domain.people import LOCAL
from core.domain.permissions import Role
from core.domain.tenants import Membership, User
from core.errors import NotFound
from tests.contract.belongings import belongings
from tests.contract.storage import START, Storage, answered


def test_a_tenant_is_given_out_whole_and_nobody_elses_rows(storage: Storage) -> None:
    mine, theirs = belongings(storage, key_id="k1"), belongings(storage, key_id="k2")
    rows = list(storage.privacy.tenant_rows(mine.actor.tenant_id))
    kinds = Counter(kind for kind, _ in rows)
    assert kinds["tenants"] == 1
    assert kinds["records"] == 2
    for kind in ("memberships", "categories", "approvals"):
        assert kinds[kind] >= 1, kind
    assert str(theirs.actor.tenant_id) not in str(rows)
    assert [kind for kind, _ in rows] == sorted((kind for kind, _ in rows), key=list(kinds).index), "kind by kind"


def test_an_erased_tenant_leaves_nothing_and_others_whole(storage: Storage) -> None:
    mine, theirs = belongings(storage, key_id="k1"), belongings(storage, key_id="k2")
    kept = list(storage.privacy.tenant_rows(theirs.actor.tenant_id))
    storage.privacy.erase_tenant(mine.actor.tenant_id)
    assert list(storage.privacy.tenant_rows(mine.actor.tenant_id)) == []
    assert list(storage.privacy.tenant_rows(theirs.actor.tenant_id)) == kept
    with storage.reading(mine.actor) as tx, pytest.raises(NotFound):
        tx.tenants.get()
    storage.privacy.erase_tenant(mine.actor.tenant_id)


def test_what_another_of_that_name_did_stays_theirs(storage: Storage) -> None:
    mine = belongings(storage)
    double = User(id=storage.ids.new(), email="double@example.org", name="Owner", created_at=START)
    operator = User(id=storage.ids.new(), email="operator@example.org", name="operator", created_at=START)
    with storage.writing(mine.actor) as tx:
        for user in (double, operator):
            tx.members.add(user, Membership(tenant_id=mine.actor.tenant_id, user_id=user.id, role=Role.VIEWER))
        (approval,) = tx.approvals.get_many([mine.approval])
        tx.approvals.decide([replace(answered(approval, Verdict.OVERRIDE, mine.category), decided_by="Owner")])
    with storage.writing(replace(mine.actor, name="operator")) as tx:
        tx.events.append([NewEvent(type=EventType.EXPORTED)])
    storage.system.seal()
    for user in (double, operator):
        assert "approvals" not in {kind for kind, _ in storage.privacy.person_rows(user.id)}
        storage.privacy.erase_person(user.id)
    with storage.reading(mine.actor) as tx:
        assert tx.approvals.get_many([mine.approval])[0].decided_by == "Owner"
    assert storage.events(mine.actor)[-1].actor == "operator"


def test_an_erased_person_is_named_nowhere_and_what_they_decided_stays(storage: Storage) -> None:
    mine, theirs = belongings(storage, key_id="k1"), belongings(storage, key_id="k2")
    user = storage.people.user_of_email("owner@example.org")
    assert user is not None
    with storage.writing(mine.actor) as tx:
        (approval,) = tx.approvals.get_many([mine.approval])
        tx.approvals.decide([replace(answered(approval, Verdict.OVERRIDE, mine.category), decided_by=user.name)])
    assert {kind for kind, _ in storage.privacy.person_rows(user.id)} >= {"users", "memberships"}
    storage.privacy.erase_person(user.id)
    assert storage.people.user_of_email("owner@example.org") is None
    assert storage.people.user(user.id).name == ""
    assert storage.people.account("owner@example.org") is None
    assert storage.people.sessions(user.id) == []
    assert storage.people.belongings(user.id) == []
    for one in (mine, theirs):
        with storage.reading(one.actor) as tx:
            assert tx.members.list() == []
    with storage.reading(mine.actor) as tx:
        assert tx.approvals.get_many([mine.approval])[0].decided_by == "erased person"
    assert storage.system.verify_events(mine.actor.tenant_id).fault is None
    assert LOCAL not in str(list(storage.privacy.person_rows(user.id)))
