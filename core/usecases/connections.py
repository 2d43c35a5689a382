"""Connections: where a tenant's records come from, with their secrets, schedule, health and log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from core.domain.categories import MAX_NAME
from core.domain.connections import Connection, check_schedule, check_streams
from core.domain.events import EventType, NewEvent
from core.domain.health import Health, HealthEntry, LogLine, secret_words
from core.domain.oauth import oauth_client
from core.domain.plugins import ConnectorManifest
from core.domain.records import clean_text
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid, PluginUnavailable, SecretUnreadable, SortationError, VersionMismatch
from core.usecases.shared.connection_health import note_health
from core.usecases.shared.oauth import give_back, open_tokens
from core.usecases.shared.secrets import open_secrets, seal_secrets, whole_config
from core.usecases.shared.source import without_secret_errors
from ports.clock import Clock, Ids
from ports.connectors import PluginHost
from ports.oauth import OAuthProvider
from ports.secrets import SecretBox
from ports.storage import UnitOfWork


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
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> Connection:
    """`config` comes with its secrets, which are sealed. With a schedule it is first synced at once. Raises
    `PluginUnavailable`, `Invalid` (the configuration doesn't fit the connector's schema) or `Conflict`."""
    manifest = _manifest(connector, host)
    given = {
        field: value for field, value in config.items() if value is not None or field not in manifest.secret_fields()
    }
    _check_config(manifest, given, host)
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
    connection = _configured(new, manifest, given, secrets)
    with uow.begin(actor) as tx:
        tx.connections.add(connection)
        payload = {"connector": connector}
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
    clock: Clock,
    ids: Ids,
) -> Connection:
    """`changes` may hold name, config, schedule_seconds and streams. Of `config`, secrets that are left out stay, and
    null removes one. A new configuration is given a fresh chance: the connection counts as healthy.

    Raises `NotFound`, `VersionMismatch`, `Invalid`, `Conflict`, and `PluginUnavailable` (config or schedule)."""
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id, lock=True)
        if version is not None and connection.version != version:
            raise VersionMismatch
        changed = replace(connection, name=_check_name(changes.get("name", connection.name)))
        if "streams" in changes:
            streams = changes["streams"]
            changed = replace(changed, streams=check_streams(None if streams is None else tuple(streams)))
        if "config" in changes:
            manifest = _manifest(connection.connector, host)
            whole = _merged(connection, manifest, changes["config"], secrets)
            _check_config(manifest, whole, host)
            changed = _configured(replace(changed, health=Health.HEALTHY, failures=0), manifest, whole, secrets)
        if "schedule_seconds" in changes:
            schedule = check_schedule(changes["schedule_seconds"])
            if schedule is not None:
                _check_pulled(_manifest(connection.connector, host), schedule)
            changed = replace(changed, schedule_seconds=schedule)
        if {"config", "schedule_seconds"} & set(changes) and changed.health not in (Health.PAUSED, Health.REAUTH):
            changed = replace(changed, next_sync_at=None if changed.schedule_seconds is None else clock.now())
        tx.connections.update(changed)
        if changed.health is not connection.health:
            note_health(tx, changed, connection.health, code="changed", clock=clock, ids=ids)
        payload = {"changed": sorted(changes)}
        tx.events.append([NewEvent(type=EventType.CONNECTION_CHANGED, subject_id=connection_id, payload=payload)])
        tx.commit()
    return replace(changed, version=connection.version + 1)


def delete_connection(
    actor: Actor,
    connection_id: UUID,
    *,
    version: int | None,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    provider: OAuthProvider,
) -> None:
    """What its source gave it to sign in with is given back, as far as that can be reached. Raises `NotFound`,
    `VersionMismatch`, or `Conflict` while it has records or a sync is under way."""
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id, lock=True)
        if tx.jobs.open_sync(connection_id) is not None:
            raise Conflict("a sync of this connection is under way")
        tokens = tx.oauth.get(connection_id)
        tx.connections.delete(connection_id, version)
        tx.events.append([NewEvent(type=EventType.CONNECTION_DELETED, subject_id=connection_id)])
        tx.commit()
    manifest = host.connectors().get(connection.connector)
    if tokens is not None and manifest is not None:
        with suppress(SortationError):  # the connection is gone either way
            client = oauth_client(manifest.auth, whole_config(connection, secrets))
            give_back(client, *open_tokens(actor.tenant_id, tokens, secrets), provider)


def resume_connection(actor: Actor, connection_id: UUID, *, uow: UnitOfWork, clock: Clock, ids: Ids) -> Connection:
    """Gives a connection that is paused or otherwise ill a fresh chance: it is tried at once, whether it has a schedule
    or not."""
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id, lock=True)
        well = connection.health is Health.HEALTHY and connection.schedule_seconds is None
        again = connection.next_sync_at if well else clock.now()
        resumed = replace(connection, health=Health.HEALTHY, failures=0, next_sync_at=again)
        message = f"by {actor.name}"
        note_health(tx, resumed, connection.health, code="resumed", message=message, clock=clock, ids=ids)
        tx.commit()
    return resumed


def connection_health(
    actor: Actor, connection_id: UUID, *, limit: int, uow: UnitOfWork
) -> tuple[Connection, Sequence[HealthEntry]]:
    """The connection, and the latest `limit` entries of its history, newest first: the first one tells how it is."""
    with uow.begin(actor) as tx:
        return tx.connections.get(connection_id), tx.syncs.history(connection_id, limit)


def connection_log(
    actor: Actor, connection_id: UUID, *, before: UUID | None, limit: int, uow: UnitOfWork
) -> Sequence[LogLine]:
    """Newest first; `before` is the last id of the page before."""
    with uow.begin(actor) as tx:
        tx.connections.get(connection_id)
        return tx.syncs.lines(connection_id, before=before, limit=limit)


def _manifest(connector: str, host: PluginHost) -> ConnectorManifest:
    manifest = host.connectors().get(connector)
    if manifest is None:
        raise PluginUnavailable(f"no loaded plugin offers the connector {connector!r}")
    return manifest


def _secret(manifest: ConnectorManifest) -> frozenset[str]:
    return manifest.secret_fields()


def _check_config(manifest: ConnectorManifest, whole: Mapping[str, Any], host: PluginHost) -> None:
    """Raises `Invalid`, whose message may quote what is wrong, but no secret."""
    try:
        host.check_config(manifest.key, whole)
    except Invalid as error:
        words = secret_words({field: value for field, value in whole.items() if field in manifest.secret_fields()})
        raise without_secret_errors(error, words) from None


def _check_pulled(manifest: ConnectorManifest, schedule: int | None) -> int | None:
    if schedule is not None and not manifest.pulls:
        raise Invalid(f"the connector {manifest.key!r} is not asked for records: it takes no schedule")
    return schedule


def _configured(
    connection: Connection, manifest: ConnectorManifest, whole: Mapping[str, Any], secrets: SecretBox
) -> Connection:
    """With that configuration, its secrets sealed beside it."""
    hidden = {field: value for field, value in whole.items() if field in manifest.secret_fields()}
    return replace(
        connection,
        config={field: value for field, value in whole.items() if field not in hidden},
        sealed=seal_secrets(hidden, connection.tenant_id, connection.id, secrets),
        secrets=tuple(sorted(hidden)),
    )


def _merged(
    connection: Connection, manifest: ConnectorManifest, given: Mapping[str, Any], secrets: SecretBox
) -> Mapping[str, Any]:
    """The configuration that was given, with the secrets that it leaves out."""
    kept: Mapping[str, Any] = {}
    try:
        kept = open_secrets(connection, secrets)
    except SecretUnreadable:
        # They are lost: what the schema demands of them must come anew.
        if not manifest.secret_fields() & set(given):
            raise
    secret = manifest.secret_fields()
    former = {field: value for field, value in connection.config.items() if field in secret}
    hidden = {**former, **kept, **{field: value for field, value in given.items() if field in secret}}
    shown = {field: value for field, value in given.items() if field not in secret}
    return shown | {field: value for field, value in hidden.items() if value is not None}


def _check_name(name: str) -> str:
    name = clean_text(name)
    if not 0 < len(name) <= MAX_NAME or "\x00" in name:
        raise Invalid(f"a name has 1 to {MAX_NAME} characters")
    return name
