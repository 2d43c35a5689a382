"""Hosts in the test's own process: of what is installed, and of connectors that a test makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from core.domain.plugins import ConnectorManifest, PluginInfo, RuleTypeManifest
from core.errors import Invalid, PluginUnavailable, UnknownFormat
from plugins.manager import PluginManager
from ports.connectors import Connector, RuleType


@cache
def installed() -> PluginManager:
    """The plugins that are installed; one host for all tests, as it never changes once it is made."""
    return PluginManager()


class TestHost:
    """Has these connectors, which may be taken out and put in again, and no rule types."""

    __test__ = False

    def __init__(self, *offered: tuple[ConnectorManifest, Connector]) -> None:
        self.offered = {manifest.key: (manifest, connector) for manifest, connector in offered}

    def inventory(self) -> Sequence[PluginInfo]:
        return ()

    def connectors(self) -> Mapping[str, ConnectorManifest]:
        return {key: manifest for key, (manifest, _) in self.offered.items()}

    def rule_types(self) -> Mapping[str, RuleTypeManifest]:
        return {}

    def connector(self, key: str) -> Connector:
        if key not in self.offered:
            raise PluginUnavailable(f"no loaded plugin offers the connector {key!r}")
        return self.offered[key][1]

    def rule_type(self, key: str) -> RuleType:
        raise PluginUnavailable(f"no loaded plugin offers the rule type {key!r}")

    def check_config(self, key: str, config: Mapping[str, Any]) -> None:
        for error in Draft202012Validator(dict(self.connectors()[key].config_schema)).iter_errors(config):
            raise Invalid(f"config: {error.message}")

    def detect(self, sample: bytes, filename: str) -> str:
        raise UnknownFormat
