"""What is installed here, and what rests on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response

from core.domain.conditions import rule_types_in
from core.domain.connections import Connection
from core.domain.inventories import Role, Spread
from core.domain.permissions import Permission
from core.domain.plugins import PluginInfo, PluginState, deprecations_of
from core.domain.rules import Rule
from entrypoints.api.connections import last_line
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import show

blp = Blueprint("plugin_pages", __name__)
REMEDIES: Mapping[PluginState, str] = {
    PluginState.LOADED: "",
    PluginState.BLOCKED: "Who runs this installation blocks it, by SORTATION_PLUGINS_ALLOW or SORTATION_PLUGINS_BLOCK.",
    PluginState.INCOMPATIBLE: "It speaks another version of the plugin contract: ask who runs this installation to "
    "install a version of it that fits this release.",
    PluginState.FAILED: "Ask who runs this installation: `sortation plugin doctor` tells them the whole story. Then "
    "update it, or tell its author.",
}
_ORDER = [PluginState.FAILED, PluginState.INCOMPATIBLE, PluginState.BLOCKED, PluginState.LOADED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A plugin, with what of the tenant's rests on it."""

    info: PluginInfo
    why: str | None
    remedy: str
    apart: Sequence[str]
    deprecated: Sequence[str]
    connections: Sequence[Connection]
    rules: Sequence[Rule]


@blp.get("/plugins")
@page_for(Permission.CONNECTIONS_READ)
def plugins() -> Response:
    host, actor = container().host(), me()
    of_connector: dict[str, list[Connection]] = defaultdict(list)
    for connection in container().list_connections(actor):
        of_connector[connection.connector].append(connection)
    of_rule_type: dict[str, list[Rule]] = defaultdict(list)
    if Permission.RULES_READ in actor.permissions:
        for rule in container().list_rules(actor):
            for key in rule_types_in(rule.when):
                of_rule_type[key].append(rule)
    spread: Spread = container().plugins_spread()
    shown = [_shown(info, spread, of_connector, of_rule_type) for info in host.inventory()]
    shown.sort(key=lambda one: _ORDER.index(one.info.state))
    here = {f"connector:{key}" for key in host.connectors()} | {f"rule_type:{key}" for key in host.rule_types()}
    wanted = {f"connector:{key}" for key in of_connector} | {f"rule_type:{key}" for key in of_rule_type}
    return show(
        "plugins/list.html",
        plugins=shown,
        missing=_missing(sorted(wanted - here), of_connector, of_rule_type),
        elsewhere=[one for one in spread.apart if one.here == "nothing"],
        worker_runs=Role.WORKER in spread.present,
    )


def _shown(
    info: PluginInfo,
    spread: Spread,
    of_connector: Mapping[str, Sequence[Connection]],
    of_rule_type: Mapping[str, Sequence[Rule]],
) -> Shown:
    offers = {f"connector:{one.key}" for one in info.connectors} | {f"rule_type:{one.key}" for one in info.rule_types}
    return Shown(
        info=info,
        why=last_line(info.error),
        remedy=REMEDIES[info.state],
        apart=[
            f"{_kind(one.offer)}: {_version(one.here)} here, {_version(one.there)} in a {one.role.value} process"
            for one in spread.apart
            if one.offer in offers
        ],
        deprecated=[
            *(line for one in info.connectors for line in deprecations_of(one)),
            *(line for one in info.rule_types for line in deprecations_of(one)),
        ],
        connections=[c for one in info.connectors for c in of_connector.get(one.key, ())],
        rules=[rule for one in info.rule_types for rule in of_rule_type.get(one.key, ())],
    )


def _missing(
    offers: Sequence[str],
    of_connector: Mapping[str, Sequence[Connection]],
    of_rule_type: Mapping[str, Sequence[Rule]],
) -> list[tuple[str, Sequence[Connection], Sequence[Rule]]]:
    """What the tenant has connections or rules of, and no plugin offers: (what, those connections, those rules)."""
    found = []
    for offer in offers:
        kind, _, key = offer.partition(":")
        connections = of_connector[key] if kind == "connector" else []
        rules = of_rule_type[key] if kind == "rule_type" else []
        found.append((_kind(offer), connections, rules))
    return found


def _kind(offer: str) -> str:
    kind, _, key = offer.partition(":")
    return f"{kind.replace('_', ' ')} {key}"


def _version(said: str) -> str:
    """Without the digest, which tells people nothing unless versions are the same."""
    return said.rsplit(" ", 1)[0] if " " in said else said
