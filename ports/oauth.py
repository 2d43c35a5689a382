"""OAuth2: the providers of sources, and where tokens and sign-ins are kept."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from core.domain.oauth import Grant, OAuthClient, OAuthTokens, SignIn


class OAuthProvider(Protocol):
    """Asks providers. What is asked raises `ReauthRequired` where the provider no longer takes what it is shown,
    `ConfigInvalid` where it refuses us, and `Transient`; no message holds a secret."""

    def authorize_url(self, client: OAuthClient, *, redirect_uri: str, state: str, verifier: str) -> str:
        """Where a person signs in: with the challenge of `verifier` by S256."""
        ...

    def exchange(self, client: OAuthClient, *, code: str, verifier: str, redirect_uri: str) -> Grant: ...

    def refresh(self, client: OAuthClient, refresh_token: str) -> Grant:
        """With the refresh token that is good from now on, be it the same."""
        ...

    def client_credentials(self, client: OAuthClient) -> Grant: ...

    def account(self, client: OAuthClient, access_token: str) -> str:
        """Whose token it is, by the client's `account_url`; '' where there is none."""
        ...

    def revoke(self, client: OAuthClient, token: str) -> None:
        """Does nothing where the provider can't revoke."""
        ...


class OAuthStorage(Protocol):
    def hold(self, connection_id: UUID) -> None:
        """Waits until no other transaction holds the connection's tokens, and holds them until this one ends."""
        ...

    def get(self, connection_id: UUID) -> OAuthTokens | None: ...

    def put(self, tokens: OAuthTokens) -> None:
        """In place of those that were. Raises `Invalid` for an unknown connection."""
        ...

    def forget(self, connection_id: UUID) -> None:
        """Its tokens, and sign-ins for it that are under way."""
        ...

    def begin(self, sign_in: SignIn) -> None:
        """Raises `Invalid` for an unknown connection."""
        ...
