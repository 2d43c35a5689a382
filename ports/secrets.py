"""Where secrets are sealed before they are stored."""

from __future__ import annotations

from typing import Protocol


class SecretBox(Protocol):
    @property
    def prefix(self) -> bytes:
        """What every value begins with that is sealed now: it names the form and the present key, and tells nothing of
        either. Values that begin otherwise were sealed with a former key."""
        ...

    @property
    def key_name(self) -> str:
        """What the present key is called in the log: it tells nothing of the key."""
        ...

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """Seals with the present key, each time differently. The value opens only with the same `bound_to`, which says
        whose it is and what for."""
        ...

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """With the present or a former key. Raises `SecretUnreadable` for a value that was changed, bound to something
        else, or sealed with a key that is not here."""
        ...

    def reseal(self, sealed: bytes, bound_to: str) -> bytes:
        """The same value as the present key seals it. Raises as `open` does, but may not notice that what it says was
        changed: that is found when it is opened."""
        ...
