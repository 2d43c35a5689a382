"""Endpoints and what they are told: each event once for each endpoint, and no longer than it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from core.domain.events import EventType, NewEvent
from core.domain.notifications import TEST, Attempt, Digest, DisabledReason, NotificationStatus, Topic
from core.domain.permissions import Role
from core.domain.tenants import Actor, Membership, TenantSettings, User
from core.errors import Conflict, Invalid, NotFound, VersionMismatch
from tests.contract.notification_support import a_mail_endpoint, a_notification, an_endpoint
from tests.contract.storage import START, Storage

Status = NotificationStatus


def added(storage: Storage, actor: Actor, **fields: object) -> UUID:
    endpoint = an_endpoint(storage.ids.new(), actor, **fields)
    with storage.writing(actor) as tx:
        tx.endpoints.add(endpoint)
    return endpoint.id


def told(storage: Storage, actor: Actor, *types: EventType) -> None:
    """Events, each in a transaction of its own, sealed."""
    for type in types:
        with storage.writing(actor) as tx:
            tx.events.append([NewEvent(type=type)])
    storage.system.seal()


def a_member(storage: Storage, actor: Actor) -> UUID:
    user = User(id=storage.ids.new(), email="ada@example.org", name="", created_at=START)
    with storage.writing(actor) as tx:
        return tx.members.add(user, Membership(tenant_id=actor.tenant_id, user_id=user.id, role=Role.VIEWER)).id


def test_an_endpoint_comes_back_as_it_was(storage: Storage) -> None:
    actor = storage.tenant()
    full = an_endpoint(
        storage.ids.new(),
        actor,
        topics=tuple(Topic),
        digest=Digest.DAILY,
        digest_hour=23,
        told_seq=2**40,
        succeeded_at=START,
        failing_since=START + timedelta(hours=1),
        disabled_at=START + timedelta(hours=2),
        disabled_reason=DisabledReason.GONE,
    )
    mail = a_mail_endpoint(storage.ids.new(), actor, a_member(storage, actor))
    with storage.writing(actor) as tx:
        tx.endpoints.add(full)
        tx.endpoints.add(mail)
    with storage.reading(actor) as tx:
        assert tx.endpoints.get(full.id) == tx.endpoints.get(full.id, lock=True) == full
        assert tx.endpoints.list() == [full, mail]
        assert tx.endpoints.listening() == [mail]


def test_people_change_some_of_it_by_version_and_what_became_of_it_is_noted_without(storage: Storage) -> None:
    actor = storage.tenant()
    id = added(storage, actor)
    with storage.writing(actor) as tx:
        before = tx.endpoints.get(id)
        changed = replace(before, name="Other", url="https://b.example", topics=(Topic.QUEUE,), digest=Digest.HOURLY)
        tx.endpoints.update(replace(changed, told_seq=9, failing_since=START))
        assert tx.endpoints.get(id) == replace(changed, version=2)
        with pytest.raises(VersionMismatch):
            tx.endpoints.update(changed)
    with storage.writing(actor) as tx:
        noted = {"told_seq": 9, "failing_since": START, "disabled_at": START, "disabled_reason": DisabledReason.FAILING}
        tx.endpoints.note(replace(before, name="Not this", **noted))  # type: ignore[arg-type]
    with storage.reading(actor) as tx:
        assert tx.endpoints.get(id) == replace(changed, version=2, **noted)  # type: ignore[arg-type]


def test_what_is_deleted_goes_with_all_that_it_was_told(storage: Storage) -> None:
    actor = storage.tenant()
    id, other = added(storage, actor), added(storage, actor)
    mine, theirs = a_notification(storage.ids.new(), actor, id), a_notification(storage.ids.new(), actor, other)
    with storage.writing(actor) as tx:
        tx.notifications.add([mine, theirs])
        with pytest.raises(VersionMismatch):
            tx.endpoints.delete(id, 2)
    with storage.writing(actor) as tx:
        tx.endpoints.delete(id, 1)
        with pytest.raises(NotFound):
            tx.notifications.get(mine.id)
        assert tx.notifications.get(theirs.id) == theirs
        for missing in (lambda: tx.endpoints.get(id), lambda: tx.endpoints.delete(id, None)):
            with pytest.raises(NotFound):
                missing()


def test_who_is_no_member_is_written_nothing(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant("Other")
    member = a_member(storage, actor)
    mail = a_mail_endpoint(storage.ids.new(), actor, member)
    with storage.writing(actor) as tx:
        tx.endpoints.add(mail)
        tx.notifications.add([a_notification(storage.ids.new(), actor, mail.id)])
    with storage.reading(other) as tx, pytest.raises(Invalid):
        tx.endpoints.add(a_mail_endpoint(storage.ids.new(), other, member))
    with storage.writing(actor) as tx:
        tx.members.remove(member)
    with storage.reading(actor) as tx:
        assert tx.endpoints.list() == []
        assert tx.notifications.list(mail.id, before=None, limit=9) == []


def test_news_are_what_is_told_of_what_was_sealed(storage: Storage) -> None:
    actor = storage.tenant()
    types = [EventType.INGESTED, EventType.IMPORT_FAILED, EventType.INGESTED, EventType.JOB_DEAD, EventType.INGESTED]
    told(storage, actor, *types)
    with storage.writing(actor) as tx:
        tx.events.append([NewEvent(type=EventType.USAGE_NOTICED)])
    with storage.reading(actor) as tx:
        assert tx.notifications.last_seq() == 5
        news = tx.notifications.news(0, 9)
        assert ([(event.seq, event.type) for event in news.events], news.upto) == (
            [(2, "IMPORT_FAILED"), (4, "JOB_DEAD")],
            5,
        )
        first = tx.notifications.news(0, 1)
        assert ([event.seq for event in first.events], first.upto) == ([2], 2)
        assert (tx.notifications.news(4, 9).events, tx.notifications.news(4, 9).upto) == ([], 5)


def test_an_endpoint_is_told_of_an_event_once(storage: Storage) -> None:
    actor = storage.tenant()
    one, other = added(storage, actor), added(storage, actor)
    with storage.writing(actor) as tx:
        tx.notifications.add([])
        tx.notifications.add([a_notification(storage.ids.new(), actor, id, 7) for id in (one, other)])
        tx.notifications.add([a_notification(storage.ids.new(), actor, one, None, type=TEST) for _ in range(2)])
    with storage.reading(actor) as tx, pytest.raises(Conflict):
        tx.notifications.add([a_notification(storage.ids.new(), actor, one, 7)])
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.notifications.add([a_notification(storage.ids.new(), actor, storage.ids.new(), 8)])


def test_a_notification_comes_back_as_it_was_and_as_it_became(storage: Storage) -> None:
    actor = storage.tenant()
    id = added(storage, actor)
    first = a_notification(storage.ids.new(), actor, id, data={"open": 3, "interval": [0.1, 0.9], "since": None})
    became = replace(
        first,
        status=Status.FAILED,
        job_id=storage.ids.new(),
        tries=2,
        attempts=(
            Attempt(at=START, status=None, code="timeout", seconds=20.001),
            Attempt(at=START + timedelta(seconds=5), status=500, code="refused", seconds=0.25),
        ),
        next_at=START,
        finished_at=START,
    )
    with storage.writing(actor) as tx:
        tx.notifications.add([first])
        assert tx.notifications.get(first.id) == first
        tx.notifications.update(replace(became, type="other", seq=99))
    with storage.reading(actor) as tx:
        assert tx.notifications.get(first.id) == tx.notifications.get(first.id, lock=True) == became
        for missing in (lambda: tx.notifications.get(id), lambda: tx.notifications.update(replace(first, id=id))):
            with pytest.raises(NotFound):
                missing()


def test_they_are_listed_newest_first_page_by_page(storage: Storage) -> None:
    actor = storage.tenant()
    id, other = added(storage, actor), added(storage, actor)
    ids = storage.ids.batch(3)
    with storage.writing(actor) as tx:
        tx.notifications.add([a_notification(one, actor, id, seq) for seq, one in enumerate(ids)])
        tx.notifications.add([a_notification(storage.ids.new(), actor, other)])
        assert [n.id for n in tx.notifications.list(id, before=None, limit=2)] == [ids[2], ids[1]]
        assert [n.id for n in tx.notifications.list(id, before=ids[1], limit=2)] == [ids[0]]


def test_a_digest_takes_along_what_waits_and_becomes_of_it_what_becomes_of_the_digest(storage: Storage) -> None:
    actor = storage.tenant()
    id, other = added(storage, actor), added(storage, actor)
    digest = a_notification(storage.ids.new(), actor, id, None, type="digest", status=Status.COLLECTING)
    items = [a_notification(one, actor, id, n, status=Status.WAITING) for n, one in enumerate(storage.ids.batch(3))]
    elsewhere = a_notification(storage.ids.new(), actor, other, 1, status=Status.WAITING)
    with storage.writing(actor) as tx:
        assert tx.notifications.collecting(id) is None
        tx.notifications.add([digest, *items, elsewhere])
        assert tx.notifications.collecting(id) == digest
    with storage.reading(actor) as tx, pytest.raises(Conflict):
        tx.notifications.add([replace(digest, id=storage.ids.new())])
    with storage.writing(actor) as tx:
        count, listed = tx.notifications.collect(digest, 2)
        assert (count, [one.id for one in listed]) == (3, [items[0].id, items[1].id])
        tx.notifications.update(replace(digest, status=Status.PENDING, data={"count": 3}))
        assert tx.notifications.collecting(id) is None
        assert tx.notifications.collect(digest, 9)[0] == 0
    with storage.writing(actor) as tx:
        late = a_notification(storage.ids.new(), actor, id, 9, status=Status.WAITING)
        tx.notifications.add([late])
        sent = replace(digest, status=Status.DELIVERED, data={"count": 3}, finished_at=START)
        tx.notifications.update(sent)
    with storage.reading(actor) as tx:
        assert tx.notifications.get(digest.id) == sent
        for item in items:
            found = tx.notifications.get(item.id)
            assert (found.status, found.digest_id, found.finished_at) == (Status.DELIVERED, digest.id, START)
        assert [tx.notifications.get(one.id).status for one in (late, elsewhere)] == [Status.WAITING] * 2


def test_what_failed_since_then_is_found_the_oldest_first(storage: Storage) -> None:
    actor = storage.tenant()
    id, other = added(storage, actor), added(storage, actor)
    hours = [START + timedelta(hours=n) for n in range(4)]

    def failed(n: int, endpoint: UUID = id, **fields: object) -> UUID:
        made = a_notification(
            storage.ids.new(), actor, endpoint, **{"seq": n, "created_at": hours[n], "status": Status.FAILED, **fields}
        )
        with storage.writing(actor) as tx:
            tx.notifications.add([made])
        return made.id

    failed(0)
    wanted = [failed(2), failed(1)]
    failed(3, status=Status.DELIVERED)
    failed(3, seq=None, type=TEST)
    failed(3, seq=4, digest_id=storage.ids.new())
    failed(3, other)
    with storage.reading(actor) as tx:
        found = tx.notifications.failed_since(id, hours[1], 9)
        assert [one.id for one in found] == wanted[::-1]
        assert [one.id for one in tx.notifications.failed_since(id, hours[1], 1)] == wanted[1:]


def with_news(storage: Storage) -> Sequence[UUID]:
    return storage.notifications.tenants_with_news()


def test_tenants_have_news_whose_endpoints_were_not_told_of_all_that_was_sealed(storage: Storage) -> None:
    actor, without = storage.tenant(), storage.tenant("Without")
    told(storage, without, EventType.JOB_DEAD)
    first, second = added(storage, actor), added(storage, actor)
    assert with_news(storage) == []
    with storage.writing(actor) as tx:
        tx.events.append([NewEvent(type=EventType.INGESTED)])
    assert with_news(storage) == [], "not before it is sealed"
    storage.system.seal()
    assert with_news(storage) == [actor.tenant_id]
    with storage.writing(actor) as tx:
        tx.endpoints.told([first], 1)
    assert with_news(storage) == [actor.tenant_id]
    with storage.writing(actor) as tx:
        tx.endpoints.told([first, second], 1)
    assert with_news(storage) == []
    with storage.writing(actor) as tx:
        tx.endpoints.note(replace(tx.endpoints.get(second), told_seq=0, disabled_at=START))
    assert with_news(storage) == [], "who is disabled is told nothing"


def test_queues_are_told_of_once_above_their_limit_and_again_after_they_were_well_below(storage: Storage) -> None:
    def to_tell() -> bool:
        return actor.tenant_id in storage.notifications.queues_to_tell(0.8)

    def note(told: bool) -> bool:
        with storage.writing(actor) as tx:
            return tx.tenants.note_queue(START if told else None)

    actor = storage.tenant(settings=TenantSettings(queue_limit=5))
    unlimited = storage.tenant("Unlimited")
    storage.review(unlimited)
    approvals = [storage.review(actor, str(n)) for n in range(5)]
    assert not to_tell()
    approvals.append(storage.review(actor, "6"))
    assert storage.notifications.queues_to_tell(0.8) == [actor.tenant_id]
    assert [note(True), note(True)] == [True, False]
    assert not to_tell()
    for left, low in ((5, False), (4, False), (3, True)):
        with storage.writing(actor) as tx:
            (approval,) = tx.approvals.get_many([approvals.pop()])
            tx.records.delete(approval.record_id, None)
            assert tx.approvals.count_open() == left
        assert to_tell() is low, left
    assert [note(False), note(False)] == [True, False]
    assert not to_tell()
    with storage.writing(actor) as tx:
        tx.tenants.note_queue(START)
        tenant = tx.tenants.get()
        tx.tenants.update(replace(tenant, settings=TenantSettings()))
    assert to_tell(), "it has no limit any more"


def test_what_ended_long_ago_is_swept(storage: Storage) -> None:
    actor = storage.tenant()
    id, now = added(storage, actor), storage.now()
    ended = [now - timedelta(seconds=seconds) for seconds in (100, 50)]
    made = [
        a_notification(storage.ids.new(), actor, id, n, status=Status.FAILED, finished_at=at)
        for n, at in enumerate(ended)
    ]
    made.append(a_notification(storage.ids.new(), actor, id, 9, created_at=now - timedelta(days=900)))
    with storage.writing(actor) as tx:
        tx.notifications.add(made)
    assert storage.notifications.sweep(75) == 1
    assert storage.notifications.sweep(75) == 0
    with storage.reading(actor) as tx:
        assert {one.id for one in tx.notifications.list(id, before=None, limit=9)} == {one.id for one in made[1:]}
