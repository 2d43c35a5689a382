"""Rules of a tenant, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, bindparam, false, func, insert, or_, select, text

from adapters.postgres.guards import at, conflicts, delete_versioned, update_versioned
from adapters.postgres.tables import rules, tenants
from core.domain.conditions import condition_to_json, parse_condition
from core.domain.rules import Rule, RuleStage, action_to_json, order_key, parse_action
from core.errors import NotFound

_UNKNOWN = "the category does not exist"
_REORDER = text("""
    UPDATE rules SET priority = p.priority, version = rules.version + 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:priorities AS integer[])) AS p(id, priority)
    WHERE rules.tenant_id = :tenant AND rules.id = p.id
""")


class PostgresRules:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        # A starter rule is trusted when its pack is.
        self._query = (
            select(
                rules,
                or_(
                    rules.c.pack.is_(None),
                    func.coalesce(tenants.c.settings["trusted_packs"].has_key(rules.c.pack), false()),
                ).label("trusted"),
            )
            .join(tenants, tenants.c.tenant_id == rules.c.tenant_id)
            .where(rules.c.tenant_id == tenant_id)
        )

    def list(self) -> Sequence[Rule]:
        return sorted((_to_rule(row) for row in self._connection.execute(self._query).mappings()), key=order_key)

    def get(self, id: UUID) -> Rule:
        row = self._connection.execute(self._query.where(rules.c.id == id)).mappings().first()
        if row is None:
            raise NotFound("this rule does not exist")
        return _to_rule(row)

    def add(self, new: Sequence[Rule]) -> None:
        if new:
            with conflicts(unknown=_UNKNOWN):
                self._connection.execute(
                    insert(rules),
                    [
                        {
                            "tenant_id": self._tenant_id,
                            "id": rule.id,
                            **_values(rule),
                            "pack": rule.pack,
                            "hits": rule.hits,
                            "last_hit_at": rule.last_hit_at,
                            "created_at": rule.created_at,
                            "version": rule.version,
                        }
                        for rule in new
                    ],
                )
            self._changed()

    def update(self, rule: Rule) -> None:
        with conflicts(unknown=_UNKNOWN):
            update_versioned(self._connection, rules, at(rules, self._tenant_id, rule.id), rule.version, _values(rule))
        self._changed()

    def reorder(self, priorities: Mapping[UUID, int]) -> None:
        if not priorities:
            return
        moved = self._connection.execute(
            _REORDER,
            {"tenant": self._tenant_id, "ids": list(priorities), "priorities": list(priorities.values())},
        )
        if moved.rowcount != len(priorities):
            raise NotFound("this rule does not exist")
        self._changed()

    def delete(self, id: UUID, version: int | None) -> None:
        delete_versioned(self._connection, rules, at(rules, self._tenant_id, id), version)
        self._changed()

    def count_hits(self, hits: Mapping[UUID, int], now: datetime) -> None:
        if hits:
            # In the order of the ids, so that two chunks that hit the same rules cannot deadlock.
            statement = (
                rules.update()
                .where(rules.c.tenant_id == self._tenant_id, rules.c.id == bindparam("rule"))
                .values(hits=rules.c.hits + bindparam("more"), last_hit_at=func.greatest(rules.c.last_hit_at, now))
            )
            self._connection.execute(statement, [{"rule": id, "more": n} for id, n in sorted(hits.items())])

    def _changed(self) -> None:
        self._connection.execute(
            tenants.update()
            .where(tenants.c.tenant_id == self._tenant_id)
            .values(rules_version=tenants.c.rules_version + 1)
        )


def _values(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "stage": rule.stage.value,
        "priority": rule.priority,
        "condition": condition_to_json(rule.when),
        "action": action_to_json(rule.then),
        "category_id": rule.then.category_id,
        "stop": rule.stop,
        "enabled": rule.enabled,
    }


def _to_rule(row: RowMapping) -> Rule:
    return Rule(
        id=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        stage=RuleStage(row["stage"]),
        priority=row["priority"],
        when=parse_condition(row["condition"]),
        then=parse_action(row["action"]),
        stop=row["stop"],
        enabled=row["enabled"],
        pack=row["pack"],
        trusted=row["trusted"],
        hits=row["hits"],
        last_hit_at=row["last_hit_at"],
        created_at=row["created_at"],
        version=row["version"],
    )
