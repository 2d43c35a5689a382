"""One issuer: what it publishes of itself, and its keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2
import jwt
import structlog

from core.errors import SortationError, Transient, Unauthenticated

METADATA_SECONDS = 3_600.0
"""How long metadata and keys are taken for the present ones."""
ANEW_SECONDS = 60.0
"""How often keys are fetched at most for a key that is not known: whoever makes one up must not make us ask."""
PAUSE_SECONDS = 5.0
"""How long an issuer that did not answer is not asked again: who comes meanwhile would wait for it in vain."""
TURN_SECONDS = 2.0
"""How long a request waits for what another one is fetching: an issuer that hangs must not hold all threads."""
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
        self._metadata_at = self._keys_at = self._asked_at = self._failed_at = float("-inf")

    def endpoint(self, name: str) -> str:
        """An address that it publishes: `authorization_endpoint`, ... Raises `Transient`."""
        if self._clock() - self._metadata_at <= METADATA_SECONDS:
            return self._address(name)
        with self._turn(TURN_SECONDS):
            return self._address(name)

    def key(self, kid: str | None) -> jwt.PyJWK:
        """The key of that name; the only one, for None. Raises `Unauthenticated` where it has none, `Transient` where
        it does not answer and no keys are known."""
        if self._is_due(kid):
            known = self._find(kid) is not None
            with suppress(Transient) if known else nullcontext(), self._turn(0 if known else TURN_SECONDS):
                if self._is_due(kid):  # others may have asked while we waited
                    self._fetch_keys()
        if (found := self._find(kid)) is None:
            raise Unauthenticated("the token is signed with a key that its issuer has not")
        return found

    def _is_due(self, kid: str | None) -> bool:
        now = self._clock()
        wanted = now - self._keys_at > METADATA_SECONDS or self._find(kid) is None
        return wanted and now - self._asked_at > ANEW_SECONDS

    @contextmanager
    def _turn(self, seconds: float) -> Iterator[None]:
        """One asks at a time. Raises `Transient` where that takes longer than `seconds`."""
        if not self._lock.acquire(timeout=seconds):
            raise Transient(f"{self._url} is being asked, and does not answer")
        try:
            yield
        finally:
            self._lock.release()

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _published(self) -> Mapping[str, Any]:
        if self._clock() - self._metadata_at > METADATA_SECONDS:
            metadata = self._get(self._url.rstrip("/") + _WELL_KNOWN)
            if metadata.get("issuer") != self._url:
                raise self._failed("says that it is another issuer")
            self._metadata, self._metadata_at = metadata, self._clock()
        return self._metadata

    def _address(self, name: str) -> str:
        """Published, and no less private than the issuer itself: whoever reads along http:// could write keys."""
        address = self._published().get(name)
        if not isinstance(address, str) or not address.startswith(("https://", f"{urlsplit(self._url).scheme}://")):
            raise Transient(f"{self._url} publishes no {name}")
        return address

    def _fetch_keys(self) -> None:
        try:
            written = self._get(self._address("jwks_uri")).get("keys")
        except Transient as error:
            if not self._keys:
                raise
            log.warning("keys not fetched, those that are known serve on", issuer=self._url, error=str(error))
            self._asked_at = self._clock()
            return
        keys = {}
        for one in (written if isinstance(written, list) else [])[:_MAX_KEYS]:
            if isinstance(one, Mapping) and one.get("use", "sig") == "sig" and one.get("kty") != "oct":
                try:
                    keys[str(one.get("kid", ""))] = jwt.PyJWK(dict(one))
                except (jwt.PyJWTError, ValueError, TypeError):
                    continue  # of a kind that we don't know
        self._keys = keys
        self._keys_at = self._asked_at = self._clock()

    def _get(self, url: str) -> Mapping[str, Any]:
        if (left := self._failed_at + PAUSE_SECONDS - self._clock()) > 0:
            raise Transient(f"{self._url} does not answer", retry_after=left)
        try:
            answer = self._transport.handle_request(httpx2.Request("GET", url, headers={"accept": "application/json"}))
            content = answer.json() if answer.status_code == 200 else None
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, SortationError) as error:
            raise self._failed("does not answer") from error
        except (ValueError, RecursionError, httpx2.InvalidURL):
            content = None
        if not isinstance(content, Mapping):
            raise self._failed("answers no JSON object")
        return content

    def _failed(self, what: str) -> Transient:
        self._failed_at = self._clock()
        return Transient(f"{self._url} {what}", retry_after=PAUSE_SECONDS)
