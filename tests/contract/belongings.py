"""A tenant that has one of everything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from core.domain.agreements import Agreement
from core.domain.connections import StreamCursor
from core.domain.decisions import Stage
from core.domain.inventories import Inventory
from core.domain.inventories import Role as ProcessRole
from core.domain.jobs import Stream
from core.domain.permissions import Role
from core.domain.plans import Meter
from core.domain.receipts import MatchState
from core.domain.tenants import Actor, Idempotency, Membership, User
from tests.contract.notification_support import a_mail_endpoint, a_notification, an_endpoint
from tests.contract.storage import (
    START,
    Storage,
    a_delivery,
    a_device,
    a_draft,
    a_health_entry,
    a_key,
    a_log_line,
    a_message,
    a_payment_event,
    a_proposal,
    a_receipt,
    a_report,
    a_report_definition,
    a_rule,
    a_run,
    a_session,
    a_sign_in,
    a_view,
    an_answer,
    an_arrival,
    an_ensemble,
    an_evaluation,
    an_example,
    an_import,
    an_invitation,
    asked,
    open_of,
    some_tokens,
    vector,
)


@dataclass(frozen=True, kw_only=True)
class Belongings:
    """One of everything of a tenant."""

    actor: Actor
    category: UUID
    connection: UUID
    imported: UUID
    record: UUID
    undecided: UUID
    approval: UUID
    example: UUID
    rule: UUID
    proposal: UUID
    run: UUID
    evaluation: UUID
    report_definition: UUID
    report: UUID
    job: UUID
    key: UUID
    delivery: UUID
    endpoint: UUID
    notification: UUID
    receipt: UUID
    view: UUID
    owner: UUID


def belongings(storage: Storage, key_id: str = "k1") -> Belongings:
    actor = storage.tenant()
    category, connection, imported = (
        storage.category(actor),
        storage.connection(actor, sealed=b"sealed"),
        storage.ids.new(),
    )
    record, undecided, deleted = storage.store(
        actor, [a_draft(n) for n in "123"], connection_id=connection, import_id=imported
    ).inserted
    rule, example, another, key, person, proposal, run, evaluation, delivery, receipt = storage.ids.batch(10)
    endpoint, mailed, notification = storage.ids.batch(3)
    definition, report = storage.ids.batch(2)
    with storage.writing(actor) as tx:
        user = User(id=person, email="owner@example.org", name="Owner", created_at=START)
        member = tx.members.add(user, Membership(tenant_id=actor.tenant_id, user_id=person, role=Role.OWNER))
        tx.invitations.add(an_invitation(person, actor))
        tx.views.add(a_view(person, actor, member.id))
        tx.api_keys.add(a_key(key, actor, key_id))
        tx.imports.add(an_import(imported, actor, connection), [b"payload"])
        tx.oauth.put(some_tokens(connection))
        tx.oauth.begin(a_sign_in(actor, connection, str(connection).encode()))
        tx.deliveries.add(a_delivery(delivery, actor, connection), a_message())
        tx.records.decide([asked(record, suggested_id=category, group_key="rewe")])
        taught = replace(an_example(example, actor, category, record), group_key="rewe", party_key="rewe")
        tx.examples.put([taught, an_example(another, actor, category, undecided)])
        tx.lessons.mark({record: category})
        tx.lessons.arrive({record: an_arrival(), undecided: an_arrival()}, 1)
        tx.ensembles.put(an_ensemble(), b"arrays")
        tx.examples.set_embeddings("m1", {taught: vector(x=1)})
        tx.embeddings.put("m1", {b"digest": vector(x=1)})
        tx.llm_answers.put({b"key": an_answer(category)})
        tx.llm_usages.reserve(key, START.date(), Decimal(1), None)
        watch = tx.promises.hold([Stage.RULES], 0.95)[Stage.RULES]
        tx.promises.put([replace(watch, strictness=1)])
        tx.rules.add([a_rule(rule, actor, category)])
        tx.proposals.replace_open([a_proposal(proposal, actor, category)])
        tx.runs.add(a_run(run, actor))
        tx.evaluations.add(an_evaluation(evaluation, actor))
        tx.receipts.add(a_receipt(receipt, actor))
        tx.receipts.decide(receipt, undecided, MatchState.LINKED, by="reviewer", at=START)
        tx.reports.add_definition(a_report_definition(definition, actor))
        tx.reports.add(a_report(report, actor, definition_id=definition))
        tx.records.redecide(run, [(asked(record, suggested_id=category, group_key="rewe"), 2)])
        approval = open_of(tx, record)
        assert approval is not None
        tx.approvals.skip(approval.id, by=key, at=storage.now())
        tx.records.delete(deleted, None)
        tx.categories.add_aliases({"meals": category})
        tx.syncs.put_cursor(connection, StreamCursor(stream="charges", cursor={"after": 1}, state_version=1))
        tx.syncs.tell(connection, a_health_entry(key))
        tx.syncs.log(connection, [a_log_line(key)])
        tx.syncs.count("csv", "done", 1)
        account = replace(tx.billing.get(lock=True), provider="stripe/test", customer_id=f"cus_{key_id}")
        tx.billing.put(account, changes_at=None)
        tx.usages.take(Meter.RECORDS, START.date().replace(day=1), 3, None)
        tx.usages.to_report(Meter.RECORDS, START)
        tx.endpoints.add(an_endpoint(endpoint, actor, sealed=b"sealed"))
        tx.endpoints.add(a_mail_endpoint(mailed, actor, member.id))
        tx.notifications.add([a_notification(notification, actor, endpoint, 1)])
    with storage.writing(replace(actor, idempotency=Idempotency(key="k", request_digest="d"))):
        pass
    job = storage.job(actor)
    storage.job(actor, Stream.SYNC, payload={"connection_id": str(connection), "import_id": str(imported)})
    storage.people.put_password(member.id, "hash", START)
    storage.people.add_identity("https://id.example", f"{member.id} {key_id}", member.id, START)
    storage.people.add_session(a_session(key, member.id, actor, START, key_id.encode()))
    storage.people.add_device(a_device(key, member.id, START, key_id.encode()), most=9)
    storage.agreements.put(Agreement(tenant_id=actor.tenant_id, price_id="team@1/month", ordered_at=START))
    storage.billing.receive(
        a_payment_event(f"evt_{key_id}", f"cus_{key_id}"), storage.ids.new(), max_attempts=1, delay_seconds=0
    )
    storage.system.seal()
    storage.system.announce_plugins(ProcessRole.API, Inventory(offers={"connector:csv": "1.0"}))
    return Belongings(
        actor=actor,
        category=category,
        connection=connection,
        imported=imported,
        record=record,
        undecided=undecided,
        approval=approval.id,
        example=example,
        rule=rule,
        proposal=proposal,
        run=run,
        evaluation=evaluation,
        report_definition=definition,
        report=report,
        job=job,
        key=key,
        delivery=delivery,
        endpoint=endpoint,
        notification=notification,
        receipt=receipt,
        view=person,
        owner=member.id,
    )
