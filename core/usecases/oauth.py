"""OAuth2: a person signs in once at a source's provider; from then on its tokens are kept fresh."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from core.domain.connections import Connection, SealedPurpose, check_enabled, leads_elsewhere, secrets_context
from core.domain.events import EventType, NewEvent
from core.domain.health import Health
from core.domain.oauth import CALLBACK, SIGN_IN_TIME, Grant, OAuthClient, SignIn, hash_state, oauth_client, url_safe
from core.domain.plugins import AuthKind, ConnectorManifest
from core.domain.tenants import Actor, worker_actor
from core.errors import Conflict, Invalid, NotFound, PluginUnavailable, ReauthRequired, SortationError
from core.usecases.shared.connection_health import note_health
from core.usecases.shared.oauth import give_back, open_tokens, seal_tokens
from core.usecases.shared.secrets import whole_config
from ports.clock import Clock, Ids
from ports.connectors import PluginHost
from ports.oauth import OAuthProvider
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork
from ports.system import SystemStorage


def start_sign_in(
    actor: Actor,
    connection_id: UUID,
    *,
    public_url: str,
    uow: UnitOfWork,
    host: PluginHost,
    provider: OAuthProvider,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> tuple[str, datetime]:
    """Where a person signs in for the connection, and until when. Raises `Conflict` for a connector that nobody signs
    in for, `ConfigInvalid` where the configuration lacks what the provider needs."""
    state, verifier = url_safe(ids.entropy(32)), url_safe(ids.entropy(48))
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id)
        client, _ = _client(connection, host, secrets)
        sign_in = SignIn(
            state_hash=hash_state(state),
            tenant_id=actor.tenant_id,
            connection_id=connection_id,
            sealed=secrets.seal(
                verifier.encode(), secrets_context(actor.tenant_id, connection_id, SealedPurpose.SIGN_IN)
            ),
            redirect_uri=public_url + CALLBACK,
            started_by=actor.name,
            expires_at=clock.now() + SIGN_IN_TIME,
            user_id=actor.user_id,
            api_key_id=actor.api_key_id,
        )
        tx.oauth.begin(sign_in)
        tx.commit()
    url = provider.authorize_url(client, redirect_uri=sign_in.redirect_uri, state=state, verifier=verifier)
    return url, sign_in.expires_at


def finish_sign_in(
    state: str,
    *,
    code: str | None,
    error: str | None,
    request_id: str | None = None,
    system: SystemStorage,
    uow: UnitOfWork,
    renewals: UnitOfWork,
    host: PluginHost,
    provider: OAuthProvider,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> Connection:
    """Keeps the tokens that a person's sign-in gives; the connection, where it waited for that, goes on. Who renews
    the former ones is waited for, over a connection to the database of `renewals`.

    A state serves once. Raises `Invalid` for one that is unknown, was used, or is too old; `Conflict` where the
    person did not agree or signed in to another account than before; and what `OAuthProvider` raises.
    """
    sign_in = system.take_sign_in(hash_state(state))
    if sign_in is None or sign_in.expires_at <= clock.now():
        raise Invalid("this sign-in is not known, was finished before, or took longer than ten minutes: start it again")
    if error is not None or not code:
        raise Conflict("the source did not let you sign in, or you did not agree: start it again")
    tenant_id, connection_id = sign_in.tenant_id, sign_in.connection_id
    actor = replace(
        worker_actor(tenant_id, request_id=request_id),
        name=sign_in.started_by,
        user_id=sign_in.user_id,
        api_key_id=sign_in.api_key_id,
    )
    with uow.begin(actor) as tx:
        begun = tx.connections.get(connection_id)
        client, manifest = _client(begun, host, secrets)
    verifier = secrets.open(sign_in.sealed, secrets_context(tenant_id, connection_id, SealedPurpose.SIGN_IN)).decode()
    grant = provider.exchange(client, code=code, verifier=verifier, redirect_uri=sign_in.redirect_uri)
    account = provider.account(client, grant.access_token) or grant.account
    with renewals.begin(actor) as tx:
        tx.oauth.hold(connection_id)
        connection = tx.connections.get(connection_id, lock=True)
        former = tx.oauth.get(connection_id)
        if connection.disabled_at is not None or leads_elsewhere(begun.config, connection.config, manifest):
            problem = "the connection was disabled, or led to another host, meanwhile: start it again"
        elif former is not None and former.account and former.account != account:
            problem = "this is another account than the one that the connection belongs to: sign in to that one"
        else:
            tx.oauth.put(seal_tokens(tenant_id, connection_id, grant, account, clock.now(), secrets))
            connection = _well_again(tx, connection, clock, ids)
            changed = NewEvent(
                type=EventType.CONNECTION_CHANGED, subject_id=connection_id, payload={"changed": ["sign_in"]}
            )
            tx.events.append([changed])
            tx.commit()
            return connection
    with suppress(SortationError):  # nobody will use these
        give_back(client, grant.access_token, grant.refresh_token, provider)
    raise Conflict(problem)


def access_token(
    actor: Actor,
    connection: Connection,
    manifest: ConnectorManifest,
    config: Mapping[str, Any],
    *,
    rejected: str | None = None,
    uow: UnitOfWork,
    renewals: UnitOfWork,
    provider: OAuthProvider,
    secrets: SecretBox,
    clock: Clock,
) -> str:
    """An access token that is good for another minute, and other than `rejected`.

    Who must renew it holds the connection's tokens meanwhile, in one transaction of all processes: others wait, and
    find the new one. It waits for a provider, so it is one of `renewals`, whose few connections to the database serve
    nothing else. What the provider gave is stored before it is used, since it may have ended the former. Raises
    `ReauthRequired` where a person must sign in, and what `OAuthProvider` raises.
    """
    client = oauth_client(manifest.auth, config)
    with uow.begin(actor) as tx:
        if (token := _usable(tx, connection, rejected, secrets, clock)) is not None:
            return token
    with renewals.begin(actor) as tx:
        tx.oauth.hold(connection.id)
        if (token := _usable(tx, connection, rejected, secrets, clock)) is not None:
            return token
        former = tx.oauth.get(connection.id)
        if manifest.auth.kind is AuthKind.CLIENT_CREDENTIALS:
            grant = provider.client_credentials(client)
        else:
            refresh = None if former is None else open_tokens(actor.tenant_id, former, secrets)[1]
            if refresh is None:
                raise ReauthRequired("nobody signed in at the source yet, or it gave no token that lasts: connect it")
            grant = _kept(provider.refresh(client, refresh), refresh)
        with suppress(NotFound):  # one that is only tried has nothing to keep
            present = tx.connections.get(connection.id, lock=True)
            if present.disabled_at is not None or leads_elsewhere(connection.config, present.config, manifest):
                return grant.access_token  # for the host that it led to: nobody else may have it
            account = "" if former is None else former.account
            tx.oauth.put(seal_tokens(actor.tenant_id, connection.id, grant, account, clock.now(), secrets))
            tx.commit()
    return grant.access_token


def _usable(
    tx: Transaction, connection: Connection, rejected: str | None, secrets: SecretBox, clock: Clock
) -> str | None:
    tokens = tx.oauth.get(connection.id)
    if tokens is None or not tokens.lasting(clock.now()):
        return None
    token, _ = open_tokens(connection.tenant_id, tokens, secrets)
    return None if token == rejected else token


def _kept(grant: Grant, refresh: str) -> Grant:
    """With the refresh token that goes on being good where the provider gave no other."""
    return grant if grant.refresh_token is not None else replace(grant, refresh_token=refresh)


def _client(connection: Connection, host: PluginHost, secrets: SecretBox) -> tuple[OAuthClient, ConnectorManifest]:
    manifest = host.connectors().get(connection.connector)
    if manifest is None:
        raise PluginUnavailable(f"no loaded plugin offers the connector {connection.connector!r}")
    check_enabled(connection)
    if manifest.auth.kind is not AuthKind.OAUTH2:
        raise Conflict("nobody signs in for connections of this connector")
    return oauth_client(manifest.auth, whole_config(connection, secrets)), manifest


def _well_again(tx: Transaction, connection: Connection, clock: Clock, ids: Ids) -> Connection:
    if connection.health is not Health.REAUTH:
        return connection
    again = replace(connection, health=Health.HEALTHY, failures=0, next_sync_at=clock.now())
    note_health(tx, again, connection.health, code="signed_in", clock=clock, ids=ids)
    return again
