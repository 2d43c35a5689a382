"""The written form of an API key: `sort_live_<id>_<secret><checksum>`.

The checksum (CRC-32 in base 62) tells a mistyped or made-up key without asking the database, and lets scanners of
leaked secrets be sure of what they found.
"""

from __future__ import annotations

import hashlib
import string
import zlib

from core.errors import Unauthenticated

PREFIX = "sort_live_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 12, 32, 6
ENTROPY_BYTES = 40
"""Random bytes that `make_key` wants: enough for 44 digits of base 62 (262 bits)."""


def make_key(entropy: bytes) -> tuple[str, str]:
    """A key id and a secret, out of `ENTROPY_BYTES` random bytes."""
    digits = _base62(int.from_bytes(entropy, "big"), _ID_LENGTH + _SECRET_LENGTH)
    return digits[:_ID_LENGTH], digits[_ID_LENGTH:]


def write_key(key_id: str, secret: str) -> str:
    body = f"{PREFIX}{key_id}_{secret}"
    return body + _checksum(body)


def read_key(text: str) -> tuple[str, str]:
    """The key id and the secret; raises `Unauthenticated` for anything that is no key of ours."""
    expected = len(PREFIX) + _ID_LENGTH + 1 + _SECRET_LENGTH + _CHECKSUM_LENGTH
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    if len(text) != expected or not text.startswith(PREFIX) or not text.isascii() or _checksum(body) != checksum:
        raise Unauthenticated
    key_id, _, secret = body.removeprefix(PREFIX).partition("_")
    if len(key_id) != _ID_LENGTH or len(secret) != _SECRET_LENGTH:
        raise Unauthenticated
    return key_id, secret


def hash_secret(secret: str) -> bytes:
    """SHA-256: the secret has 190 bits of entropy, so a slow hash would only slow every request."""
    return hashlib.sha256(secret.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
