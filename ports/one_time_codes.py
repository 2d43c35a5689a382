"""One-time codes of an authenticator app, as RFC 6238 has them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class OneTimeCodes(Protocol):
    def uri(self, key: bytes, name: str) -> str:
        """What an app reads from a QR code: `otpauth://totp/...`."""
        ...

    def step(self, key: bytes, code: str, now: datetime) -> int | None:
        """The time step whose code it is: the present one or its neighbours, for clocks that go differently; else
        None."""
        ...
