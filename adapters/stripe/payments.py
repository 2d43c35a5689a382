"""Payments at Stripe: its pages take orders and money, its API says what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

import stripe
import structlog
from stripe.params import CustomerUpdateParams, SubscriptionListParams
from stripe.params.billing_portal import SessionCreateParamsFlowData, SessionCreateParamsFlowDataAfterCompletion
from stripe.params.checkout import SessionCreateParams, SessionCreateParamsSubscriptionData

from adapters.stripe import webhooks
from adapters.stripe.api import RETRIES, NoSuchCustomer, StripeApi, is_missing, once, translated
from adapters.stripe.portal import Portal, with_change
from adapters.stripe.reading import invoice_of, is_by_use, plan_item, price_of, subscription_of, unpaid_since
from core.domain.billing import Subscription
from core.domain.payments import Invoice, MeterReading, PaymentEvent, Purpose
from core.errors import Invalid, PaymentsRefused, PaymentsUnavailable
from ports.payments import HostedPage, NewCustomer, Order

log = structlog.get_logger()

PAGE = 100
_TAKEN_BEFORE = "An event already exists with identifier"
_NO_KEY = {401, 403}
_FOLLOWERS = 5
"""How many customers of a tenant may be deleted in a day."""


class StripePayments:
    """`Payments` at Stripe; may be shared by threads.

    `api_key` and `webhook_secrets` may be what says which these are now. The secrets have spaces or commas between
    them: any of them signs, so one takes another's place without a gap. `base_url` is the API's root (None: Stripe's
    own), `timeout` is per try, in seconds. `automatic_tax` has Stripe add the taxes of where a customer is, which is to
    be set up there first.
    """

    name = webhooks.NAME

    def __init__(
        self,
        api_key: str | Callable[[], str],
        webhook_secrets: str | Callable[[], str],
        *,
        base_url: str | None = None,
        automatic_tax: bool = False,
        timeout: float = 10.0,
        retries: int = RETRIES,
    ) -> None:
        self._api = StripeApi(api_key, base_url=base_url, timeout=timeout, retries=retries)
        self._portal = Portal(self._api)
        self._secrets = webhook_secrets if callable(webhook_secrets) else lambda: webhook_secrets
        self._automatic_tax = automatic_tax

    @property
    def prices(self) -> str:
        return "live" if self._api.live else "test"

    def create_customer(self, customer: NewCustomer) -> str:
        """Made by what never changes of a tenant, and named then: under its key Stripe takes the same words alone. For
        a day it gives one who was deleted meanwhile for the key, too: whoever follows has a key of their own."""
        customers = self._api.client().v1.customers
        key, metadata = f"customer-{customer.tenant_id}", {"tenant_id": str(customer.tenant_id)}
        named: CustomerUpdateParams = {"name": customer.name}
        if customer.email is not None:
            named["email"] = customer.email
        with translated():
            for _ in range(_FOLLOWERS):
                made = once(key, lambda key: customers.create({"metadata": metadata}, {"idempotency_key": key}))
                try:
                    customers.update(made.id, named)
                    return made.id
                except stripe.InvalidRequestError as error:
                    if not is_missing(error):
                        raise
                key = f"customer-{customer.tenant_id}-{made.id}"
        raise PaymentsRefused("Stripe has deleted each customer that was made for this tenant today.")

    def order(self, order: Order) -> HostedPage:
        price_id = order.plan.prices.get(self.prices, {}).get(order.interval)
        if price_id is None:
            raise Invalid(f"the plan {order.plan.key} is not sold by the {order.interval}")
        with translated():
            if order.subscription_id is None:
                return self._check_out(order, price_id)
            return self._change(order, order.subscription_id, price_id)

    def _check_out(self, order: Order, price_id: str) -> HostedPage:
        tenant, client = str(order.tenant_id), self._api.client()
        # Of what is paid by use, nobody says how much when it is ordered.
        by_use = order.plan.meters and is_by_use(client.v1.prices.retrieve(price_id))
        bought: SessionCreateParamsSubscriptionData = {
            "metadata": {"tenant_id": tenant, "plan": order.plan.key, "plan_version": str(order.plan.version)}
        }
        if order.trial_days > 0:
            bought["trial_period_days"] = order.trial_days
        asked: SessionCreateParams = {
            "mode": "subscription",
            "customer": order.customer_id,
            "client_reference_id": tenant,
            "line_items": [{"price": price_id} if by_use else {"price": price_id, "quantity": 1}],
            "subscription_data": bought,
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "allow_promotion_codes": True,
            "billing_address_collection": "required",
            "tax_id_collection": {"enabled": True},
            "customer_update": {"name": "auto", "address": "auto"},  # or tax is not known, and ids are not taken
        }
        if self._automatic_tax:
            asked["automatic_tax"] = {"enabled": True}
        sessions = client.v1.checkout.sessions
        session = once(order.key, lambda key: sessions.create(asked, {"idempotency_key": key}))
        if session.url is None:
            raise PaymentsRefused("Stripe has no page for this order: it was completed, or is too old.")
        return HostedPage(url=session.url)

    def _change(self, order: Order, subscription_id: str, price_id: str) -> HostedPage:
        """A page that asks whether the price shall be that one. There is none for the price that it is already; who has
        canceled that one renews it where all is looked after."""
        client = self._api.client()
        item = plan_item(client.v1.subscriptions.retrieve(subscription_id))
        if price_of(item).id == price_id:
            return self._portal.open(order.customer_id, order.success_url)
        flow: SessionCreateParamsFlowData = {
            "type": "subscription_update_confirm",
            "subscription_update_confirm": {
                "subscription": subscription_id,
                "items": [{"id": item.id, "price": price_id}],
            },
            "after_completion": _back_to(order.success_url),
        }
        features = with_change(client.v1.prices.retrieve(price_id))
        return self._portal.open(order.customer_id, order.cancel_url, features, flow)

    def portal(self, customer_id: str, purpose: Purpose, subscription_id: str | None, return_url: str) -> HostedPage:
        flow: SessionCreateParamsFlowData | None = None
        if purpose is Purpose.PAYMENT_METHOD:
            flow = {"type": "payment_method_update", "after_completion": _back_to(return_url)}
        elif purpose is Purpose.CANCEL:
            if subscription_id is None:
                raise Invalid("there is no subscription that could be canceled")
            flow = {
                "type": "subscription_cancel",
                "subscription_cancel": {"subscription": subscription_id},
                "after_completion": _back_to(return_url),
            }
        with translated():
            return self._portal.open(customer_id, return_url, flow=flow)

    def subscriptions(self, customer_id: str) -> Sequence[Subscription] | None:
        """Stripe keeps those of customers who were deleted."""
        asked: SubscriptionListParams = {
            "customer": customer_id,
            "status": "all",
            "limit": PAGE,
            "expand": ["data.customer"],
        }
        client = self._api.client()
        try:
            with translated():
                found = list(client.v1.subscriptions.list(asked).auto_paging_iter())
                customer = found[0].customer if found else _customer(client, customer_id)
                if customer is None or getattr(customer, "deleted", False):
                    return None
                return [subscription_of(one, self._past_due_since(one)) for one in found]
        except NoSuchCustomer:
            return None

    def _past_due_since(self, subscription: stripe.Subscription) -> datetime | None:
        if subscription.status != "past_due":
            return None
        invoices = self._api.client().v1.invoices
        return unpaid_since(invoices.list({"subscription": subscription.id, "limit": PAGE}).auto_paging_iter())

    def invoices(self, customer_id: str, limit: int) -> Sequence[Invoice]:
        try:
            with translated():
                found = self._api.client().v1.invoices.list({"customer": customer_id, "limit": min(limit + 1, PAGE)})
                finished = (one for one in found.auto_paging_iter() if one.status != "draft")
                return [invoice_of(one) for one in islice(finished, limit)]
        except NoSuchCustomer:
            return []

    def read_event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> PaymentEvent:
        return webhooks.read_event(body, headers, self._secrets(), now)

    def report(self, readings: Sequence[MeterReading]) -> Sequence[UUID]:
        """One by one, for Stripe takes no more at once. What it refuses of them keeps no other back."""
        taken: list[UUID] = []
        fault: PaymentsRefused | PaymentsUnavailable | None = None
        for reading in readings:
            try:
                with translated():
                    self._report(reading)
                taken.append(reading.id)
            except (PaymentsRefused, PaymentsUnavailable) as error:
                log.warning("usage not reported", reading=str(reading.id), error=str(error))
                fault = error
                if isinstance(error, PaymentsUnavailable) or error.details.get("http_status") in _NO_KEY:
                    break
        if fault is not None and not taken:
            raise fault
        return taken

    def _report(self, reading: MeterReading) -> None:
        try:
            self._api.client().v1.billing.meter_events.create(
                {
                    "event_name": reading.name,
                    "identifier": str(reading.id),
                    "payload": {
                        "stripe_customer_id": reading.customer_id,
                        "value": format(reading.quantity.normalize(), "f"),
                    },
                    "timestamp": int(reading.at.timestamp()),
                }
            )
        except stripe.InvalidRequestError as error:
            if error.code != "duplicate_meter_event" and not (error.user_message or "").startswith(_TAKEN_BEFORE):
                raise


def _customer(client: stripe.StripeClient, id: str) -> stripe.Customer | None:
    try:
        return client.v1.customers.retrieve(id)
    except stripe.InvalidRequestError as error:
        if is_missing(error):
            return None
        raise


def _back_to(url: str) -> SessionCreateParamsFlowDataAfterCompletion:
    return {"type": "redirect", "redirect": {"return_url": url}}
