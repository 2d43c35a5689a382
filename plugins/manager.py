"""Finds the installed plugins, checks each alone, and hands out what they offer.

A plugin that can't be loaded is in the inventory with its reason and hurts nobody: each has a `pluggy.PluginManager`
of its own, so neither an exception in a hook nor a half registered module touches another.
"""

from __future__ import annotations

import json
import logging
import pkgutil
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, TypeVar

import pluggy
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from core.domain.plugins import API_VERSION, ConnectorManifest, PluginInfo, PluginState, RuleTypeManifest
from core.errors import Invalid, PluginUnavailable, RuleInvalid, UnknownFormat
from plugins import hookspecs
from ports.connectors import CompiledRule, Connector, HostInfo, RuleType

BUILT_IN = "sortation"
"""The distribution whose plugins come first, so that no other can take their keys."""
SURE_ENOUGH = 0.3
_HINT = 0.05
"""What a fitting file extension adds to a connector that says it is its file: it settles ties, no more."""
_KEY = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_FACTORY = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")

M = TypeVar("M", ConnectorManifest, RuleTypeManifest)

log = logging.getLogger(__name__)


class ContractError(Exception):
    """A plugin breaks the contract; the message says how."""


class VersionError(Exception):
    """A plugin is made for another version of the contract."""


class PluginManager:
    """The plugin host of this process (`ports.connectors.PluginHost`); plugins are loaded when it is made.

    `allow` (empty: everything) and `block` name entry points or distributions.
    """

    def __init__(self, allow: frozenset[str] = frozenset(), block: frozenset[str] = frozenset()) -> None:
        self._connectors: dict[str, ConnectorManifest] = {}
        self._rule_types: dict[str, RuleTypeManifest] = {}
        found = sorted(entry_points(group=hookspecs.PROJECT), key=lambda e: (_owner(e) != BUILT_IN, _owner(e), e.name))
        self._inventory = tuple(self._load(entry, allow, block) for entry in found)

    def inventory(self) -> Sequence[PluginInfo]:
        return self._inventory

    def connectors(self) -> Mapping[str, ConnectorManifest]:
        return MappingProxyType(self._connectors)

    def rule_types(self) -> Mapping[str, RuleTypeManifest]:
        return MappingProxyType(self._rule_types)

    def connector(self, key: str) -> Connector:
        made: Connector = self._make("connector", key, self._connectors.get(key), ("detect", "read"))
        return made

    def rule_type(self, key: str) -> RuleType:
        manifest = self._rule_types.get(key)
        made: RuleType = self._make("rule type", key, manifest, ("compile",))
        return _CheckedRuleType(made, manifest.params_schema if manifest else {})

    def check_config(self, key: str, config: Mapping[str, Any]) -> None:
        if (manifest := self._connectors.get(key)) is None:
            raise PluginUnavailable(f"no loaded plugin offers the connector {key!r}")
        if fault := _fault(manifest.config_schema, config, "config"):
            raise Invalid(fault)

    def detect(self, sample: bytes, filename: str) -> str:
        suffix = PurePath(filename).suffix.lower()
        best, surest = "", 0.0
        for key, manifest in self._connectors.items():
            if not manifest.file_extensions:
                continue
            try:
                sure = float(self.connector(key).detect(sample, filename))
            except (Exception, SystemExit):
                log.warning("connector %s failed to look at a file", key, exc_info=True)
                continue
            if 0 < sure <= 1 and suffix in manifest.file_extensions:
                sure += _HINT
            if surest < sure <= 1 + _HINT:
                best, surest = key, sure
        if surest < SURE_ENOUGH:
            known = (m for m in self._connectors.values() if m.file_extensions)
            understood = ", ".join(f"{m.title} ({' '.join(m.file_extensions)})" for m in known) or "nothing"
            raise UnknownFormat(f"no connector recognises {filename or 'this file'!r}; understood are: {understood}")
        return best

    def _load(self, entry: EntryPoint, allow: frozenset[str], block: frozenset[str]) -> PluginInfo:
        """Loads one entry point and keeps what it offers, or says why not."""
        names = {entry.name, _owner(entry)}
        state, error = PluginState.LOADED, None
        connectors: list[ConnectorManifest] = []
        rule_types: list[RuleTypeManifest] = []
        if names & block or (allow and not names & allow):
            state, error = PluginState.BLOCKED, "blocked by the operator's settings"
        else:
            try:
                connectors, rule_types = self._offers(entry)
            except KeyboardInterrupt:
                raise
            except VersionError as reason:
                state, error = PluginState.INCOMPATIBLE, str(reason)
            except ContractError as reason:
                state, error = PluginState.FAILED, str(reason)
            except BaseException:  # a plugin may even call sys.exit() when it is imported
                state, error = PluginState.FAILED, traceback.format_exc()
        if state in (PluginState.FAILED, PluginState.INCOMPATIBLE):
            log.warning("plugin %s of %s is %s: %s", entry.name, _owner(entry), state, error)
        self._connectors |= {manifest.key: manifest for manifest in connectors}
        self._rule_types |= {manifest.key: manifest for manifest in rule_types}
        return PluginInfo(
            name=entry.name,
            distribution=_owner(entry),
            version=entry.dist.version if entry.dist else "",
            state=state,
            connectors=tuple(connectors),
            rule_types=tuple(rule_types),
            error=error,
        )

    def _offers(self, entry: EntryPoint) -> tuple[list[ConnectorManifest], list[RuleTypeManifest]]:
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(entry.load(), entry.name)
        try:
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise ContractError(f"it implements a hook that does not exist: {error}") from error
        if not any(
            hook.get_hookimpls() for hook in (manager.hook.sortation_connectors, manager.hook.sortation_rule_types)
        ):
            raise ContractError(
                "it implements no hook: mark sortation_connectors or sortation_rule_types with @hookimpl"
            )
        connectors = _manifests(manager.hook.sortation_connectors, ConnectorManifest, self._connectors)
        rule_types = _manifests(manager.hook.sortation_rule_types, RuleTypeManifest, self._rule_types)
        for manifest in connectors:
            _check_schema(manifest.key, manifest.config_schema)
            if not _are_extensions(manifest.file_extensions):
                raise ContractError(f"{manifest.key}: file_extensions must be a tuple such as ('.csv',), in lower case")
        for rule_type in rule_types:
            _check_schema(rule_type.key, rule_type.params_schema)
        return connectors, rule_types

    def _make(
        self, what: str, key: str, manifest: ConnectorManifest | RuleTypeManifest | None, methods: Sequence[str]
    ) -> Any:
        """What the manifest's factory makes; it is imported only now, and may fail only now."""
        if manifest is None:
            missing = [info.name for info in self._inventory if info.state is not PluginState.LOADED]
            hint = f" (not loaded: {', '.join(missing)})" if missing else ""
            raise PluginUnavailable(f"no loaded plugin offers the {what} {key!r}{hint}", key=key)
        try:
            made = pkgutil.resolve_name(manifest.factory)()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginUnavailable(
                f"the {what} {key!r} can't be made by {manifest.factory}: {type(error).__name__}: {error}", key=key
            ) from error
        lacking = [name for name in methods if not callable(getattr(made, name, None))]
        if lacking:
            raise PluginUnavailable(f"the {what} {key!r} has no method {' and no '.join(lacking)}", key=key)
        return made


class _CheckedRuleType:
    """A rule type that sees only parameters which fit its manifest's schema."""

    def __init__(self, made: RuleType, schema: Mapping[str, Any]) -> None:
        self._made = made
        self._schema = schema

    def compile(self, params: Mapping[str, Any]) -> CompiledRule:
        if fault := _fault(self._schema, params, "params"):
            raise RuleInvalid(fault)
        return self._made.compile(params)


def _fault(schema: Mapping[str, Any], value: Mapping[str, Any], name: str) -> str | None:
    """Where (`name.items.0`) and how `value` breaks the JSON Schema, if it does."""
    fault = best_match(Draft202012Validator(schema).iter_errors(value))
    if fault is None:
        return None
    return f"{'.'.join(map(str, (name, *fault.absolute_path)))}: {fault.message[:300]}"


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else ""


def _manifests(hook: Callable[..., list[Any]], kind: type[M], taken: Mapping[str, M]) -> list[M]:
    """What a hook returns, checked: types, keys, API range, factory."""
    found: dict[str, M] = {}
    for offered in hook(host=HostInfo()):
        if not isinstance(offered, Sequence):
            raise ContractError(f"a hook returned {type(offered).__name__}, not a list of {kind.__name__}")
        for manifest in offered:
            if not isinstance(manifest, kind):
                raise ContractError(f"a hook offered {type(manifest).__name__}, not {kind.__name__}")
            _check(manifest)
            if manifest.key in found or manifest.key in taken:
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
    if not manifest.api_min <= API_VERSION <= manifest.api_max:
        raise VersionError(
            f"{key} speaks versions {manifest.api_min} to {manifest.api_max} of the contract, this host {API_VERSION}"
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


def _are_extensions(extensions: object) -> bool:
    return isinstance(extensions, tuple) and all(
        isinstance(e, str) and e.startswith(".") and e == e.lower() and len(e) > 1 for e in extensions
    )
