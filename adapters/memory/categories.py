"""The category tree, and what becomes of all that belongs to a category when it goes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from adapters.memory.approvals import MemoryApprovals
from adapters.memory.record_changes import write
from adapters.memory.state import Workspace, as_json, check_version, one
from core.domain.approvals import Approval, ApprovalReason, group_key, urgency
from core.domain.categories import Category
from core.domain.category_changes import Belongings, withdrawn
from core.domain.proposals import Proposal, ProposalStatus, proposal_key
from core.domain.records import Record, RecordStatus
from core.domain.rules import Action
from core.errors import Conflict, Invalid, NotFound


class MemoryCategories:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._state = workspace.state
        self._categories = workspace.state.categories

    def list(self) -> Sequence[Category]:
        return sorted(self._categories.values(), key=lambda category: category.key)

    def fingerprint(self) -> str:
        return ",".join(sorted(id.hex for id in self._categories))

    def get(self, id: UUID) -> Category:
        return one(self._categories, id, "category")

    def hold(self, ids: Collection[UUID]) -> Mapping[UUID, UUID]:
        found = {id: self._at.category_now(id) for id in ids}
        return {id: now for id, now in found.items() if now is not None}

    def lock_tree(self) -> None:
        pass  # of two transactions that change the same, one fails at its commit

    def aliases(self) -> Mapping[str, UUID]:
        return dict(self._state.aliases)

    def add_aliases(self, aliases: Mapping[str, UUID]) -> None:
        for alias, id in aliases.items():
            self._at.check_category(id)
            self._state.aliases[alias] = id

    def add(self, categories: Sequence[Category]) -> None:
        for category in categories:
            if category.id in self._categories:
                raise Conflict("a category with this key exists")
            self._check(category)
            self._categories[category.id] = category

    def update(self, category: Category) -> None:
        stored = self.get(category.id)
        check_version(stored.version, category.version)
        self._check(category)
        self._categories[category.id] = replace(
            stored,
            parent_id=category.parent_id,
            key=category.key,
            name=category.name,
            description=category.description,
            version=stored.version + 1,
        )

    def belongings(self, id: UUID) -> Belongings:
        state = self._state
        return Belongings(
            records=sum(kept.record.category_id == id for kept in state.records.values()),
            examples=sum(kept.example.category_id == id for kept in state.examples.values()),
            rules=sum(rule.then.category_id == id for rule in state.rules.values()),
            proposals=sum(proposal.category_id == id for proposal in state.proposals.values()),
            approvals=sum(a.suggested_id == id and a.verdict is None for a in state.approvals.values()),
            children=sum(category.parent_id == id for category in self._categories.values()),
        )

    def usage(self) -> Mapping[UUID, Belongings]:
        found = {id: self.belongings(id) for id in self._categories}
        return {id: belongings for id, belongings in found.items() if belongings != Belongings()}

    def merge(self, id: UUID, into: UUID, *, version: int | None, parents: Mapping[UUID, UUID | None]) -> Belongings:
        check_version(self.get(id).version, version)
        if into not in self._categories:
            raise NotFound("the category to merge into does not exist")
        moved, state = self.belongings(id), self._state
        for record in self._records_of(id):
            write(self._at, replace(record, category_id=into))
            for key, change in state.changes.items():
                if key[1] == record.id and change.after_version == record.version:
                    state.changes[key] = replace(change, after_version=record.version + 1)
        for example_id, kept in state.examples.items():
            if kept.example.category_id == id:
                state.examples[example_id] = replace(kept, example=replace(kept.example, category_id=into))
        for rule in state.rules.values():
            if rule.then.category_id == id:
                then = replace(rule.then, category_id=into)
                state.rules[rule.id] = replace(rule, then=then, version=rule.version + 1)
        for proposal in [p for p in state.proposals.values() if p.category_id == id]:
            self._move_proposal(proposal, into)
        for a in state.approvals.values():
            suggested_id = into if a.suggested_id == id else a.suggested_id
            category_id = into if a.category_id == id else a.category_id
            state.approvals[a.id] = replace(a, suggested_id=suggested_id, category_id=category_id)
        for alias, known in state.aliases.items():
            if known == id:
                state.aliases[alias] = into
        state.aliases[str(id)] = into
        self._remove(id, parents)
        return moved

    def unsort(
        self, id: UUID, *, version: int | None, parents: Mapping[UUID, UUID | None], by: str, why: str
    ) -> Belongings:
        check_version(self.get(id).version, version)
        lost, state = self.belongings(id), self._state
        for record in self._records_of(id):
            self._reopen(record, by, why)
        for kept in [k for k in state.examples.values() if k.example.category_id == id]:
            del state.examples[kept.example.id]
        for rule in state.rules.values():
            if rule.then.category_id == id:
                then: Action = replace(rule.then, category_id=None, review=True)
                state.rules[rule.id] = replace(rule, then=then, enabled=False, version=rule.version + 1)
        self._unsuggest(id)
        self._remove(id, parents)
        return lost

    def delete(self, id: UUID, version: int | None) -> None:
        check_version(self.get(id).version, version)
        if used := str(self.belongings(id)):
            raise Conflict(f"{used} still use this category: merge it into another, or unsort it")
        self._unsuggest(id)
        self._drop(id)

    def _records_of(self, id: UUID) -> Iterator[Record]:
        yield from [kept.record for kept in self._state.records.values() if kept.record.category_id == id]

    def _reopen(self, record: Record, by: str, why: str) -> None:
        reopened = {
            "status": RecordStatus.NEEDS_REVIEW,
            "category_id": None,
            "stage": None,
            "confidence": 0.0,
            "selection_probability": 1.0,
            "reasoning_trace": as_json(withdrawn(record.reasoning_trace, why, self._at.actor.user_id)),
        }
        write(self._at, replace(record, **reopened))
        queue = MemoryApprovals(self._at)
        queue.withdraw([a.id for a in queue.standing([record.id])], by=by, at=self._at.now)
        if not queue.open_of([record.id]):
            queue.add([self._question(record)])

    def _question(self, record: Record) -> Approval:
        return Approval(
            id=self._at.ids.new(),
            tenant_id=self._at.tenant_id,
            record_id=record.id,
            reason=ApprovalReason.UNSURE,
            suggested_id=None,
            confidence=0.0,
            urgency=urgency(0.0, None),
            group_key=group_key(record),
            verdict=None,
            category_id=None,
            decided_by=None,
            decided_at=None,
            created_at=self._at.now,
        )

    def _move_proposal(self, proposal: Proposal, into: UUID) -> None:
        key, proposals = proposal_key(proposal.when, into), self._state.proposals
        for other in [p for p in proposals.values() if p.key == key]:
            if proposal.status is ProposalStatus.OPEN or other.status is not ProposalStatus.OPEN:
                del proposals[proposal.id]
                return
            del proposals[other.id]
        proposals[proposal.id] = replace(proposal, category_id=into, key=key, version=proposal.version + 1)

    def _unsuggest(self, id: UUID) -> None:
        for a in self._state.approvals.values():
            if a.suggested_id == id and a.verdict is None:
                self._state.approvals[a.id] = replace(a, suggested_id=None, confidence=0.0)

    def _remove(self, id: UUID, parents: Mapping[UUID, UUID | None]) -> None:
        for child, parent_id in parents.items():
            category = self._categories[child]
            self._categories[child] = replace(category, parent_id=parent_id, version=category.version + 1)
        self._drop(id)
        tenant = self._state.tenants[self._at.tenant_id]
        self._state.tenants[tenant.id] = replace(tenant, rules_version=tenant.rules_version + 1)

    def _drop(self, id: UUID) -> None:
        for proposal in [p for p in self._state.proposals.values() if p.category_id == id]:
            del self._state.proposals[proposal.id]
        for alias in [alias for alias, known in self._state.aliases.items() if known == id]:
            del self._state.aliases[alias]
        del self._categories[id]

    def _check(self, category: Category) -> None:
        if any(c.key == category.key and c.id != category.id for c in self._categories.values()):
            raise Conflict("a category with this key exists")
        if category.parent_id is not None and category.parent_id not in self._categories:
            raise Invalid("the parent category does not exist")
