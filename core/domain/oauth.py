"""OAuth2: the client that a connection is at its source's provider, its tokens, and sign-ins under way."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from core.domain.plugins import Auth, AuthKind
from core.errors import ConfigInvalid

CLIENT_ID_FIELD = "client_id"
CLIENT_SECRET_FIELD = "client_secret"  # noqa: S105 - a name
"""The fields of a configuration with what the provider knows us by; without a secret, PKCE alone proves us."""
SIGN_IN_TIME = timedelta(minutes=10)
LEEWAY = timedelta(seconds=60)
"""A token that is good for less is renewed before it is used."""
CALLBACK = "/api/v1/oauth/callback"
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """What is asked of a provider, and as whom. URLs that a source has none of are empty."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_url: str
    token_url: str
    revoke_url: str
    account_url: str
    account_field: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a provider gave: `account` is whose it is, '' where it does not say; `expires_in` is in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: float | None
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthTokens:
    """The tokens of a connection: both together in `sealed`."""

    connection_id: UUID
    sealed: bytes = field(repr=False)
    account: str
    expires_at: datetime | None
    changed_at: datetime

    def lasting(self, now: datetime) -> bool:
        return self.expires_at is None or now + LEEWAY < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A sign-in that a person was sent to the provider for; `sealed` is the verifier that only we know."""

    state_hash: bytes = field(repr=False)
    tenant_id: UUID
    connection_id: UUID
    sealed: bytes = field(repr=False)
    redirect_uri: str
    started_by: str
    expires_at: datetime
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    """Whose `started_by` is the name: a person's, or an API key's."""


def oauth_client(auth: Auth, config: Mapping[str, Any]) -> OAuthClient:
    """Raises `ConfigInvalid` where the configuration lacks what the manifest needs of it."""
    client_id = config.get(CLIENT_ID_FIELD)
    if not isinstance(client_id, str) or not client_id.strip():
        raise ConfigInvalid(f"{CLIENT_ID_FIELD} is missing: what the source's provider knows this installation by")
    secret = config.get(CLIENT_SECRET_FIELD)
    if auth.kind is AuthKind.CLIENT_CREDENTIALS and not secret:
        raise ConfigInvalid(f"{CLIENT_SECRET_FIELD} is missing")
    return OAuthClient(
        client_id=client_id.strip(),
        client_secret=secret.strip() if isinstance(secret, str) else "",
        authorize_url=filled(auth.authorize_url, config),
        token_url=filled(auth.token_url, config),
        revoke_url=filled(auth.revoke_url, config),
        account_url=filled(auth.account_url, config),
        account_field=auth.account_field,
        scopes=tuple(word for scope in auth.scopes for word in scope_of(scope, config).split()),
    )


def scope_of(template: str, config: Mapping[str, Any]) -> str:
    """A scope, or several with spaces between, with the configuration's fields in their places; those that are missing
    are left out."""
    return _FIELD.sub(lambda place: str(config.get(place[1], "")), template)


def filled(template: str, config: Mapping[str, Any]) -> str:
    """A URL with the configuration's fields in their places: as they are where the URL begins with one, and else in
    such a form that they can't lead to another host or path. Raises `ConfigInvalid` for one that is missing."""

    def value(place: re.Match[str]) -> str:
        given = config.get(place[1])
        if not isinstance(given, str | int) or given == "":
            raise ConfigInvalid(f"{place[1]} is missing")
        return str(given).strip().rstrip("/") if place.start() == 0 else quote(str(given).strip(), safe="")

    return _FIELD.sub(value, template)


def url_fields(auth: Auth) -> frozenset[str]:
    """The fields of a configuration that its URLs are made of."""
    urls = (auth.authorize_url, auth.token_url, auth.revoke_url, auth.account_url)
    return frozenset(name for url in urls for name in _FIELD.findall(url))


def pack_tokens(grant: Grant) -> bytes:
    return json.dumps({"access_token": grant.access_token, "refresh_token": grant.refresh_token}).encode()


def unpack_tokens(packed: bytes) -> tuple[str, str | None]:
    """The access token, and the refresh token if there is one."""
    tokens = json.loads(packed)
    return tokens["access_token"], tokens["refresh_token"]


def hash_state(state: str) -> bytes:
    """What is kept of a state: who reads the storage can't finish another's sign-in."""
    return hashlib.sha256(state.encode("utf-8", "replace")).digest()


def url_safe(entropy: bytes) -> str:
    return base64.urlsafe_b64encode(entropy).decode().rstrip("=")


def subject_of(id_token: object) -> str:
    """Whose an id token is; '' for none. It comes from the provider itself, over TLS, so that its signature adds
    nothing (OpenID Connect Core, 3.1.3.7)."""
    if not isinstance(id_token, str) or id_token.count(".") != 2:
        return ""
    payload = id_token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return ""
    subject = claims.get("sub") if isinstance(claims, dict) else None
    return subject if isinstance(subject, str) else ""
