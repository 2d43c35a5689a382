"""Records that others send: a signed webhook (Standard Webhooks) whose body has one record, or `records`.

Its fields are those of a JSON file's (`plugins.json_lines`). A record without an id of its own gets the delivery's, so
that a delivery which comes twice is one, and two deliveries of equal records are two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from plugins.json_lines import check_characters, decoded, draft_of, may_spell_unstorable
from sortation import (
    Batch,
    Connector,
    ConnectorManifest,
    Context,
    Draft,
    Refusal,
    Webhook,
    WebhookMessage,
    WebhookScheme,
    hookimpl,
)

MAX_RECORDS = 5_000
SECRET: dict[str, Any] = {
    "type": ["string", "array"],
    "minLength": 1,
    "minItems": 1,
    "maxItems": 5,
    "items": {"type": "string", "minLength": 1},
    "writeOnly": True,
    "description": "What the source signs with; a list of several, while it changes.",
}
CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["webhook_secret"],
    "properties": {"webhook_secret": SECRET},
}


class SignedWebhook(Connector):
    """The connector of signed deliveries."""

    def parse_webhook(self, ctx: Context, message: WebhookMessage) -> Batch:
        try:
            items = _items(decoded(message.body))
        except ValueError as error:
            return Batch(refusals=(Refusal(position=1, reason=f"the delivery can't be read: {error}"),))
        suspicious = may_spell_unstorable(message.body)
        drafts: list[Draft] = []
        refusals: list[Refusal] = []
        for position, item in enumerate(items, start=1):
            try:
                if suspicious:
                    check_characters(item)
                draft = draft_of(item, ctx.default_currency)
            except ValueError as error:
                refusals.append(Refusal(position=position, reason=str(error)))
            else:
                known = draft.external_id is not None
                drafts.append(draft if known else replace(draft, external_id=f"{message.id}:{position}"))
        return Batch(drafts=tuple(drafts), refusals=tuple(refusals))


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="webhook",
            version="1.0.0",
            title="Signed webhook",
            factory="plugins.webhook:SignedWebhook",
            config_schema=CONFIG_SCHEMA,
            webhook=Webhook(scheme=WebhookScheme.STANDARD),
        )
    ]


def _items(body: Any) -> Sequence[Any]:
    """Raises `ValueError` with the reason."""
    if not isinstance(body, dict):
        raise ValueError("it is no JSON object")
    if "records" not in body:
        return [body]
    items = body["records"]
    if not isinstance(items, list) or len(body) > 1:
        raise ValueError("beside records, which is a list, there may be nothing")
    if len(items) > MAX_RECORDS:
        raise ValueError(f"there are {len(items)} records: at most {MAX_RECORDS} are taken at once")
    return items
