"""What a small Stripe keeps, and what happens there: people pay, payments fail, periods end."""

from __future__ import annotations

import threading
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.memory.clock import START

Thing = dict[str, Any]
SECONDS = {"month": 30 * 86_400, "year": 365 * 86_400}
"""Months are all alike here."""
PAGES = "https://pages.stripe.example/"
_OPEN, _PAID = "open", "paid"


class StripeBilling:
    """All things by their ids, in the order in which they were made. Nothing happens by itself: `now` is moved by
    tests, and a period ends when they say so. Each thing that happens is told by `events`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.now: datetime = START
        self.livemode = False
        self.prices: dict[str, Thing] = {}
        self.customers: dict[str, Thing] = {}
        self.subscriptions: dict[str, Thing] = {}
        self.invoices: dict[str, Thing] = {}
        self.sessions: dict[str, Thing] = {}
        """Of Checkout and of the portal, by the URL of their pages."""
        self.configurations: dict[str, Thing] = {}
        self.meters: set[str] = set()
        self.meter_events: dict[str, Thing] = {}
        """By identifier."""
        self.events: list[Thing] = []
        self._count = 0
        self._prorated: dict[str, int] = {}
        """What the next bill of a subscription has besides, since its price changed."""

    def made(self, kind: str, prefix: str, **fields: Any) -> Thing:
        self._count += 1
        common = {
            "id": f"{prefix}_{self._count:06d}",
            "object": kind,
            "created": self.seconds,
            "livemode": self.livemode,
        }
        return {**common, **fields}

    @property
    def seconds(self) -> int:
        return int(self.now.timestamp())

    def advance(self, by: timedelta) -> datetime:
        self.now += by
        return self.now

    def tell(self, type: str, thing: Thing) -> Thing:
        event = self.made("event", "evt", type=type, data={"object": deepcopy(thing)}, pending_webhooks=1)
        self.events.append(event)
        return event

    def add_price(
        self,
        id: str,
        *,
        amount: int = 2_900,
        currency: str = "eur",
        interval: str = "month",
        usage_type: str = "licensed",
    ) -> Thing:
        recurring = {"interval": interval, "interval_count": 1, "usage_type": usage_type}
        self.prices[id] = {
            **self.made("price", "price", active=True, type="recurring", recurring=recurring),
            **{"id": id, "product": f"prod_{id}", "currency": currency, "unit_amount": amount},
        }
        return self.prices[id]

    def begin(self, customer: str, price_id: str, *, trial_days: int = 0, pays: bool = True, **fields: Any) -> Thing:
        """A subscription that begins now: tried, paid, or waiting for its first payment."""
        with self.lock:
            price = self.prices[price_id]
            seconds = trial_days * 86_400 or SECONDS[price["recurring"]["interval"]]
            status = "trialing" if trial_days else "active" if pays else "incomplete"
            trial_end = self.seconds + seconds if trial_days else None
            subscription = self.made(
                "subscription", "sub", customer=customer, status=status, trial_end=trial_end, currency=price["currency"]
            )
            item = self.made("subscription_item", "si", subscription=subscription["id"], price=price, quantity=1)
            item |= {"current_period_start": self.seconds, "current_period_end": self.seconds + seconds}
            url = f"/v1/subscription_items?subscription={subscription['id']}"
            subscription["items"] = {"object": "list", "url": url, "has_more": False, "data": [item]}
            subscription |= {"cancel_at": None, "cancel_at_period_end": False, "ended_at": None, "metadata": {}}
            subscription |= {"collection_method": "charge_automatically", **fields}
            self.subscriptions[subscription["id"]] = subscription
            self._bill(subscription, 0 if trial_days else price["unit_amount"], _PAID if pays else _OPEN)
            self.tell("customer.subscription.created", subscription)
            return subscription

    def _bill(self, subscription: Thing, amount: int, status: str, **fields: Any) -> Thing:
        """As Stripe's, with the period that is paid for in its line alone: its own is the one before."""
        former = [one["lines"]["data"][0]["period"]["start"] for one in self.bills(subscription["id"])]
        item = subscription["items"]["data"][0]
        period = {"start": item["current_period_start"], "end": item["current_period_end"]}
        line = self.made("line_item", "il", amount=amount, period=period)
        invoice = self.made("invoice", "in", customer=subscription["customer"], status=status, total=amount)
        invoice |= {"period_start": (former or [self.seconds])[-1], "period_end": self.seconds, "due_date": None}
        invoice |= {"currency": subscription["currency"], "number": f"STUB-{len(self.invoices) + 1:04d}"}
        invoice |= {"amount_due": amount, "amount_paid": amount if status == _PAID else 0}
        invoice |= {"hosted_invoice_url": f"{PAGES}invoices/{invoice['id']}"}
        invoice |= {"parent": {"subscription_details": {"subscription": subscription["id"]}}}
        invoice |= {"lines": {"object": "list", "url": "", "has_more": False, "data": [line]}, **fields}
        self.invoices[invoice["id"]] = invoice
        subscription["latest_invoice"] = invoice["id"]
        self.tell("invoice.paid" if status == _PAID else "invoice.payment_failed", invoice)
        return invoice

    def bills(self, subscription_id: str) -> list[Thing]:
        return [one for one in self.invoices.values() if of_subscription(one) == subscription_id]

    def renew(self, subscription_id: str, *, pays: bool = True) -> Thing:
        """The period, or the trial, ends: the next begins with its bill, unless the subscription was canceled."""
        with self.lock:
            subscription = self.subscriptions[subscription_id]
            item = subscription["items"]["data"][0]
            self.now = max(self.now, datetime.fromtimestamp(item["current_period_end"], UTC))
            if subscription["cancel_at"] or subscription["cancel_at_period_end"]:
                return self._end(subscription)
            item["current_period_start"] = item["current_period_end"]
            item["current_period_end"] += SECONDS[item["price"]["recurring"]["interval"]]
            amount = item["price"]["unit_amount"] + self._prorated.pop(subscription_id, 0)
            self._bill(subscription, amount, _PAID if pays else _OPEN)
            return self.change(subscription_id, status="active" if pays else "past_due")

    def pay(self, subscription_id: str) -> Thing:
        """All that is open."""
        with self.lock:
            for invoice in self.bills(subscription_id):
                if invoice["status"] != _PAID:
                    invoice |= {"status": _PAID, "amount_paid": invoice["amount_due"]}
                    self.tell("invoice.paid", invoice)
            return self.change(subscription_id, status="active")

    def change(self, subscription_id: str, *, event: str = "updated", **fields: Any) -> Thing:
        """Sets what the fields say, as its status, and tells so."""
        with self.lock:
            subscription = self.subscriptions[subscription_id]
            subscription |= fields
            self.tell(f"customer.subscription.{event}", subscription)
            return subscription

    def pause(self, subscription_id: str) -> Thing:
        return self.change(subscription_id, event="paused", status="paused")

    def change_price(self, subscription_id: str, price_id: str, *, prorated: bool = True) -> Thing:
        with self.lock:
            subscription = self.subscriptions[subscription_id]
            item = subscription["items"]["data"][0]
            former, item["price"] = item["price"], self.prices[price_id]
            if prorated and subscription["status"] != "trialing":
                more = item["price"]["unit_amount"] - former["unit_amount"]
                left = item["current_period_end"] - self.seconds
                total = item["current_period_end"] - item["current_period_start"]
                self._prorated[subscription_id] = self._prorated.get(subscription_id, 0) + more * left // total
            return self.change(subscription_id)

    def cancel(self, subscription_id: str, *, at_period_end: bool = True) -> Thing:
        """As the portal does it, which sets the day alone."""
        with self.lock:
            subscription = self.subscriptions[subscription_id]
            if not at_period_end:
                return self._end(subscription)
            return self.change(subscription_id, cancel_at=subscription["items"]["data"][0]["current_period_end"])

    def _end(self, subscription: Thing) -> Thing:
        return self.change(subscription["id"], event="deleted", status="canceled", ended_at=self.seconds)

    def delete_customer(self, customer_id: str) -> None:
        with self.lock:
            for subscription in self.subscriptions.values():
                if subscription["customer"] == customer_id and subscription["status"] != "canceled":
                    self._end(subscription)
            self.tell("customer.deleted", self.customers[customer_id])
            self.customers[customer_id] = {"id": customer_id, "object": "customer", "deleted": True}

    def complete(self, url: str) -> Thing | None:
        """Somebody does what the page asks for; the subscription that this made or changed."""
        with self.lock:
            session = self.sessions[url]
            if session["object"] == "checkout.session":
                return self._check_out(session)
            flow = session["flow"] or {"type": None}
            if flow["type"] == "subscription_update_confirm":
                wanted = flow["subscription_update_confirm"]
                behaviour = self.configurations[session["configuration"]]["features"]["subscription_update"]
                prorated = behaviour["proration_behavior"] == "create_prorations"
                return self.change_price(wanted["subscription"], wanted["items"][0]["price"], prorated=prorated)
            if flow["type"] == "subscription_cancel":
                return self.cancel(flow["subscription_cancel"]["subscription"])
            return None

    def _check_out(self, session: Thing) -> Thing:
        if session["status"] != "open":
            raise AssertionError("this page was done with before")
        wanted = session["subscription_data"]
        subscription = self.begin(
            session["customer"],
            session["line_items"][0]["price"],
            trial_days=int(wanted.get("trial_period_days", 0)),
            metadata=wanted.get("metadata", {}),
        )
        session |= {"status": "complete", "subscription": subscription["id"]}
        self.tell("checkout.session.completed", session)
        return subscription


def of_subscription(invoice: Thing) -> str:
    return str(invoice["parent"]["subscription_details"]["subscription"])
