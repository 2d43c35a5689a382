"""The pages at which Stripe lets customers look after their payments, set up as we need them."""

from __future__ import annotations

import hashlib
import json

import stripe
from stripe.params.billing_portal import (
    ConfigurationCreateParamsFeatures,
    SessionCreateParams,
    SessionCreateParamsFlowData,
)

from adapters.stripe.api import StripeApi, once
from ports.payments import HostedPage

MARK = "sortation"
"""What our configurations have in their metadata; its value says what they allow."""
FEATURES: ConfigurationCreateParamsFeatures = {
    "customer_update": {"enabled": True, "allowed_updates": ["address", "tax_id", "email"]},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
}


def with_change(price: stripe.Price) -> ConfigurationCreateParamsFeatures:
    """What is allowed besides when this price is to take another one's place. Stripe wants to be told to which prices
    customers may change, so there is a configuration for each: none offers a plan that nobody ordered."""
    product = price.product if isinstance(price.product, str) else price.product.id
    return {
        **FEATURES,
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": [{"product": product, "prices": [price.id]}],
            "proration_behavior": "create_prorations",
            "trial_update_behavior": "continue_trial",
        },
    }


class Portal:
    """May be shared by threads."""

    def __init__(self, api: StripeApi) -> None:
        self._api = api
        self._known: dict[tuple[stripe.StripeClient, str], str] = {}
        """The ids of configurations, by the client of a key and by what they allow."""

    def open(
        self,
        customer_id: str,
        return_url: str,
        features: ConfigurationCreateParamsFeatures = FEATURES,
        flow: SessionCreateParamsFlowData | None = None,
    ) -> HostedPage:
        """Raises the library's errors."""
        client = self._api.client()
        place = (client, _mark_of(features))
        asked: SessionCreateParams = {"customer": customer_id, "return_url": return_url}
        if flow is not None:
            asked["flow_data"] = flow
        gone = ""
        while True:
            configuration = self._known.get(place) or _configuration(client, features, place[1], gone)
            self._known[place] = configuration
            try:
                session = client.v1.billing_portal.sessions.create({**asked, "configuration": configuration})
                return HostedPage(url=session.url)
            except stripe.InvalidRequestError as error:
                if error.param != "configuration" or gone:
                    raise
                gone = configuration  # somebody put it out of use
                self._known.pop(place, None)


def _configuration(
    client: stripe.StripeClient, features: ConfigurationCreateParamsFeatures, mark: str, gone: str
) -> str:
    """The id of the one with this mark that is in use; what somebody changed of it at Stripe stays. It is made once
    for all who ask at the same time, and anew after one that is `gone`."""
    configurations = client.v1.billing_portal.configurations
    for known in configurations.list({"active": True, "limit": 100}).auto_paging_iter():
        if known.metadata is not None and getattr(known.metadata, MARK, None) == mark:
            return known.id
    return once(
        f"portal-{mark}-{gone}",
        lambda key: configurations.create(
            {"features": features, "metadata": {MARK: mark}, "name": "Sortation"}, {"idempotency_key": key}
        ),
    ).id


def _mark_of(features: ConfigurationCreateParamsFeatures) -> str:
    return hashlib.sha256(json.dumps(features, sort_keys=True).encode()).hexdigest()[:16]
