"""E-mails: a file (.eml), or delivered as they are by whoever takes them in, signed. Each is a receipt.

Nothing is made of their headers: anybody writes a sender there. What is attached is looked at when the receipt is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.domain.mail_texts import is_mail, without_postmark
from plugins.webhook import SECRET
from sortation import (
    Batch,
    Connector,
    ConnectorManifest,
    Context,
    ReadRequest,
    ReceiptDraft,
    Refusal,
    UnreadableFile,
    Webhook,
    WebhookMessage,
    WebhookScheme,
    hookimpl,
)

HEAD_BYTES = 8_192
NAME = "e-mail.eml"
CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"webhook_secret": SECRET},
}


class Mail(Connector):
    """The connector of e-mails."""

    def detect(self, sample: bytes, filename: str) -> float:
        if not is_mail(without_postmark(sample)[:HEAD_BYTES]):
            return 0.0
        return 1.0 if filename.casefold().endswith(".eml") else 0.8

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        del ctx
        assert request.file is not None  # noqa: S101 - of files the host hands it one
        content = without_postmark(request.file.read())
        if not is_mail(content[:HEAD_BYTES]):
            raise UnreadableFile("the file does not begin with the fields of an e-mail")
        yield Batch(receipts=(ReceiptDraft(content=content, filename=request.filename or NAME),))

    def parse_webhook(self, ctx: Context, message: WebhookMessage) -> Batch:
        del ctx
        content = without_postmark(message.body)
        if not is_mail(content[:HEAD_BYTES]):
            reason = "the delivery does not begin with the fields of an e-mail: it is to be sent as it came in"
            return Batch(refusals=(Refusal(position=1, reason=reason),))
        return Batch(receipts=(ReceiptDraft(content=content, filename=NAME),))


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="email",
            version="1.0.0",
            title="E-mails with receipts",
            factory="plugins.mail:Mail",
            file_extensions=(".eml",),
            config_schema=CONFIG_SCHEMA,
            webhook=Webhook(scheme=WebhookScheme.HMAC, signature_header="X-Sortation-Signature"),
        )
    ]
