"""Which plugins the processes have: each says so, and anybody may ask whether all have the same."""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.inventories import PRESENT_SECONDS, Inventory, Role, Spread, differences, spread
from ports.system import SystemStorage


def announce_plugins(role: Role, *, inventory: Inventory, system: SystemStorage) -> None:
    """Says that a process of this role has these plugins; to be repeated every `ANNOUNCE_SECONDS`."""
    system.announce_plugins(role, inventory)


def plugins_apart(*, inventory: Inventory, system: SystemStorage) -> Mapping[str, str]:
    """What is not the same here and in every process that is present, by `connector:key` or `rule_type:key`."""
    return differences(inventory, (one for role in Role for one in system.inventories(role, seconds=PRESENT_SECONDS)))


def plugins_spread(*, inventory: Inventory, system: SystemStorage) -> Spread:
    """Which processes are present, and what each has otherwise than this one, for people to see."""
    return spread(inventory, {role: system.inventories(role, seconds=PRESENT_SECONDS) for role in Role})
