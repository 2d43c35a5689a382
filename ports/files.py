"""Files that people bring or are given: receipts, reports. Their names and whose they are stand in the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written: how many `bytes`, and their SHA-256 in hexadecimal digits."""

    bytes: int
    sha256: str


class FileStore(Protocol):
    """Paths are ours: parts of ASCII letters, digits, `.`, `-` and `_`, with `/` between them, the tenant's id first.
    Raises `Transient` where the store does not answer."""

    def write(self, path: str, pieces: Iterable[bytes]) -> Written:
        """Puts a file there, in place of one that is there already: whole, or, where `pieces` raises or the process
        ends, not at all."""
        ...

    def read(self, path: str) -> Iterator[bytes]:
        """The file, piece by piece. Raises `NotFound`, at once."""
        ...

    def holds(self, path: str) -> bool:
        """Whether there is such a file now."""
        ...

    def delete(self, paths: Sequence[str]) -> None:
        """Those that are gone already are no error."""
        ...

    def delete_under(self, folder: str) -> None:
        """Everything whose path begins with that folder's."""
        ...
