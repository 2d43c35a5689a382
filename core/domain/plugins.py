"""What a plugin says of itself, and what it exchanges with its host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
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
class Statement:
    """What a source says an account held before and after the drafts that it gave, and what these add up to.

    `opening` and `closing` are None where the source doesn't tell them. `total` is the sum of all that was booked in
    `currency`, pending drafts left out.
    """

    account: str
    currency: str
    opening: Decimal | None
    closing: Decimal | None
    total: Decimal

    @property
    def gap(self) -> Decimal | None:
        """What is missing between the balances (0: nothing); None where one of them is unknown."""
        if self.opening is None or self.closing is None:
            return None
        return self.closing - self.opening - self.total


def gaps_of(statements: Iterable[Statement]) -> tuple[Mapping[str, str], ...]:
    """Of each statement that has a gap: account, currency, opening, closing, total and gap, amounts as text."""
    return tuple(
        {
            "account": statement.account.encode("utf-8", "replace").decode().replace("\0", ""),
            "currency": statement.currency,
            **{name: format(getattr(statement, name), "f") for name in ("opening", "closing", "total", "gap")},
        }
        for statement in statements
        if statement.gap
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some drafts, in the source's order, what was refused among them, and the cursor that is safe once they are
    stored.

    `statements` are those that end with this batch.
    """

    drafts: tuple[Draft, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    cursor: Mapping[str, Any] | None = None
    statements: tuple[Statement, ...] = ()


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
