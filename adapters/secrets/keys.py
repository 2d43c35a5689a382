"""Keys of providers, and URLs with passwords, which change while the service runs."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

log = structlog.get_logger()


class KeyFile:
    """A key in a file, read anew when the file changes. While it can't be read, as when it is being written, the key
    is the one that was. May be shared by threads."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key
        self._seen = (0, 0)
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            try:
                status = self._path.stat()
                seen = (status.st_mtime_ns, status.st_ino)
                if seen != self._seen:
                    self._key = self._path.read_text(encoding="utf-8").strip() or self._key
                    self._seen = seen
            except (OSError, UnicodeDecodeError) as error:
                log.warning("key file not read", path=str(self._path), error=type(error).__name__)
            return self._key
