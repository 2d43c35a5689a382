"""One transaction of one tenant: a copy of its state, written back by the commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from adapters.memory.accounts import MemoryApiKeys, MemoryTenants
from adapters.memory.approvals import MemoryApprovals, MemoryEmbeddings, MemoryExamples
from adapters.memory.billing import MemoryBilling, MemoryHeld, MemoryUsages
from adapters.memory.catalog import MemoryConnections, MemoryImports
from adapters.memory.categories import MemoryCategories
from adapters.memory.evaluations import MemoryEvaluations
from adapters.memory.figures import MemoryFigures
from adapters.memory.learning import MemoryEnsembles, MemoryLessons
from adapters.memory.llm import MemoryLlmAnswers, MemoryLlmUsages
from adapters.memory.members import MemoryInvitations, MemoryMembers
from adapters.memory.notifications import MemoryEndpoints, MemoryNotifications
from adapters.memory.oauth import MemoryOAuth
from adapters.memory.overviews import MemoryOverviews
from adapters.memory.promises import MemoryPromises
from adapters.memory.receipts import MemoryReceipts
from adapters.memory.records import MemoryRecords
from adapters.memory.reports import MemoryReports
from adapters.memory.rule_runs import MemoryRuleRuns
from adapters.memory.rules import MemoryProposals, MemoryRules
from adapters.memory.sealed_values import MemorySealed
from adapters.memory.state import EventBatch, KeptResponse, MemoryStore, Workspace
from adapters.memory.syncs import MemorySyncs
from adapters.memory.views import MemoryViews
from adapters.memory.webhooks import MemoryWebhookDeliveries
from adapters.memory.work import MemoryEvents, MemoryJobs
from core.domain.tenants import Actor
from core.errors import IdempotencyMismatch, IdempotencyReplay


class MemoryTransaction:
    def __init__(self, store: MemoryStore, actor: Actor) -> None:
        self._store = store
        with store.lock:
            self._before = store.state(actor.tenant_id).copy()
        self._batch_id = store.ids.new()
        self._at = at = Workspace(actor=actor, now=store.clock.now(), ids=store.ids, state=self._before.copy())
        self.tenants = MemoryTenants(at)
        self.members = MemoryMembers(at)
        self.invitations = MemoryInvitations(at)
        self.api_keys = MemoryApiKeys(at)
        self.categories = MemoryCategories(at)
        self.connections = MemoryConnections(at)
        self.syncs = MemorySyncs(at)
        self.oauth = MemoryOAuth(at)
        self.sealed = MemorySealed(at)
        self.imports = MemoryImports(at)
        self.deliveries = MemoryWebhookDeliveries(at)
        self.records = MemoryRecords(at)
        self.receipts = MemoryReceipts(at)
        self.approvals = MemoryApprovals(at)
        self.examples = MemoryExamples(at)
        self.embeddings = MemoryEmbeddings(at)
        self.llm_answers = MemoryLlmAnswers(at)
        self.llm_usages = MemoryLlmUsages(at)
        self.ensembles = MemoryEnsembles(at)
        self.lessons = MemoryLessons(at)
        self.rules = MemoryRules(at)
        self.proposals = MemoryProposals(at)
        self.runs = MemoryRuleRuns(at)
        self.promises = MemoryPromises(at)
        self.overviews = MemoryOverviews(at)
        self.figures = MemoryFigures(at)
        self.reports = MemoryReports(at)
        self.evaluations = MemoryEvaluations(at)
        self.views = MemoryViews(at)
        self.billing = MemoryBilling(at)
        self.usages = MemoryUsages(at)
        self.held = MemoryHeld(at)
        self.endpoints = MemoryEndpoints(at)
        self.notifications = MemoryNotifications(at)
        self.jobs = MemoryJobs(at)
        self.events = MemoryEvents(at)

    def claim(self) -> None:
        """Claims the actor's Idempotency-Key for this transaction."""
        wanted = self._at.actor.idempotency
        if wanted is None:
            return
        claimed = self._at.state.responses.get(wanted.key)
        if claimed is not None:
            raise IdempotencyReplay if claimed.request_digest == wanted.request_digest else IdempotencyMismatch
        self._at.state.responses[wanted.key] = KeptResponse(
            request_digest=wanted.request_digest, created_at=self._at.now
        )

    def commit(self) -> None:
        after, actor = self._at.state, self._at.actor
        if self._at.told:
            after.batches[self._batch_id] = EventBatch(
                actor=actor.name,
                source_agent=actor.source_agent,
                request_id=actor.request_id,
                actor_id=actor.id,
                address=actor.address,
                user_agent=actor.user_agent,
                created_at=self._at.now,
                events=tuple(self._at.told),
            )
        with self._store.lock:
            self._store.state(actor.tenant_id).write(self._before, after)
            if self._at.told or after.jobs != self._before.jobs:
                self._store.woken()


class MemoryUnitOfWork:
    """Transactions on copies. One that changes what another changed meanwhile fails at its commit with `Transient`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    @contextmanager
    def begin(self, actor: Actor) -> Iterator[MemoryTransaction]:
        transaction = MemoryTransaction(self._store, actor)
        transaction.claim()
        yield transaction

    @contextmanager
    def snapshot(self, actor: Actor) -> Iterator[MemoryTransaction]:
        yield MemoryTransaction(self._store, actor)

    def saved_response(self, actor: Actor) -> tuple[int, bytes] | None:
        assert actor.idempotency is not None  # noqa: S101 - narrows the type
        with self._store.lock:
            saved = self._store.state(actor.tenant_id).responses.get(actor.idempotency.key)
        return None if saved is None or saved.status is None else (saved.status, saved.body)

    def save_response(self, actor: Actor, status: int, body: bytes) -> None:
        assert actor.idempotency is not None  # noqa: S101 - narrows the type
        with self._store.lock:
            responses = self._store.state(actor.tenant_id).responses
            if (claimed := responses.get(actor.idempotency.key)) is not None:
                responses[actor.idempotency.key] = replace(claimed, status=status, body=body)
