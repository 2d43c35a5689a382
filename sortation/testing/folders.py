"""A folder that has what a source has, a file for each item, for connectors that read one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sortation.testing.source import Item, Source


class ScriptedFolder:
    """`file_of` gives the name and the content of an item's file; a file counts once it was left alone for `settles`
    seconds."""

    def __init__(
        self, path: Path, source: Source, file_of: Callable[[Item], tuple[str, bytes]], settles: float
    ) -> None:
        self.path = path
        self._source = source
        self._file_of = file_of
        self._settles = settles
        self._written: dict[Item, Path] = {}

    def follow(self) -> None:
        """Writes what came to the source since, removes what went, and waits until that counts."""
        items = [item for stream in self._source.streams for item in self._source.items(stream)]
        for item in self._written.keys() - set(items):
            self._written.pop(item).unlink()
        new = [item for item in items if item not in self._written]
        for item in new:
            name, content = self._file_of(item)
            self._written[item] = self.path / name
            self._written[item].write_bytes(content)
        if new:
            time.sleep(self._settles)  # only time makes a file old
