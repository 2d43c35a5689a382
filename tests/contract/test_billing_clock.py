"""What the clock makes of a tenant's plan, over every storage: each change is told by an event and a mail, when it
comes, and what was held goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from adapters.memory.clock import FixedClock
from adapters.memory.files import MemoryFileStore
from core.domain.billing import Access
from core.domain.events import EventType
from core.domain.jobs import Stream
from core.domain.permissions import Role
from core.errors import Conflict
from core.usecases.retention import expire_records
from tests.contract.billing_world import BUSINESS_PRICE, DAY, FREE, LONG_AGO, BillingWorld
from tests.contract.storage import Storage, a_draft, some_terms

SECOND = timedelta(seconds=1)


@pytest.fixture
def world(storage: Storage) -> BillingWorld:
    return BillingWorld(storage=storage, clock=FixedClock(LONG_AGO))


class Watched:
    """What has changed since it was looked at last."""

    def __init__(self, world: BillingWorld) -> None:
        self.world = world
        self.told = self.mailed = 0

    def changes(self) -> list[tuple[str, str, str]]:
        """What the tenant may do, as it was told: plan, access and why."""
        told = self.world.told(EventType.ACCESS_CHANGED)
        new, self.told = told[self.told :], len(told)
        return [(change["now"]["plan"], change["now"]["access"], change["now"]["reason"]) for change in new]

    def mails(self) -> list[tuple[str, str]]:
        """Subjects, and the first lines of texts."""
        new, self.mailed = self.world.sent[self.mailed :], len(self.world.sent)
        assert {mail.to for mail in new} <= {self.world.owner.email}
        return [(mail.subject, mail.text.splitlines()[0]) for mail in new]


def test_a_subscription_goes_through_its_life_and_back(world: BillingWorld) -> None:
    seen, begin = Watched(world), world.clock.now()
    world.member(Role.ADMIN)  # who is written nothing
    world.subscribe("tried")
    assert seen.changes() == [("team", "full", "trialing")]
    ((subject, text),) = seen.mails()
    assert subject == "Your plan: Harbour Books"
    assert text.startswith("You are on the plan team until 17 March 2025")
    assert world.bring("1", "2").held == 0

    world.pass_time(14 * DAY - SECOND)
    assert seen.changes() == []
    world.payments.change(world.customer, "paid")  # at the trial's end, of which nothing is told
    world.clock.advance(SECOND)
    assert world.tick() == 1
    assert [(job.stream, job.payload) for job in world.jobs(Stream.BILLING)] == [(Stream.BILLING, {"reason": "due"})]
    world.drain()
    assert seen.changes() == [("team", "full", "active")]
    assert len(seen.mails()) == 1

    world.clock.set(begin + 40 * DAY)
    world.happens("failed")
    assert seen.changes() == [("team", "grace", "past_due")]
    ((subject, text),) = seen.mails()
    assert subject == "A payment is missing: Harbour Books"
    assert text == (
        "The last payment for the plan team failed. Everything goes on until 26 April 2025; after that, nothing can be"
        " changed until it is paid. Nothing is deleted."
    )
    assert world.bring("3").held == 0, "a missing payment is waited for"

    world.pass_time(14 * DAY - SECOND)
    assert seen.changes() == []
    world.clock.advance(SECOND)
    assert world.entitled().access is Access.READ_ONLY, "it is so before anybody is told"
    assert world.tick() == 1
    world.drain()
    assert seen.changes() == [("team", "read_only", "past_due")]
    ((subject, text),) = seen.mails()
    assert subject == "Read-only until it is paid: Harbour Books"
    assert text.startswith("The plan team is not paid (past_due). Everything can be read and exported;")
    assert (world.bring("4", "5").held, world.held(), world.used()) == (2, 2, 1)
    assert world.told(EventType.RECORDS_HELD) == [{"records": 2, "plan": "team", "access": "read_only"}]

    world.happens("given up")
    assert seen.changes() == [("team", "read_only", "unpaid")]
    assert len(seen.mails()) == 1
    assert world.held() == 2

    sorting = len(world.jobs(Stream.PROCESS))
    world.happens("paid")
    assert seen.changes() == [("team", "full", "active")]
    assert len(seen.mails()) == 1
    assert (world.held(), world.used()) == (0, 3)
    assert world.told(EventType.RECORDS_RESUMED) == [{"records": 2}]
    assert len(world.jobs(Stream.PROCESS)) == sorting + 1
    assert world.account.resumes_at is None
    world.pass_time(40 * DAY)
    assert (seen.changes(), seen.mails()) == ([], [])


def test_a_comp_begins_ends_and_is_taken_back(world: BillingWorld) -> None:
    seen = Watched(world)
    world.bring(*(str(n) for n in range(9)))
    assert world.held() == 4
    world.comp("team", world.clock.now() + 10 * DAY)
    world.drain()
    assert seen.changes() == [("team", "full", "comp")]
    mails = seen.mails()
    subjects = ("80 % of the plan is used", "100 % of the plan is used", "Your plan", "80 % of the plan is used")
    assert [subject for subject, _ in mails] == [f"{subject}: Harbour Books" for subject in subjects]
    text = mails[2][1]
    assert text.startswith("You are on the plan team until 13 March 2025")
    assert (world.held(), world.used()) == (0, 9)
    world.pass_time(10 * DAY - SECOND)
    assert seen.changes() == []
    world.pass_time(SECOND)
    assert seen.changes() == [("free", "full", "none")]
    assert len(seen.mails()) == 1
    assert world.bring("more").held == 1, "what was used stays used"
    world.comp("business")
    world.drain()
    assert (seen.changes(), world.held()) == ([("business", "full", "comp")], 0)
    assert seen.mails()[0][1].startswith("You are on the plan business.")
    world.comp(None)
    world.drain()
    assert seen.changes() == [("free", "full", "none")]
    given = [(told["plan"], told["reason"]) for told in world.told(EventType.PLAN_COMPED)]
    assert given == [("team", "a pilot"), ("business", "a pilot"), (None, "a pilot")]


def test_a_comp_helps_who_does_not_pay_until_it_ends(world: BillingWorld) -> None:
    seen = Watched(world)
    world.subscribe()
    world.happens("ended")
    world.comp("team", world.clock.now() + DAY)
    world.drain()
    world.pass_time(DAY)
    assert [(access, reason) for _, access, reason in seen.changes()] == [
        ("full", "active"),
        ("read_only", "canceled"),
        ("full", "comp"),
        ("read_only", "canceled"),
    ]


def test_who_does_without_what_ended_has_the_plan_of_everybody(world: BillingWorld) -> None:
    seen = Watched(world)
    world.subscribe()
    with pytest.raises(Conflict, match="cancel it"):
        world.order("free")
    world.happens("ended")
    assert world.bring(*(str(n) for n in range(9))).held == 9
    world.order("free")
    world.drain()
    assert seen.changes()[-1] == ("free", "full", "none")
    assert (world.held(), world.used()) == (4, 5), "as far as that plan has room"
    assert "nothing is held" not in seen.mails()[-1][1]
    world.clock.set(datetime(2025, 4, 1, tzinfo=UTC) - SECOND)
    world.tick()
    world.drain()
    assert world.held() == 4
    world.pass_time(SECOND)
    assert (world.held(), world.used()) == (0, 4), "the month has begun"
    world.subscribe(price_id=BUSINESS_PRICE)
    assert seen.changes()[-1] == ("business", "full", "active")


def test_a_month_that_is_used_up_again_holds_the_rest_until_the_next(world: BillingWorld) -> None:
    world.bring(*(str(n) for n in range(12)))
    held = [world.held()]
    for month in (4, 5, 6):
        world.clock.set(datetime(2025, month, 1, tzinfo=UTC))
        world.tick()
        world.drain()
        held.append(world.held())
    assert held == [7, 2, 0, 0]
    assert [told["records"] for told in world.told(EventType.RECORDS_RESUMED)] == [5, 2]


def expire(world: BillingWorld) -> int:
    gone: int = world.call(expire_records, refit_delay=0.0, system=world.storage.system, files=MemoryFileStore())
    return gone


def an_old_record(world: BillingWorld, id: str = "old") -> None:
    world.storage.store(world.tenant, [a_draft(id, occurred_at=date(2024, 6, 1))])


def test_a_plans_days_count_a_month_after_it_is_known_that_a_tenant_has_it(world: BillingWorld) -> None:
    an_old_record(world)
    assert expire(world) == 0
    assert world.account.told is not None, "from now on it is known"
    world.clock.advance(30 * DAY - SECOND)
    assert expire(world) == 0
    world.clock.advance(SECOND)
    assert expire(world) == 1
    assert [told["records"] for told in world.told(EventType.RECORDS_EXPIRED)] == [1]
    assert world.told(EventType.ACCESS_CHANGED) == []


def test_no_plan_takes_records_while_a_payment_is_missing(world: BillingWorld) -> None:
    world.subscribe()
    an_old_record(world)
    world.clock.advance(25 * DAY)
    world.happens("failed")
    for days in (10, 10, 300):  # grace, its end, and long after
        world.pass_time(days * DAY)
        assert expire(world) == 0
    world.happens("ended")
    world.clock.advance(300 * DAY)
    assert expire(world) == 0
    world.order("free")
    world.drain()
    assert expire(world) == 0, "the plan is new to the tenant"
    world.clock.advance(30 * DAY)
    assert expire(world) == 1


def test_who_pays_again_has_had_the_plan_all_along(world: BillingWorld) -> None:
    world.subscribe()
    an_old_record(world)
    world.clock.advance(29 * DAY)
    world.happens("failed")
    world.clock.advance(5 * DAY)
    assert expire(world) == 0
    world.happens("paid")
    assert expire(world) == 1


def test_another_version_of_everybodys_plan_is_noticed_and_counts_from_then(world: BillingWorld) -> None:
    """Of tenants that pay nothing no provider is asked, and nobody else looks."""
    an_old_record(world)
    world.terms = some_terms(FREE, mails=True)
    assert expire(world) == 0
    world.clock.advance(40 * DAY)
    an_old_record(world, "older")
    world.terms = some_terms(replace(FREE, version=2), mails=True)
    assert expire(world) == 0
    (told,) = world.told(EventType.ACCESS_CHANGED)
    assert (told["before"]["version"], told["now"]["version"]) == (1, 2)
    world.clock.advance(30 * DAY)
    assert expire(world) == 2
