"""How a request says who sends it: by the manifest's `Auth`, with what the connection's configuration holds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from core.domain.plugins import Auth, AuthKind
from core.errors import ConfigInvalid

_KEPT_SECONDS = 30.0
"""How long a token is used without asking for it again, which takes a query: half of what it is good for."""
_FIELD = re.compile(r"\{(\w+)\}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Token(Protocol):
    def __call__(self, rejected: str | None = None) -> str:
        """An access token that is good for another minute; with `rejected`, one other than that, which the source no
        longer takes. Raises `ReauthRequired` when there is none to be had, `Transient`."""
        ...


class Credentials(Protocol):
    renewable: bool
    """Whether others can be had when the source rejects these."""

    def header(self, rejected: str | None, /) -> tuple[str, str, str] | None:
        """Name and value of the header, and the secret in it."""
        ...


class NoCredentials:
    renewable = False

    def header(self, _: str | None, /) -> tuple[str, str, str] | None:
        return None


class ApiKey:
    renewable = False

    def __init__(self, auth: Auth, config: Mapping[str, Any]) -> None:
        self._auth = auth
        self._config = config

    def header(self, _: str | None, /) -> tuple[str, str, str] | None:
        key = self._config.get(self._auth.field)
        if not isinstance(key, str) or not key.strip():
            raise ConfigInvalid(f"{self._auth.field}: the API key is missing")
        known = {**self._config, "key": key.strip()}
        name, value = (
            _FIELD.sub(lambda field: str(known.get(field[1], field[0])), text)
            for text in (self._auth.header, self._auth.value)
        )
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigInvalid(f"{name!r} is no name of a header")
        if not _HEADER_VALUE.fullmatch(value):
            raise ConfigInvalid(f"{self._auth.field}: the API key has characters that no header can carry")
        return name, value, key.strip()


class Bearer:
    renewable = True

    def __init__(self, token: Token, now: Callable[[], float] = time.monotonic) -> None:
        self._token = token
        self._now = now
        self._kept: tuple[str, float] | None = None

    def header(self, rejected: str | None, /) -> tuple[str, str, str] | None:
        kept, now = self._kept, self._now()
        if kept is not None and kept[0] != rejected and now < kept[1]:
            token = kept[0]
        else:
            token = self._token(rejected)
            self._kept = token, now + _KEPT_SECONDS
        return "Authorization", f"Bearer {token}", token


def credentials_of(auth: Auth, config: Mapping[str, Any], token: Token) -> Credentials:
    match auth.kind:
        case AuthKind.NONE:
            return NoCredentials()
        case AuthKind.API_KEY:
            return ApiKey(auth, config)
        case AuthKind.OAUTH2 | AuthKind.CLIENT_CREDENTIALS:
            return Bearer(token)
