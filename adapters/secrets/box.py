"""AES-256-GCM under keys that are derived from the installation's secret keys.

A sealed value is a byte that names this form, eight that name the key, a random nonce of twelve, and the ciphertext
with its tag. The associated data are the form, the key's name and what the value is bound to, so none of them can be
exchanged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import SecretUnreadable

_FORM = b"\x01"
_NAME_BYTES, _NONCE_BYTES = 8, 12
_HEAD_BYTES = len(_FORM) + _NAME_BYTES


class AesSecretBox:
    """Seals with the first of the secret keys, opens with any."""

    def __init__(self, secret_key: str, former: Sequence[str] = ()) -> None:
        self._ciphers: dict[bytes, AESGCM] = {}
        for key in (secret_key, *former):
            self._ciphers.setdefault(_derive(key, b"name", _NAME_BYTES), AESGCM(_derive(key, b"key", 32)))
        self._present = next(iter(self._ciphers))

    @property
    def prefix(self) -> bytes:
        return _FORM + self._present

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return self.prefix + nonce + self._ciphers[self._present].encrypt(nonce, plain, _bound(self.prefix, bound_to))

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        head, body = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        cipher = self._ciphers.get(head[len(_FORM) :])
        if cipher is None or head[: len(_FORM)] != _FORM:
            raise SecretUnreadable
        try:
            return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], _bound(head, bound_to))
        except (InvalidTag, ValueError):
            raise SecretUnreadable from None


def _derive(secret_key: str, purpose: bytes, length: int) -> bytes:
    info = b"sortation/secrets/" + purpose
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret_key.encode())


def _bound(head: bytes, bound_to: str) -> bytes:
    return head + bound_to.encode()
