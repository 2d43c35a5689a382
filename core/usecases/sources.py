"""What a connection's source is asked within a request: whether it can be read, what it has; and to be synced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from core.domain.connections import Connection, check_enabled
from core.domain.health import action_after_check, blacken, first_line
from core.domain.jobs import Job
from core.domain.plugins import StreamCheck, StreamInfo
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid
from core.usecases.shared.configuring import configured, given_config, manifest_of
from core.usecases.shared.source import Source, SourceTrouble, open_source
from core.usecases.shared.syncing import sync_job
from ports.clock import Clock, Ids
from ports.connectors import HttpClients, PluginHost
from ports.secrets import SecretBox
from ports.storage import UnitOfWork

CHECK_SECONDS = 30.0
"""What somebody waits for at most."""
UNREADABLE = "unreadable"
"""The code of a check by which a stream can't be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Whether a source can be read. If not, `code`, `reason` and `action` say why (of the first stream that can't be)
    and what to do; where it could not be asked, there are no `streams`."""

    ok: bool
    streams: Sequence[StreamCheck] = ()
    code: str = "ok"
    reason: str = ""
    action: str = ""


def check_connection(
    actor: Actor,
    connection_id: UUID,
    *,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clients: HttpClients,
    ids: Ids,
    seconds: float = CHECK_SECONDS,
) -> Checked:
    """Asks the source of each stream whether it can be read. Changes nothing but the connection's log."""
    connection, currency = _stored(actor, connection_id, uow)
    try:
        source = open_source(actor, connection, currency, host=host, secrets=secrets, clients=clients)
    except SourceTrouble as trouble:
        return _failed(trouble)
    checked = _check(source, seconds)
    _keep_log(actor, source, uow, ids)
    return checked


def check_configuration(
    actor: Actor,
    *,
    connector: str,
    config: Mapping[str, Any],
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clients: HttpClients,
    clock: Clock,
    ids: Ids,
    seconds: float = CHECK_SECONDS,
) -> Checked:
    """As `check_connection`, of one that is not kept yet. Raises `PluginUnavailable`, or `Invalid` where the
    configuration doesn't fit the connector's schema."""
    manifest = manifest_of(connector, host)
    given = given_config(manifest, config, host)
    tried = Connection(
        id=ids.new(),
        tenant_id=actor.tenant_id,
        connector=connector,
        name="",
        config={},
        created_at=clock.now(),
        version=1,
    )
    connection = configured(tried, manifest, given, secrets)
    with uow.begin(actor) as tx:
        currency = tx.tenants.get().settings.default_currency
    try:
        source = open_source(actor, connection, currency, host=host, secrets=secrets, clients=clients)
    except SourceTrouble as trouble:
        return _failed(trouble)
    return _check(source, seconds)


def list_streams(
    actor: Actor,
    connection_id: UUID,
    *,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clients: HttpClients,
    ids: Ids,
    seconds: float = CHECK_SECONDS,
) -> Sequence[StreamInfo]:
    """What the source has: nothing, where it is not asked for records. Raises `Conflict` where it can't be asked, with
    what it says."""
    connection, currency = _stored(actor, connection_id, uow)
    try:
        source = open_source(actor, connection, currency, host=host, secrets=secrets, clients=clients)

        if not source.manifest.pulls:
            return []

        def discover() -> Sequence[StreamInfo]:
            with source.asked():
                found = [_known(stream, StreamInfo) for stream in source.connector.discover(source.context)]
                return [replace(one, title=blacken(one.title, source.words)) for one in found]

        try:
            return source.within(seconds, discover)
        finally:
            _keep_log(actor, source, uow, ids)
    except SourceTrouble as trouble:
        raise Conflict(f"{trouble.code}: {trouble.message}") from None


def start_sync(
    actor: Actor,
    connection_id: UUID,
    *,
    anew: bool = False,
    max_attempts: int,
    uow: UnitOfWork,
    host: PluginHost,
    ids: Ids,
) -> Job:
    """Queues a sync now, whatever the schedule and health; `anew`: of everything, from the beginning, which adds no
    record twice. Raises `NotFound`, `Conflict` while one is under way and for one that is disabled, or `Invalid` for
    what is not asked for records.
    """
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id, lock=True)
        check_enabled(connection)
        manifest = host.connectors().get(connection.connector)
        if manifest is not None and not manifest.pulls:
            raise Invalid(f"the connector {manifest.key!r} is not asked for records: send it files, or its deliveries")
        if tx.jobs.open_sync(connection_id) is not None:
            raise Conflict("a sync of this connection is under way")
        if anew:
            tx.syncs.forget_cursors(connection_id)
        job = sync_job(actor, connection_id, max_attempts, ids)
        tx.jobs.add([job])
        queued = tx.jobs.get(job.id)
        tx.commit()
    return queued


def _stored(actor: Actor, connection_id: UUID, uow: UnitOfWork) -> tuple[Connection, str]:
    with uow.begin(actor) as tx:
        connection = tx.connections.get(connection_id)
        check_enabled(connection)
        return connection, tx.tenants.get().settings.default_currency


def _check(source: Source, seconds: float) -> Checked:
    if not source.manifest.pulls:  # its configuration fits the schema: there is nothing to ask
        return Checked(ok=True)

    def check() -> Sequence[StreamCheck]:
        with source.asked():
            return [_known(one, StreamCheck) for one in source.connector.check(source.context)]

    try:
        streams = source.within(seconds, check)
    except SourceTrouble as trouble:
        return _failed(trouble)
    told = [
        StreamCheck(stream=blacken(one.stream, source.words), ok=one.ok, reason=first_line(one.reason, source.words))
        for one in streams
    ]
    if not told:
        return _failed(SourceTrouble("empty", "the source has no streams"))
    failing = next((one for one in told if not one.ok), None)
    if failing is None:
        return Checked(ok=True, streams=told)
    reason = f"{failing.stream}: {failing.reason or 'it says not why'}"
    return Checked(ok=False, streams=told, code=UNREADABLE, reason=reason, action=action_after_check(UNREADABLE))


def _known(one: object, kind: type[Any]) -> Any:
    """Raises `TypeError`, which is the plugin's bug."""
    if not isinstance(one, kind):
        raise TypeError(f"it gave {type(one).__name__}, not {kind.__name__}")
    return one


def _failed(trouble: SourceTrouble) -> Checked:
    action = action_after_check(trouble.code, declared=trouble.declared)
    return Checked(ok=False, code=trouble.code, reason=trouble.message, action=action)


def _keep_log(actor: Actor, source: Source, uow: UnitOfWork, ids: Ids) -> None:
    with uow.begin(actor) as tx:
        if source.log.written(tx, source.connection.id, ids):
            tx.commit()
