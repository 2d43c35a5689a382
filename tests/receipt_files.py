"""Files that are receipts, or look as if they were."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from email.message import EmailMessage


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack("!IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\0"))
    + _chunk(b"IEND", b"")
)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + bytes(64) + b"\xff\xd9"
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00;"
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00" + bytes(24)
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64)
HEIF = b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic" + bytes(64)
TIFF = b"II*\x00\x08\x00\x00\x00" + bytes(64)
SCRIPT = b"<html><script>alert(document.domain)</script></html>"
HTML = b"<!doctype html>" + SCRIPT
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
LINES = ("Corner Coffee Ltd", "Receipt", "Date: 2026-03-02", "Latte 4.50", "Total: 12.99 EUR")


def a_pdf(lines: Sequence[str] = LINES) -> bytes:
    """One page with these lines of text."""
    shown = " T* ".join(f"({line}) Tj" for line in lines)
    return pdf_of(f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET".encode("latin-1"))


def endless_pdf(operators: int = 30_000_000) -> bytes:
    """Small to send, and for minutes to read: a page of very many operators, compressed."""
    return pdf_of(b"BT /F1 12 Tf " + b"(x)Tj " * (operators // 6) + b" ET")


def pdf_of(content: bytes) -> bytes:
    packed = zlib.compress(content, 9)
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream" % (len(packed), packed),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    written, places = bytearray(b"%PDF-1.4\n"), []
    for number, part in enumerate(parts, start=1):
        places.append(len(written))
        written += b"%d 0 obj" % number + part + b"endobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(parts) + 1
    tail = b"xref\n0 %d\n0000000000 65535 f \n%btrailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return bytes(written) + tail % (size, table, size, len(written))


def a_mail(body: str = "\n".join(LINES), *attached: tuple[str, str, bytes]) -> bytes:
    """An e-mail with this text, and files: what each is called, what it is said to be, and what it is."""
    message = EmailMessage()
    message["From"] = "Corner Coffee <shop@example.org>"
    message["To"] = "receipts@example.org"
    message["Subject"] = "Your receipt"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0000"
    message["Message-ID"] = "<1@example.org>"
    message.set_content(body)
    for name, kind, content in attached:
        maintype, subtype = kind.split("/")
        message.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)
    return message.as_bytes()
