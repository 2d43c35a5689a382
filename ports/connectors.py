"""The plugin contract: what a connector and a rule type implement, and what the host gives them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from core.domain.connections import Connection
from core.domain.plugins import (
    API_VERSION,
    Batch,
    ConnectorManifest,
    PluginInfo,
    RuleTypeManifest,
    StreamCheck,
    StreamInfo,
    WebhookMessage,
)
from core.domain.records import Sortable
from core.domain.rule_history import History
from core.domain.tenants import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInfo:
    """What the hooks of a plugin learn of the host that loads it."""

    api_version: int = API_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """An answer of a source. Names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Raises `ValueError` where the content is no JSON."""
        return json.loads(self.content)


class HttpClient(Protocol):
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
        """Sends a request, with the connection's credentials unless `authenticated` is False, within the manifest's
        rate limit and the host's policy on addresses; waits and tries again where the source says so.

        Answers below 400 come back, and those of the statuses in `accept`. Raises `ReauthRequired` (401, after the
        token was renewed once), `PermissionDenied` (403), `RateLimited` (429), `Transient` (5xx, time-outs, no
        connection) and `ConfigInvalid` (other statuses from 400 on, and addresses that the policy forbids).
        """
        ...


@dataclass(frozen=True, slots=True)
class NoHttp:
    """The `HttpClient` of who has none: of file connectors, and of tests that need none."""

    def request(self, method: str, url: str, **_: Any) -> HttpResponse:
        raise RuntimeError(f"there is no HTTP client here to send {method} {url} by")


class HttpClients(Protocol):
    def of(
        self,
        actor: Actor,
        connection: Connection,
        manifest: ConnectorManifest,
        config: Mapping[str, Any],
        *,
        learned: Callable[[str], None] | None = None,
    ) -> HttpClient:
        """The client that a connection's `ctx.http` is; `config` is its configuration with its secrets. The connection
        may be one that is not stored yet. `learned` is told each token that requests will carry: a secret that the
        configuration does not have."""
        ...


@dataclass(frozen=True, slots=True)
class NoHttpClients:
    """Where nothing is sent."""

    def of(
        self,
        actor: Actor,
        connection: Connection,
        manifest: ConnectorManifest,
        config: Mapping[str, Any],
        *,
        learned: Callable[[str], None] | None = None,
    ) -> HttpClient:
        return NoHttp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the host hands to a connector: the connection's configuration, checked against the manifest's schema, with
    its secrets; `default_currency` (ISO 4217) for sources that name none; `http`; and `log`, whose lines are the
    connection's (secrets are blackened). `tenant_id` is for the host: a connector in a child does not learn it."""

    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    default_currency: str = "EUR"
    http: HttpClient = field(default_factory=NoHttp)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("sortation.plugin"))
    tenant_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """What to read. For a file source `file` is open for binary reading at its start, and seekable; `filename` is as
    uploaded. For others, `stream` is one that `discover` named, and `cursor` the last one that was stored, or None."""

    file: BinaryIO | None = None
    filename: str = ""
    stream: str = ""
    cursor: Mapping[str, Any] | None = None
    batch_size: int = 5_000


class Connector(Protocol):
    """What a manifest's factory makes. Of file sources the host calls `detect` and `read`; where the manifest says
    `pulls`, `check`, `discover` and `read`; where it has a `webhook`, `parse_webhook`. Subclasses need not repeat what
    they are not asked for.

    Any method may raise the errors of the contract: `ConfigInvalid`, `ReauthRequired`, `PermissionDenied`,
    `RateLimited`, `Transient`, `SchemaChanged`. Any other exception is taken for a `PluginBug`.
    """

    def detect(self, sample: bytes, filename: str) -> float:
        """How sure the connector is (0 to 1) that a file beginning with `sample` (up to 64 KiB) is its own."""
        return 0.0

    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        """Of each stream, whether it can be read with this configuration: by reading a little of it."""
        return ()

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        """The streams that the source has. What a connection reads are these, unless its owner chose some."""
        return (StreamInfo(name="records"),)

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        """The drafts of the source in batches of at most `request.batch_size`, lazily and in a stable order.

        A part that cannot be a record becomes a `Refusal` and reading goes on. Each batch of a source that is pulled
        has the `cursor` that is safe once its drafts are stored: reading again from there must give all that is not in
        this batch or those before it, and may give some of it again. The host stores both in one transaction, and
        drafts that it knows by `account` and `external_id` once.

        Raises `core.errors.UnreadableFile` (one line saying what is wrong and where) when the whole cannot be read,
        and `CursorInvalid` when the source no longer knows `request.cursor`: it is then read from the beginning.
        """
        ...

    def parse_webhook(self, ctx: Context, message: WebhookMessage) -> Batch:
        """The drafts that a delivery brings; none where it is of no interest. `cursor` stays None."""
        return Batch()

    def migrate_state(self, cursor: Mapping[str, Any], from_version: int) -> Mapping[str, Any] | None:
        """The cursor in the form of the manifest's `state_version`; None where it can't be told, and all is read
        again."""
        return None


class CompiledRule(Protocol):
    def evaluate(self, records: Sequence[Sortable], history: History) -> Sequence[bool | None]:
        """Match, no match, or abstain (None), for each record and in its order. Must not depend on which records are
        asked about together: what it needs of others it asks `history`."""
        ...


class RuleType(Protocol):
    def compile(self, params: Mapping[str, Any]) -> CompiledRule:
        """Raises `core.errors.RuleInvalid` for parameters that the schema allows and the type can't serve."""
        ...


class PluginHost(Protocol):
    def inventory(self) -> Sequence[PluginInfo]:
        """Every entry point of the group `sortation`, loaded or not, with its state."""
        ...

    def connectors(self) -> Mapping[str, ConnectorManifest]: ...

    def rule_types(self) -> Mapping[str, RuleTypeManifest]: ...

    def connector(self, key: str) -> Connector:
        """Raises `PluginUnavailable` when no loaded plugin offers `key`."""
        ...

    def rule_type(self, key: str) -> RuleType:
        """Raises `PluginUnavailable` when no loaded plugin offers `key`."""
        ...

    def check_config(self, key: str, config: Mapping[str, Any]) -> None:
        """Raises `Invalid`, naming the place, when `config` doesn't fit the connector's JSON Schema."""
        ...

    def detect(self, sample: bytes, filename: str) -> str:
        """The key of the file connector that is surest of `sample`; raises `UnknownFormat` when none is."""
        ...
