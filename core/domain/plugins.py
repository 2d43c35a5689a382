"""What a plugin says of itself, and what it exchanges with its host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.domain.records import Draft, Refusal

API_VERSION = 1
"""The version of the plugin contract that this host speaks."""


class PluginState(StrEnum):
    LOADED = "loaded"
    BLOCKED = "blocked"
    INCOMPATIBLE = "incompatible"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorManifest:
    """A kind of source.

    `factory` is `"pkg.module:callable"`, imported only when a connector is needed; calling it without arguments gives
    a `Connector`. `config_schema` is the JSON Schema of a connection's configuration. `file_extensions` (with the dot,
    lower case) is empty for sources that are no files.
    """

    key: str
    version: str
    title: str
    factory: str
    api_min: int = API_VERSION
    api_max: int = API_VERSION
    docs_url: str = ""
    config_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "additionalProperties": False})
    file_extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTypeManifest:
    """A kind of rule condition; `factory` gives a `RuleType`, `params_schema` is the JSON Schema of its parameters."""

    key: str
    version: str
    title: str
    factory: str
    api_min: int = API_VERSION
    api_max: int = API_VERSION
    docs_url: str = ""
    params_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some drafts, in the source's order, what was refused among them, and the cursor that is safe once they are
    stored."""

    drafts: tuple[Draft, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    cursor: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """What the manager knows of one entry point: its state, what it offers, and why it failed."""

    name: str
    distribution: str
    version: str
    state: PluginState
    connectors: tuple[ConnectorManifest, ...] = ()
    rule_types: tuple[RuleTypeManifest, ...] = ()
    error: str | None = None
