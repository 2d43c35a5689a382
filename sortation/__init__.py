"""What a plugin imports: the whole contract between Sortation and the connectors and rule types of third parties.

A plugin is a distribution with an entry point in the group `sortation` that names a module. In it stand
`@hookimpl def sortation_connectors(host)` and `sortation_rule_types(host)`, either or both; `host` is a `HostInfo`,
and they return lists of manifests. Nothing else is done when a plugin is loaded: a manifest's `factory` is imported
when it is needed.
"""

from __future__ import annotations

import pluggy

from core.domain.plugins import (
    API_VERSION,
    Auth,
    AuthKind,
    Batch,
    ConnectorManifest,
    RateLimit,
    RuleTypeManifest,
    Statement,
    StreamCheck,
    StreamInfo,
    Webhook,
    WebhookMessage,
    WebhookScheme,
)
from core.domain.receipts import ReceiptDraft
from core.domain.records import Draft, Record, Refusal, Sortable
from core.domain.rule_history import MAX_AMOUNTS, MAX_PAST, History, NoHistory, Past
from core.errors import (
    ConfigInvalid,
    CursorInvalid,
    PermissionDenied,
    PluginBug,
    RateLimited,
    ReauthRequired,
    RuleInvalid,
    SchemaChanged,
    Transient,
    UnreadableFile,
)
from ports.connectors import (
    CompiledRule,
    Connector,
    Context,
    HostInfo,
    HttpClient,
    HttpResponse,
    ReadRequest,
    RuleType,
)

hookimpl = pluggy.HookimplMarker("sortation")

__all__ = [
    "API_VERSION",
    "MAX_AMOUNTS",
    "MAX_PAST",
    "Auth",
    "AuthKind",
    "Batch",
    "CompiledRule",
    "ConfigInvalid",
    "Connector",
    "ConnectorManifest",
    "Context",
    "CursorInvalid",
    "Draft",
    "History",
    "HostInfo",
    "HttpClient",
    "HttpResponse",
    "NoHistory",
    "Past",
    "PermissionDenied",
    "PluginBug",
    "RateLimit",
    "RateLimited",
    "ReadRequest",
    "ReauthRequired",
    "ReceiptDraft",
    "Record",
    "Refusal",
    "RuleInvalid",
    "RuleType",
    "RuleTypeManifest",
    "SchemaChanged",
    "Sortable",
    "Statement",
    "StreamCheck",
    "StreamInfo",
    "Transient",
    "UnreadableFile",
    "Webhook",
    "WebhookMessage",
    "WebhookScheme",
    "hookimpl",
]
