"""Mail out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message in plain text to one person."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    def send(self, mail: Mail) -> None:
        """Hands it to a mail server. Raises `Transient` where that does not take it now, or nothing from us, and
        `Invalid` where it never will: for what it says of whom it is to, or of the mail itself."""
        ...
