"""What was parsed of rules, kept by process: a worker reads all of a tenant's rules after each change of one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from core.domain.conditions import Condition
from core.domain.rules import Action

MAX_RULES = 50_000
"""Rules of all tenants that are kept: some 150 MB of conditions at worst, 50 MB of usual ones."""


class ParsedRule(NamedTuple):
    """What a version of a rule says, and what it is sorted by among the rules of equal ids."""

    version: int
    when: Condition
    then: Action
    order: tuple[int, int, int, int, datetime]


class RuleMemo:
    """The parsed rules of the tenants that were asked for last. Safe to share between threads."""

    def __init__(self, limit: int = MAX_RULES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._tenants: OrderedDict[UUID, Mapping[UUID, ParsedRule]] = OrderedDict()
        self._count = 0

    def get(self, tenant_id: UUID) -> Mapping[UUID, ParsedRule]:
        """By rule id; not to be changed."""
        with self._lock:
            found = self._tenants.get(tenant_id)
            if found is None:
                return {}
            self._tenants.move_to_end(tenant_id)
            return found

    def put(self, tenant_id: UUID, parsed: Mapping[UUID, ParsedRule]) -> None:
        """Takes over all of a tenant's rules, and forgets those of the tenants that were not asked for longest."""
        with self._lock:
            self._count += len(parsed) - len(self._tenants.pop(tenant_id, ()))
            self._tenants[tenant_id] = parsed
            while self._count > self._limit:
                self._count -= len(self._tenants.popitem(last=False)[1])
