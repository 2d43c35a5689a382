"""Which plugins a process has, told in few words, so that processes which have others are noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from core.domain.plugins import PluginInfo

ANNOUNCE_SECONDS = 5.0
"""How often a process says which plugins it has."""
PRESENT_SECONDS = 20.0
"""How long it counts as present after it did: some times as long, since it may be busy or paused."""


class Role(StrEnum):
    """What a process does that has plugins."""

    API = "api"
    WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What the loaded plugins of a process offer: by `connector:key` or `rule_type:key`, the distribution with its
    version and a digest of the manifest. Equal inventories serve a connection or a rule alike."""

    offers: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Equal for equal inventories, and for no others: 16 hexadecimal digits of a SHA-256."""
        return _digest(dict(self.offers))


def inventory_of(plugins: Iterable[PluginInfo]) -> Inventory:
    offers = {}
    for info in plugins:
        for kind, manifests in (("connector", info.connectors), ("rule_type", info.rule_types)):
            for manifest in manifests:
                offers[f"{kind}:{manifest.key}"] = f"{info.distribution} {info.version} {_digest(asdict(manifest))}"
    return Inventory(offers=offers)


def differences(mine: Inventory, others: Iterable[Inventory]) -> Mapping[str, str]:
    """By `connector:key` or `rule_type:key` of what is not the same in all: what is here, and what is there."""
    found = {}
    for other in others:
        for offer in sorted(mine.offers.keys() | other.offers.keys()):
            here, there = mine.offers.get(offer, "nothing"), other.offers.get(offer, "nothing")
            if here != there:
                found[offer] = f"{here} here, {there} there"
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """An offer (`connector:key` or `rule_type:key`) that a process of this role has otherwise than this one: "nothing"
    where one of them has none."""

    offer: str
    role: Role
    here: str
    there: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Which roles have processes now, and what these have otherwise than this one."""

    present: frozenset[Role]
    apart: Sequence[Apart]


def spread(mine: Inventory, others: Mapping[Role, Sequence[Inventory]]) -> Spread:
    """`others` are those of the processes that are present; equal ones may stand for many."""
    apart: dict[Apart, None] = {}
    for role, inventories in others.items():
        for other in inventories:
            for offer in sorted(mine.offers.keys() | other.offers.keys()):
                here, there = (_said(one.offers.get(offer)) for one in (mine, other))
                if mine.offers.get(offer) != other.offers.get(offer):
                    apart[Apart(offer=offer, role=role, here=here, there=there)] = None
    return Spread(present=frozenset(role for role, found in others.items() if found), apart=tuple(apart))


def _said(offer: str | None) -> str:
    return "nothing" if offer is None else offer


def _digest(value: object) -> str:
    written = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()[:16]
