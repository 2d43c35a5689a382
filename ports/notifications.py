"""Webhooks out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingWebhook:
    """A message by Standard Webhooks; `secrets` are all that sign it: several while one takes another's place."""

    url: str = field(repr=False)
    id: str
    at: datetime
    body: bytes
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of sending one: the status where there was an answer; `code` is `ok` for one that was taken, or says in
    a word why not. `retry_after` are the seconds for which the receiver asks to be left alone."""

    status: int | None
    code: str
    retry_after: float | None = None


class WebhookSender(Protocol):
    def send(self, webhook: OutgoingWebhook) -> Answer:
        """Signs it and sends it once, without following redirects, within half a minute. Raises nothing for what the
        receiver does, or where it is."""
        ...
