"""What somebody who was removed or demoted made: invitations and API keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from adapters.memory.clock import FixedClock
from core.domain.permissions import ROLE_PERMISSIONS, Permission, Role
from core.domain.tenants import Actor, Membership, User
from core.errors import Forbidden
from core.usecases.accounts import create_api_key, rotate_api_key
from core.usecases.members import change_member, remove_member
from core.usecases.shared.leaving import person_behind, take_back
from tests.contract.storage import START, Storage, an_invitation

CLOCK = FixedClock(START)
KEYS, READS = frozenset({"keys:write", "records:read", "tenant:write"}), frozenset({"records:read"})


def a_person(storage: Storage, actor: Actor) -> Actor:
    """An owner."""
    id = storage.ids.new()
    with storage.writing(actor) as tx:
        user = User(id=id, email=f"{id}@example.org", name="", created_at=START)
        tx.members.add(user, Membership(tenant_id=actor.tenant_id, user_id=id, role=Role.OWNER))
    return replace(actor, user_id=id, role=Role.OWNER, permissions=ROLE_PERMISSIONS[Role.OWNER])


def made_key(storage: Storage, actor: Actor, scopes: frozenset[str]) -> UUID:
    issued = create_api_key(actor, name="a key", scopes=scopes, uow=storage.uow, clock=CLOCK, ids=storage.ids)
    return issued.key.id


def left_over(storage: Storage, actor: Actor) -> tuple[set[UUID], set[UUID]]:
    """The keys and the invitations that are still good."""
    with storage.reading(actor) as tx:
        return {key.id for key in tx.api_keys.list() if key.usable(START)}, {one.id for one in tx.invitations.list()}


def test_what_a_removed_person_made_is_revoked_and_nobody_elses(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = a_person(storage, actor), a_person(storage, actor)
    first = made_key(storage, ada, KEYS)
    by_key = replace(actor, api_key_id=first, permissions=frozenset(map(Permission, KEYS)))
    through = made_key(storage, by_key, READS)
    theirs = made_key(storage, ben, READS)
    rotated = rotate_api_key(
        ben, first, overlap=timedelta(days=1), uow=storage.uow, clock=CLOCK, ids=storage.ids
    ).key.id
    asked, others = storage.ids.batch(2)
    with storage.writing(by_key) as tx:
        tx.invitations.add(
            replace(an_invitation(asked, actor, "a@example.org"), invited_by_id=person_behind(tx, by_key, clock=CLOCK))
        )
        tx.invitations.add(
            replace(an_invitation(others, actor, "b@example.org"), invited_by_id=person_behind(tx, ben, clock=CLOCK))
        )
    assert left_over(storage, actor) == ({first, through, theirs, rotated}, {asked, others})
    with storage.writing(ben) as tx:
        take_back(tx, ada.user_id or first, None, clock=CLOCK)
    assert left_over(storage, actor) == ({theirs, rotated}, {others})
    told = storage.events(actor, "KEY_REVOKED", "INVITATION_REVOKED")
    assert {(e.type, e.subject_id) for e in told} == {
        ("INVITATION_REVOKED", asked),
        ("KEY_REVOKED", first),
        ("KEY_REVOKED", through),
    }
    assert {e.payload["user_id"] for e in told} == {str(ada.user_id)}


@pytest.mark.parametrize(
    ("role", "keeps"),
    [(Role.OWNER, {"keys", "reads", "invited"}), (Role.ADMIN, {"reads", "invited"}), (Role.REVIEWER, set())],
)
def test_a_demoted_person_keeps_what_they_still_may_make(storage: Storage, role: Role, keeps: set[str]) -> None:
    actor = storage.tenant()
    ada = a_person(storage, actor)
    made = {"keys": made_key(storage, ada, KEYS), "reads": made_key(storage, ada, READS), "invited": storage.ids.new()}
    with storage.writing(ada) as tx:
        tx.invitations.add(replace(an_invitation(made["invited"], actor), invited_by_id=ada.user_id))
        tx.invitations.add(
            replace(
                an_invitation(storage.ids.new(), actor, "o@example.org"), role=Role.OWNER, invited_by_id=ada.user_id
            )
        )
    with storage.writing(actor) as tx:
        take_back(tx, made["keys"] if ada.user_id is None else ada.user_id, role, clock=CLOCK)
    keys, invitations = left_over(storage, actor)
    assert {name for name, id in made.items() if id in keys | invitations} == keeps
    assert len(invitations) == (2 if role is Role.OWNER else len(keeps & {"invited"}))


def test_who_was_demoted_or_removed_a_moment_ago_makes_nothing(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = a_person(storage, actor), a_person(storage, actor)
    by_key = replace(actor, api_key_id=made_key(storage, ada, KEYS), permissions=frozenset(map(Permission, KEYS)))
    change_member(ben, user_of(ada), Role.VIEWER, uow=storage.uow, clock=CLOCK)
    for stale, said in ((ada, "your role has changed"), (by_key, "this API key was revoked")):
        with pytest.raises(Forbidden, match=said):
            made_key(storage, stale, READS)
    remove_member(ben, user_of(ada), uow=storage.uow, clock=CLOCK)
    with pytest.raises(Forbidden, match="no member"):
        made_key(storage, ada, READS)


def user_of(actor: Actor) -> UUID:
    assert actor.user_id is not None
    return actor.user_id
