"""Mail, to a real SMTP server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from adapters.messaging.smtp import SmtpMailer
from adapters.secrets.keys import KeyFile
from core.domain.permissions import Role
from core.errors import Invalid, Transient
from entrypoints.api.app import create_app
from entrypoints.container import Container
from ports.mail import Mail
from tests.integration.api_support import Api, new_tenant
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser
from tests.stack import free_port

USER, SECRET = "sortation", "canary-smtp-password"
MAIL = Mail(to="ada@example.org", subject="Für Ada", text="Ein Gruß,\n\nund ein langer Satz. " * 40)


class Mailbox:
    """What came, and what is answered instead to whom."""

    def __init__(self) -> None:
        self.came: list[EmailMessage] = []
        self.refused: dict[str, str] = {}
        self.refused_data: str | None = None

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refused_data is not None:
            return self.refused_data
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.came.append(cast("EmailMessage", message))
        return "250 OK"


def lets_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), SECRET.encode())
    return AuthResult(success=known, handled=False)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def url(mailbox: Mailbox) -> Iterator[str]:
    port = free_port()
    controller = Controller(
        mailbox, hostname="127.0.0.1", port=port, authenticator=lets_in, auth_required=True, auth_require_tls=False,
        ready_timeout=60,
    )  # fmt: skip
    controller.start()
    yield f"smtp://{USER}:{SECRET}@127.0.0.1:{port}"
    controller.stop()


def test_a_mail_arrives_as_it_was_written(mailbox: Mailbox, url: str) -> None:
    SmtpMailer(url, "Sortation <sort@example.org>").send(MAIL)
    (message,) = mailbox.came
    assert (message["To"], message["From"], message["Subject"]) == (
        MAIL.to,
        "Sortation <sort@example.org>",
        MAIL.subject,
    )
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.org>")
    assert message.get_content().replace("\r\n", "\n").strip() == MAIL.text.strip()


def test_no_address_or_subject_brings_headers_of_its_own(mailbox: Mailbox, url: str) -> None:
    for mail in (
        Mail(to="ada@example.org\nBcc: eve@example.org", subject="x", text="x"),
        Mail(to="ada@example.org", subject="x\r\nBcc: eve@example.org", text="x"),
    ):
        with pytest.raises(Invalid):
            SmtpMailer(url, "sort@example.org").send(mail)
    assert mailbox.came == []


@pytest.mark.parametrize(
    ("answer", "error"), [("550 no such user", Invalid), ("451 try later", Transient), ("421 closing", Transient)]
)
def test_what_the_server_refuses_is_for_good_or_passes(
    mailbox: Mailbox, url: str, answer: str, error: type[Exception]
) -> None:
    mailbox.refused[MAIL.to] = answer
    with pytest.raises(error, match="mail server"):
        SmtpMailer(url, "sort@example.org").send(MAIL)
    mailbox.refused.clear()
    mailbox.refused_data = answer
    with pytest.raises(error, match="mail server"):
        SmtpMailer(url, "sort@example.org").send(MAIL)


@pytest.mark.parametrize("answer", ["550 not from here", "530 sign in first", "451 try later"])
def test_a_sender_that_the_server_refuses_is_no_word_of_whom_it_is_to(mailbox: Mailbox, url: str, answer: str) -> None:
    mailbox.refused["sort@example.org"] = answer
    with pytest.raises(Transient, match=answer):
        SmtpMailer(url, "sort@example.org").send(MAIL)


def test_a_server_that_takes_nobody_is_no_word_of_whom_it_is_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def turns_away() -> None:
            taken, _ = listening.accept()
            with taken:
                taken.sendall(b"554 no service here\r\n")
                taken.recv(1_000)  # until it goes

        answering = threading.Thread(target=turns_away)
        answering.start()
        with pytest.raises(Transient, match="554 no service"):
            SmtpMailer(f"smtp://127.0.0.1:{listening.getsockname()[1]}", "sort@example.org").send(MAIL)
        answering.join(10)


def test_a_server_that_is_away_or_lets_us_not_in_is_told_without_the_password(url: str) -> None:
    with pytest.raises(Transient) as away:
        SmtpMailer("smtp://127.0.0.1:1", "sort@example.org").send(MAIL)
    with pytest.raises(Transient, match="535") as refused:
        SmtpMailer(url.replace(SECRET, "wrong-password"), "sort@example.org").send(MAIL)
    for error in (away, refused):
        assert SECRET not in str(error.value)
        assert "wrong-password" not in str(error.value)


def test_a_password_that_changes_is_read_anew(mailbox: Mailbox, url: str, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(url.replace(SECRET, "canary-former-password"))
    mailer = SmtpMailer(KeyFile(file, ""), "sort@example.org")
    with pytest.raises(Transient, match="535"):
        mailer.send(MAIL)
    for text in (f"{url}\n", "smtp://[canary"):
        file.with_suffix(".new").write_text(text)
        file.with_suffix(".new").replace(file)
        if text.startswith(url):
            mailer.send(MAIL)
    assert len(mailbox.came) == 1
    with pytest.raises(Transient, match="URL of the mail server") as broken:
        mailer.send(MAIL)
    assert "canary" not in str(broken.value)


def test_a_server_that_cannot_encrypt_gets_no_password(mailbox: Mailbox, url: str) -> None:
    with pytest.raises(Transient):
        SmtpMailer(url.replace("smtp://", "smtp+starttls://"), "sort@example.org").send(MAIL)
    assert mailbox.came == []


def link(mailbox: Mailbox) -> str:
    """The path of the link in the last mail."""
    text = mailbox.came[-1].get_content()
    return next(line for line in text.splitlines() if line.startswith(ORIGIN)).removeprefix(ORIGIN)


@pytest.fixture
def api(make_container: Callable[..., Container], url: str) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, smtp_url=url)
    return new_tenant(container, create_app(container).test_client())


def test_an_invitation_is_mailed_and_its_link_is_shown_to_nobody_else(api: Api, mailbox: Mailbox) -> None:
    made = api.post("/invitations", {"email": "new@example.com", "role": "viewer"}, 201)
    assert made["url"] is None
    api.drain()
    assert mailbox.came[0]["To"] == "new@example.com"
    assert mailbox.came[0]["Subject"] == "Invitation to Sortation: A tenant"
    browser = Browser(api.client.application)
    assert browser.send(link(mailbox), {"name": "New", "password": PASSWORD}).status_code == 303
    assert "viewer" in browser.open("/account").text


def test_a_name_is_quoted_in_a_mail_and_begins_none(api: Api, mailbox: Mailbox) -> None:
    tenant = "Your account is locked: call 0800 1234"
    with api.container.uow().begin(api.actor) as tx:  # as one that was stored before names were looked at
        tx.tenants.update(replace(tx.tenants.get(), name=f"{tenant}\n\nhttps://evil.example"))
        tx.commit()
    api.container.invite(replace(api.actor, name="Pay now\nor else"), "new@example.com", Role.VIEWER)
    api.drain()
    (message,) = mailbox.came
    lines = message.get_content().splitlines()
    assert message["Subject"].startswith("Invitation to Sortation: ")
    assert lines[0] == "You are invited to work with somebody at Sortation as viewer."
    assert [line for line in lines if "Pay now" in line or "evil" in line or "locked" in line] == [
        "> Pay now or else",
        f"> {tenant} https://evil.example",
    ]
    assert lines.index("> Pay now or else") > next(n for n, line in enumerate(lines) if line.startswith(ORIGIN))


def test_a_forgotten_password_is_set_by_the_mailed_link(api: Api, mailbox: Mailbox) -> None:
    browser = Browser(api.client.application)
    pages = [browser.send("/password", {"email": email}).text for email in (OWNER, "nobody@example.com")]
    token = 'name="form_token"'
    assert pages[0] == pages[1]
    assert token not in pages[0]
    for thread in threading.enumerate():
        if thread.name == "reset":
            thread.join(10)
    api.drain()
    assert [message["To"] for message in mailbox.came] == [OWNER]
    path = link(mailbox)
    assert browser.send(path, {"password": PASSWORD}).status_code == 303
    assert OWNER in browser.open("/account").text
    assert Browser(api.client.application).open(path).status_code == 422


def test_a_mail_that_is_refused_for_good_is_a_dead_job_with_its_reason(api: Api, mailbox: Mailbox) -> None:
    mailbox.refused["new@example.com"] = "550 no such user"
    api.post("/invitations", {"email": "new@example.com", "role": "viewer"}, 201)
    api.drain()
    (job,) = api.get("/jobs/dead")["items"]
    assert (job["stream"], "no such user" in job["last_error"]) == ("mail:send", True)
    assert SECRET not in job["last_error"]
