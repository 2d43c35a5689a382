"""Tokens of a connection: sealed for it, and given back when it goes."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from core.domain.connections import Connection, SealedPurpose, secrets_context
from core.domain.oauth import Grant, OAuthClient, OAuthTokens, oauth_client, pack_tokens, unpack_tokens
from core.errors import SortationError
from core.usecases.shared.secrets import whole_config
from ports.connectors import PluginHost
from ports.oauth import OAuthProvider
from ports.secrets import SecretBox


def tokens_context(tenant_id: UUID, connection_id: UUID) -> str:
    return secrets_context(tenant_id, connection_id, SealedPurpose.TOKENS)


def seal_tokens(
    tenant_id: UUID, connection_id: UUID, grant: Grant, account: str, now: datetime, box: SecretBox
) -> OAuthTokens:
    return OAuthTokens(
        connection_id=connection_id,
        sealed=box.seal(pack_tokens(grant), tokens_context(tenant_id, connection_id)),
        account=account,
        expires_at=None if grant.expires_in is None else now + timedelta(seconds=grant.expires_in),
        changed_at=now,
    )


def open_tokens(tenant_id: UUID, tokens: OAuthTokens, box: SecretBox) -> tuple[str, str | None]:
    """The access token, and the refresh token if there is one. Raises `SecretUnreadable`."""
    return unpack_tokens(box.open(tokens.sealed, tokens_context(tenant_id, tokens.connection_id)))


def give_back_all(
    connection: Connection,
    tokens: OAuthTokens | None,
    *,
    host: PluginHost,
    secrets: SecretBox,
    provider: OAuthProvider,
) -> None:
    """Gives back what the source gave the connection, as it was configured then, as far as that can be reached."""
    manifest = host.connectors().get(connection.connector)
    if tokens is None or manifest is None:
        return
    with suppress(SortationError):  # they are forgotten either way
        client = oauth_client(manifest.auth, whole_config(connection, secrets))
        give_back(client, *open_tokens(connection.tenant_id, tokens, secrets), provider)


def give_back(client: OAuthClient, access_token: str, refresh_token: str | None, provider: OAuthProvider) -> None:
    """Revokes tokens: the refresh token first, with which most providers end the others."""
    for token in (refresh_token, access_token):
        if token is not None:
            provider.revoke(client, token)
