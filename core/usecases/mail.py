"""mail:send: what people are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from core.domain.jobs import Job
from core.domain.tenants import one_line, worker_actor
from core.errors import Invalid, NotFound
from core.usecases.shared.billing_notices import NOTICE, notice_words
from core.usecases.shared.links import INVITATION, PASSWORD, invitation_token, password_token
from core.usecases.shared.notification_words import DISABLED, given_up_words
from ports.clock import Clock
from ports.mail import Mail, Mailer
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import UnitOfWork

_INVITED = """You are invited to work with somebody at Sortation as {role}.

Accept the invitation until {until:%d %B %Y}:
{url}

If you did not expect this, ignore this message.

Who invites you, by the names that they gave themselves:
> {by}
> {tenant}
"""
"""Names stand last, and quoted: they are whatever somebody wrote, and no mail of ours begins with that."""
_RESET = """Somebody asked for a link to set the password of {email} at Sortation.

Set it within the hour:
{url}

If that was not you, ignore this message: nothing was changed.
"""


def send_mail(
    job: Job,
    *,
    public_url: str,
    mailer: Mailer | None,
    uow: UnitOfWork,
    people: PeopleStorage,
    secrets: SecretBox,
    clock: Clock,
) -> None:
    """Writes the mail that the job names, and sends it: twice, at worst, where the worker dies in between. One that is
    of no use any more is not sent. Raises `Transient` or `Invalid`."""
    if mailer is None:
        raise Invalid("no mail server is set: SORTATION_SMTP_URL")
    write: Mapping[str, Callable[[], Mail | None]] = {
        INVITATION: partial(_invitation, job, public_url, uow=uow, secrets=secrets, clock=clock),
        PASSWORD: partial(_password, job, public_url, people=people, secrets=secrets, clock=clock),
        NOTICE: partial(_notice, job, public_url, uow=uow),
        DISABLED: partial(_given_up, job, public_url, uow=uow),
    }
    try:
        mail = write[job.payload["mail"]]()
    except NotFound:  # who was to be written is gone
        mail = None
    if mail is not None:
        mailer.send(mail)
    with uow.begin(worker_actor(job.tenant_id, job.source_agent, job.request_id)) as tx:
        tx.jobs.finish(job)
        tx.commit()


def _password(job: Job, public_url: str, *, people: PeopleStorage, secrets: SecretBox, clock: Clock) -> Mail:
    user = people.user(UUID(job.payload["user_id"]))
    token = password_token(user, people.account(user.email), clock.now(), secrets)
    text = _RESET.format(email=user.email, url=f"{public_url}/password/{token}")
    return Mail(to=user.email, subject="Set your password at Sortation", text=text)


def _notice(job: Job, public_url: str, *, uow: UnitOfWork) -> Mail:
    with uow.begin(worker_actor(job.tenant_id)) as tx:
        (user, _), tenant = tx.members.get(UUID(job.payload["user_id"])), tx.tenants.get()
    subject, text = notice_words(job.payload)
    name = one_line(tenant.name)
    text = f"{text}\n\nWhat {name} may do and uses: {public_url}/billing\n"
    return Mail(to=user.email, subject=f"{subject}: {name}", text=text)


def _given_up(job: Job, public_url: str, *, uow: UnitOfWork) -> Mail:
    with uow.begin(worker_actor(job.tenant_id)) as tx:
        (user, _), tenant = tx.members.get(UUID(job.payload["user_id"])), tx.tenants.get()
        endpoint = tx.endpoints.get(UUID(job.payload["endpoint_id"]))
    subject, text = given_up_words(job.payload["reason"], endpoint.name, public_url)
    return Mail(to=user.email, subject=f"{subject}: {one_line(tenant.name)}", text=text)


def _invitation(job: Job, public_url: str, *, uow: UnitOfWork, secrets: SecretBox, clock: Clock) -> Mail | None:
    with uow.begin(worker_actor(job.tenant_id)) as tx:
        invitation, tenant = tx.invitations.get(UUID(job.payload["invitation_id"])), tx.tenants.get()
    if not invitation.acceptable(clock.now()):
        return None
    text = _INVITED.format(
        by=one_line(invitation.invited_by),
        tenant=one_line(tenant.name),
        role=invitation.role.value,
        until=invitation.expires_at,
        url=f"{public_url}/invitations/{invitation_token(invitation, secrets)}",
    )
    return Mail(to=invitation.email, subject=f"Invitation to Sortation: {one_line(tenant.name)}", text=text)
