"""A connection's source, as its connector is asked: with its secrets, its log, and errors that tell neither."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from core.domain.connections import Connection
from core.domain.health import blacken, first_line, learn_secret, secret_words
from core.domain.plugins import ConnectorManifest
from core.domain.tenants import Actor
from core.errors import (
    ConfigInvalid,
    CursorInvalid,
    PermissionDenied,
    PluginBug,
    PluginUnavailable,
    ReauthRequired,
    SchemaChanged,
    SecretUnreadable,
    SortationError,
    Transient,
)
from core.usecases.shared.connection_log import GatheredLog
from core.usecases.shared.secrets import open_secrets
from ports.connectors import Connector, Context, HttpClient, HttpClients, HttpResponse, PluginHost
from ports.secrets import SecretBox

T = TypeVar("T")
_OF_SOURCES = (
    ConfigInvalid,
    CursorInvalid,
    PermissionDenied,
    PluginBug,
    PluginUnavailable,
    ReauthRequired,
    SchemaChanged,
    Transient,
)
"""What a connector may say went wrong; whatever else it raises is its bug."""
_LONGEST_WAIT = 86_400.0


class SourceTrouble(Exception):
    """Something went wrong with a source, not with us. `message` is one line without secrets."""

    def __init__(self, code: str, message: str, retry_after: float | None = None, *, declared: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.declared = declared
        """Whether the configuration says what the source's answers look like."""


class SourceLeft(Exception):
    """Nobody waits for what a connector asks a source for. No error of the contract, so the host ends the child."""


@dataclass(frozen=True, slots=True)
class _Left:
    """An `HttpClient` until nobody waits for its answers."""

    http: HttpClient
    left: threading.Event

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        authenticated: bool = True,
        accept: Collection[int] = (),
    ) -> HttpResponse:
        if self.left.is_set():
            raise SourceLeft
        return self.http.request(
            method,
            url,
            params=params,
            headers=headers,
            content=content,
            authenticated=authenticated,
            accept=accept,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a connector needs to be asked; `log` is also what the host tells of it."""

    connection: Connection
    manifest: ConnectorManifest
    connector: Connector
    context: Context
    log: GatheredLog
    words: Sequence[str] = field(repr=False)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits for it any more."""

    def within(self, seconds: float, call: Callable[[], T]) -> T:
        """What `call`, which asks this source, returns or raises. Raises `SourceTrouble` when it takes longer: then the
        source gets no more requests, so that the thread, and the child that it waits for, end soon, too."""
        answers: list[T] = []
        faults: list[BaseException] = []

        def run() -> None:
            try:
                answers.append(call())
            except BaseException as error:
                faults.append(error)

        thread = threading.Thread(target=run, name="source", daemon=True)
        thread.start()
        thread.join(seconds)
        if faults:
            raise faults[0]
        if not answers:
            self.left.set()
            raise SourceTrouble("transient", f"the source did not answer within {seconds:.0f} s")
        return answers[0]

    @contextmanager
    def asked(self) -> Iterator[None]:
        """What goes wrong within, but for `KeyboardInterrupt`, is a `SourceTrouble`."""
        try:
            yield
        except _OF_SOURCES as error:
            if trace := error.details.get("trace"):  # of what failed in a child
                self.log.logger.error("the connector failed\n%s", trace)
            raise _trouble(error, self.words, self.manifest) from None
        except (Exception, SystemExit) as error:  # a plugin may call sys.exit()
            self.log.logger.error("the connector failed", exc_info=error)
            raise SourceTrouble("plugin_bug", first_line(f"{type(error).__name__}: {error}", self.words)) from None


def open_source(
    actor: Actor, connection: Connection, currency: str, *, host: PluginHost, secrets: SecretBox, clients: HttpClients
) -> Source:
    """Raises `SourceTrouble` where its plugin is not loaded, or its secrets can't be opened."""
    try:
        manifest = host.connectors().get(connection.connector)
        if manifest is None:
            raise PluginUnavailable(f"no loaded plugin offers the connector {connection.connector!r}")
        opened = open_secrets(connection, secrets)
    except (PluginUnavailable, SecretUnreadable) as error:
        raise _trouble(error, ()) from None
    config = {**connection.config, **opened}
    # Also what the schema calls a secret now, and did not when it was stored.
    secret = {name: value for name, value in config.items() if name in manifest.secret_fields() | {*opened}}
    words = list(secret_words(secret))
    log = GatheredLog(words)
    try:
        connector = host.connector(connection.connector)
        http = clients.of(actor, connection, manifest, config, learned=partial(learn_secret, words))
    except _OF_SOURCES as error:
        raise _trouble(error, words) from None
    left = threading.Event()
    context = Context(
        config=config,
        default_currency=currency,
        http=_Left(http, left),
        log=log.logger,
        tenant_id=connection.tenant_id,
    )
    return Source(
        connection=connection,
        manifest=manifest,
        connector=connector,
        context=context,
        log=log,
        words=words,
        left=left,
    )


def without_secret_errors(error: SortationError, words: Sequence[str]) -> SortationError:
    """The error with no secret in its message, and in what it says of fields."""
    details = dict(error.details)
    if fields := details.get("fields"):
        told = {blacken(name, words): [first_line(text, words) for text in texts] for name, texts in fields.items()}
        details["fields"] = told
    return type(error)(first_line(str(error), words), **details)


def _trouble(error: SortationError, words: Sequence[str], manifest: ConnectorManifest | None = None) -> SourceTrouble:
    asked = error.details.get("retry_after")
    wait = min(float(asked), _LONGEST_WAIT) if isinstance(asked, int | float) and asked >= 0 else None
    declared = manifest is not None and manifest.declared
    return SourceTrouble(error.code, first_line(str(error), words) or type(error).__name__, wait, declared=declared)
