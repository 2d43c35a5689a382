"""What receipts are by their content, and the text that they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from core.domain.receipts import ReceiptDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptText:
    """The text of a receipt, and the files that came attached to it. `failure` is why there is no text."""

    text: str
    attached: tuple[ReceiptDraft, ...] = ()
    failure: str | None = None


class Sniffer(Protocol):
    def kind_of(self, head: bytes) -> str | None:
        """The type of a file that begins with `head`, among `core.domain.receipts.EXTENSIONS`; None for all others.
        Neither a name nor what somebody says of it plays a part."""
        ...


class ReceiptReader(Protocol):
    def read(self, file: BinaryIO, mime_type: str) -> ReceiptText:
        """Where its text can't be read, takes too much memory or too long, that is the failure."""
        ...
