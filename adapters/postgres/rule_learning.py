"""What is proposed as a rule, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Integer, RowMapping, cast, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.guards import at
from adapters.postgres.rule_tables import rule_proposals
from adapters.postgres.tables import categories
from core.domain.conditions import condition_to_json, parse_condition
from core.domain.proposals import Evidence, Proposal, ProposalStatus
from core.errors import AlreadyDecided, NotFound, VersionMismatch

_REPLACE_LOCK = 0x5074_1073
"""First key of the advisory lock that lets one transaction of a tenant replace proposals at a time: arbitrary, only
distinct."""
_OPEN = rule_proposals.c.status == ProposalStatus.OPEN.value


class PostgresProposals:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def list(self, *, status: str | None, after: UUID | None, limit: int) -> Sequence[Proposal]:
        query = select(rule_proposals).where(rule_proposals.c.tenant_id == self._tenant_id)
        if status is not None:
            query = query.where(rule_proposals.c.status == status)
        if after is not None:
            query = query.where(rule_proposals.c.id > after)
        rows = self._connection.execute(query.order_by(rule_proposals.c.id).limit(limit)).mappings()
        return [_to_proposal(row) for row in rows]

    def get(self, id: UUID) -> Proposal:
        query = select(rule_proposals).where(at(rule_proposals, self._tenant_id, id))
        row = self._connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("this proposal does not exist")
        return _to_proposal(row)

    def replace_open(self, proposals: Sequence[Proposal]) -> Sequence[UUID]:
        self._connection.execute(select(func.pg_advisory_xact_lock(_REPLACE_LOCK, self._tenant_id.int & 0x7FFF_FFFF)))
        there = self._lock_categories({proposal.category_id for proposal in proposals})
        by_key = {proposal.key: proposal for proposal in reversed(proposals) if proposal.category_id in there}
        c = rule_proposals.c
        mine = c.tenant_id == self._tenant_id
        self._connection.execute(delete(rule_proposals).where(mine, _OPEN, c.key.not_in(by_key)))
        known = set(self._connection.execute(select(c.id).where(mine, _OPEN)).scalars())
        if not by_key:
            return []
        new = insert(rule_proposals).values([_values(self._tenant_id, proposal) for proposal in by_key.values()])
        written = new.on_conflict_do_update(
            index_elements=[c.tenant_id, c.key],
            set_={
                "evidence": new.excluded.evidence,
                "version": c.version + cast(c.evidence != new.excluded.evidence, Integer),
            },
            where=_OPEN,
        ).returning(c.id)
        now_open = set(self._connection.execute(written).scalars())
        return sorted(now_open - known)

    def decide(self, proposal: Proposal) -> None:
        changed = self._connection.execute(
            rule_proposals.update()
            .where(
                at(rule_proposals, self._tenant_id, proposal.id), _OPEN, rule_proposals.c.version == proposal.version
            )
            .values(
                status=proposal.status.value,
                rule_id=proposal.rule_id,
                decided_by=proposal.decided_by,
                decided_by_id=func.acting_person(),
                decided_at=proposal.decided_at,
                version=proposal.version + 1,
            )
        )
        if changed.rowcount == 0:
            open_still = self.get(proposal.id).status is ProposalStatus.OPEN
            raise VersionMismatch if open_still else AlreadyDecided

    def _lock_categories(self, ids: Set[UUID]) -> Set[UUID]:
        """Those that exist, and will until this transaction ends."""
        query = select(categories.c.id).where(categories.c.tenant_id == self._tenant_id, categories.c.id.in_(ids))
        locked = query.order_by(categories.c.id).with_for_update(read=True, key_share=True)
        return set(self._connection.execute(locked).scalars())


def _values(tenant_id: UUID, proposal: Proposal) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "id": proposal.id,
        "key": proposal.key,
        "name": proposal.name,
        "condition": condition_to_json(proposal.when),
        "category_id": proposal.category_id,
        "evidence": {name: getattr(proposal.evidence, name) for name in Evidence.__slots__},
        "status": ProposalStatus.OPEN.value,
        "created_at": proposal.created_at,
        "version": proposal.version,
    }


def _to_proposal(row: RowMapping) -> Proposal:
    values = {name: row[name] for name in Proposal.__slots__ if name != "when"}
    found = row["evidence"]
    evidence = Evidence(
        support=found["support"],
        agreeing=found["agreeing"],
        expected=found["expected"],
        examples=tuple(map(UUID, found["examples"])),
        counter_examples=tuple(map(UUID, found["counter_examples"])),
    )
    return Proposal(
        **values | {"status": ProposalStatus(row["status"]), "evidence": evidence},
        when=parse_condition(row["condition"]),
    )
