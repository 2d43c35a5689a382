"""Providers of OpenID Connect, asked and believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.domain.identity import Claims, IdentityProvider


class IdentityProviders(Protocol):
    """Every token is verified by the keys of its own issuer alone, by an algorithm that the operator named, and by its
    times. Raises `Transient` where an issuer does not answer."""

    def all(self) -> Sequence[IdentityProvider]: ...

    def get(self, key: str) -> IdentityProvider:
        """Raises `NotFound`."""
        ...

    def sign_in_url(
        self, provider: IdentityProvider, *, redirect_uri: str, state: str, nonce: str, verifier: str
    ) -> str:
        """Where a person signs in, with the challenge of `verifier` by S256."""
        ...

    def exchange(
        self, provider: IdentityProvider, *, code: str, redirect_uri: str, nonce: str, verifier: str
    ) -> Claims:
        """Who signed in. Raises `Unauthenticated` for a token that does not hold, or is of another sign-in."""
        ...

    def verify(self, token: str) -> tuple[IdentityProvider, Claims]:
        """Whose a bearer token for the API is. Raises `Unauthenticated`."""
        ...
