"""Loads one plugin: what its hooks offer, checked. Runs in a child process, or in tests of plugins in their own."""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pluggy
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from core.domain.plugins import (
    API_VERSION,
    OLDEST_API_VERSION,
    Auth,
    AuthKind,
    ConnectorManifest,
    RateLimit,
    RuleTypeManifest,
    Webhook,
    WebhookScheme,
)
from core.domain.webhooks import SECRET_FIELD
from plugins import hookspecs
from ports.connectors import HostInfo

_KEY = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_FACTORY = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")

M = TypeVar("M", ConnectorManifest, RuleTypeManifest)


class ContractError(Exception):
    """A plugin breaks the contract; the message says how."""


class VersionError(Exception):
    """A plugin is made for another version of the contract."""


def offers(name: str, value: str) -> tuple[list[ConnectorManifest], list[RuleTypeManifest]]:
    """What the entry point `name`, which names the module or object `value`, offers. Raises `ContractError`,
    `VersionError`, and whatever the plugin raises."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(pkgutil.resolve_name(value), name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise ContractError(f"it implements a hook that does not exist: {error}") from error
    if not any(hook.get_hookimpls() for hook in (manager.hook.sortation_connectors, manager.hook.sortation_rule_types)):
        raise ContractError("it implements no hook: mark sortation_connectors or sortation_rule_types with @hookimpl")
    connectors = _manifests(manager.hook.sortation_connectors, ConnectorManifest)
    rule_types = _manifests(manager.hook.sortation_rule_types, RuleTypeManifest)
    for manifest in connectors:
        _check_schema(manifest.key, manifest.config_schema)
        _check_connector(manifest)
    for rule_type in rule_types:
        _check_schema(rule_type.key, rule_type.params_schema)
    return connectors, rule_types


def _manifests(hook: Callable[..., list[Any]], kind: type[M]) -> list[M]:
    """What a hook returns, checked: types, keys, API range, factory."""
    found: dict[str, M] = {}
    for offered in hook(host=HostInfo()):
        if not isinstance(offered, Sequence):
            raise ContractError(f"a hook returned {type(offered).__name__}, not a list of {kind.__name__}")
        for manifest in offered:
            if not isinstance(manifest, kind):
                raise ContractError(f"a hook offered {type(manifest).__name__}, not {kind.__name__}")
            _check(manifest)
            if manifest.key in found:
                raise ContractError(f"the key {manifest.key!r} is taken")
            found[manifest.key] = manifest
    return list(found.values())


def _check(manifest: ConnectorManifest | RuleTypeManifest) -> None:
    for name in ("key", "version", "title", "factory", "docs_url"):
        value = getattr(manifest, name)
        if not isinstance(value, str) or not (value or name == "docs_url"):
            raise ContractError(f"a manifest's {name} must be text, not {value!r}")
    key = manifest.key
    if not _KEY.fullmatch(key):
        raise ContractError(f"{key!r} is no key: use lower-case words joined by dashes or underscores")
    if not _FACTORY.fullmatch(manifest.factory):
        raise ContractError(f"{key}: the factory {manifest.factory!r} is not like 'package.module:callable'")
    if not (isinstance(manifest.api_min, int) and isinstance(manifest.api_max, int)):
        raise ContractError(f"{key}: api_min and api_max must be whole numbers")
    if manifest.api_min > API_VERSION or manifest.api_max < OLDEST_API_VERSION:
        raise VersionError(
            f"{key} speaks versions {manifest.api_min} to {manifest.api_max} of the contract, this host "
            f"{OLDEST_API_VERSION} to {API_VERSION}"
        )


def _check_schema(key: str, schema: Mapping[str, Any]) -> None:
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise ContractError(f"{key}: the schema must be a JSON Schema of type object")
    try:
        json.dumps(dict(schema))
    except (TypeError, ValueError) as error:
        raise ContractError(f"{key}: the schema is not JSON: {error}") from error
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ContractError(f"{key}: the schema is no JSON Schema: {error.message[:300]}") from error


def _check_connector(manifest: ConnectorManifest) -> None:
    key = manifest.key
    if not _are_extensions(manifest.file_extensions):
        raise ContractError(f"{key}: file_extensions must be a tuple such as ('.csv',), in lower case")
    if not (manifest.file_extensions or manifest.pulls or manifest.webhook):
        raise ContractError(f"{key}: records must come from somewhere: file_extensions, pulls or a webhook")
    kinds: dict[str, tuple[object, type]] = {
        "auth": (manifest.auth, Auth),
        "rate_limit": (manifest.rate_limit or RateLimit(requests=1, seconds=1), RateLimit),
        "webhook": (manifest.webhook or Webhook(scheme=WebhookScheme.STANDARD), Webhook),
        "pulls": (manifest.pulls, bool),
        "sockets": (manifest.sockets, bool),
        "declared": (manifest.declared, bool),
        "folder": (manifest.folder, str),
        "state_version": (manifest.state_version, int),
    }
    for name, (value, kind) in kinds.items():
        if not isinstance(value, kind):
            raise ContractError(f"{key}: {name} must be {kind.__name__}, not {type(value).__name__}")
    if manifest.folder and manifest.folder not in manifest.config_schema.get("properties", {}):
        raise ContractError(f"{key}: the schema has no field {manifest.folder!r}, which should name the folder")
    auth = manifest.auth
    if auth.kind is AuthKind.API_KEY and auth.field not in manifest.secret_fields():
        raise ContractError(f'{key}: the schema must have the key\'s field {auth.field!r}, with "writeOnly": true')
    if auth.kind is AuthKind.OAUTH2 and not (auth.authorize_url and auth.token_url):
        raise ContractError(f"{key}: OAuth2 needs authorize_url and token_url")
    if auth.kind is AuthKind.CLIENT_CREDENTIALS and not auth.token_url:
        raise ContractError(f"{key}: client credentials need a token_url")
    hook = manifest.webhook
    if hook is not None and hook.scheme is WebhookScheme.HMAC and not hook.signature_header:
        raise ContractError(f"{key}: a webhook signed by HMAC needs signature_header")
    if hook is not None and hook.scheme is not WebhookScheme.UNSIGNED and SECRET_FIELD not in manifest.secret_fields():
        raise ContractError(
            f'{key}: the schema must have what deliveries are signed with, {SECRET_FIELD!r}, with "writeOnly": true'
        )


def _are_extensions(extensions: object) -> bool:
    return isinstance(extensions, tuple) and all(
        isinstance(e, str) and e.startswith(".") and e == e.lower() and len(e) > 1 for e in extensions
    )
