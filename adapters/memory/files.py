"""Files in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from core.errors import NotFound
from ports.files import Written


class MemoryFileStore:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def write(self, path: str, pieces: Iterable[bytes]) -> Written:
        whole = b"".join(pieces)
        self.files[path] = whole
        return Written(bytes=len(whole), sha256=hashlib.sha256(whole).hexdigest())

    def read(self, path: str) -> Iterator[bytes]:
        if path not in self.files:
            raise NotFound("there is no such file")
        return iter((self.files[path],))

    def holds(self, path: str) -> bool:
        return path in self.files

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.files.pop(path, None)

    def delete_under(self, folder: str) -> None:
        for path in [path for path in self.files if path.startswith(f"{folder}/")]:
            del self.files[path]
