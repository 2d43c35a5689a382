"""Notifications from event to receiver, over every storage: each event once to each endpoint, by the schedule, however
often a worker or the relay dies."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.events import EventType, NewEvent
from core.domain.jobs import JobStatus
from core.domain.notification_retries import SCHEDULE
from core.domain.notifications import DisabledReason, NotificationStatus, Topic
from core.domain.permissions import Role
from core.domain.tenants import TenantSettings
from core.errors import Conflict, Invalid, NotFound, Transient
from core.usecases import endpoints, notifications, telling
from core.usecases.jobs import fail_job, replay_jobs
from ports.notifications import Answer
from tests.contract.notification_world import DOWN, OK, NotificationWorld
from tests.contract.storage import Storage

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
Status = NotificationStatus


@pytest.fixture
def world(storage: Storage) -> NotificationWorld:
    return NotificationWorld(storage=storage)


def test_each_endpoint_is_told_of_its_topics_once(world: NotificationWorld) -> None:
    failures, _ = world.webhook(Topic.FAILURES)
    both, _ = world.webhook(Topic.QUOTA, Topic.FAILURES)
    world.happens(EventType.INGESTED)
    imported = world.happens(EventType.IMPORT_FAILED, reason="of Ada Lovelace")
    world.happens(EventType.USAGE_NOTICED, meter="records", percent=80, month="2026-01-01", limit="10")
    assert world.make() == 0
    assert world.drain() == 3
    assert [one.type for one in world.log(failures)] == ["import.failed"]
    assert [one.type for one in world.log(both)] == ["import.failed", "usage.noticed"]
    assert {one.status for one in (*world.log(failures), *world.log(both))} == {Status.DELIVERED}
    assert sorted(webhook.id for webhook in world.received) == sorted(
        str(one.id) for id in (failures, both) for one in world.log(id)
    )
    body = world.bodies()[0]
    assert body["type"] == "import.failed"
    assert body["data"] == {
        "tenant_id": str(world.tenant.tenant_id),
        "seq": body["data"]["seq"],
        "import_id": str(imported),
    }
    assert "Ada" not in json.dumps(world.bodies())
    assert world.endpoint(both).succeeded_at == world.clock.now()


def test_an_endpoint_is_told_of_what_happens_from_then_on(world: NotificationWorld) -> None:
    world.happens()
    first, _ = world.webhook()
    world.happens()
    second, _ = world.webhook()
    world.happens()
    assert (len(world.log(first)), len(world.log(second))) == (2, 1)


def test_what_is_told_goes_page_by_page_and_to_nobody_twice(
    world: NotificationWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "EVENTS_AT_ONCE", 2)
    first, _ = world.webhook()
    for _ in range(3):
        with world.storage.writing(world.tenant) as tx:
            tx.events.append([NewEvent(type=EventType.IMPORT_FAILED)])
    world.storage.system.seal()
    second, _ = world.webhook()  # who is told of these no more, though the first still is
    for _ in range(2):
        with world.storage.writing(world.tenant) as tx:
            tx.events.append([NewEvent(type=EventType.IMPORT_FAILED)])
    assert world.make() == 5 + 2
    seqs = [one.seq for one in world.log(first)]
    assert seqs == sorted(seqs)
    assert len(set(seqs)) == 5
    assert [one.seq for one in world.log(second)] == seqs[3:]


def test_a_receiver_that_is_down_is_tried_by_the_schedule_and_gets_it_when_it_is_back(
    world: NotificationWorld,
) -> None:
    id, _ = world.webhook()
    world.answers = [DOWN] * 9 + [OK]
    world.happens()
    assert world.drain() == 1
    for n, wait in enumerate(SCHEDULE[1:], start=2):
        assert world.pass_time(wait - SECOND) == 0
        assert world.pass_time(wait * 0.1 + SECOND) == 1, "the jitter is a tenth at most"
        (told,) = world.log(id)
        assert (told.tries, len(told.attempts)) == (n, n)
    assert told.status is Status.DELIVERED
    assert len({webhook.id for webhook in world.received}) == 1, "receivers know it by its id"
    assert len({webhook.body for webhook in world.received}) == 1
    stamps = [webhook.at for webhook in world.received]
    assert stamps == sorted(set(stamps)), "and by each try's own time"
    assert [job.attempts for job in world.jobs(JobStatus.DONE)] == [1], "tries are not the job's attempts"
    assert world.endpoint(id).failing_since is None


def test_who_fails_for_five_days_is_disabled_and_the_owners_are_told(world: NotificationWorld) -> None:
    world.member(Role.ADMIN)
    id, _ = world.webhook()
    world.answers = [DOWN]
    world.happens()
    for _ in range(4 * 24):
        world.pass_time(HOUR)
    (first,) = world.log(id)
    assert (first.status, first.tries) == (Status.FAILED, len(SCHEDULE))
    assert world.endpoint(id).disabled_at is None
    world.happens()
    for _ in range(4 * 24):
        world.pass_time(HOUR)
    disabled = world.endpoint(id)
    assert disabled.disabled_reason is DisabledReason.FAILING
    (event,) = world.storage.events(world.tenant, EventType.ENDPOINT_DISABLED)
    assert (event.subject_id, event.payload) == (id, {"reason": "failing"})
    (mail,) = world.mails
    assert (mail.to, mail.subject) == (
        world.owner.email,
        "An endpoint for notifications was disabled: Harbour Books",
    )
    assert "hooks.example" not in mail.text, "addresses of webhooks are secrets"
    world.happens()
    assert len(world.log(id)) == 2, "who is disabled is told nothing"
    world.call(endpoints.enable_endpoint, world.tenant, id)
    world.answers = [OK]
    world.happens()
    world.drain()
    assert [one.status for one in world.log(id)] == [Status.FAILED, Status.FAILED, Status.DELIVERED]


def test_410_disables_at_once_and_what_was_to_come_is_not_sent(world: NotificationWorld) -> None:
    id, _ = world.webhook()
    world.answers = [DOWN, Answer(status=410, code="refused"), OK]
    world.happens()
    world.drain()
    world.happens()
    world.drain()
    assert world.endpoint(id).disabled_reason is DisabledReason.GONE
    world.pass_time(6 * SECOND)
    assert len(world.received) == 2
    waiting, gone = world.log(id)
    assert [one.code for one in waiting.attempts] == ["refused", "endpoint_disabled"]
    assert (waiting.status, gone.status) == (Status.FAILED, Status.FAILED)
    assert len(world.mails) == 1
    with pytest.raises(Conflict):
        world.call(notifications.redeliver_failed, world.tenant, id, world.clock.now() - DAY)
    world.call(endpoints.enable_endpoint, world.tenant, id)
    assert world.call(notifications.redeliver_failed, world.tenant, id, world.clock.now() - DAY) == 2
    assert world.drain() == 2
    assert [one.status for one in world.log(id)] == [Status.DELIVERED] * 2
    assert [webhook.id for webhook in world.received[2:]] == [str(one.id) for one in world.log(id)]


def test_a_kill_between_sealing_and_making_or_making_and_sending_loses_nothing(world: NotificationWorld) -> None:
    id, _ = world.webhook()
    with world.storage.writing(world.tenant) as tx:
        tx.events.append([NewEvent(type=EventType.IMPORT_FAILED)])
    world.storage.system.seal()  # and here the relay dies
    assert world.make() == 1
    (job,) = world.jobs()
    claimed = world.claim(job)
    assert claimed is not None  # and here a worker, for which the reaper waits
    world.call(fail_job, claimed, Transient("the worker was lost"))
    assert world.log(id)[0].status is Status.PENDING
    again = world.jobs()[0]
    assert again.attempts == 1
    with world.storage.reading(world.tenant) as tx:
        assert tx.notifications.get(world.log(id)[0].id).tries == 0


def test_a_relay_that_dies_before_the_commit_has_made_nothing(
    world: NotificationWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, _ = world.webhook()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(telling, "sending_job", dies)
        with pytest.raises(KeyboardInterrupt):
            world.happens()
    assert world.log(id) == []
    assert world.make() == 1
    assert world.drain() == 1
    assert len(world.received) == 1


def test_a_worker_that_dies_after_sending_sends_again_under_the_same_id(
    world: NotificationWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, _ = world.webhook()
    world.happens()
    (job,) = world.jobs()
    with monkeypatch.context() as patched:
        patched.setattr("core.usecases.sending._note", _dies)
        with pytest.raises(KeyboardInterrupt):
            world.work(job)
    assert world.log(id)[0].attempts == ()
    running = world.jobs(JobStatus.RUNNING)[0]
    with world.storage.writing(world.tenant) as tx:
        tx.jobs.put_off(running, "as the reaper does", due_at=world.clock.now())
    assert world.drain() == 1
    assert len(world.received) == 2
    assert len({webhook.id for webhook in world.received}) == 1
    assert len(world.log(id)[0].attempts) == 1


def _dies(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_job_that_used_up_its_workers_is_dead_is_told_to_nobody_and_can_be_replayed(
    world: NotificationWorld,
) -> None:
    id, _ = world.webhook()
    world.happens()
    (job,) = world.jobs()
    claimed = world.claim(job)
    assert claimed is not None
    assert world.call(fail_job, claimed, Invalid("whatever")) is JobStatus.DEAD
    (told,) = world.log(id)
    assert (told.status, told.attempts[-1].code) == (Status.FAILED, "job_dead")
    assert world.make() == 0, "that one could not be sent is no news"
    world.call(replay_jobs, world.tenant, [job.id])
    assert world.drain() == 1
    assert world.log(id)[0].status is Status.DELIVERED


def test_a_test_goes_to_a_disabled_endpoint_too_and_once(world: NotificationWorld) -> None:
    id, _ = world.webhook()
    world.call(endpoints.disable_endpoint, world.tenant, id)
    world.answers = [DOWN]
    made = world.call(notifications.test_endpoint, world.tenant, id)
    assert world.drain() == 1
    (told,) = world.log(id)
    assert (told.id, told.status, told.type) == (made.id, Status.FAILED, "endpoint.test")
    assert world.pass_time(DAY) == 0
    assert world.endpoint(id).failing_since is None
    assert world.bodies()[0]["data"] == {"tenant_id": str(world.tenant.tenant_id), "endpoint_id": str(id)}


def test_redelivery_begins_the_schedule_anew_and_the_former_job_finds_nothing_to_do(
    world: NotificationWorld,
) -> None:
    id, _ = world.webhook()
    other, _ = world.webhook(Topic.REPORTS)
    world.answers = [DOWN]
    world.happens()
    world.drain()
    (told,) = world.log(id)
    again = world.call(notifications.redeliver, world.tenant, id, told.id)
    assert (again.id, again.tries, again.status) == (told.id, 0, Status.PENDING)
    assert len(world.jobs()) == 2
    world.clock.advance(6 * SECOND)
    world.answers = [OK]
    assert world.drain() == 2
    assert len(world.received) == 2
    (told,) = world.log(id)
    assert [one.code for one in told.attempts] == ["refused", "ok"]
    world.call(notifications.redeliver, world.tenant, id, told.id)  # what arrived can be sent again, too
    assert world.drain() == 1
    with pytest.raises(NotFound):
        world.call(notifications.redeliver, world.tenant, other, told.id)


def test_a_queue_that_grows_beyond_its_limit_is_told_of_once_until_it_was_well_below(
    world: NotificationWorld,
) -> None:
    world.webhook(Topic.QUEUE)
    with world.storage.writing(world.tenant) as tx:
        tx.tenants.update(replace(tx.tenants.get(), settings=TenantSettings(queue_limit=5)))
    items = [world.storage.review(world.tenant, str(n)) for n in range(6)]
    assert world.call(telling.watch_queues) == 1
    assert world.call(telling.watch_queues) == 0
    world.make()
    world.drain()
    assert world.bodies()[-1]["type"] == "queue.over_limit"
    assert {"open": 6, "limit": 5}.items() <= world.bodies()[-1]["data"].items()

    def decide(count: int) -> None:
        with world.storage.writing(world.tenant) as tx:
            for approval in tx.approvals.get_many([items.pop() for _ in range(count)]):
                tx.records.delete(approval.record_id, None)

    decide(2)
    assert world.call(telling.watch_queues) == 0
    items += [world.storage.review(world.tenant, f"b{n}") for n in range(2)]
    assert world.call(telling.watch_queues) == 0, "four of five is not well below"
    decide(3)
    assert world.call(telling.watch_queues) == 0
    items += [world.storage.review(world.tenant, f"c{n}") for n in range(3)]
    assert world.call(telling.watch_queues) == 1
