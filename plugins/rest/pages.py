"""From one page of an answer to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from plugins.rest.paths import Path
from sortation import HttpResponse, SchemaChanged

_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:"[^"]*"|[^\s;,"]*))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]*))', re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}

At = str | int | None
"""Where a page is: a cursor, an address, a number, how many come before it; None is the first."""


class Pagination:
    def __init__(self, given: Mapping[str, Any], place: str) -> None:
        self.type: str = given["type"]
        self._param: str = given.get("param", self.type)
        self._path = Path(given["path"], f"{place}.path") if "path" in given else None
        self._more = Path(given["more"], f"{place}.more") if "more" in given else None
        self._first: int = given.get("first", 1)

    @property
    def counts(self) -> bool:
        """Whether pages are told by how many come before them, so that they shift when one of these goes."""
        return self.type in ("page", "offset")

    def params(self, at: At) -> dict[str, str]:
        """What to add to a stream's own parameters."""
        if self.type == "page":
            return {self._param: str(self._first if at is None else at)}
        if at is None or self.type not in ("cursor", "offset"):
            return {}
        return {self._param: str(at)}

    def address(self, at: At) -> str | None:
        """The whole address of the page, where the source told it."""
        return str(at) if at is not None and self.type in ("link", "next_url") else None

    def next(self, at: At, url: str, answer: HttpResponse, body: Any, count: int) -> At:
        """Where the page after this one is, None if it is the last. `count` objects were on it."""
        found = self._following(at, url, answer, body, count)
        return None if found == at else found  # a source that stays where it is has no more

    def _following(self, at: At, url: str, answer: HttpResponse, body: Any, count: int) -> At:
        if self._more is not None and not self._more.first(body):
            return None
        if self.counts:
            if not count and self._more is None:
                return None
            if self.type == "page":
                return (self._first if at is None else int(at)) + 1
            return int(at or 0) + count or None
        if self.type == "link":
            return _same_origin(url, _linked(answer.headers.get("link", "")))
        told = self._path.first(body) if self._path else None
        if told is None or told is False or told == "":
            return None
        if not isinstance(told, str | int):
            raise SchemaChanged(f"where the next page should stand, there is {type(told).__name__}")
        return _same_origin(url, str(told)) if self.type == "next_url" else str(told)


def _linked(header: str) -> str:
    for url, params in _LINK.findall(header):
        rel = _REL.search(params)
        if rel and "next" in (rel[1] or rel[2] or "").lower().split():
            return str(url)
    return ""


def _same_origin(url: str, following: str) -> str | None:
    """The address of the next page, whole. The credentials go along with it, so it must be where the first one is; a
    source behind a proxy may think that it speaks plain HTTP."""
    if not following:
        return None
    here, there = urlsplit(url), urlsplit(urljoin(url, following))
    if here.hostname != there.hostname or (_port(here) != _port(there) and not _is_default(there)):
        raise SchemaChanged(f"the next page is said to be on another host, {there.hostname}: it is not followed")
    return urlunsplit((here.scheme, here.netloc, there.path, there.query, ""))


def _port(parts: SplitResult) -> int | None:
    return parts.port or _PORTS.get(parts.scheme)


def _is_default(parts: SplitResult) -> bool:
    return parts.port is None and parts.scheme == "http"
