"""What happens to a tenant's payments, and to what is told of that: in any order, twice, late or never. However it
went, one question to the provider later all is here as it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import strategies as st

from core.domain.billing import Account, Entitlement, Subscription, changes_at, entitle, pick
from core.domain.events import EventType
from core.domain.jobs import OPEN_STATUSES, Stream
from core.domain.payments import EventOutcome, PaymentEvent
from core.errors import Conflict, NotFound, PaymentsUnavailable
from core.usecases.shared.admitting import ASKED_EVERY
from tests.contract.billing_world import BUSINESS_PRICE, NO_PRICE, TEAM_PRICE, BillingWorld
from tests.contract.paper_payments import BEGUN, CHANGES

Act = tuple[str, Any]
Meanwhile = Callable[[Callable[[], None]], Callable[[], object]]
"""Does something while another transaction of the tenant is open; what it gives back waits for the end of that."""

PRICES = st.sampled_from([TEAM_PRICE, BUSINESS_PRICE, NO_PRICE])
TIMES = st.sampled_from(
    [timedelta(seconds=1), timedelta(minutes=4), timedelta(hours=3), timedelta(days=5), timedelta(days=16)]
)
AT_THE_PROVIDER: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("begin"), st.tuples(st.sampled_from(sorted(BEGUN)), PRICES)),
    st.tuples(st.just("change"), st.sampled_from(sorted(CHANGES))),
    st.tuples(st.just("change plan"), PRICES),
    st.tuples(st.sampled_from(["cancel", "replace", "delete"]), st.none()),
)
TOLD: st.SearchStrategy[Act] = st.tuples(st.just("told"), AT_THE_PROVIDER)
"""Which is told at once."""
AROUND: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("deliver"), st.integers(0, 99)),
    st.tuples(st.just("work"), st.integers(0, 9)),
    st.tuples(st.just("wait"), TIMES),
    st.tuples(st.sampled_from(["tick", "deny", "comp", "uncomp", "do without", "order"]), st.none()),
)
MEANWHILE: st.SearchStrategy[Act] = st.tuples(
    st.just("work meanwhile"),
    st.lists(TOLD | AT_THE_PROVIDER | st.tuples(st.sampled_from(["deliver", "work"]), st.integers(0, 99)), max_size=3),
)
"""A worker that is answered as it was before these."""
AWAY: st.SearchStrategy[Act] = st.just(("be away", None))
STORIES = st.lists(TOLD | AT_THE_PROVIDER | AROUND | MEANWHILE, max_size=25)
WITH_FAULTS = st.lists(TOLD | AT_THE_PROVIDER | AROUND | MEANWHILE | AWAY, max_size=25)
TOO_LATE_FOR_AN_ANSWER: Sequence[Act] = (
    ("told", ("begin", ("created", TEAM_PRICE))),
    ("work meanwhile", [("told", ("change", "ended"))]),
)
"""What is told while a worker is answered, which has just begun the only job."""


@dataclass(kw_only=True)
class Teller:
    """Lets a story happen. What the provider has is numbered, so that an older answer that follows a newer one shows.
    `meanwhile` is how something is done while a worker has the account. Whenever all is told and nothing waits, and the
    provider was never away, what is known is so."""

    world: BillingWorld
    meanwhile: Meanwhile

    def __post_init__(self) -> None:
        self.faults = False
        self.delivered = set[str]()
        self.states: list[Subscription | None] = [None]
        self.seen = 0
        self.asked: list[datetime] = []
        self.under_way: list[Callable[[], object]] = []

    def play(self, story: Sequence[Act]) -> None:
        for act, what in story:
            self._do(act, what)
            self._check_order()
            told = {event.id for event in self.world.payments.told} == self.delivered
            if told and not self.faults and not self.world.jobs(Stream.BILLING, *OPEN_STATUSES):
                self.check_known()

    def _do(self, act: str, what: Any) -> None:
        world, payments, customer = self.world, self.world.payments, self.world.customer
        match act:
            case "begin":
                payments.begin(customer, *what)
            case "replace":
                payments.change(customer, "ended")
                payments.begin(customer, "created", BUSINESS_PRICE)
            case "change":
                payments.change(customer, what)
            case "change plan":
                payments.change_plan(customer, what)
            case "cancel":
                payments.cancel(customer)
            case "delete":
                payments.delete(customer)
            case "told":
                before = len(payments.told)
                self._do(*what)
                for event in payments.told[before:]:
                    self._deliver(event)
            case "deliver":
                if payments.told:
                    self._deliver(payments.told[what % len(payments.told)])
            case "work":
                self._work(what)
            case "work meanwhile":
                payments.asked = lambda: self._during(what)
                self._work(0)
                payments.asked = lambda: None
                while self.under_way:
                    self.under_way.pop()()
            case "wait":
                world.clock.advance(what)
            case "tick":
                world.tick()
            case "be away":
                payments.unavailable, self.faults = 1, True
            case "comp":
                world.comp("business", world.clock.now() + timedelta(days=2))
            case "uncomp":
                with suppress(NotFound):  # there is none
                    world.comp(None)
            case "order":
                self._by_hand(world.order)
            case "do without":
                self._by_hand(lambda: world.order("free"))
            case "deny":
                self._deny()
        self.states.append(self._truth())

    def _during(self, acts: Sequence[Act]) -> None:
        """The answer is as it was; all of this happens before it is written."""
        for act, what in acts:
            if act == "work":
                self.under_way.append(self.meanwhile(partial(self._work, what)))
            else:
                self._do(act, what)

    def _deliver(self, event: PaymentEvent) -> None:
        again = event.id in self.delivered
        self.delivered.add(event.id)
        known = event.customer_id == self.world.account.customer_id
        expected = EventOutcome.DUPLICATE if again else EventOutcome.ACCEPTED if known else EventOutcome.IGNORED
        assert self.world.deliver(event) is expected

    def _work(self, place: int) -> None:
        if waiting := self.world.jobs(Stream.BILLING):
            self.world.work(waiting[place % len(waiting)])

    def _by_hand(self, order: Callable[[], Any]) -> None:
        with suppress(Conflict, PaymentsUnavailable):  # a payment is missing, a subscription runs, nobody answers
            order()

    def _deny(self) -> None:
        """Asks at once, though not more often than once in five minutes, whoever is denied how often."""
        now = self.world.clock.now()
        again = not self.asked or now - self.asked[-1] > ASKED_EVERY
        again = again and self.world.account.customer_id is not None
        assert self.world.deny() is again
        if again:
            self.asked.append(now)

    def _truth(self) -> Subscription | None:
        return pick(list(self.world.payments.kept.get(self.world.customer, {}).values()))

    def _check_order(self) -> None:
        """What is written was so at the provider, and not before what was written last."""
        now = self.world.account.subscription
        later = [place for place in range(self.seen, len(self.states)) if self.states[place] == now]
        assert later, f"{now} follows what is newer"
        self.seen = later[0]

    def tell_the_rest(self) -> None:
        """What was not told yet arrives, the newest first, and what waits is done."""
        for event in reversed(self.world.payments.told):
            if event.id not in self.delivered:
                self._deliver(event)
        self.world.clock.advance(timedelta(minutes=1))  # what failed is tried again
        self.world.drain()

    def reconcile(self) -> None:
        """The provider is asked because nothing was told for a day; not more than once."""
        world = self.world
        world.payments.unavailable = 0
        world.clock.advance(timedelta(days=1))
        world.tick()
        world.drain()

    def check_known(self) -> None:
        assert self.world.account.subscription == self._truth()

    def check(self) -> None:
        """All is as it is at the provider, and people know it."""
        world, now = self.world, self.world.clock.now()
        self.check_known()
        account = world.account
        should = Account(
            tenant_id=account.tenant_id,
            subscription=self._truth(),
            comp=account.comp,
            without_since=account.without_since,
        )
        right = entitle(should, world.terms, now)
        assert world.entitled() == right
        assert account.told is not None
        assert right.told(account.told.plan_since) == account.told
        self._check_told(right)
        assert world.jobs(None, *OPEN_STATUSES) == []
        ends = changes_at(should, world.terms, now)
        if ends is not None:
            world.clock.advance(ends - now)
            world.tick()
            waiting = [(job.stream, job.payload) for job in world.jobs()]
            assert waiting == [(Stream.BILLING, {"reason": "due"})], "its end by the clock is waited for"

    def _check_told(self, right: Entitlement) -> None:
        """Each change once, the last one being what is so: as events, and to the owner."""
        first = entitle(Account(tenant_id=self.world.tenant.tenant_id), self.world.terms, self.world.clock.now())
        told = self.world.told(EventType.ACCESS_CHANGED)
        before = _shown(first)
        for change in told:
            assert change["before"] == before
            assert change["now"] != before
            before = change["now"]
        assert before == _shown(right)
        assert len(self.world.sent) == len(told)


def _shown(now: Entitlement) -> dict[str, Any]:
    return {"plan": now.plan.key, "version": now.plan.version, "access": now.access.value, "reason": now.reason}
