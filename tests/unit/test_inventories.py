"""Inventories of plugins: what makes two of them the same, and what is said where they are not."""

from __future__ import annotations

from dataclasses import replace

from core.domain.conditions import parse_condition, rule_types_in
from core.domain.inventories import Inventory, differences, inventory_of
from core.domain.plugins import ConnectorManifest, PluginInfo, PluginState, RuleTypeManifest

PIPES = ConnectorManifest(key="pipes", version="1", title="Pipes", factory="pipes:Pipes")
WEEKEND = RuleTypeManifest(key="weekend", version="1", title="Weekend", factory="weekend:Weekend", params_schema={})
PLUGINS = (
    PluginInfo(name="a", distribution="a-plugin", version="1.0", state=PluginState.LOADED, connectors=(PIPES,)),
    PluginInfo(name="b", distribution="b-plugin", version="2.1", state=PluginState.LOADED, rule_types=(WEEKEND,)),
    PluginInfo(name="c", distribution="c-plugin", version="1.0", state=PluginState.FAILED, error="line 3"),
)


def changed(index: int, **fields: object) -> Inventory:
    plugins = list(PLUGINS)
    plugins[index] = replace(plugins[index], **fields)  # type: ignore[arg-type]
    return inventory_of(plugins)


def test_the_same_plugins_have_the_same_digest_in_any_order() -> None:
    assert inventory_of(PLUGINS).digest == inventory_of(reversed(PLUGINS)).digest
    assert inventory_of(PLUGINS).digest == changed(2, error="line 4").digest
    assert len(inventory_of(PLUGINS).digest) == 16


def test_another_version_manifest_or_state_is_a_difference_of_that_plugin_alone() -> None:
    mine = inventory_of(PLUGINS)
    assert differences(mine, [mine, inventory_of(PLUGINS)]) == {}
    newer = changed(0, version="1.1")
    assert newer.digest != mine.digest
    assert {*differences(mine, [newer])} == {"connector:pipes"}
    assert "a-plugin 1.0 " in differences(mine, [newer])["connector:pipes"]
    assert "a-plugin 1.1 " in differences(mine, [newer])["connector:pipes"]
    assert {*differences(mine, [changed(0, connectors=(replace(PIPES, state_version=2),))])} == {"connector:pipes"}
    failed = changed(1, state=PluginState.FAILED, rule_types=())
    assert differences(failed, [mine])["rule_type:weekend"].startswith("nothing here, b-plugin 2.1 ")
    assert {*differences(mine, [mine, newer, failed])} == {"connector:pipes", "rule_type:weekend"}


def test_the_rule_types_of_a_condition() -> None:
    weekend = {"type": "weekend", "params": {}}
    plain = {"field": "text", "op": "contains", "value": "x"}
    assert rule_types_in(parse_condition({"all": [plain, {"not": {"any": [weekend, plain]}}]})) == {"weekend"}
    assert rule_types_in(parse_condition(plain)) == frozenset()
