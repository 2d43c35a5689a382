"""A whole connector: lines such as `2026-03-01|Corner shop|-12.50` become records.

Installed beside Sortation (`pip install examples/plugin-pipes`), it is found by its entry point.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation

from sortation import Batch, ConnectorManifest, Context, Draft, ReadRequest, Refusal, UnreadableFile, hookimpl


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="pipes",
            version="1.0.0",
            title="Pipe-separated lines",
            factory="sortation_pipes:Pipes",
            file_extensions=(".pipes",),
        )
    ]


class Pipes:
    def detect(self, sample: bytes, filename: str) -> float:
        first = sample.partition(b"\n")[0].decode("utf-8", "replace")
        try:
            _draft(first, "EUR")
        except ValueError:
            return 0.0
        return 0.95 if filename.endswith(".pipes") else 0.8

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        if request.file is None:
            raise UnreadableFile("there is no file to read")
        drafts: list[Draft] = []
        refusals: list[Refusal] = []
        for number, line in enumerate(request.file, start=1):
            try:
                drafts.append(_draft(line.decode().strip(), ctx.default_currency))
            except ValueError as error:
                refusals.append(Refusal(position=number, reason=str(error)))
            if len(drafts) + len(refusals) == request.batch_size:
                yield Batch(drafts=tuple(drafts), refusals=tuple(refusals))
                drafts, refusals = [], []
        if drafts or refusals:
            yield Batch(drafts=tuple(drafts), refusals=tuple(refusals))


def _draft(line: str, currency: str) -> Draft:
    """Raises `ValueError` with a reason when the line is not `date|text|amount`."""
    parts = line.split("|")
    if len(parts) != 3:
        raise ValueError(f"{len(parts)} fields where date|text|amount has 3")
    day, text, amount = (part.strip() for part in parts)
    try:
        money = Decimal(amount)
    except InvalidOperation:
        raise ValueError(f"{amount!r} is not an amount") from None
    return Draft(text=text, occurred_at=date.fromisoformat(day), amount=money, currency=currency)
