"""What a plugin says of itself, and what it exchanges with its host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.domain.receipts import ReceiptDraft
from core.domain.records import Draft, Refusal

API_VERSION = 1
"""The version of the plugin contract that this host speaks."""
OLDEST_API_VERSION = 1
"""The oldest version that this host still serves; if it is not `API_VERSION`, it is deprecated."""


class PluginState(StrEnum):
    LOADED = "loaded"
    BLOCKED = "blocked"
    INCOMPATIBLE = "incompatible"
    FAILED = "failed"


class AuthKind(StrEnum):
    NONE = "none"
    API_KEY = "api_key"
    OAUTH2 = "oauth2"
    """The authorisation code flow with PKCE: a person signs in, once."""
    CLIENT_CREDENTIALS = "client_credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How `ctx.http` identifies itself. The host does it: a plugin sees no refresh token, and need not see any other.

    An API key is the secret field `field` of the configuration, sent in `header` as `value` says. OAuth2 takes
    `client_id` and `client_secret` (a secret field, which public clients lack) of the configuration, and needs
    `authorize_url` (but for client credentials), `token_url` and `scopes`; `revoke_url` and `account_url` where the
    source has them. `account_field` is the field of that answer which tells whose account it is: who signs in again
    must be the same. Of `header`, `value`, `scopes` and all URLs `{name}` stands for that field of the configuration.
    """

    kind: AuthKind = AuthKind.NONE
    field: str = "api_key"
    header: str = "Authorization"
    value: str = "Bearer {key}"
    authorize_url: str = ""
    token_url: str = ""
    revoke_url: str = ""
    account_url: str = ""
    account_field: str = "id"
    scopes: tuple[str, ...] = ()


class WebhookScheme(StrEnum):
    STANDARD = "standard"
    """Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`."""
    STRIPE = "stripe"
    """`Stripe-Signature: t=...,v1=...`"""
    GITHUB = "github"
    """`X-Hub-Signature-256: sha256=...`"""
    HMAC = "hmac"
    """The hexadecimal HMAC-SHA256 of the body, in a header that the manifest names."""
    UNSIGNED = "unsigned"
    """Nothing is verified; a connection must opt in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """How deliveries are verified, before the plugin sees them: by `scheme`, `signature_header` of it for HMAC, with
    the configuration's secret field `webhook_secret`: a text, or a list of those that may sign. Where nothing is
    signed, its field `accept_unsigned` must be true.

    `id_header` names the header with the event's id where the scheme has none of its own; without one, deliveries with
    equal bodies are one event."""

    scheme: WebhookScheme
    signature_header: str = ""
    id_header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most so many requests in so many seconds, by all connections of a tenant together."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorManifest:
    """A kind of source.

    `factory` is `"pkg.module:callable"`, imported only when a connector is needed; calling it without arguments gives
    a `Connector`. `config_schema` is the JSON Schema of a connection's configuration; fields that it marks with
    `"writeOnly": true` are secrets, kept encrypted and never shown again. `file_extensions` (with the dot, lower case)
    is empty for sources that are no files; `pulls` says that the source is asked for records (`check`, `discover`,
    `read`), `webhook` that it sends them. `state_version` rises when cursors change their form. A plugin that needs
    `sockets` of its own, for a library that can't use `ctx.http`, gets them: no policy of the host holds there.
    `folder` names the field of the configuration with a folder that the connector may read, if the operator allows it.
    `declared` says that the configuration tells what the source's answers look like: who wrote it, mends
    `SchemaChanged`.
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
    pulls: bool = False
    auth: Auth = Auth()
    rate_limit: RateLimit | None = None
    webhook: Webhook | None = None
    state_version: int = 1
    sockets: bool = False
    folder: str = ""
    declared: bool = False

    def secret_fields(self) -> frozenset[str]:
        """The fields of the configuration that are secrets."""
        properties = self.config_schema.get("properties", {})
        return frozenset(name for name, schema in properties.items() if schema.get("writeOnly") is True)


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


def deprecations_of(manifest: ConnectorManifest | RuleTypeManifest) -> tuple[str, ...]:
    """What of a manifest a later host will not serve, a line each: for its author and for operators."""
    if manifest.api_max >= API_VERSION:
        return ()
    return (
        f"{manifest.key} speaks the contract up to version {manifest.api_max}, which is deprecated: this host speaks "
        f"version {API_VERSION}, and later ones will speak no older one",
    )


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

    `statements` are those that end with this batch. `receipts` are files that prove what records were for.
    """

    drafts: tuple[Draft, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    cursor: Mapping[str, Any] | None = None
    statements: tuple[Statement, ...] = ()
    receipts: tuple[ReceiptDraft, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """A part of a source that is read by itself, with a cursor of its own. `kind` is that of its records."""

    name: str
    title: str = ""
    kind: str = "transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCheck:
    """Whether a stream can be read now; `reason` says in one line why not, or what of it can't."""

    stream: str
    ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMessage:
    """A delivery that the host verified: the raw `body`, its headers (names in lower case), and the event's id."""

    id: str
    body: bytes
    headers: Mapping[str, str]
    received_at: datetime


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
