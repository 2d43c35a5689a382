"""How passwords are hashed: slowly, on purpose."""

from __future__ import annotations

from typing import Protocol


class PasswordHasher(Protocol):
    def hash(self, password: str) -> str: ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password. Takes as long for None, when nobody has that account, and is False then."""
        ...

    def outdated(self, password_hash: str) -> bool:
        """Whether it was hashed in another way than `hash` does now."""
        ...
