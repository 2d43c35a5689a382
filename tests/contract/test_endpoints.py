"""Endpoints, over every storage: who is told, with which secrets, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.jobs import Stream
from core.domain.notifications import EndpointKind, NotificationStatus, Topic
from core.domain.permissions import GRANTABLE, Role
from core.errors import Conflict, Invalid, NotFound, Transient
from core.usecases import endpoints, members
from core.usecases.secret_keys import rotate_secrets
from ports.notifications import Answer
from tests.contract.notification_world import KEY, NotificationWorld
from tests.contract.storage import Storage

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
Status = NotificationStatus


@pytest.fixture
def world(storage: Storage) -> NotificationWorld:
    return NotificationWorld(storage=storage)


def test_each_of_two_secrets_signs_until_the_former_one_ends(world: NotificationWorld) -> None:
    id, first = world.webhook()
    _, second, until = world.call(endpoints.rotate_endpoint_secret, world.tenant, id, overlap=HOUR)
    assert until == world.clock.now() + HOUR
    world.happens()
    world.drain()
    world.clock.advance(HOUR)
    world.happens()
    world.drain()
    assert [list(webhook.secrets) for webhook in world.received] == [[second, first], [second]]
    stored = world.endpoint(id).sealed
    assert stored is not None
    assert first.encode() not in stored


def test_members_are_written_while_they_are_members(world: NotificationWorld) -> None:
    reviewer = world.member(Role.REVIEWER)
    id = world.mailing(reviewer)
    imported = world.happens(reason="of Ada Lovelace")
    assert world.drain() == 1
    (mail,) = world.mails
    assert (mail.to, mail.subject) == (reviewer.email, "An import failed: Harbour Books")
    assert f"import_id: {imported}" in mail.text
    assert "https://sort.example/" in mail.text
    assert "Ada" not in mail.text
    world.happens()
    world.call(members.remove_member, replace(world.tenant, role=Role.OWNER, permissions=GRANTABLE), reviewer.id)
    assert world.drain() == 1, "the job finds that there is nobody to write to"
    assert len(world.mails) == 1
    with pytest.raises(NotFound):
        world.endpoint(id)
    with pytest.raises(Invalid):
        world.mailing(reviewer)


def test_a_mail_server_that_is_away_is_tried_again_and_one_that_refuses_for_good_is_not(
    world: NotificationWorld,
) -> None:
    id = world.mailing(world.owner)
    world.refuses = Transient("away")
    world.happens()
    world.drain()
    world.refuses = None
    assert world.pass_time(6 * SECOND) == 1
    world.refuses = Invalid("550")
    world.happens()
    world.drain()
    assert world.pass_time(DAY) == 0
    assert [[one.code for one in told.attempts] for told in world.log(id)] == [["unreachable", "ok"], ["refused"]]


def test_secrets_that_cannot_be_opened_are_waited_for(world: NotificationWorld) -> None:
    id, _ = world.webhook()
    world.happens()
    kept, world.secrets = world.secrets, type(world.secrets)("another key of tests, no better than the first one")
    world.drain()
    world.secrets = kept
    assert world.pass_time(6 * SECOND) == 1
    assert [one.code for one in world.log(id)[0].attempts] == ["secret_unreadable", "ok"]


def test_secrets_are_sealed_anew_with_the_installations_new_key(world: NotificationWorld) -> None:
    id, secret = world.webhook()
    box, anew = type(world.secrets), "the key of tests that comes after the first one"
    world.secrets = box(anew, former=(KEY,))
    ports = {"system": world.storage.system}
    assert world.call(rotate_secrets, **ports).resealed == 1
    assert world.call(rotate_secrets, **ports).resealed == 0
    world.secrets = box(anew)
    world.happens()
    world.drain()
    assert [list(webhook.secrets) for webhook in world.received] == [[secret]]
    assert world.endpoint(id).version == 1


def test_mails_need_a_server_and_endpoints_are_of_their_kind(world: NotificationWorld) -> None:
    given = {"name": "x", "topics": [Topic.QUEUE]}
    create = endpoints.create_endpoint
    with pytest.raises(Conflict):
        world.call(create, world.tenant, kind=EndpointKind.MAIL, user_id=world.owner.id, **given, mailer=None)
    for wrong in (
        {"kind": EndpointKind.WEBHOOK},
        {"kind": EndpointKind.MAIL},
        {"kind": EndpointKind.WEBHOOK, "url": "https://a.example", "user_id": world.owner.id},
        {"kind": EndpointKind.MAIL, "url": "https://a.example"},
        {"kind": EndpointKind.WEBHOOK, "url": "https://a.example", "digest_hour": 24},
    ):
        with pytest.raises(Invalid):
            world.call(create, world.tenant, **wrong, **given)
    mail = world.mailing(world.owner)
    with pytest.raises(Conflict):
        world.call(endpoints.rotate_endpoint_secret, world.tenant, mail, overlap=HOUR)
    with pytest.raises(Invalid):
        world.call(endpoints.change_endpoint, world.tenant, mail, {"url": "https://a.example"}, version=None)


def test_a_tenant_has_so_many_endpoints_at_most(world: NotificationWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 2)
    world.webhook()
    world.webhook()
    with pytest.raises(Conflict):
        world.webhook()


def test_owners_are_not_written_of_an_endpoint_that_is_gone_meanwhile(world: NotificationWorld) -> None:
    id, _ = world.webhook()
    world.answers = [Answer(status=410, code="refused")]
    world.happens()
    for job in world.jobs():
        world.work(job)
    assert len(world.jobs(stream=Stream.MAIL)) == 1
    world.call(endpoints.delete_endpoint, world.tenant, id, version=None)
    world.drain()
    assert world.mails == []
