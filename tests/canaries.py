"""Secrets that a test planted, and where they show that they must not."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from core.domain.health import secret_words

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_AROUND = 60


@dataclass
class Canaries:
    """`known`: what was planted, and as what. A place is searched for each as it is, as in URLs, JSON, hexadecimal
    digits and Base64, also where it stands there together with others."""

    known: dict[str, str] = field(default_factory=dict)

    def plant(self, what: str, value: str) -> str:
        assert len(value) >= 8, "a shorter one shows by chance"
        self.known[value] = what
        return value

    def shown_in(self, place: str, content: bytes | str) -> Iterator[str]:
        """What of them shows there, with what stands around it."""
        text = content if isinstance(content, str) else content.decode("latin-1")
        decoded = "\n".join(_decoded(text))
        for value, what in self.known.items():
            for word in (*secret_words({"": value}), value.encode().hex()):
                if (at := text.find(word)) >= 0:
                    yield f"{what} in {place}: {text[max(at - _AROUND, 0) : at + len(word) + _AROUND]!r}"
                    break
            else:
                if (at := decoded.find(value)) >= 0:
                    yield f"{what} in {place}, in Base64: {decoded[max(at - _AROUND, 0) : at + len(value)]!r}"

    def shown_in_all(self, places: Iterable[tuple[str, bytes | str]]) -> list[str]:
        return [shown for place, content in places for shown in self.shown_in(place, content)]


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def tables(superuser: str) -> Iterator[tuple[str, bytes]]:
    """Each column of each row of each table."""
    with psycopg.connect(superuser) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)))
            columns = [column.name for column in cursor.description or ()]
            for row in cursor:
                for column, value in zip(columns, row, strict=True):
                    if value is not None:
                        yield f"{name}.{column}", value if isinstance(value, bytes) else str(value).encode()


def broker(url: str) -> Iterator[tuple[str, bytes]]:
    """Each key of the broker with what it holds."""
    client = redis.Redis.from_url(url)
    for key in client.scan_iter():
        yield f"broker {key!r}", key
        yield f"broker {key!r}", client.dump(key) or b""
    client.close()


def _decoded(text: str) -> Iterator[str]:
    for run in _BASE64.findall(text):
        body = run.rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            yield base64.b64decode(body + "=" * (-len(body) % 4)).decode("latin-1")
        except (binascii.Error, ValueError):
            continue
