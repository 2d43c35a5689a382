"""The `HttpClient` of a connection: credentials, rate limit, redirects, waiting and trying again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NoReturn

import httpcore2
import httpx2

from adapters.http.credentials import Credentials
from adapters.http.rates import Rates
from adapters.http.redaction import Redactor
from core.domain.jobs import backoff
from core.domain.plugins import RateLimit
from core.errors import ConfigInvalid, PermissionDenied, RateLimited, ReauthRequired, SortationError, Transient
from ports.connectors import HttpResponse

USER_AGENT = "Sortation"
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 500, 502, 503, 504})
_MAX_REDIRECTS = 5
_TRIES = 3
_PAUSES = 10
"""How often the source is waited for at its own word, whatever that adds up to."""
_FIRST_PAUSE = timedelta(seconds=0.5)
_NO_ADDRESS = "the source redirects to what is no address"
_HOST_SETS = frozenset({"host", "content-length", "transfer-encoding", "connection", "proxy-authorization", "te"})
_HARMLESS = frozenset({"accept", "accept-language", "user-agent", "if-none-match", "if-modified-since", "range"})
"""What goes along to another host than the one that was asked; any other header may hold a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that one request may wait in all at the source's word, and for a place under the rate limit."""

    source: float = 60.0
    rate: float = 60.0


@dataclass(slots=True, kw_only=True)
class _Waiting:
    """What a request has spent so far."""

    failures: int = 0
    pauses: int = 0
    seconds: float = 0.0


class ConnectionHttp:
    """Serves one connection; `rate_key` stands for all that share its rate limit. May be shared by threads."""

    def __init__(
        self,
        transport: httpx2.BaseTransport,
        *,
        credentials: Credentials,
        redactor: Redactor,
        rates: Rates,
        rate_key: str,
        rate_limit: RateLimit | None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float],
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._redactor = redactor
        self._rates = rates
        self._rate_key = rate_key
        self._rate_limit = rate_limit
        self._patience = patience or Patience()
        self._sleep = sleep
        self._jitter = jitter

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        authenticated: bool = True,
        accept: Collection[int] = (),
    ) -> HttpResponse:
        """As `ports.connectors.HttpClient` says."""
        request = _request(method.upper(), url, params, headers, content)
        waiting, rejected, renewed = _Waiting(), None, False
        while True:
            identity = self._credentials.header(rejected) if authenticated else None
            if identity is not None:
                self._redactor.hide(identity[2])
            try:
                answer, moved = self._send(request, identity)
            except SortationError:
                raise
            except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
                self._try_again(request, error, waiting)
                continue
            if answer.status_code < 400 or answer.status_code in accept:
                kept = {name.lower(): value for name, value in answer.headers.items()}
                return HttpResponse(status=answer.status_code, headers=kept, content=answer.content)
            if answer.status_code == 401 and identity is not None and self._credentials.renewable and not renewed:
                rejected, renewed = identity[2], True
                continue
            rejected = None
            if not self._waited(request, answer, waiting):
                self._fail(request, answer, moved=moved)

    def _send(
        self, request: httpx2.Request, identity: tuple[str, str, str] | None
    ) -> tuple[httpx2.Response, httpx2.URL | None]:
        """The answer after redirects, and the other host that they led to, if they did: what stands for the connection
        stays behind then."""
        current = _with_identity(request, identity)
        moved = None
        for _ in range(_MAX_REDIRECTS + 1):
            if self._rate_limit is not None:
                self._pause(self._rates.reserve(self._rate_key, self._rate_limit, self._patience.rate))
            answer = self._transport.handle_request(current)
            place = answer.headers.get("location")
            if answer.status_code not in _REDIRECTS or not place:
                return answer, moved
            target = _joined(current.url, place)
            if current.url.scheme == "https" and target.scheme != "https":
                raise ConfigInvalid(self._said(request, f"redirects to {target.scheme}:, which is not followed"))
            elsewhere = _origin(target) != _origin(current.url)
            moved = target if elsewhere else moved
            current = self._redirected(current, answer.status_code, target, elsewhere=elsewhere)
        raise ConfigInvalid(self._said(request, f"redirects more than {_MAX_REDIRECTS} times"))

    def _redirected(
        self, request: httpx2.Request, status: int, target: httpx2.URL, *, elsewhere: bool
    ) -> httpx2.Request:
        method, content = request.method, request.content
        if method != "HEAD" and (status == 303 or (status in (301, 302) and method == "POST")):
            method, content = "GET", b""
        if elsewhere and content:
            raise ConfigInvalid(self._said(request, "redirects what was sent to another host, which is not followed"))
        dropped = {"host", "content-length"} if content else {"host", "content-length", "content-type"}
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in dropped and (not elsewhere or name.lower() in _HARMLESS)
        }
        try:
            return httpx2.Request(method, target, headers=kept, content=content or None)
        except (httpx2.InvalidURL, UnicodeError, ValueError):  # as for a host that is no name
            raise ConfigInvalid(_NO_ADDRESS) from None

    def _try_again(self, request: httpx2.Request, error: Exception, waiting: _Waiting) -> None:
        """Waits for the next try after no answer came; raises `Transient` when there is none to be made."""
        unsent = isinstance(error, httpcore2.ConnectError | httpcore2.ConnectTimeout | httpcore2.PoolTimeout)
        waiting.failures += 1
        if waiting.failures >= _TRIES or not (unsent or request.method in _REPEATABLE):
            late = isinstance(error, httpcore2.TimeoutException)
            what = "did not answer in time" if late else "cannot be reached" if unsent else "broke off the connection"
            raise Transient(self._said(request, what)) from None  # whose cause may quote what was sent
        self._pause(backoff(waiting.failures, _FIRST_PAUSE, self._jitter()).total_seconds())

    def _waited(self, request: httpx2.Request, answer: httpx2.Response, waiting: _Waiting) -> bool:
        """Whether it is time for another try; waits for it."""
        status = answer.status_code
        asked = retry_after(answer.headers.get("retry-after"), datetime.now(UTC)) if status in (429, 503) else None
        if asked is not None:
            waiting.pauses += 1
            waiting.seconds += asked
            if waiting.pauses > _PAUSES or waiting.seconds > self._patience.source:
                return False
            self._pause(max(asked, self._jitter()))
            return True
        waiting.failures += 1
        repeatable = status == 429 or (status in _PASSING and request.method in _REPEATABLE)
        if not repeatable or waiting.failures >= _TRIES:
            return False
        self._pause(backoff(waiting.failures, _FIRST_PAUSE, self._jitter()).total_seconds())
        return True

    def _fail(self, request: httpx2.Request, answer: httpx2.Response, *, moved: httpx2.URL | None) -> NoReturn:
        status = answer.status_code
        told = self._redactor.excerpt(answer)
        message = self._said(request, f"answers {status}{f': {told}' if told else ''}")
        asked = retry_after(answer.headers.get("retry-after"), datetime.now(UTC))
        waiting = {} if asked is None else {"retry_after": asked}
        if status in (401, 403) and moved is not None:
            raise ConfigInvalid(f"{message}; it moved to {self._redactor.address(moved)}: configure that address")
        if status == 401:
            raise ReauthRequired(message)
        if status == 403:
            raise PermissionDenied(message)
        if status == 429:
            raise RateLimited(message, **waiting)
        if status >= 500 or status in _PASSING:
            raise Transient(message, **waiting)
        raise ConfigInvalid(message)

    def _said(self, request: httpx2.Request, what: str) -> str:
        return f"{request.method} {self._redactor.address(request.url)} {what}"

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._sleep(seconds)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._rate_key}>"


def retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds that a `Retry-After` asks for, given as such or as a date; None for none, or one that is neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdecimal():
        return min(float(value), 86_400.0)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # as of a year that no computer has
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), 86_400.0)


def _request(
    method: str,
    url: str,
    params: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    content: bytes | None,
) -> httpx2.Request:
    given = {name.lower(): value for name, value in (headers or {}).items() if name.lower() not in _HOST_SETS}
    try:
        address = httpx2.URL(url)
        if params:
            address = address.copy_merge_params(dict(params))
        return httpx2.Request(method, address, headers={"user-agent": USER_AGENT, **given}, content=content)
    except (httpx2.InvalidURL, UnicodeError, TypeError, ValueError):
        raise ConfigInvalid("the address or a header of a request is not valid") from None


def _with_identity(request: httpx2.Request, identity: tuple[str, str, str] | None) -> httpx2.Request:
    if identity is None:
        return request
    name, value, _ = identity
    headers = {key: kept for key, kept in request.headers.items() if key.lower() != name.lower()} | {name: value}
    return httpx2.Request(request.method, request.url, headers=headers, content=request.content or None)


def _joined(base: httpx2.URL, place: str) -> httpx2.URL:
    try:
        return base.join(place)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise ConfigInvalid(_NO_ADDRESS) from None


def _origin(url: httpx2.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port or {"https": 443, "http": 80}.get(url.scheme)
