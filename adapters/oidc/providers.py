"""Providers of OpenID Connect: the code flow by Authlib, tokens verified by PyJWT."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpcore2
import httpx2
import jwt
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from adapters.oidc.issuer import Issuer
from core.domain.identity import Claims, IdentityProvider, claims_from
from core.errors import ConfigInvalid, Invalid, NotFound, Transient, Unauthenticated

LEEWAY_SECONDS = 60
"""How far clocks may differ."""
_REQUIRED = ["iss", "sub", "exp", "iat"]
_ERRORS = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
LONGEST_SECONDS = 24 * 3600
"""How far away a bearer token may expire: until then nobody can take it back."""
_TYPES = frozenset({"jwt", "at+jwt"})
"""What a bearer token may call itself; others are of another use, such as `logout+jwt`."""
_OF_OTHER_USE = ("nonce", "events")
"""Claims of ID tokens, which say who signed in somewhere and open nothing, and of security events."""
_NOT_OURS = "this token was not made for us"


class OidcProviders:
    """`IdentityProviders` of the operator's choice; may be shared by threads."""

    def __init__(self, providers: Sequence[IdentityProvider], transport: httpx2.BaseTransport) -> None:
        self._providers = {provider.key: provider for provider in providers}
        self._transport = transport
        self._issuers = {provider.issuer: Issuer(provider.issuer, transport) for provider in providers}

    def all(self) -> Sequence[IdentityProvider]:
        return list(self._providers.values())

    def get(self, key: str) -> IdentityProvider:
        if key not in self._providers:
            raise NotFound("this provider does not exist")
        return self._providers[key]

    def sign_in_url(
        self, provider: IdentityProvider, *, redirect_uri: str, state: str, nonce: str, verifier: str
    ) -> str:
        address = self._issuers[provider.issuer].endpoint("authorization_endpoint")
        url, _ = self._session(provider, redirect_uri).create_authorization_url(
            address, state=state, nonce=nonce, code_verifier=verifier
        )
        return str(url)

    def exchange(
        self, provider: IdentityProvider, *, code: str, redirect_uri: str, nonce: str, verifier: str
    ) -> Claims:
        address = self._issuers[provider.issuer].endpoint("token_endpoint")
        try:
            answer: Mapping[str, Any] = self._session(provider, redirect_uri).fetch_token(
                address, grant_type="authorization_code", code=code, code_verifier=verifier
            )
        except OAuthError as error:
            told = error.error if error.error in _ERRORS else "an error of its own"  # whose text may echo secrets
            raise Unauthenticated(f"{provider.title} refuses this sign-in: {told}") from None
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.HTTPError):
            raise Transient(f"{provider.title} does not answer") from None
        except ConfigInvalid as error:  # an address that is not allowed, or an answer that is too large
            raise Transient(f"{provider.title} cannot be asked: {error}") from None
        except (ValueError, RecursionError):
            raise Transient(f"{provider.title} sends what is no answer") from None
        claims = self._verified(provider, answer.get("id_token"), audience=[provider.client_id])
        party = claims.get("azp")
        if (party is not None or len(_audiences(claims)) > 1) and party != provider.client_id:
            raise Unauthenticated(_NOT_OURS)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise Unauthenticated("this token is of another sign-in")
        return _claims(provider, claims)

    def verify(self, token: str) -> tuple[IdentityProvider, Claims]:
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError:
            raise Unauthenticated("this is no token") from None
        provider = next((one for one in self._providers.values() if one.issuer == issuer), None)
        if provider is None or not (provider.audiences or provider.authorized_parties):
            raise Unauthenticated("this token's issuer is not trusted here")
        claims = self._verified(provider, token, audience=None)
        _check_bearer(provider, jwt.get_unverified_header(token), claims)
        return provider, _claims(provider, claims)

    def _verified(self, provider: IdentityProvider, token: Any, *, audience: list[str] | None) -> dict[str, Any]:
        if not isinstance(token, str):
            raise Unauthenticated("the provider gave no token")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in provider.algorithms or header.get("crit"):
                raise Unauthenticated("the token is signed in a way that is not allowed")
            key = self._issuers[provider.issuer].key(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key=key.key,
                algorithms=list(provider.algorithms),
                issuer=provider.issuer,
                audience=audience,
                leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED, "verify_aud": audience is not None},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise Unauthenticated(f"the token does not hold: {_named(error)}") from None
        return claims

    def _session(self, provider: IdentityProvider, redirect_uri: str) -> OAuth2Client:
        return OAuth2Client(
            provider.client_id,
            provider.client_secret or None,
            token_endpoint_auth_method="client_secret_basic" if provider.client_secret else "none",
            scope=" ".join(provider.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            transport=self._transport,  # shared, so the session is never closed
            trust_env=False,
            follow_redirects=False,
        )


def _claims(provider: IdentityProvider, token: Mapping[str, Any]) -> Claims:
    try:
        return claims_from(provider, token)
    except Invalid as error:
        raise Unauthenticated(str(error)) from None


def _check_bearer(provider: IdentityProvider, header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
    """That a verified token is an access token for the API. Raises `Unauthenticated`."""
    kind = header.get("typ")
    if kind is not None and str(kind).lower().removeprefix("application/") not in _TYPES:
        raise Unauthenticated("this token is none for an API")
    if any(name in claims for name in _OF_OTHER_USE):
        raise Unauthenticated("this token is none for an API")
    if int(claims["exp"]) > time.time() + LONGEST_SECONDS + LEEWAY_SECONDS:
        raise Unauthenticated(f"this token lasts for longer than {LONGEST_SECONDS // 3600} hours")
    audiences = set(_audiences(claims))
    if audiences.intersection(provider.audiences):
        return
    if claims.get("azp") not in provider.authorized_parties:
        raise Unauthenticated(_NOT_OURS)
    if claims.get("aud") is not None and provider.client_id not in audiences:
        raise Unauthenticated(_NOT_OURS)


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    audience = claims.get("aud", [])
    return [audience] if isinstance(audience, str) else list(audience) if isinstance(audience, list) else []


def _named(error: Exception) -> str:
    """What is wrong in a word, such as `ExpiredSignature`; never the token's own."""
    return type(error).__name__.removesuffix("Error")
