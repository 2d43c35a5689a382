"""The hooks that a plugin may implement; both only describe, neither does any work."""

from __future__ import annotations

import pluggy

from core.domain.plugins import ConnectorManifest, RuleTypeManifest
from ports.connectors import HostInfo

PROJECT = "sortation"
"""The name of pluggy's project and of the entry point group."""

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def sortation_connectors(host: HostInfo) -> list[ConnectorManifest]:  # type: ignore[empty-body]
    """The kinds of source that this plugin offers."""


@hookspec
def sortation_rule_types(host: HostInfo) -> list[RuleTypeManifest]:  # type: ignore[empty-body]
    """The kinds of rule condition that this plugin offers."""
