"""Connections: where a tenant's records come from, with their secrets, schedule, health and log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from core.domain.billing import Terms
from core.domain.categories import MAX_NAME
from core.domain.connections import (
    UPLOADS,
    Connection,
    StreamCursor,
    Totals,
    check_enabled,
    check_schedule,
    check_streams,
    split_secrets,
)
from core.domain.events import EventType, NewEvent
from core.domain.health import SIGN_IN_ACTION, Health, HealthEntry, LogLine, blackened, secret_words
from core.domain.oauth import OAuthTokens
from core.domain.plugins import AuthKind, ConnectorManifest
from core.domain.records import clean_text
from core.domain.tenants import Actor
from core.domain.webhooks import SECRET_FIELD, RefusedDeliveries, superseded, webhook_secrets
from core.errors import Conflict, Invalid, ReauthRequired, SecretUnreadable, VersionMismatch
from core.usecases.shared.configuring import configured, given_config, manifest_of, merged_config
from core.usecases.shared.connection_health import note_health
from core.usecases.shared.limits import check_room_for_connection
from core.usecases.shared.oauth import give_back_all
from core.usecases.shared.secrets import former_webhook_secrets, open_secrets, seal_secrets
from ports.clock import Clock, Ids
from ports.connectors import PluginHost
from ports.oauth import OAuthProvider
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionState:
    """How a connection is. The first entry of its history tells why; totals are of all time, of the last 30 days and of
    the last 24 hours."""

    connection: Connection
    history: Sequence[HealthEntry]
    refused: RefusedDeliveries | None
    ever: Totals
    month: Totals
    day: Totals
    cursors: Sequence[StreamCursor] = ()
    """How far each stream was read, by name, secrets blackened."""


def list_connections(actor: Actor, *, uow: UnitOfWork) -> Sequence[Connection]:
    with uow.begin(actor) as tx:
        return tx.connections.list()


def get_connection(actor: Actor, connection_id: UUID, *, uow: UnitOfWork) -> Connection:
    with uow.begin(actor) as tx:
        return tx.connections.get(connection_id)


def create_connection(
    actor: Actor,
    *,
    connector: str,
    name: str,
    config: Mapping[str, Any],
    schedule_seconds: int | None = None,
    streams: Sequence[str] | None = None,
    terms: Terms,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> Connection:
    """`config` comes with its secrets, which are sealed. With a schedule it is first synced at once. Raises
    `PluginUnavailable`, `Invalid` (the configuration doesn't fit the connector's schema), `LimitReached` or
    `Conflict`."""
    manifest = manifest_of(connector, host)
    given = given_config(manifest, config, host)
    now = clock.now()
    new = Connection(
        id=ids.new(),
        tenant_id=actor.tenant_id,
        connector=connector,
        name=_check_name(name),
        config={},
        created_at=now,
        version=1,
        schedule_seconds=_check_pulled(manifest, check_schedule(schedule_seconds)),
        streams=check_streams(None if streams is None else tuple(streams)),
        next_sync_at=None if schedule_seconds is None else now,
    )
    connection = configured(new, manifest, given, secrets)
    with uow.begin(actor) as tx:
        check_room_for_connection(tx, terms, clock)
        tx.connections.add(connection)
        payload = {"connector": connector, "secrets": list(connection.secrets)}
        tx.events.append([NewEvent(type=EventType.CONNECTION_CREATED, subject_id=connection.id, payload=payload)])
        tx.commit()
    return connection


def change_connection(
    actor: Actor,
    connection_id: UUID,
    changes: Mapping[str, Any],
    *,
    version: int | None,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    provider: OAuthProvider,
    clock: Clock,
    ids: Ids,
) -> Connection:
    """`changes` may hold name, config, schedule_seconds and streams. Of `config`, secrets that are left out stay, and
    null removes one. A new configuration is given a fresh chance: the connection counts as healthy. One that may lead
    to another host comes with all secrets; tokens for the former one are given back.

    Raises `NotFound`, `VersionMismatch`, `Invalid`, `Conflict`, and `PluginUnavailable` (config or schedule)."""
    tokens: OAuthTokens | None = None
    """Those that were dropped."""
    entered: Sequence[str] = ()
    """The secrets that were entered or removed, by name."""
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id, lock=True)
        if version is not None and connection.version != version:
            raise VersionMismatch
        name = changes.get("name", connection.name)
        changed = connection if name == connection.name else replace(connection, name=_check_name(name))
        if "streams" in changes:
            streams = changes["streams"]
            changed = replace(changed, streams=check_streams(None if streams is None else tuple(streams)))
        if "config" in changes:
            manifest = manifest_of(connection.connector, host)
            entered = sorted(split_secrets(changes["config"], manifest.secret_fields())[1])
            whole, elsewhere = merged_config(connection, manifest, changes["config"], host, secrets)
            changed = configured(changed, manifest, whole, secrets)
            if connection.disabled_at is None:
                changed = replace(changed, health=Health.HEALTHY, failures=0)
            if elsewhere:
                tokens = tx.oauth.get(connection_id)
                tx.oauth.forget(connection_id)
            if tokens is not None and manifest.auth.kind is AuthKind.OAUTH2:
                changed = replace(changed, health=Health.REAUTH, next_sync_at=None)
        if "schedule_seconds" in changes:
            schedule = check_schedule(changes["schedule_seconds"])
            if schedule is not None:
                _check_pulled(manifest_of(connection.connector, host), schedule)
            changed = replace(changed, schedule_seconds=schedule)
        if {"config", "schedule_seconds"} & set(changes) and changed.health not in (Health.PAUSED, Health.REAUTH):
            changed = replace(changed, next_sync_at=None if changed.schedule_seconds is None else clock.now())
        tx.connections.update(changed)
        if changed.health is Health.REAUTH and tokens is not None:
            told = {"code": ReauthRequired.code, "message": "it leads to another host", "action": SIGN_IN_ACTION}
            note_health(tx, changed, connection.health, **told, clock=clock, ids=ids)
        elif changed.health is not connection.health:
            note_health(tx, changed, connection.health, code="changed", clock=clock, ids=ids)
        payload = {"changed": sorted(changes), "secrets": entered}
        tx.events.append([NewEvent(type=EventType.CONNECTION_CHANGED, subject_id=connection_id, payload=payload)])
        tx.commit()
    give_back_all(connection, tokens, host=host, secrets=secrets, provider=provider)
    return replace(changed, version=connection.version + 1)


def rotate_webhook_secret(
    actor: Actor,
    connection_id: UUID,
    secret: str,
    *,
    overlap: timedelta,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clock: Clock,
) -> tuple[Connection, datetime | None]:
    """Another secret for its webhook; the former one serves on for `overlap`, so that nothing is refused while the
    source is told. Returns when that ends, too; None: there is none. Raises `NotFound`, `Invalid`, `PluginUnavailable`,
    `SecretUnreadable`, or `Conflict` for a connection without such a secret."""
    now = clock.now()
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id, lock=True)
        check_enabled(connection)
        manifest = manifest_of(connection.connector, host)
        if manifest.webhook is None or SECRET_FIELD not in manifest.secret_fields():
            raise Conflict("connections of this connector have no secret that webhooks are signed with")
        opened = open_secrets(connection, secrets)
        former = superseded(webhook_secrets(opened), former_webhook_secrets(connection, secrets), secret, overlap, now)
        anew = {**opened, SECRET_FIELD: secret}
        given_config(manifest, {**connection.config, **anew}, host)
        changed = replace(
            connection,
            sealed=seal_secrets(anew, connection.tenant_id, connection.id, secrets, former),
            secrets=tuple(sorted(anew)),
        )
        tx.connections.update(changed)
        payload = {"changed": [SECRET_FIELD], "overlap_seconds": overlap.total_seconds()}
        tx.events.append([NewEvent(type=EventType.CONNECTION_CHANGED, subject_id=connection_id, payload=payload)])
        tx.commit()
    return replace(changed, version=connection.version + 1), max((one.until for one in former), default=None)


def connection_health(
    actor: Actor, connection_id: UUID, *, limit: int, uow: UnitOfWork, clock: Clock, secrets: SecretBox
) -> ConnectionState:
    """How it is, with the latest `limit` entries of its history, newest first."""
    now = clock.now()
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id)
        since = (connection.created_at, now - timedelta(days=30), now - timedelta(days=1))
        ever, month, day = tx.connections.totals(connection_id, since)
        return ConnectionState(
            connection=connection,
            history=tx.syncs.history(connection_id, limit),
            refused=tx.deliveries.refused(connection_id),
            ever=ever,
            month=month,
            day=day,
            cursors=_shown_cursors(tx, connection, secrets),
        )


def list_connection_states(
    actor: Actor, connections: Sequence[Connection], *, uow: UnitOfWork, clock: Clock
) -> Sequence[ConnectionState]:
    """Of each how it is, with the latest entry of its history alone, and no cursors. What was deleted since is left
    out."""
    now = clock.now()
    states = []
    with uow.begin(actor) as tx:
        present = {connection.id: connection for connection in tx.connections.list()}
        for connection in filter(None, (present.get(one.id) for one in connections)):
            since = (connection.created_at, now - timedelta(days=30), now - timedelta(days=1))
            ever, month, day = tx.connections.totals(connection.id, since)
            states.append(
                ConnectionState(
                    connection=connection,
                    history=tx.syncs.history(connection.id, 1),
                    refused=tx.deliveries.refused(connection.id),
                    ever=ever,
                    month=month,
                    day=day,
                )
            )
    return states


def connection_log(
    actor: Actor, connection_id: UUID, *, before: UUID | None, limit: int, uow: UnitOfWork
) -> Sequence[LogLine]:
    """Newest first; `before` is the last id of the page before."""
    with uow.begin(actor) as tx:
        tx.connections.get(connection_id)
        return tx.syncs.lines(connection_id, before=before, limit=limit)


def _shown_cursors(tx: Transaction, connection: Connection, secrets: SecretBox) -> Sequence[StreamCursor]:
    """Cursors are the connector's own, which may put anything into one: where what must not show is not known, no text
    of theirs shows."""
    found = tx.syncs.cursors(connection.id)
    words: Sequence[str] | None = None
    with suppress(SecretUnreadable):
        words = secret_words(open_secrets(connection, secrets))
    return [replace(found[name], cursor=blackened(found[name].cursor, words)) for name in sorted(found)]


def _check_pulled(manifest: ConnectorManifest, schedule: int | None) -> int | None:
    if schedule is not None and not manifest.pulls:
        raise Invalid(f"the connector {manifest.key!r} is not asked for records: it takes no schedule")
    return schedule


def _check_name(name: str) -> str:
    name = clean_text(name)
    if not 0 < len(name) <= MAX_NAME or "\x00" in name:
        raise Invalid(f"a name has 1 to {MAX_NAME} characters")
    if name == UPLOADS:  # which counts for nothing where a plan holds so many connections
        raise Invalid(f"{UPLOADS!r} is the name of what comes in without a connection: take another one")
    return name
