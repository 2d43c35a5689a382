"""What a plugin imports: the whole contract between Sortation and the connectors and rule types of third parties.

A plugin is a distribution with an entry point in the group `sortation` that names a module. In it stand
`@hookimpl def sortation_connectors(host)` and `sortation_rule_types(host)`, either or both; `host` is a `HostInfo`,
and they return lists of manifests. Nothing else is done when a plugin is loaded: a manifest's `factory` is imported
when it is needed.
"""

from __future__ import annotations

import pluggy

from core.domain.plugins import API_VERSION, Batch, ConnectorManifest, RuleTypeManifest, Statement
from core.domain.records import Draft, Record, Refusal, Sortable
from core.domain.rule_history import MAX_AMOUNTS, MAX_PAST, History, NoHistory, Past
from core.errors import RuleInvalid, Transient, UnreadableFile
from ports.connectors import CompiledRule, Connector, Context, HostInfo, ReadRequest, RuleType

hookimpl = pluggy.HookimplMarker("sortation")

__all__ = [
    "API_VERSION",
    "MAX_AMOUNTS",
    "MAX_PAST",
    "Batch",
    "CompiledRule",
    "Connector",
    "ConnectorManifest",
    "Context",
    "Draft",
    "History",
    "HostInfo",
    "NoHistory",
    "Past",
    "ReadRequest",
    "Record",
    "Refusal",
    "RuleInvalid",
    "RuleType",
    "RuleTypeManifest",
    "Sortable",
    "Statement",
    "Transient",
    "UnreadableFile",
    "hookimpl",
]
