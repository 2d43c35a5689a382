"""In a child: the text of a PDF or an e-mail, and what is attached to the latter."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from html.parser import HTMLParser
from typing import Any, BinaryIO, cast

from core.domain.receipts import MAIL, MAX_FILENAME, PDF, ReceiptDraft
from core.errors import UnreadableFile

MAX_PAGES = 30
"""Of a PDF: a receipt has its total on one of them."""
MAX_TEXT = 200_000
"""Characters that are given back."""
MAX_ATTACHED = 20
_ENDS_LINES = frozenset(("p", "div", "br", "tr", "li", "table", "h1", "h2", "h3", "h4", "h5", "h6"))
_UNSHOWN = frozenset(("script", "style", "head", "title", "template"))


def text_of(file: BinaryIO, mime_type: str) -> str:
    """Raises `UnreadableFile`."""
    text = _mail_text(mail_in(file)) if mime_type == MAIL else _pdf_text(file)
    return text[:MAX_TEXT]


def attached_to(file: BinaryIO) -> Iterator[ReceiptDraft]:
    """The files that are attached to an e-mail, also to one that it forwards, and might be receipts: pictures of its
    layout are left out, and so is what can't be taken out. Raises `UnreadableFile`."""
    found = 0
    for part in mail_in(file).walk():
        if found < MAX_ATTACHED and (draft := _attachment(part)) is not None:
            found += 1
            yield draft


def mail_in(file: BinaryIO) -> EmailMessage:
    file.seek(0)
    try:
        return cast(EmailMessage, BytesParser(_class=EmailMessage, policy=_Policy()).parse(file))
    except Exception as error:  # of a hostile message the parser raises anything
        raise UnreadableFile(f"the e-mail can't be read: {type(error).__name__}") from error


def _pdf_text(file: BinaryIO) -> str:
    from pypdf import PdfReader
    from pypdf.errors import FileNotDecryptedError

    file.seek(0)
    found: list[str] = []
    size = 0
    try:
        for number, page in enumerate(PdfReader(file).pages):
            found.append(page.extract_text())
            size += len(found[-1])
            if size >= MAX_TEXT or number + 1 >= MAX_PAGES:
                break
    except MemoryError:
        raise
    except FileNotDecryptedError as error:
        raise UnreadableFile("the PDF has a password") from error
    except Exception as error:  # of a broken PDF the parser raises anything
        raise UnreadableFile(f"the PDF can't be read: {type(error).__name__}") from error
    return "\n".join(found)


def _mail_text(message: EmailMessage) -> str:
    """That of the body. What its headers say is not looked at: anybody may write anything there."""
    try:
        body = message.get_body(("plain", "html"))
        if body is None:
            return ""
        content = body.get_content()
    except Exception as error:  # an unknown charset, a part that is none
        raise UnreadableFile(f"the e-mail can't be read: {type(error).__name__}") from error
    text = content if isinstance(content, str) else ""
    return _shown(text) if body.get_content_subtype() == "html" else text


def _attachment(part: EmailMessage) -> ReceiptDraft | None:
    try:
        if part.is_multipart() or not _is_file(part):
            return None
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes) or not content:
            return None
        return ReceiptDraft(content=content, filename=(part.get_filename() or "")[-MAX_FILENAME:])
    except MemoryError:
        raise
    except Exception:  # a part that is none: the others may be well
        return None


def _is_file(part: EmailMessage) -> bool:
    if part.get_content_disposition() == "attachment" or part.get_content_type() == PDF:
        return True
    return part.get_content_maintype() == "image" and not part["Content-ID"]  # with one it is a picture in the text


class _Policy(EmailPolicy):
    """Takes a field that breaks its parser as it is without parameters, so that the rest of the message is read."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        try:
            return super().header_fetch_parse(name, value)
        except (IndexError, ValueError):
            return super().header_fetch_parse(name, value.partition(";")[0])


class _Text(HTMLParser):
    """What of a page is shown, a line for each block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._unshown = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._unshown += tag in _UNSHOWN
        self._part(tag)

    def handle_endtag(self, tag: str) -> None:
        self._unshown -= tag in _UNSHOWN and self._unshown > 0
        self._part(tag)

    def handle_data(self, data: str) -> None:
        if not self._unshown:
            self.found.append(data.replace("\n", " "))

    def _part(self, tag: str) -> None:
        if tag in _ENDS_LINES:
            self.found.append("\n")
        elif tag in ("td", "th"):
            self.found.append(" ")


def _shown(html: str) -> str:
    page = _Text()
    page.feed(html)
    page.close()
    return "".join(page.found)
