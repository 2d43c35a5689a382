"""Rules of a tenant, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, bindparam, func, insert, select, text

from adapters.postgres.engine import driver
from adapters.postgres.guards import at, conflicts, delete_versioned, update_versioned
from adapters.postgres.rule_memo import ParsedRule, RuleMemo
from adapters.postgres.rule_tables import rules
from adapters.postgres.tables import tenants
from core.domain.conditions import Condition, condition_to_json, parse_condition
from core.domain.rules import Action, Rule, RuleStage, action_to_json, order_key, parse_action
from core.errors import NotFound

_UNKNOWN = "the category does not exist"
_STAGES = {stage.value: stage for stage in RuleStage}
_READ = (
    "id", "name", "stage", "priority", "stop", "enabled", "pack", "trusted", "hits", "last_hit_at", "created_at",
    "version", "confirmed", "overridden", "corrected", "demoted", "proved", "proposal_id",
    "evidence_from",
)  # fmt: skip
_VERSION = _READ.index("version")
_KEPT = (
    "pack", "hits", "last_hit_at", "created_at", "version", "confirmed", "overridden", "corrected", "demoted", "proved",
    "proposal_id",
)  # fmt: skip
_ANEW = {"hits": 0, "confirmed": 0, "overridden": 0, "corrected": 0, "demoted": False, "proved": False}
# A starter rule is trusted when its pack is, or when people's answers proved it.
_SELECT = """
    SELECT r.id, r.name, r.stage, r.priority, r.stop, r.enabled, r.pack,
           r.pack IS NULL OR r.proved OR coalesce(t.settings -> 'trusted_packs' ? r.pack, false),
           r.hits, r.last_hit_at, r.created_at, r.version, r.confirmed, r.overridden, r.corrected, r.demoted,
           r.proved, r.proposal_id, r.evidence_from{bodies}
    FROM rules r JOIN tenants t ON t.tenant_id = r.tenant_id
    WHERE r.tenant_id = %(tenant)s{where}
    ORDER BY r.id
"""
_WITHOUT_BODIES = _SELECT.format(bodies="", where="")
_WITH_BODIES = _SELECT.format(bodies=", r.condition::text, r.action::text", where=" AND r.id = ANY(%(ids)s)")
_REORDER = text("""
    UPDATE rules SET priority = p.priority, version = rules.version + 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:priorities AS integer[])) AS p(id, priority)
    WHERE rules.tenant_id = :tenant AND rules.id = p.id AND rules.priority <> p.priority
""")
_COUNT_ANSWERS = text("""
    WITH locked AS (
        SELECT id FROM rules WHERE tenant_id = :tenant AND id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE rules SET
        confirmed = greatest(rules.confirmed + a.confirmed, 0),
        overridden = greatest(rules.overridden + a.overridden, 0),
        corrected = greatest(rules.corrected + a.corrected, 0)
    FROM locked JOIN unnest(
        CAST(:ids AS uuid[]), CAST(:confirmed AS bigint[]), CAST(:overridden AS bigint[]), CAST(:corrected AS bigint[])
    ) AS a(id, confirmed, overridden, corrected) USING (id)
    WHERE rules.tenant_id = :tenant AND rules.id = locked.id
""")

_Row = tuple[Any, ...]


class PostgresRules:
    def __init__(self, connection: Connection, tenant_id: UUID, memo: RuleMemo) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._memo = memo
        self._touched = False
        """Whether this transaction changed rules: what it reads then may never be true for others."""

    def list(self) -> Sequence[Rule]:
        rows, known = self._rows(_WITHOUT_BODIES), self._memo.get(self._tenant_id)
        unknown = [row[0] for row in rows if (was := known.get(row[0])) is None or was.version != row[_VERSION]]
        # Read whole, since they may have changed again in between; and one that went is gone.
        read = {row[0]: _read(self._tenant_id, row) for row in self._rows(_WITH_BODIES, unknown)} if unknown else {}
        found: list[tuple[ParsedRule, Rule]] = []
        for row in rows:
            if (rule := read.get(row[0])) is not None:
                parsed = ParsedRule(rule.version, rule.when, rule.then, order_key(rule)[:-1])
            elif (was := known.get(row[0])) is not None and was.version == row[_VERSION]:
                parsed, rule = was, _to_rule(self._tenant_id, row, was.when, was.then)
            else:
                continue
            found.append((parsed, rule))
        if (read or len(known) != len(found)) and not self._touched:
            self._memo.put(self._tenant_id, {rule.id: parsed for parsed, rule in found})
        found.sort(key=_place)  # rows come by id, the last part of the order
        return [rule for _, rule in found]

    def get(self, id: UUID) -> Rule:
        for rule in self._some([id]):
            return rule
        raise NotFound("this rule does not exist")

    def present(self, ids: Collection[UUID]) -> Sequence[Rule]:
        return self._some(list(ids)) if ids else []

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
                            **{name: getattr(rule, name) for name in _KEPT},
                        }
                        for rule in new
                    ],
                )
            self._changed()

    def update(self, rule: Rule, *, anew: bool = False) -> None:
        values = _values(rule) | (_ANEW if anew else {})
        with conflicts(unknown=_UNKNOWN):
            update_versioned(self._connection, rules, at(rules, self._tenant_id, rule.id), rule.version, values)
        self._changed()

    def count_answers(self, answers: Mapping[UUID, tuple[int, int, int]]) -> Sequence[Rule]:
        if not answers:
            return []
        parameters = {
            "tenant": self._tenant_id,
            "ids": list(answers),
            "confirmed": [confirmed for confirmed, _, _ in answers.values()],
            "overridden": [overridden for _, overridden, _ in answers.values()],
            "corrected": [corrected for _, _, corrected in answers.values()],
        }
        self._connection.execute(_COUNT_ANSWERS, parameters)
        return self._some(list(answers))

    def set_standing(self, id: UUID, *, demoted: bool, proved: bool) -> None:
        changed = self._connection.execute(
            rules.update()
            .where(at(rules, self._tenant_id, id))
            .values(demoted=demoted, proved=proved, version=rules.c.version + 1)
        )
        if changed.rowcount == 0:
            raise NotFound("this rule does not exist")
        self._changed()

    def reorder(self, priorities: Mapping[UUID, int]) -> None:
        if not priorities:
            return
        there = select(rules.c.id).where(rules.c.tenant_id == self._tenant_id, rules.c.id.in_(priorities))
        # In the order of the ids, as everywhere, so that transactions that change the same rules cannot deadlock.
        locked = self._connection.execute(there.order_by(rules.c.id).with_for_update(key_share=True)).all()
        if len(locked) != len(priorities):
            raise NotFound("this rule does not exist")
        self._connection.execute(
            _REORDER,
            {"tenant": self._tenant_id, "ids": list(priorities), "priorities": list(priorities.values())},
        )
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
                .values(
                    hits=func.greatest(rules.c.hits + bindparam("more"), 0),
                    last_hit_at=func.greatest(rules.c.last_hit_at, bindparam("hit_at", type_=rules.c.last_hit_at.type)),
                )
            )
            rows = [{"rule": id, "more": n, "hit_at": now if n > 0 else None} for id, n in sorted(hits.items())]
            self._connection.execute(statement, rows)

    def _some(self, ids: Sequence[UUID]) -> Sequence[Rule]:
        return [_read(self._tenant_id, row) for row in self._rows(_WITH_BODIES, ids)]

    def _rows(self, query: str, ids: Sequence[UUID] = ()) -> Sequence[_Row]:
        with driver(self._connection).cursor(binary=True) as cursor:
            return cursor.execute(query, {"tenant": self._tenant_id, "ids": list(ids)}).fetchall()

    def _changed(self) -> None:
        self._touched = True
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
        "evidence_from": rule.evidence_from,
    }


def _read(tenant_id: UUID, row: _Row) -> Rule:
    """A row with its bodies."""
    *_, condition, action = row
    return _to_rule(tenant_id, row, parse_condition(orjson.loads(condition)), parse_action(orjson.loads(action)))


def _to_rule(tenant_id: UUID, row: _Row, when: Condition, then: Action) -> Rule:
    (
        id, name, stage, priority, stop, enabled, pack, trusted, hits, last_hit_at, created_at, version,
        confirmed, overridden, corrected, demoted, proved, proposal_id, evidence_from,
    ) = row[: len(_READ)]  # fmt: skip
    return Rule(
        id=id,
        tenant_id=tenant_id,
        name=name,
        stage=_STAGES[stage],
        priority=priority,
        when=when,
        then=then,
        stop=stop,
        enabled=enabled,
        pack=pack,
        trusted=trusted,
        hits=hits,
        last_hit_at=last_hit_at,
        created_at=created_at,
        version=version,
        confirmed=confirmed,
        overridden=overridden,
        corrected=corrected,
        demoted=demoted,
        proved=proved,
        proposal_id=proposal_id,
        evidence_from=evidence_from,
    )


def _place(found: tuple[ParsedRule, Rule]) -> tuple[int, int, int, int, datetime]:
    return found[0].order
