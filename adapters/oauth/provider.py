"""Providers of OAuth2, asked by Authlib over the transport that checks addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpcore2
import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from core.domain.health import blacken, secret_words
from core.domain.oauth import Grant, OAuthClient, subject_of
from core.errors import ConfigInvalid, ReauthRequired, Transient

T = TypeVar("T")
_MAX_TOLD = 200
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


class AuthlibProvider:
    """An `OAuthProvider`; may be shared by threads."""

    def __init__(self, transport: httpx2.BaseTransport) -> None:
        self._transport = transport

    def authorize_url(self, client: OAuthClient, *, redirect_uri: str, state: str, verifier: str) -> str:
        session = self._session(client, "client_secret_basic", redirect_uri=redirect_uri)
        url, _ = session.create_authorization_url(client.authorize_url, state=state, code_verifier=verifier)
        return str(url)

    def exchange(self, client: OAuthClient, *, code: str, verifier: str, redirect_uri: str) -> Grant:
        asked = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        return _grant(self._fetched(client, redirect_uri=redirect_uri, **asked))

    def refresh(self, client: OAuthClient, refresh_token: str) -> Grant:
        def ask(session: OAuth2Client) -> Mapping[str, Any]:
            refreshed: Mapping[str, Any] = session.refresh_token(client.token_url, refresh_token=refresh_token)
            return refreshed

        return _grant(self._authenticated(client, ask, secrets=(refresh_token,)))

    def client_credentials(self, client: OAuthClient) -> Grant:
        return _grant(self._fetched(client, grant_type="client_credentials"))

    def account(self, client: OAuthClient, access_token: str) -> str:
        if not client.account_url:
            return ""

        def ask() -> str:
            request = httpx2.Request(
                "GET",
                client.account_url,
                headers={"authorization": f"Bearer {access_token}", "accept": "application/json"},
            )
            answer = self._transport.handle_request(request)
            if answer.status_code >= 500:
                raise Transient(f"the source's provider answers {answer.status_code}")
            found: Any = answer.json() if answer.status_code < 400 else None
            for part in client.account_field.split("."):
                found = found.get(part) if isinstance(found, Mapping) else None
            if not isinstance(found, str | int) or found == "":
                raise ConfigInvalid(f"the source does not tell whose account it is (status {answer.status_code})")
            return str(found)

        return _told(ask, (access_token,))

    def revoke(self, client: OAuthClient, token: str) -> None:
        if not client.revoke_url:
            return

        def ask(session: OAuth2Client) -> None:
            answer = session.revoke_token(client.revoke_url, token=token)
            if answer.status_code >= 400:
                raise Transient(f"the source's provider answers {answer.status_code}")

        _told(lambda: self._with_session(client, "client_secret_basic", ask), (token, client.client_secret))

    def _fetched(self, client: OAuthClient, *, redirect_uri: str | None = None, **asked: str) -> Mapping[str, Any]:
        def ask(session: OAuth2Client) -> Mapping[str, Any]:
            fetched: Mapping[str, Any] = session.fetch_token(client.token_url, **asked)
            return fetched

        secrets = tuple(value for name, value in asked.items() if name != "grant_type")
        return self._authenticated(client, ask, secrets=secrets, redirect_uri=redirect_uri)

    def _authenticated(
        self,
        client: OAuthClient,
        ask: Callable[[OAuth2Client], Mapping[str, Any]],
        *,
        secrets: tuple[str, ...],
        redirect_uri: str | None = None,
    ) -> Mapping[str, Any]:
        """The provider's answer. The secret goes in the header, and where a provider knows nothing of that, in the
        body: who is refused for the secret has not used anything up."""

        def tried() -> Mapping[str, Any]:
            try:
                return self._with_session(client, "client_secret_basic", ask, redirect_uri)
            except OAuthError as error:
                if error.error != "invalid_client" or not client.client_secret:
                    raise
            return self._with_session(client, "client_secret_post", ask, redirect_uri)

        basic = f"{client.client_id}:{client.client_secret}"
        return _told(tried, (*secrets, client.client_secret, basic))

    def _with_session(
        self, client: OAuthClient, method: str, ask: Callable[[OAuth2Client], T], redirect_uri: str | None = None
    ) -> T:
        return ask(self._session(client, method, redirect_uri=redirect_uri))

    def _session(self, client: OAuthClient, method: str, *, redirect_uri: str | None) -> OAuth2Client:
        method = method if client.client_secret else "none"
        return OAuth2Client(
            client.client_id,
            client.client_secret or None,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            scope=" ".join(client.scopes) or None,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            transport=self._transport,  # shared, so the session is never closed
            trust_env=False,  # a proxy would connect to what nobody checked
            follow_redirects=False,
        )


def _grant(answer: Mapping[str, Any]) -> Grant:
    access, refresh, expires = (answer.get(name) for name in ("access_token", "refresh_token", "expires_in"))
    if not isinstance(access, str) or not access:
        raise Transient("the source's provider gave no token")
    if str(answer.get("token_type", "bearer")).lower() != "bearer":
        raise ConfigInvalid("the source's provider gave a token that is no bearer's")
    try:
        seconds = None if expires is None else float(expires)
    except (TypeError, ValueError):
        seconds = None
    return Grant(
        access_token=access,
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
        expires_in=seconds,
        account=subject_of(answer.get("id_token")),
    )


def _told(ask: Callable[[], T], secrets: tuple[str, ...]) -> T:
    """What `ask` gives; faults in our words, of which none is a secret."""
    try:
        return ask()
    except OAuthError as error:
        told = f"{error.error}: {error.description}" if error.description else str(error.error)
        told = blacken(told, secret_words({"": [secret for secret in secrets if secret]}))
        told = " ".join(told.split())[:_MAX_TOLD]
        if error.error == "invalid_grant":
            raise ReauthRequired(f"the source's provider says {told}: connect it again") from None
        if error.error in _PASSING:
            raise Transient(f"the source's provider says {told}") from None
        raise ConfigInvalid(f"the source's provider says {told}") from None
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        raise Transient("the source's provider cannot be reached, or does not answer in time") from None
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        passing = status >= 500 or status == 429
        raise (Transient if passing else ConfigInvalid)(f"the source's provider answers {status}") from None
    except (ValueError, httpx2.InvalidURL):
        raise Transient("the source's provider sends what is no answer") from None
