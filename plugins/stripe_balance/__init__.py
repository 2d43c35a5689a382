"""Stripe's balance: every movement on it, with its fees, by the REST API and by webhooks."""

from __future__ import annotations

from typing import Any

from plugins.webhook import SECRET
from sortation import Auth, AuthKind, ConnectorManifest, RateLimit, Webhook, WebhookScheme, hookimpl

API = "https://api.stripe.com"
CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["api_key"],
    "properties": {
        "api_key": {
            "type": "string",
            "minLength": 1,
            "writeOnly": True,
            "description": "A restricted key that may read balance transactions, and what they are of: charges, "
            "refunds, payouts, disputes, transfers. Without these, texts are Stripe's alone.",
            "examples": ["rk_live_..."],
        },
        "webhook_secret": {**SECRET, "description": "What Stripe signs events with, where it sends some."},
        "account": {
            "type": "string",
            "pattern": "^acct_[A-Za-z0-9]+$",
            "description": "The connected account to read, on a platform.",
        },
        "fees": {
            "enum": ["records", "attributes"],
            "default": "records",
            "description": "Whether fees are records of their own, so that all add up to the balance, or attributes.",
        },
        "start": {
            "type": "string",
            "format": "date",
            "pattern": r"^\d{4}-\d\d-\d\d$",
            "description": "The first day that is read (UTC); without it, all.",
            "examples": ["2026-01-01"],
        },
        "base_url": {
            "type": "string",
            "pattern": r"^https?://[^\s?#@]+$",
            "default": API,
            "description": "Where the API is, for a stub of it.",
        },
    },
}


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="stripe",
            version="1.0.0",
            title="Stripe balance",
            factory="plugins.stripe_balance.connector:StripeBalance",
            config_schema=CONFIG_SCHEMA,
            pulls=True,
            auth=Auth(kind=AuthKind.API_KEY),
            rate_limit=RateLimit(requests=20, seconds=1),
            webhook=Webhook(scheme=WebhookScheme.STRIPE),
        )
    ]
