"""Configurations of connections: checked by their connector's schema, their secrets sealed beside what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from core.domain.connections import Connection, leads_elsewhere, split_secrets
from core.domain.health import secret_words
from core.domain.plugins import ConnectorManifest
from core.domain.webhooks import SECRET_FIELD, FormerSecret, check_secret_form
from core.errors import Invalid, PluginUnavailable, SecretUnreadable
from core.usecases.shared.secrets import former_webhook_secrets, open_secrets, seal_secrets
from core.usecases.shared.source import without_secret_errors
from ports.connectors import PluginHost
from ports.secrets import SecretBox


def manifest_of(connector: str, host: PluginHost) -> ConnectorManifest:
    """Raises `PluginUnavailable`."""
    manifest = host.connectors().get(connector)
    if manifest is None:
        raise PluginUnavailable(f"no loaded plugin offers the connector {connector!r}")
    return manifest


def given_config(manifest: ConnectorManifest, config: Mapping[str, Any], host: PluginHost) -> Mapping[str, Any]:
    """A whole configuration as it is kept: a secret that is null is none. Raises `Invalid`, whose message may quote
    what is wrong, but no secret."""
    shown, hidden = split_secrets(config, manifest.secret_fields())
    whole = shown | {field: value for field, value in hidden.items() if value is not None}
    check_config(manifest, whole, host)
    check_secret_form(manifest.webhook, whole)
    return whole


def merged_config(
    connection: Connection, manifest: ConnectorManifest, given: Mapping[str, Any], host: PluginHost, secrets: SecretBox
) -> tuple[Mapping[str, Any], bool]:
    """The configuration that was given with the secrets that it leaves out, and whether it may lead to another host.

    Raises `Invalid`: also where secrets that were entered for one host would be sent to another one, which who may
    write connections, and read no secrets, could own.
    """
    shown, hidden = split_secrets(given, manifest.secret_fields())
    kept: Mapping[str, Any] = {}
    try:
        kept = open_secrets(connection, secrets)
    except SecretUnreadable:
        # They are lost: what the schema demands of them must come anew.
        if not hidden:
            raise
    former_shown, became_secret = split_secrets(connection.config, manifest.secret_fields())
    former = {**became_secret, **kept}
    whole = shown | {field: value for field, value in {**former, **hidden}.items() if value is not None}
    check_config(manifest, whole, host)
    if hidden:
        check_secret_form(manifest.webhook, hidden)
    led = leads_elsewhere({**former_shown, **former}, whole, manifest)
    if led and (owed := sorted(former.keys() - hidden.keys())):
        raise Invalid(
            f"{', '.join(led)} may lead to another host: send {', '.join(owed)} again with it, which nobody can read",
            fields={f"config.{field}": ["Send it again with this change."] for field in owed},
        )
    return whole, bool(led)


def check_config(manifest: ConnectorManifest, whole: Mapping[str, Any], host: PluginHost) -> None:
    """Raises `Invalid`, whose message may quote what is wrong, but no secret."""
    try:
        host.check_config(manifest.key, whole)
    except Invalid as error:
        raise without_secret_errors(error, secret_words(split_secrets(whole, manifest.secret_fields())[1])) from None


def configured(
    connection: Connection, manifest: ConnectorManifest, whole: Mapping[str, Any], secrets: SecretBox
) -> Connection:
    """With that configuration, its secrets sealed beside it. Former secrets of its webhook go on where the present one
    stays: whoever enters another means that one alone."""
    shown, hidden = split_secrets(whole, manifest.secret_fields())
    former: Sequence[FormerSecret] = ()
    with suppress(SecretUnreadable):
        if open_secrets(connection, secrets).get(SECRET_FIELD) == hidden.get(SECRET_FIELD):
            former = former_webhook_secrets(connection, secrets)
    return replace(
        connection,
        config=shown,
        sealed=seal_secrets(hidden, connection.tenant_id, connection.id, secrets, former),
        secrets=tuple(sorted(hidden)),
    )
