"""One issuer: what it publishes of itself, and its keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpcore2
import httpx2
import jwt
import structlog

from core.errors import SortationError, Transient, Unauthenticated

METADATA_SECONDS = 3_600.0
"""How long metadata and keys are taken for the present ones."""
ANEW_SECONDS = 60.0
"""How often keys are fetched at most for a key that is not known: whoever makes one up must not make us ask."""
_WELL_KNOWN = "/.well-known/openid-configuration"
_MAX_KEYS = 100
log = structlog.get_logger("sortation.identity")


class Issuer:
    """Kept as long as the process lives, since its keys are; may be shared by threads."""

    def __init__(self, url: str, transport: httpx2.BaseTransport, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._transport = transport
        self._clock = clock
        self._lock = threading.Lock()
        self._metadata: Mapping[str, Any] = {}
        self._keys: dict[str, jwt.PyJWK] = {}
        self._metadata_at = self._keys_at = float("-inf")

    def endpoint(self, name: str) -> str:
        """An address that it publishes: `authorization_endpoint`, ... Raises `Transient`."""
        with self._lock:
            found = self._published().get(name)
        if not isinstance(found, str):
            raise Transient(f"{self._url} publishes no {name}")
        return found

    def key(self, kid: str | None) -> jwt.PyJWK:
        """The key of that name; the only one, for None. Raises `Unauthenticated` where it has none, `Transient` where
        it does not answer and no keys are known."""
        with self._lock:
            age = self._clock() - self._keys_at
            if age > METADATA_SECONDS or (self._find(kid) is None and age > ANEW_SECONDS):
                self._fetch_keys()
            found = self._find(kid)
        if found is None:
            raise Unauthenticated("the token is signed with a key that its issuer has not")
        return found

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _published(self) -> Mapping[str, Any]:
        if self._clock() - self._metadata_at > METADATA_SECONDS:
            metadata = self._get(self._url.rstrip("/") + _WELL_KNOWN)
            if metadata.get("issuer") != self._url:
                raise Transient(f"{self._url} says that it is another issuer")
            self._metadata, self._metadata_at = metadata, self._clock()
        return self._metadata

    def _fetch_keys(self) -> None:
        try:
            uri = self._published().get("jwks_uri")
            if not isinstance(uri, str):
                raise Transient(f"{self._url} publishes no jwks_uri")
            written = self._get(uri).get("keys")
        except Transient as error:
            if not self._keys:
                raise
            log.warning("keys not fetched, those that are known serve on", issuer=self._url, error=str(error))
            self._keys_at = max(self._keys_at, self._clock() - METADATA_SECONDS)
            return
        keys = {}
        for one in (written if isinstance(written, list) else [])[:_MAX_KEYS]:
            if isinstance(one, Mapping) and one.get("use", "sig") == "sig" and one.get("kty") != "oct":
                try:
                    keys[str(one.get("kid", ""))] = jwt.PyJWK(dict(one))
                except (jwt.PyJWTError, ValueError, TypeError):
                    continue  # of a kind that we don't know
        self._keys, self._keys_at = keys, self._clock()

    def _get(self, url: str) -> Mapping[str, Any]:
        try:
            answer = self._transport.handle_request(httpx2.Request("GET", url, headers={"accept": "application/json"}))
            content = answer.json() if answer.status_code == 200 else None
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, SortationError) as error:
            raise Transient(f"{self._url} does not answer") from error
        except (ValueError, httpx2.InvalidURL):
            content = None
        if not isinstance(content, Mapping):
            raise Transient(f"{self._url} answers {answer.status_code} and no JSON object")
        return content
