"""Finds the installed plugins, has each loaded alone, and hands out what they offer.

A plugin that can't be loaded is in the inventory with its reason and hurts nobody: each is loaded by a child process of
its own. Connectors do all their work there; rule types are imported here, and trusted.
"""

from __future__ import annotations

import logging
import pkgutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from core.domain.plugins import ConnectorManifest, PluginInfo, PluginState, RuleTypeManifest
from core.errors import Invalid, PluginBug, PluginUnavailable, RuleInvalid, UnknownFormat
from plugins import hookspecs
from plugins.isolation.host import Isolation, Offers
from plugins.isolation.isolated import IsolatedConnector
from plugins.loading import ContractError, VersionError, offers
from plugins.schemas import check_against
from ports.connectors import CompiledRule, Connector, RuleType

BUILT_IN = "sortation"
"""The distribution whose plugins come first, so that no other can take their keys."""
SURE_ENOUGH = 0.3
_HINT = 0.05
"""What a fitting file extension adds to a connector that says it is its file: it settles ties, no more."""
log = logging.getLogger(__name__)


class PluginManager:
    """The plugin host of this process (`ports.connectors.PluginHost`); plugins are loaded when it is made.

    `allow` (empty: everything) and `block` name entry points or distributions. Without `isolation` plugins are loaded
    and connectors work in this very process, as their own tests want it.
    """

    def __init__(
        self,
        allow: frozenset[str] = frozenset(),
        block: frozenset[str] = frozenset(),
        isolation: Isolation | None = None,
    ) -> None:
        self._isolation = isolation
        self._connectors: dict[str, ConnectorManifest] = {}
        self._rule_types: dict[str, RuleTypeManifest] = {}
        found = _found()
        blocked = [e for e in found if (names := {e.entry.name, e.owner}) & block or (allow and not names & allow)]
        offered = iter(self._offered([e for e in found if e not in blocked]))
        self._inventory = tuple(self._kept(e, None if e in blocked else next(offered)) for e in found)

    def inventory(self) -> Sequence[PluginInfo]:
        return self._inventory

    def connectors(self) -> Mapping[str, ConnectorManifest]:
        return MappingProxyType(self._connectors)

    def rule_types(self) -> Mapping[str, RuleTypeManifest]:
        return MappingProxyType(self._rule_types)

    def connector(self, key: str) -> Connector:
        manifest = self._connectors.get(key)
        if manifest is not None and self._isolation is not None:
            return IsolatedConnector(manifest, self._isolation)
        made: Connector = self._make("connector", key, manifest, ("detect", "read"))
        return made

    def rule_type(self, key: str) -> RuleType:
        manifest = self._rule_types.get(key)
        made: RuleType = self._make("rule type", key, manifest, ("compile",))
        return _CheckedRuleType(made, manifest.params_schema if manifest else {})

    def check_config(self, key: str, config: Mapping[str, Any]) -> None:
        if (manifest := self._connectors.get(key)) is None:
            raise PluginUnavailable(f"no loaded plugin offers the connector {key!r}")
        check_against(manifest.config_schema, config, "config")

    def detect(self, sample: bytes, filename: str) -> str:
        suffix = PurePath(filename).suffix.lower()
        best, surest = "", 0.0
        for key, sure in self._sure(sample, filename):
            if 0 < sure <= 1 and suffix in self._connectors[key].file_extensions:
                sure += _HINT
            if surest < sure <= 1 + _HINT:
                best, surest = key, sure
        if surest < SURE_ENOUGH:
            known = (m for m in self._connectors.values() if m.file_extensions)
            understood = ", ".join(f"{m.title} ({' '.join(m.file_extensions)})" for m in known) or "nothing"
            raise UnknownFormat(f"no connector recognises {filename or 'this file'!r}; understood are: {understood}")
        return best

    def _sure(self, sample: bytes, filename: str) -> Iterator[tuple[str, float]]:
        """How sure each file connector is. Those of a distribution look at the file together, in one child."""
        by_owner: dict[str, list[ConnectorManifest]] = {}
        for info in self._inventory:
            by_owner.setdefault(info.distribution, []).extend(m for m in info.connectors if m.file_extensions)
        for manifests in filter(None, by_owner.values()):
            try:
                found = self._looked(manifests, sample, filename)
            except PluginBug as error:
                found = [str(error)] * len(manifests)
            for manifest, sure in zip(manifests, found, strict=True):
                if isinstance(sure, str):
                    log.warning("connector %s failed to look at a file: %s", manifest.key, sure)
                else:
                    yield manifest.key, sure

    def _looked(self, manifests: Sequence[ConnectorManifest], sample: bytes, filename: str) -> Sequence[float | str]:
        """Of each connector how sure it is, or why it failed. Raises `PluginBug` where all fail together."""
        if self._isolation is not None:
            return self._isolation.detect([m.factory for m in manifests], sample, filename)
        found: list[float | str] = []
        for manifest in manifests:
            try:
                found.append(float(self.connector(manifest.key).detect(sample, filename)))
            except (Exception, SystemExit) as error:
                found.append(f"{type(error).__name__}: {error}")
        return found

    def _offered(self, entries: Sequence[_Found]) -> list[Offers | BaseException]:
        """What each offers, or why it does not. Third parties' are each loaded alone, ours together."""
        if self._isolation is None:
            return [_offers(found.entry) for found in entries]
        ours = [found for found in entries if found.owner == BUILT_IN]
        offered: list[Offers | BaseException] = []
        for group in [ours, *([one] for one in entries[len(ours) :])]:
            try:
                offered += self._isolation.load([(one.entry.name, one.entry.value) for one in group])
            except PluginBug as error:
                offered += [error] * len(group)
        return offered

    def _kept(self, found: _Found, offered: Offers | BaseException | None) -> PluginInfo:
        """What the inventory says of an entry point (`offered` is None where it is blocked); keeps what it offers."""
        connectors: Sequence[ConnectorManifest] = ()
        rule_types: Sequence[RuleTypeManifest] = ()
        state, error = PluginState.LOADED, None
        if isinstance(offered, tuple):
            connectors, rule_types = offered
            taken = {m.key for m in connectors} & {*self._connectors} | {m.key for m in rule_types} & {
                *self._rule_types
            }
            if taken:
                connectors, rule_types = (), ()
                state, error = PluginState.FAILED, f"the key {min(taken)!r} is taken"
        elif offered is None:
            state, error = PluginState.BLOCKED, "blocked by the operator's settings"
        elif isinstance(offered, VersionError):
            state, error = PluginState.INCOMPATIBLE, str(offered)
        elif isinstance(offered, ContractError):
            state, error = PluginState.FAILED, str(offered)
        elif isinstance(offered, PluginBug):
            state, error = PluginState.FAILED, offered.details.get("trace") or str(offered)
        else:
            state, error = PluginState.FAILED, "".join(traceback.format_exception(offered))
        if state in (PluginState.FAILED, PluginState.INCOMPATIBLE):
            log.warning("plugin %s of %s is %s: %s", found.entry.name, found.owner, state, error)
        self._connectors |= {manifest.key: manifest for manifest in connectors}
        self._rule_types |= {manifest.key: manifest for manifest in rule_types}
        return PluginInfo(
            name=found.entry.name,
            distribution=found.owner,
            version=found.version,
            state=state,
            connectors=tuple(connectors),
            rule_types=tuple(rule_types),
            error=error,
        )

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
        try:
            check_against(self._schema, params, "params")
        except Invalid as error:
            raise RuleInvalid(str(error)) from None
        return self._made.compile(params)


def _offers(entry: EntryPoint) -> Offers | BaseException:
    try:
        return offers(entry.name, entry.value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may even call sys.exit() when it is imported
        return error


@dataclass(frozen=True, slots=True)
class _Found:
    entry: EntryPoint
    owner: str
    version: str


def _found() -> list[_Found]:
    """The installed entry points, ours first. Each distribution is asked once who it is: it reads its metadata anew
    each time."""
    entries = list(entry_points(group=hookspecs.PROJECT))
    known = {id(e.dist): (e.dist.name, e.dist.version) for e in {id(e.dist): e for e in entries}.values() if e.dist}
    found = [_Found(entry, *known.get(id(entry.dist), ("", ""))) for entry in entries]
    return sorted(found, key=lambda one: (one.owner != BUILT_IN, one.owner, one.entry.name))
