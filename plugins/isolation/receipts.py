"""Receipts are read by children, as files of statements are."""

from __future__ import annotations

from contextlib import closing
from typing import BinaryIO

from core.domain.receipts import ReceiptDraft
from core.errors import PluginBug, UnreadableFile
from plugins.isolation import wire
from plugins.isolation.host import Isolation
from ports.receipts import ReceiptText

READ_SECONDS = 30.0
"""How long a child may be silent: while it finds the text, and between two attached files."""
MAX_ATTACHED = 64 << 20
"""Bytes of all files that are taken from an e-mail: more than one has that may be a receipt."""
MEMORY = 1 << 30
"""Bytes of address space that it may take."""


class IsolatedReceiptReader:
    """A `ReceiptReader` whose work children do."""

    def __init__(self, isolation: Isolation, *, seconds: float = READ_SECONDS) -> None:
        self._isolation = isolation
        self._seconds = seconds

    def read(self, file: BinaryIO, mime_type: str) -> ReceiptText:
        attached: list[ReceiptDraft] = []
        left = MAX_ATTACHED
        try:
            call = self._isolation.call("receipt", seconds=self._seconds, file=file, mime_type=mime_type)
            with closing(call) as frames:
                for frame in frames:
                    if isinstance(frame, wire.Done):
                        return ReceiptText(text=frame.text, attached=tuple(attached))
                    for receipt in frame.receipts:
                        left -= len(receipt.content) + 1
                        if left >= 0:
                            attached.append(receipt)
            failure = "the file can't be read"
        except UnreadableFile as error:
            failure = str(error)
        except PluginBug as error:
            failure = f"the file can't be read: {error}"
        return ReceiptText(text="", attached=tuple(attached), failure=failure)
