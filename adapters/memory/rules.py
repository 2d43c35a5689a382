"""Rules of a tenant, and what is proposed as a rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from adapters.memory.state import Workspace, check_version, many, one, page
from core.domain.proposals import Proposal, ProposalStatus
from core.domain.rules import Rule, order_key
from core.errors import AlreadyDecided


class MemoryRules:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._rules = workspace.state.rules

    def list(self) -> Sequence[Rule]:
        return sorted(map(self._shown, self._rules.values()), key=order_key)

    def get(self, id: UUID) -> Rule:
        return self._shown(one(self._rules, id, "rule"))

    def present(self, ids: Collection[UUID]) -> Sequence[Rule]:
        return [self._shown(self._rules[id]) for id in sorted(set(ids)) if id in self._rules]

    def add(self, rules: Sequence[Rule]) -> None:
        for rule in rules:
            self._at.check_category(rule.then.category_id)
            self._rules[rule.id] = rule
        if rules:
            self._changed()

    def update(self, rule: Rule, *, anew: bool = False) -> None:
        stored = self.get(rule.id)
        if anew:
            stored = replace(stored, hits=0, confirmed=0, overridden=0, corrected=0, demoted=False, proved=False)
        check_version(stored.version, rule.version)
        self._at.check_category(rule.then.category_id)
        self._rules[rule.id] = replace(
            stored,
            name=rule.name,
            stage=rule.stage,
            priority=rule.priority,
            when=rule.when,
            then=rule.then,
            stop=rule.stop,
            enabled=rule.enabled,
            evidence_from=rule.evidence_from,
            version=stored.version + 1,
        )
        self._changed()

    def count_answers(self, answers: Mapping[UUID, tuple[int, int, int]]) -> Sequence[Rule]:
        there = sorted(id for id in answers if id in self._rules)
        for id in there:
            rule, (confirmed, overridden, corrected) = self._rules[id], answers[id]
            self._rules[id] = replace(
                rule,
                confirmed=max(rule.confirmed + confirmed, 0),
                overridden=max(rule.overridden + overridden, 0),
                corrected=max(rule.corrected + corrected, 0),
            )
        return [self.get(id) for id in there]

    def set_standing(self, id: UUID, *, demoted: bool, proved: bool) -> None:
        rule = self.get(id)
        self._rules[id] = replace(rule, demoted=demoted, proved=proved, version=rule.version + 1)
        self._changed()

    def reorder(self, priorities: Mapping[UUID, int]) -> None:
        for rule in many(self._rules, priorities, "rule"):
            if rule.priority != priorities[rule.id]:
                self._rules[rule.id] = replace(rule, priority=priorities[rule.id], version=rule.version + 1)
        if priorities:
            self._changed()

    def delete(self, id: UUID, version: int | None) -> None:
        check_version(self.get(id).version, version)
        del self._rules[id]
        self._changed()

    def count_hits(self, hits: Mapping[UUID, int], now: datetime) -> None:
        for id, more in hits.items():
            if (rule := self._rules.get(id)) is not None:
                last = max(rule.last_hit_at or now, now) if more > 0 else rule.last_hit_at
                self._rules[id] = replace(rule, hits=max(rule.hits + more, 0), last_hit_at=last)

    def _shown(self, rule: Rule) -> Rule:
        """A starter rule is trusted when its pack is, or when people's answers proved it."""
        trusted_packs = self._at.state.tenants[self._at.tenant_id].settings.trusted_packs
        return replace(rule, trusted=rule.pack is None or rule.proved or rule.pack in trusted_packs)

    def _changed(self) -> None:
        tenant = self._at.state.tenants[self._at.tenant_id]
        self._at.state.tenants[tenant.id] = replace(tenant, rules_version=tenant.rules_version + 1)


class MemoryProposals:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._proposals = workspace.state.proposals

    def list(self, *, status: str | None, after: UUID | None, limit: int) -> Sequence[Proposal]:
        return [p for p in page(self._proposals, after) if status in (None, p.status.value)][:limit]

    def get(self, id: UUID) -> Proposal:
        return one(self._proposals, id, "proposal")

    def replace_open(self, proposals: Sequence[Proposal]) -> Sequence[UUID]:
        there = self._at.state.categories
        wanted = {proposal.key: proposal for proposal in reversed(proposals) if proposal.category_id in there}
        for stored in list(self._proposals.values()):
            now = wanted.pop(stored.key, None)
            if stored.status is not ProposalStatus.OPEN:
                continue
            if now is None:
                del self._proposals[stored.id]
            elif now.evidence != stored.evidence:
                self._proposals[stored.id] = replace(stored, evidence=now.evidence, version=stored.version + 1)
        for proposal in wanted.values():
            self._proposals[proposal.id] = proposal
        return sorted(proposal.id for proposal in wanted.values())

    def decide(self, proposal: Proposal) -> None:
        stored = self.get(proposal.id)
        if stored.status is not ProposalStatus.OPEN:
            raise AlreadyDecided
        check_version(stored.version, proposal.version)
        self._proposals[stored.id] = replace(
            stored,
            status=proposal.status,
            rule_id=proposal.rule_id,
            decided_by=proposal.decided_by,
            decided_at=proposal.decided_at,
            version=stored.version + 1,
        )
