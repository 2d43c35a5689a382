"""Argon2id by argon2-cffi, with the cost that OWASP's Password Storage Cheat Sheet asks for at least."""

from __future__ import annotations

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

_PASSES, _KIBIBYTES = 2, 19 * 1024
"""Some 30 ms of a core and 19 MiB, so that many who sign in at once don't exhaust the memory."""


class Argon2Hasher:
    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=_PASSES, memory_cost=_KIBIBYTES, parallelism=1)
        self._nobodys = self._hasher.hash("the password of nobody")

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        try:
            right = self._hasher.verify(password_hash or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return right and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)
