"""`sortation parse`: a file as records, without a database; and what the commands on files share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from core.domain.plugins import Statement, gaps_of
from core.domain.records import Draft, Refusal, check_draft, identify
from core.domain.tenants import TenantSettings, check_settings
from core.errors import Invalid
from entrypoints.settings import Settings, load_settings
from plugins.isolation.host import Isolation
from plugins.manager import PluginManager
from ports.connectors import Context, ReadRequest

SAMPLE_BYTES = 1 << 16
SHOWN_REFUSALS = 5
SHOWN_GAPS = 5
FILE_WIDTH = 200
EXAMPLES = """Examples:

\b
  sortation parse statement.csv                     what is read, as a table
  sortation parse statement.ofx --json              as a JSON array of records
  sortation parse export.txt --connector csv        when the format is not recognised
  sortation parse statement.csv --json | jq 'length'
"""

InputFile = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="The file.")
]
ConnectorOption = Annotated[str | None, typer.Option(help="The connector to read with; detected unless given.")]
CurrencyOption = Annotated[str, typer.Option(help="The currency of amounts that name none (ISO 4217).")]


def parse(
    file: InputFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")] = False,
    connector: ConnectorOption = None,
    currency: CurrencyOption = "EUR",
) -> None:
    """Read a file into normalised records, without a database.

    The format (CSV, OFX, QFX, QIF, CAMT, MT940, JSON, or what an installed plugin adds) is detected. What could not be
    read is summed up on stderr, and where a statement's balances differ from the sum of what was read.
    """
    settings = quiet_settings()
    host = PluginManager(frozenset(settings.plugins_allow), frozenset(settings.plugins_block), Isolation())
    key = connector or detect(host, file)
    check_settings(TenantSettings(default_currency=currency))
    refusals: list[Refusal] = []
    drafts: list[Draft] = []
    statements: list[Statement] = []
    with file.open("rb") as opened:
        request = ReadRequest(file=opened, filename=file.name)
        items = 0
        for batch in host.connector(key).read(Context(default_currency=currency), request):
            refusals.extend(batch.refusals)
            drafts.extend(_checked(batch.drafts, refusals, items))
            statements.extend(batch.statements)
            items += len(batch.drafts)
    named = list(identify(drafts))
    if as_json:
        print_json([_written(draft) for draft in named])
    else:
        screen().print(_table(named, f"{file.name}: {len(named)} records, read by {key}"))
    tell_refusals(len(refusals), [asdict(refusal) for refusal in refusals])
    tell_gaps(gaps_of(statements))


def quiet_settings() -> Settings:
    """The settings, with only errors logged unless the environment says more: for commands that speak themselves."""
    return load_settings({**os.environ, "SORTATION_LOG_LEVEL": os.environ.get("SORTATION_LOG_LEVEL") or "error"})


def detect(host: PluginManager, file: Path) -> str:
    """The key of the connector that reads `file`; raises `UnknownFormat`, or `Invalid` for an empty file."""
    with file.open("rb") as opened:
        sample = opened.read(SAMPLE_BYTES)
    if not sample.strip():
        raise Invalid(f"{file} is empty")
    return host.detect(sample, file.name)


def print_json(rows: Sequence[Any]) -> None:
    """A JSON array on stdout."""
    write_json(rows, sys.stdout)


def write_json(rows: Sequence[Any], out: TextIO) -> None:
    """A JSON array, an item a line."""
    out.write("[" + ",".join("\n" + json.dumps(row, ensure_ascii=False, default=str) for row in rows))
    out.write("\n]\n" if rows else "]\n")


def tell_refusals(count: int, refusals: Sequence[Any]) -> None:
    """On stderr: how many lines or items were refused, and why the first few were."""
    if not count:
        return
    what = "1 item was" if count == 1 else f"{count} items were"
    typer.echo(f"sortation: {what} refused", err=True)
    for refusal in refusals[:SHOWN_REFUSALS]:
        typer.echo(f"  at {refusal['position']}: {refusal['reason']}", err=True)
    if count > SHOWN_REFUSALS:
        typer.echo(f"  and {count - SHOWN_REFUSALS} more", err=True)


def tell_gaps(gaps: Sequence[Mapping[str, str]]) -> None:
    """On stderr: the statements whose balances differ from what was read."""
    for gap in gaps[:SHOWN_GAPS]:
        where = " ".join(part for part in ("statement", gap["account"]) if part)
        typer.echo(
            f"sortation: {where}: opening + sum differs from closing by {gap['gap']} {gap['currency']}", err=True
        )
    if len(gaps) > SHOWN_GAPS:
        typer.echo(f"sortation: and {len(gaps) - SHOWN_GAPS} statements more", err=True)


def shown_amount(amount: str | None, currency: str | None) -> str:
    """`-12.50 EUR`, or nothing."""
    return "" if amount is None else f"{amount} {currency}"


def screen() -> Console:
    """Stdout; where that is no terminal, tables get room."""
    return Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)


def new_table(title: str, *columns: str, right: Sequence[str] = (), long: Sequence[str] = ()) -> Table:
    """An empty table, a line a row. Columns in `right` are aligned to the right, those in `long` cut to what fits."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    table.expand = bool(long)
    for column in columns:
        justify: JustifyMethod = "right" if column in right else "left"
        table.add_column(column, justify=justify, no_wrap=True, ratio=1 if column in long else None)
    return table


def _checked(drafts: Sequence[Draft], refusals: list[Refusal], before: int) -> Iterator[Draft]:
    for position, draft in enumerate(drafts, start=before + 1):
        try:
            yield check_draft(draft)
        except Invalid as error:
            refusals.append(Refusal(position=position, reason=str(error)))


def _written(draft: Draft) -> dict[str, Any]:
    """The draft with the field names of a record; the amount is a text, so that no digit is lost."""
    written = {field.name: getattr(draft, field.name) for field in fields(Draft)}
    written["occurred_at"] = draft.occurred_at.isoformat()
    written["amount"] = None if draft.amount is None else format(draft.amount, "f")
    written["raw"] = dict(draft.raw)
    written["attributes"] = dict(draft.attributes)
    return written


def _table(drafts: Sequence[Draft], title: str) -> Table:
    table = new_table(
        title, "date", "account", "text", "counterparty", "amount", right=["amount"], long=["text", "counterparty"]
    )
    for draft in drafts:
        amount = shown_amount(None if draft.amount is None else format(draft.amount, "f"), draft.currency)
        # Text, not str: rich would take [brackets] for its markup.
        cells = (str(draft.occurred_at), draft.account, draft.text, draft.counterparty, amount)
        table.add_row(*map(Text, cells))
    return table
