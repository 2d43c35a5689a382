"""What a small Stripe answers to whom: each route checks what it is sent as Stripe does, as far as that is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.stubs.stripe_billing_forms import Refused, check, missing, page
from tests.stubs.stripe_billing_state import PAGES, StripeBilling, Thing, of_subscription

_PAGING = ("limit", "starting_after", "expand")
_MOST_PAGES = 100
_CHANGEABLE = ("trialing", "active", "past_due")


class StripeRoutes:
    """`answer` is the body for a request; raises `Refused`. `most_per_page` makes pages smaller than is asked for."""

    def __init__(self, billing: StripeBilling) -> None:
        self._at = billing
        self.most_per_page = _MOST_PAGES
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Thing]]] = [
            (method, re.compile(f"/v1/{path}"), answering)
            for method, path, answering in (
                ("POST", "customers", self._make_customer),
                ("POST", r"customers/(\w+)", self._name_customer),
                ("GET", r"customers/(\w+)", self._customer),
                ("GET", r"prices/(\w+)", self._price),
                ("POST", "checkout/sessions", self._check_out),
                ("GET", "billing_portal/configurations", self._configurations),
                ("POST", "billing_portal/configurations", self._configure),
                ("POST", "billing_portal/sessions", self._open_portal),
                ("GET", "subscriptions", self._subscriptions),
                ("GET", r"subscriptions/(\w+)", self._subscription),
                ("GET", "invoices", self._invoices),
                ("POST", "billing/meter_events", self._count_use),
            )
        ]

    def answer(self, method: str, path: str, params: dict[str, Any]) -> Thing:
        for known, pattern, answering in self._routes:
            if known == method and (found := pattern.fullmatch(path)):
                return answering(params, *found.groups())
        raise Refused(f"Unrecognized request URL ({method}: {path}).", status=404)

    def _make_customer(self, params: Thing) -> Thing:
        check(params, may=["metadata", "name", "email"])
        _check_email(params)
        customer = self._at.made("customer", "cus", name=None, email=None, metadata={}) | params
        self._at.customers[customer["id"]] = customer
        self._at.tell("customer.created", customer)
        return customer

    def _name_customer(self, params: Thing, id: str) -> Thing:
        check(params, may=["metadata", "name", "email"])
        _check_email(params)
        customer = self._present_customer(id, "id")
        customer |= params
        self._at.tell("customer.updated", customer)
        return customer

    def _customer(self, params: Thing, id: str) -> Thing:
        check(params)
        if id not in self._at.customers:
            raise missing("customer", id, "id")
        return self._at.customers[id]

    def _present_customer(self, id: str, param: str = "customer") -> Thing:
        customer = self._at.customers.get(id)
        if customer is None or customer.get("deleted"):
            raise missing("customer", id, param)
        return customer

    def _price(self, params: Thing, id: str) -> Thing:
        check(params)
        if id not in self._at.prices:
            raise missing("price", id, "price")
        return self._at.prices[id]

    def _check_out(self, params: Thing) -> Thing:
        urls = ["success_url", "cancel_url"]
        more = ["client_reference_id", "subscription_data", "billing_address_collection", "allow_promotion_codes"]
        taxes = ["tax_id_collection", "automatic_tax", "customer_update"]
        check(params, needs=["mode", "customer", "line_items", *urls], may=[*more, *taxes])
        self._present_customer(params["customer"])
        (bought,) = params["line_items"]
        check(bought, needs=["price"], may=["quantity"])
        if bought["price"] not in self._at.prices:
            raise missing("price", bought["price"], "line_items[0][price]")
        by_use = self._at.prices[bought["price"]]["recurring"]["usage_type"] == "metered"
        if by_use is ("quantity" in bought):
            words = (
                "Quantity should not be specified where usage_type is `metered`." if by_use else "Quantity is required."
            )
            raise Refused(words, param="line_items[0][quantity]")
        wanted = params.setdefault("subscription_data", {})
        check(wanted, may=["metadata", "trial_period_days"])
        if int(wanted.get("trial_period_days", 1)) < 1:
            raise Refused("The minimum number of trial period days is 1.", param="subscription_data[trial_period_days]")
        saved = params.get("customer_update", {})
        if params.get("tax_id_collection", {}).get("enabled") == "true" and saved.get("name") != "auto":
            raise Refused("Tax ID collection requires updating business name.", param="customer_update")
        if params.get("automatic_tax", {}).get("enabled") == "true" and saved.get("address") != "auto":
            raise Refused("Automatic tax calculation requires a valid address.", param="customer_update")
        session = self._at.made("checkout.session", "cs", status="open", subscription=None, **params)
        session["url"] = f"{PAGES}checkout/{session['id']}"
        self._at.sessions[session["url"]] = session
        return session

    def _configurations(self, params: Thing) -> Thing:
        check(params, may=["active", *_PAGING])
        kept = [one for one in self._at.configurations.values() if one["active"] or params.get("active") != "true"]
        return page("/v1/billing_portal/configurations", kept[::-1], params, self.most_per_page)

    def _configure(self, params: Thing) -> Thing:
        check(params, needs=["features"], may=["metadata", "name"])
        update = params["features"].get("subscription_update", {"enabled": "false"})
        if update["enabled"] == "true":
            check(
                update,
                needs=["enabled", "default_allowed_updates", "products"],
                may=["proration_behavior", "trial_update_behavior"],
            )
            for product in update["products"]:
                if any(self._price({}, id)["product"] != product["product"] for id in product["prices"]):
                    raise Refused("These prices are of another product.", param="features[subscription_update]")
        configuration = self._at.made("billing_portal.configuration", "bpc", active=True, metadata={}) | params
        self._at.configurations[configuration["id"]] = configuration
        return configuration

    def _open_portal(self, params: Thing) -> Thing:
        check(params, needs=["customer"], may=["configuration", "return_url", "flow_data"])
        self._present_customer(params["customer"])
        configuration = self._at.configurations.get(params.get("configuration", ""))
        if configuration is None or not configuration["active"]:
            raise missing("configuration", params.get("configuration", ""), "configuration")
        flow = params.pop("flow_data", None)
        if flow is not None:
            self._check_flow(flow, configuration["features"], params["customer"])
        session = self._at.made("billing_portal.session", "bps", flow=flow, **params)
        session["url"] = f"{PAGES}portal/{session['id']}"
        self._at.sessions[session["url"]] = session
        return session

    def _check_flow(self, flow: Thing, features: Thing, customer: str) -> None:
        type = flow["type"]
        check(flow, needs=["type"], may=["after_completion", type])
        feature = {"subscription_update_confirm": "subscription_update"}.get(type, type)
        if features.get(feature, {}).get("enabled") != "true":
            raise Refused(f"This feature of the portal is disabled: {feature}.", param="flow_data[type]")
        if type == "payment_method_update":
            return
        subscription = self._at.subscriptions.get(flow[type]["subscription"])
        if subscription is None or subscription["customer"] != customer:
            raise missing("subscription", flow[type]["subscription"], f"flow_data[{type}][subscription]")
        if subscription["status"] not in _CHANGEABLE or (type == "subscription_cancel" and subscription["cancel_at"]):
            raise Refused("This subscription cannot be changed.", param=f"flow_data[{type}][subscription]")
        if type == "subscription_update_confirm":
            (wanted,) = flow[type]["items"]
            offered = {id for product in features[feature]["products"] for id in product["prices"]}
            if wanted["id"] != subscription["items"]["data"][0]["id"] or wanted["price"] not in offered:
                raise Refused("This item or price is none of the configuration's.", param=f"flow_data[{type}][items]")

    def _subscriptions(self, params: Thing) -> Thing:
        check(params, may=["customer", "status", *_PAGING])
        if params["customer"] not in self._at.customers:
            raise missing("customer", params["customer"], "customer")
        kept = [one for one in self._at.subscriptions.values() if one["customer"] == params["customer"]]
        if params.get("status") != "all":
            kept = [one for one in kept if one["status"] != "canceled"]
        found = page("/v1/subscriptions", kept[::-1], params, self.most_per_page)
        if unknown := set(params.get("expand", ())) - {"data.customer"}:
            raise Refused(f"This property cannot be expanded ({unknown.pop()}).", param="expand")
        if "expand" in params:
            found["data"] = [{**one, "customer": self._at.customers[one["customer"]]} for one in found["data"]]
        return found

    def _subscription(self, params: Thing, id: str) -> Thing:
        check(params)
        if id not in self._at.subscriptions:
            raise missing("subscription", id, "id")
        return self._at.subscriptions[id]

    def _invoices(self, params: Thing) -> Thing:
        check(params, may=["customer", "subscription", *_PAGING])
        kept = list(self._at.invoices.values())
        if "customer" in params:
            if params["customer"] not in self._at.customers:
                raise missing("customer", params["customer"], "customer")
            kept = [one for one in kept if one["customer"] == params["customer"]]
        if "subscription" in params:
            kept = [one for one in kept if of_subscription(one) == params["subscription"]]
        return page("/v1/invoices", kept[::-1], params, self.most_per_page)

    def _count_use(self, params: Thing) -> Thing:
        check(params, needs=["event_name", "payload"], may=["identifier", "timestamp"])
        check(params["payload"], needs=["stripe_customer_id", "value"])
        if params["event_name"] not in self._at.meters:
            raise Refused(f"No active meter found for event name {params['event_name']}.", param="event_name")
        age = self._at.now.timestamp() - int(params["timestamp"])
        if not -300 <= age <= timedelta(days=35).total_seconds():
            raise Refused("The timestamp is too old, or ahead.", param="timestamp")
        identifier = params["identifier"]
        if identifier in self._at.meter_events:
            raise Refused(f"An event already exists with identifier {identifier}.")
        self._at.meter_events[identifier] = self._at.made("billing.meter_event", "mev", **params)
        return self._at.meter_events[identifier]


def _check_email(params: Thing) -> None:
    if "@" not in params.get("email", "@"):
        raise Refused(f"Invalid email address: {params['email']}", param="email", code="email_invalid")
