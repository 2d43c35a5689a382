"""The plugin contract: what a connector and a rule type implement, and what the host gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from core.domain.plugins import API_VERSION, Batch, ConnectorManifest, PluginInfo, RuleTypeManifest
from core.domain.records import Sortable
from core.domain.rule_history import History


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInfo:
    """What the hooks of a plugin learn of the host that loads it."""

    api_version: int = API_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the host hands to a connector: the connection's configuration, checked against the manifest's schema, and
    `default_currency` (ISO 4217) for sources that name none."""

    config: Mapping[str, Any] = field(default_factory=dict)
    default_currency: str = "EUR"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """What to read. For a file source `file` is open for binary reading at its start, and seekable; `filename` is as
    uploaded; `cursor` is the last one that was stored, or None."""

    file: BinaryIO | None = None
    filename: str = ""
    cursor: Mapping[str, Any] | None = None
    batch_size: int = 5_000


class Connector(Protocol):
    def detect(self, sample: bytes, filename: str) -> float:
        """How sure the connector is (0 to 1) that a file beginning with `sample` (up to 64 KiB) is its own."""
        ...

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        """The drafts of the source in batches of at most `request.batch_size`, lazily and in a stable order.

        A part that cannot be a record becomes a `Refusal` and reading goes on. Raises `core.errors.UnreadableFile`
        (one line saying what is wrong and where) when the whole cannot be read, and `Transient` for a passing fault.
        """
        ...


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
