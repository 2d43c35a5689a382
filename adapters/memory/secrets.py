"""Sealed values that open as those of a real box do, without any cryptography: what is sealed stays in a vault."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from core.errors import SecretUnreadable


class MemoryVault:
    """What was sealed, by the values that were given for it; boxes with different keys share one."""

    def __init__(self) -> None:
        self.kept: dict[bytes, tuple[str, bytes]] = {}


class MemorySecretBox:
    """Seals with the first of the secret keys, opens with any."""

    def __init__(self, secret_key: str, former: Sequence[str] = (), vault: MemoryVault | None = None) -> None:
        self._names = [hashlib.sha256(key.encode()).digest()[:8] for key in (secret_key, *former)]
        self._vault = vault or MemoryVault()

    @property
    def prefix(self) -> bytes:
        return self._names[0]

    @property
    def key_name(self) -> str:
        return self.prefix.hex()

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        sealed = self.prefix + len(self._vault.kept).to_bytes(8, "big")
        self._vault.kept[sealed] = (bound_to, plain)
        return sealed

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        bound, plain = self._vault.kept.get(sealed, ("", b""))
        if sealed[:8] not in self._names or sealed not in self._vault.kept or bound != bound_to:
            raise SecretUnreadable
        return plain

    def reseal(self, sealed: bytes, bound_to: str) -> bytes:
        return self.seal(self.open(sealed, bound_to), bound_to)
