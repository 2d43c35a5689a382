"""The ends of connections: deleted where nothing came in by them, else disabled, and resumed one day."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from core.domain.billing import Terms
from core.domain.connections import Connection, split_secrets
from core.domain.events import EventType, NewEvent
from core.domain.health import DISABLED, DISABLED_ACTION, Health
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid
from core.usecases.shared.configuring import check_config, manifest_of
from core.usecases.shared.connection_health import note_health
from core.usecases.shared.limits import check_room_for_connection
from core.usecases.shared.oauth import give_back_all
from core.usecases.shared.secrets import whole_config
from ports.clock import Clock, Ids
from ports.connectors import PluginHost
from ports.oauth import OAuthProvider
from ports.secrets import SecretBox
from ports.storage import UnitOfWork


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
        payload = {"secrets": list(connection.secrets)}
        tx.events.append([NewEvent(type=EventType.CONNECTION_DELETED, subject_id=connection_id, payload=payload)])
        tx.commit()
    give_back_all(connection, tokens, host=host, secrets=secrets, provider=provider)


def disable_connection(
    actor: Actor,
    connection_id: UUID,
    *,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    provider: OAuthProvider,
    clock: Clock,
    ids: Ids,
) -> Connection:
    """Ends a connection whose records stay: its secrets are wiped, its tokens given back, and nothing more comes in by
    it, but for what a sync that is under way still reads in its turn. One that is disabled already stays as it is.
    Raises `NotFound`."""
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id, lock=True)
        if connection.disabled_at is not None:
            tx.commit()
            return connection
        tokens = tx.oauth.get(connection_id)
        manifest = host.connectors().get(connection.connector)
        secret_fields = manifest.secret_fields() if manifest is not None else frozenset[str]()
        disabled = replace(
            connection,
            config=split_secrets(connection.config, secret_fields)[0],
            sealed=None,
            secrets=(),
            health=Health.PAUSED,
            failures=0,
            next_sync_at=None,
            disabled_at=clock.now(),
        )
        tx.connections.update(disabled)
        tx.oauth.forget(connection_id)
        # Told by an event of its own, instead of that of any pause.
        told = {"code": DISABLED, "message": f"by {actor.name}", "action": DISABLED_ACTION}
        note_health(tx, disabled, Health.PAUSED, **told, clock=clock, ids=ids)
        payload = {"was": connection.health.value, "secrets": list(connection.secrets)}
        tx.events.append([NewEvent(type=EventType.CONNECTION_DISABLED, subject_id=connection_id, payload=payload)])
        tx.commit()
    give_back_all(connection, tokens, host=host, secrets=secrets, provider=provider)
    return replace(disabled, version=connection.version + 1)


def resume_connection(
    actor: Actor,
    connection_id: UUID,
    *,
    terms: Terms,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> Connection:
    """Gives a connection that is paused or otherwise ill a fresh chance: it is tried at once, whether it has a schedule
    or not. Raises `NotFound`; for one that is disabled also `Conflict` while its configuration lacks something,
    `LimitReached` and `PluginUnavailable`."""
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id, lock=True)
        well = connection.health is Health.HEALTHY and connection.schedule_seconds is None
        again = connection.next_sync_at if well else clock.now()
        resumed = replace(connection, health=Health.HEALTHY, failures=0, next_sync_at=again)
        if connection.disabled_at is not None:
            check_room_for_connection(tx, terms, clock)
            manifest = manifest_of(connection.connector, host)
            try:
                check_config(manifest, whole_config(connection, secrets), host)
            except Invalid as error:
                raise Conflict(f"enter its secrets first, by a PATCH of config: {error}") from None
            resumed = replace(resumed, disabled_at=None, next_sync_at=clock.now() if manifest.pulls else None)
            tx.connections.update(resumed)
            resumed = replace(resumed, version=connection.version + 1)
        message = f"by {actor.name}"
        note_health(tx, resumed, connection.health, code="resumed", message=message, clock=clock, ids=ids)
        tx.commit()
    return resumed
