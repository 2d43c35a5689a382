"""Mail by SMTP, with the standard library."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from core.domain.health import blacken, secret_words
from core.errors import Invalid, Transient
from ports.mail import Mail

SECONDS = 20.0
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class SmtpMailer:
    """`url` is `smtp://`, `smtp+starttls://` or `smtps://`, with `user:password@` where the server asks for them; or it
    says which that is now: passwords change."""

    def __init__(self, url: str | Callable[[], str], sender: str) -> None:
        self._url = url if callable(url) else lambda: url
        self._sender = sender

    def send(self, mail: Mail) -> None:
        message = self._written(mail)
        try:
            with self._connected() as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, reason = next(iter(error.recipients.values()))
            raise self._refused(code, reason, for_good=500 <= code < 600) from None
        except smtplib.SMTPDataError as error:
            raise self._refused(error.smtp_code, error.smtp_error, for_good=500 <= error.smtp_code < 600) from None
        except smtplib.SMTPResponseException as error:  # of our password or our sender: no word of the mail
            raise self._refused(error.smtp_code, error.smtp_error, for_good=False) from None
        except (OSError, smtplib.SMTPException) as error:
            raise Transient(f"the mail server does not answer: {type(error).__name__}") from error

    def _written(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        try:
            message["From"], message["To"], message["Subject"] = self._sender, mail.to, mail.subject
        except ValueError as error:
            raise Invalid(f"this mail cannot be sent: {error}") from error
        message["Date"], message["Message-ID"] = formatdate(localtime=False), make_msgid(domain=self._domain())
        message["Auto-Submitted"] = "auto-generated"  # so that no out-of-office note answers it
        message.set_content(mail.text)
        return message

    def _connected(self) -> smtplib.SMTP:
        try:
            url = urlsplit(self._url())
            host, port = url.hostname or "localhost", url.port or _PORTS[url.scheme]
        except (ValueError, KeyError):
            raise Transient("the URL of the mail server is none") from None
        context = ssl.create_default_context()
        if url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=SECONDS)
        if url.scheme == "smtp+starttls":
            server.starttls(context=context)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        return server

    def _refused(self, code: int, reason: bytes | str, *, for_good: bool) -> Transient | Invalid:
        """What the server said, which may be what it was told to let us in."""
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        url = urlsplit(self._url())
        user, password = unquote(url.username or ""), unquote(url.password or "")
        words = secret_words({"password": [password, f"\0{user}\0{password}"]}) if password else ()
        kind = Invalid if for_good else Transient
        return kind(f"the mail server refuses: {code} {blacken(said, words)}"[:300])

    def _domain(self) -> str:
        return self._sender.rpartition("@")[2].strip("> ") or "localhost"
