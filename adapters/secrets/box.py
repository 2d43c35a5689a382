"""Envelopes: AES-256-GCM under a key of the value's own, which is wrapped by one of the installation's keys.

A sealed value is

    form (1 byte) · name of the installation's key (8) · the value's own key, wrapped (60) · what it says (28 and more)

where the last two are a random nonce of 12 bytes and a ciphertext with its tag. What is wrapped is bound to the form,
the name of the key and what the value is bound to; what is said to the form and the latter. So none can be exchanged,
and another key of the installation means another wrapping alone: what is said is not touched. Values of the form
before, sealed by the installation's key itself, open too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import SecretUnreadable

_DIRECT, _ENVELOPE = b"\x01", b"\x02"
_NAME_BYTES, _NONCE_BYTES, _KEY_BYTES, _TAG_BYTES = 8, 12, 32, 16
_HEAD_BYTES = 1 + _NAME_BYTES
_WRAPPED_BYTES = _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES


class AesSecretBox:
    """Seals with the first of the secret keys, opens with any."""

    def __init__(self, secret_key: str, former: Sequence[str] = ()) -> None:
        self._direct: dict[bytes, bytes] = {}
        self._wrapping: dict[bytes, bytes] = {}
        for key in (secret_key, *former):
            name = _derive(key, b"name", _NAME_BYTES)
            self._direct.setdefault(name, _derive(key, b"key", _KEY_BYTES))
            self._wrapping.setdefault(name, _derive(key, b"wrapping", _KEY_BYTES))
        self._present = next(iter(self._wrapping))

    @property
    def prefix(self) -> bytes:
        return _ENVELOPE + self._present

    @property
    def key_name(self) -> str:
        return self._present.hex()

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        own = AESGCM.generate_key(_KEY_BYTES * 8)
        return self._wrap(own, bound_to) + _encrypt(own, plain, _ENVELOPE + bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        if sealed[:1] == _DIRECT:
            return self._open_direct(sealed, bound_to)
        own, said = self._unwrap(sealed, bound_to)
        return _decrypt(own, said, _ENVELOPE + bound_to.encode())

    def reseal(self, sealed: bytes, bound_to: str) -> bytes:
        if sealed[:1] == _DIRECT:
            return self.seal(self._open_direct(sealed, bound_to), bound_to)
        own, said = self._unwrap(sealed, bound_to)
        return self._wrap(own, bound_to) + said

    def _wrap(self, own: bytes, bound_to: str) -> bytes:
        return self.prefix + _encrypt(self._wrapping[self._present], own, self.prefix + bound_to.encode())

    def _unwrap(self, sealed: bytes, bound_to: str) -> tuple[bytes, bytes]:
        """The value's own key, and what it says as it is encrypted."""
        head, rest = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        key = self._wrapping.get(head[1:])
        if key is None or head[:1] != _ENVELOPE:
            raise SecretUnreadable
        return _decrypt(key, rest[:_WRAPPED_BYTES], head + bound_to.encode()), rest[_WRAPPED_BYTES:]

    def _open_direct(self, sealed: bytes, bound_to: str) -> bytes:
        head, said = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        key = self._direct.get(head[1:])
        if key is None:
            raise SecretUnreadable
        return _decrypt(key, said, head + bound_to.encode())


def _encrypt(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def _decrypt(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):
        raise SecretUnreadable from None


def _derive(secret_key: str, purpose: bytes, length: int) -> bytes:
    info = b"sortation/secrets/" + purpose
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret_key.encode())
