"""The `HttpClient` of the kit: keeps the host's promises, strictly."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from core.domain.plugins import Auth, AuthKind
from core.errors import ConfigInvalid, PermissionDenied, RateLimited, ReauthRequired, SortationError, Transient
from ports.connectors import HttpResponse
from sortation.testing.watching import unwatched

TIMEOUT_SECONDS = 60
"""Far longer than the server of the kit hangs, so that a machine that stands still fails no check."""


class KitHttp:
    """Sends every request, whatever its host, to the server on `port`. Where `auth` is by OAuth2 it has an access
    `token`, and `renewed` gives the one in its place; an API key is that of `config`, sent as `auth` says."""

    def __init__(
        self, port: int, auth: Auth, config: Mapping[str, Any], token: str, renewed: Callable[[str], str]
    ) -> None:
        self._port = port
        self._auth = auth
        self._config = config
        self._token = token
        self._renewed = renewed
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def beside(self) -> KitHttp:
        """That of another process, which knows the token that this one has."""
        return KitHttp(self._port, self._auth, self._config, self._token, self._renewed)

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
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigInvalid(f"{parts.scheme}://{parts.netloc} is no address of a source")
        query = "&".join(filter(None, (parts.query, urlencode(params or {}))))
        target = (parts.path or "/") + (f"?{query}" if query else "")

        def sent() -> HttpResponse:
            own = self.credentials() if authenticated else {}
            return self._sent(method, target, {"Host": parts.netloc, **(headers or {}), **own}, content)

        with unwatched():
            answer = sent()
            if answer.status == 401 and authenticated and self._renewable:
                self._token = self._renewed(self._token)
                answer = sent()
        if answer.status >= 400 and answer.status not in accept:
            raise _error(answer, f"{method} {parts.netloc}{parts.path}")
        return answer

    def close(self) -> None:
        self._connection.close()

    def credentials(self) -> dict[str, str]:
        """The headers that identify the connection."""
        if self._auth.kind is AuthKind.NONE:
            return {}
        if self._renewable:
            return {"Authorization": f"Bearer {self._token}"}
        fields = {**self._config, "key": self._config[self._auth.field]}
        return {self._auth.header.format(**fields): self._auth.value.format(**fields)}

    @property
    def _renewable(self) -> bool:
        return self._auth.kind in (AuthKind.OAUTH2, AuthKind.CLIENT_CREDENTIALS)

    def _sent(self, method: str, target: str, headers: Mapping[str, str], content: bytes | None) -> HttpResponse:
        try:
            self._connection.request(method, target, body=content, headers=dict(headers))
            got = self._connection.getresponse()
            return HttpResponse(
                status=got.status,
                headers={name.lower(): value for name, value in got.getheaders()},
                content=got.read(),
            )
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Transient(f"the source does not answer: {type(error).__name__}") from error


def _error(answer: HttpResponse, what: str) -> SortationError:
    message = f"{what} answered {answer.status}"
    if answer.status == 401:
        return ReauthRequired(message)
    if answer.status == 403:
        return PermissionDenied(message)
    if answer.status == 429:
        wait = answer.headers.get("retry-after", "")
        return RateLimited(message, **({"retry_after": float(wait)} if wait.isdigit() else {}))
    return Transient(message) if answer.status >= 500 else ConfigInvalid(message)
