"""What errors say of requests and answers: enough to act upon, and no secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import httpx2

from core.domain.health import secret_words

HIDDEN = "***"
_MIN_SECRET = 4
"""Shorter values are no secrets, and would blacken half of a text."""
_MAX_EXCERPT = 200
_BLANKS = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Redactor:
    """Blackens known secrets in texts, also where they are encoded as in a URL, JSON or Base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._hidden: set[str] = set()
        for secret in secrets:
            self.hide(secret)

    def hide(self, secret: str) -> None:
        if len(secret) >= _MIN_SECRET:
            self._hidden.update(secret_words({"": secret}))

    def clean(self, text: str) -> str:
        for secret in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    def address(self, url: httpx2.URL) -> str:
        """Scheme, host and path: queries often hold what nobody else may know."""
        written = str(url.copy_with(query=None, fragment=None, username=None, password=None))
        plain = unquote(written)
        cleaned = self.clean(plain)
        return self.clean(written) if cleaned == plain else cleaned

    def excerpt(self, answer: httpx2.Response) -> str:
        """What the source says of an error, in one line; '' where that is no text."""
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not (kind.endswith("json") or kind == "text/plain"):
            return ""
        text = self.clean(answer.content.decode("utf-8", "replace"))
        text = _BLANKS.sub(" ", _CONTROL.sub(" ", text)).strip()
        return text if len(text) <= _MAX_EXCERPT else f"{text[:_MAX_EXCERPT]}…"


def secrets_of(config: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The texts in the secret fields of a configuration, however deep."""
    return [text for name in names for text in _texts(config.get(name))]


def _texts(value: Any) -> Iterable[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for part in value.values():
                yield from _texts(part)
        case list() | tuple():
            for part in value:
                yield from _texts(part)
