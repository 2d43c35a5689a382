"""One-time codes by pyotp: six digits every 30 seconds, as every app has them."""

from __future__ import annotations

import base64
from datetime import datetime

import pyotp

_SECONDS = 30
_NEIGHBOURS = 1
"""RFC 6238, 5.2: one step before and after, for slow people and clocks."""


class PyotpCodes:
    def uri(self, key: bytes, name: str) -> str:
        return _totp(key).provisioning_uri(name=name, issuer_name="Sortation")

    def step(self, key: bytes, code: str, now: datetime) -> int | None:
        totp, present = _totp(key), int(now.timestamp()) // _SECONDS
        steps = range(present - _NEIGHBOURS, present + _NEIGHBOURS + 1)
        return next((step for step in steps if totp.verify(code, for_time=step * _SECONDS)), None)


def _totp(key: bytes) -> pyotp.TOTP:
    return pyotp.TOTP(base64.b32encode(key).decode(), interval=_SECONDS)
