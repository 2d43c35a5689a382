"""One transaction of one tenant: begin, the repositories on it, commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.errors import ProgramLimitExceeded, QueryCanceled
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, OperationalError, TimeoutError

from adapters.postgres.accounts import PostgresApiKeys, PostgresTenants
from adapters.postgres.approvals import PostgresApprovals
from adapters.postgres.billing import PostgresBilling, PostgresUsages
from adapters.postgres.categories import PostgresCategories
from adapters.postgres.connections import PostgresConnections
from adapters.postgres.evaluations import PostgresEvaluations
from adapters.postgres.events import PostgresEvents
from adapters.postgres.examples import PostgresEmbeddings, PostgresExamples
from adapters.postgres.figures import PostgresFigures
from adapters.postgres.held import PostgresHeld
from adapters.postgres.imports import PostgresImports
from adapters.postgres.jobs import PostgresJobs
from adapters.postgres.learning import PostgresEnsembles, PostgresLessons
from adapters.postgres.llm import PostgresLlmAnswers, PostgresLlmUsages
from adapters.postgres.members import PostgresInvitations, PostgresMembers
from adapters.postgres.notifications import PostgresEndpoints, PostgresNotifications
from adapters.postgres.oauth import PostgresOAuth
from adapters.postgres.overviews import PostgresOverviews
from adapters.postgres.promises import PostgresPromises
from adapters.postgres.receipts import PostgresReceipts
from adapters.postgres.records import PostgresRecords
from adapters.postgres.reports import PostgresReports
from adapters.postgres.rule_learning import PostgresProposals
from adapters.postgres.rule_memo import RuleMemo
from adapters.postgres.rule_runs import PostgresRuleRuns
from adapters.postgres.rules import PostgresRules
from adapters.postgres.sealed_values import PostgresSealed
from adapters.postgres.syncs import PostgresSyncs
from adapters.postgres.tables import idempotency_keys
from adapters.postgres.views import PostgresViews
from adapters.postgres.webhooks import PostgresWebhookDeliveries
from core.domain.tenants import Actor
from core.errors import IdempotencyMismatch, IdempotencyReplay, Transient
from ports.clock import Ids

_ENTER = text("SELECT set_config('app.tenant_id', :tenant, true), set_config('app.user_id', :person, true)")


class PostgresTransaction:
    def __init__(self, connection: Connection, actor: Actor, ids: Ids, memo: RuleMemo) -> None:
        self._connection = connection
        tenant_id = actor.tenant_id
        self.events = PostgresEvents(connection, actor, ids)
        self.tenants = PostgresTenants(connection, tenant_id)
        self.members = PostgresMembers(connection, tenant_id)
        self.invitations = PostgresInvitations(connection, tenant_id)
        self.api_keys = PostgresApiKeys(connection, tenant_id)
        self.categories = PostgresCategories(connection, tenant_id, ids)
        self.connections = PostgresConnections(connection, tenant_id)
        self.syncs = PostgresSyncs(connection, tenant_id)
        self.oauth = PostgresOAuth(connection, tenant_id)
        self.sealed = PostgresSealed(connection, tenant_id)
        self.imports = PostgresImports(connection, tenant_id)
        self.deliveries = PostgresWebhookDeliveries(connection, tenant_id)
        self.records = PostgresRecords(connection, tenant_id, self.events, ids)
        self.receipts = PostgresReceipts(connection, tenant_id)
        self.approvals = PostgresApprovals(connection, tenant_id)
        self.examples = PostgresExamples(connection, tenant_id)
        self.embeddings = PostgresEmbeddings(connection, tenant_id)
        self.llm_answers = PostgresLlmAnswers(connection, tenant_id)
        self.llm_usages = PostgresLlmUsages(connection, tenant_id)
        self.ensembles = PostgresEnsembles(connection, tenant_id)
        self.lessons = PostgresLessons(connection, tenant_id)
        self.rules = PostgresRules(connection, tenant_id, memo)
        self.proposals = PostgresProposals(connection, tenant_id)
        self.runs = PostgresRuleRuns(connection, tenant_id)
        self.promises = PostgresPromises(connection, tenant_id)
        self.overviews = PostgresOverviews(connection, tenant_id)
        self.figures = PostgresFigures(connection, tenant_id)
        self.reports = PostgresReports(connection, tenant_id)
        self.evaluations = PostgresEvaluations(connection, tenant_id)
        self.views = PostgresViews(connection, tenant_id)
        self.billing = PostgresBilling(connection, tenant_id)
        self.usages = PostgresUsages(connection, tenant_id, ids)
        self.held = PostgresHeld(connection, tenant_id)
        self.endpoints = PostgresEndpoints(connection, tenant_id)
        self.notifications = PostgresNotifications(connection, tenant_id)
        self.jobs = PostgresJobs(connection, tenant_id)

    def commit(self) -> None:
        self.events.close()
        self._connection.commit()


class PostgresUnitOfWork:
    """Transactions with the app's role, which row-level security holds to the actor's tenant."""

    def __init__(self, engine: Engine, ids: Ids) -> None:
        self._engine = engine
        self._ids = ids
        self._memo = RuleMemo()

    @contextmanager
    def begin(self, actor: Actor) -> Iterator[PostgresTransaction]:
        with passing_faults(), self._engine.connect() as connection:
            set_tenant(connection, actor)
            if actor.idempotency is not None:
                _claim(connection, actor)
            yield PostgresTransaction(connection, actor, self._ids, self._memo)

    @contextmanager
    def snapshot(self, actor: Actor) -> Iterator[PostgresTransaction]:
        with passing_faults(), self._engine.connect() as connection:
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            set_tenant(connection, actor)
            yield PostgresTransaction(connection, actor, self._ids, self._memo)

    def saved_response(self, actor: Actor) -> tuple[int, bytes] | None:
        assert actor.idempotency is not None  # noqa: S101 - narrows the type
        with passing_faults(), self._engine.connect() as connection:
            set_tenant(connection, actor)
            row = connection.execute(
                select(idempotency_keys.c.status, idempotency_keys.c.body).where(
                    idempotency_keys.c.tenant_id == actor.tenant_id, idempotency_keys.c.key == actor.idempotency.key
                )
            ).first()
        return None if row is None or row.status is None else (row.status, bytes(row.body))

    def save_response(self, actor: Actor, status: int, body: bytes) -> None:
        assert actor.idempotency is not None  # noqa: S101 - narrows the type
        with passing_faults(), self._engine.connect() as connection:
            set_tenant(connection, actor)
            connection.execute(
                idempotency_keys.update()
                .where(idempotency_keys.c.tenant_id == actor.tenant_id, idempotency_keys.c.key == actor.idempotency.key)
                .values(status=status, body=body)
            )
            connection.commit()


def set_tenant(connection: Connection, actor: Actor) -> None:
    """Names the tenant to row-level security, and the person to what keeps who acted, until this transaction ends."""
    connection.execute(_ENTER, {"tenant": str(actor.tenant_id), "person": str(actor.user_id or "")})


def _claim(connection: Connection, actor: Actor) -> None:
    """A concurrent request with the same key waits here, on the unique index, until the first one ends."""
    assert actor.idempotency is not None  # noqa: S101 - narrows the type
    claimed = connection.execute(
        insert(idempotency_keys)
        .values(
            tenant_id=actor.tenant_id,
            key=actor.idempotency.key,
            request_digest=actor.idempotency.request_digest,
            created_at=text("now()"),
        )
        .on_conflict_do_nothing()
        .returning(idempotency_keys.c.key)
    ).first()
    if claimed is not None:
        return
    digest = connection.execute(
        select(idempotency_keys.c.request_digest).where(
            idempotency_keys.c.tenant_id == actor.tenant_id, idempotency_keys.c.key == actor.idempotency.key
        )
    ).scalar_one()
    raise IdempotencyReplay if digest == actor.idempotency.request_digest else IdempotencyMismatch


@contextmanager
def passing_faults() -> Iterator[None]:
    """A database that is away or restarting is a passing fault, and said so in one line."""
    try:
        yield
    except TimeoutError as error:
        raise Transient("all connections to the database are taken") from error
    except (OperationalError, psycopg.OperationalError) as error:
        if isinstance(error, OperationalError) and isinstance(error.orig, ProgramLimitExceeded):
            raise  # not the server's state but the data: a key that is too long for an index
        if isinstance(error, QueryCanceled) or isinstance(getattr(error, "orig", None), QueryCanceled):
            raise Transient("the database took too long over this") from error
        raise Transient("the database does not answer") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Transient("the database went away") from error
        raise
