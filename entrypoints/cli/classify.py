"""`sortation classify`: the whole pipeline over one file, on an embedded database that is gone afterwards."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from core.domain.categories import paths
from core.domain.conditions import parse_condition
from core.domain.connections import Import, ImportStatus
from core.domain.decisions import earlier_results
from core.domain.spreadsheets import cell
from core.domain.tenants import Actor, TenantSettings, check_settings
from core.errors import Invalid, RuleInvalid, UnreadableFile
from entrypoints.cli.files import (
    CurrencyOption,
    InputFile,
    detect,
    new_table,
    print_json,
    quiet_settings,
    screen,
    shown_amount,
    tell_gaps,
    tell_refusals,
    write_json,
)
from entrypoints.cli.scratch import scratch
from plugins.isolation.host import Isolation
from plugins.manager import PluginManager
from ports.storage import RecordFilter

if TYPE_CHECKING:
    from entrypoints.container import Container

TENANT = "classify"
TRUSTED_PACKS = ("bank",)
SIMILAR, LLM_SURE = 0.9, 0.85
"""Nobody answers here, so nothing could show from which confidence on a promise is kept."""
PIECE_BYTES = 1 << 20
WIDE = 120
"""Columns of a terminal that has room for the reasons."""
COLUMNS = (
    "external_id",
    "occurred_at",
    "text",
    "counterparty",
    "amount",
    "currency",
    "category",
    "status",
    "stage",
    "confidence",
    "reason",
    "suggestion",
)
EXAMPLES = """Examples:

\b
  sortation classify statement.csv                       a table, and what decided
  sortation classify statement.ofx --json -              a JSON array on stdout
  sortation classify statement.csv --csv sorted.csv
  sortation classify new.csv --examples approved.csv     learn from what you sorted before
  sortation classify new.csv --rules rules.json          your own rules come first

\b
  rules.json:    [{"name": "Rent", "when": {"field": "text", "op": "contains", "value": "rent"},
                   "then": {"category": "home.rent"}}]
  approved.csv:  text,category
                 SHELL STATION 1234,transport.fuel
"""

RulesOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, metavar="R.json", help="Rules, as the API writes them.")
]
ExamplesOption = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        metavar="E.csv",
        help="What was approved before: a CSV file with the columns text and category, or a statement with a category.",
    ),
]


def classify(
    file: InputFile,
    rules: RulesOption = None,
    examples: ExamplesOption = None,
    json_out: Annotated[str | None, typer.Option("--json", metavar="OUT", help="Write JSON; - is stdout.")] = None,
    csv_out: Annotated[str | None, typer.Option("--csv", metavar="OUT", help="Write CSV; - is stdout.")] = None,
    currency: CurrencyOption = "EUR",
) -> None:
    """Sort the records of one file: rules, then similarity to what was approved, then an LLM if one is configured.

    Nothing has to run and nothing is kept: a database of its own is started for it and removed. Each record comes
    with its category, who decided (rules, similarity or llm), how sure, and why; what no stage is sure of is
    `needs_review`, with a suggestion if there is one.
    """
    settings = replace(quiet_settings(), rule_proposals="off")
    tenant_settings = check_settings(
        TenantSettings(
            default_currency=currency,
            trusted_packs=TRUSTED_PACKS,
            similarity_threshold=SIMILAR,
            llm_threshold=LLM_SURE,
        )
    )
    host = PluginManager(frozenset(settings.plugins_allow), frozenset(settings.plugins_block), Isolation())
    connector = detect(host, file)
    written = _read_rules(rules) if rules else []
    examples_payload = _read_examples(examples, host) if examples else None
    console = Console(stderr=True)
    with console.status("starting a database") as status, scratch(settings) as container:
        tenant, _ = container.create_tenant(TENANT, settings=tenant_settings)
        actor = Actor(tenant_id=tenant.id, name="classify")
        if examples and examples_payload:
            status.update(f"learning from {examples.name}")
            _import(container, actor, examples, *examples_payload, approved=True)
        # After the examples, since rules may name categories that came with them.
        for place, rule in enumerate(written):
            with _placed(rules, place):
                container.create_rules(actor, [rule], confirm=True)
        status.update(f"sorting {file.name}")
        imported = _import(container, actor, file, connector, _pieces(file), approved=False)
        rows = list(_rows(container, actor, imported.id))
    _deliver(rows, json_out, csv_out, file.name)
    tell_refusals(imported.refused, imported.refusals)
    tell_gaps(imported.gaps)


def _import(
    container: Container, actor: Actor, file: Path, connector: str, payload: Iterator[bytes], *, approved: bool
) -> Import:
    """Takes the file in and carries out all that follows from it; raises `UnreadableFile`."""
    from entrypoints.worker.inline import drain

    received = container.receive_import(actor, payload, filename=file.name, connector=connector, approved=approved)
    if left := drain(container, actor.tenant_id):
        streams = ", ".join(sorted({job.stream.value for job in left}))
        typer.echo(f"sortation: not waited for, since due only later: {streams}", err=True)
    imported: Import = container.get_import(actor, received.id)
    if imported.status is ImportStatus.FAILED:
        raise UnreadableFile(f"{file}: {imported.failure}")
    if approved and imported.refused:
        raise UnreadableFile(f"{file}: {imported.refusals[0]['reason']} (at {imported.refusals[0]['position']})")
    return imported


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece


def _read_rules(file: Path) -> Sequence[Mapping[str, Any]]:
    """The rules of a JSON file, their conditions checked, since that needs no database; raises `Invalid`."""
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise Invalid(f"{file} is not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(rule, dict) for rule in found):
        raise Invalid(f'{file}: a list of rules is needed, such as [{{"name": ..., "when": ..., "then": ...}}]')
    for place, rule in enumerate(found):
        with _placed(file, place):
            parse_condition(rule.get("when"))
    return found


@contextmanager
def _placed(file: Path | None, place: int) -> Iterator[None]:
    """Says which rule of the file an error is about."""
    try:
        yield
    except Invalid as error:
        raise RuleInvalid(f"{file}: [{place}].{error}") from error


def _read_examples(file: Path, host: PluginManager) -> tuple[str, Iterator[bytes]]:
    """The connector and the payload to import. A plain list of texts and categories has no dates, so it is rewritten as
    records of today with ids of their own; raises `Invalid`."""
    content = file.read_bytes()
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), skipinitialspace=True)
        names = {name.strip().lower(): name for name in rows.fieldnames or ()}
        if not {"text", "category"} <= names.keys():
            return detect(host, file), iter([content])
        today = datetime.now(UTC).date().isoformat()
        lines = []
        for number, row in enumerate(rows, start=2):
            if not (text := row[names["text"]]) or not (category := row[names["category"]]):
                raise Invalid(f"{file}: line {number} lacks a text or a category")
            example = {"external_id": f"example:{number}", "occurred_at": today, "text": text, "category": category}
            if counterparty := row.get(names.get("counterparty", "")):
                example["counterparty"] = counterparty
            lines.append(json.dumps(example).encode() + b"\n")
    except UnicodeDecodeError:
        return detect(host, file), iter([content])
    except csv.Error as error:
        raise Invalid(f"{file}: {error}") from error
    if not lines:
        raise Invalid(f"{file} has no examples")
    return "json", iter(lines)


def _rows(container: Container, actor: Actor, import_id: UUID) -> Iterator[dict[str, Any]]:
    """The decided records, in the file's order, with the columns of `COLUMNS`."""
    named = paths(container.list_categories(actor))
    for page in container.export_records(actor, RecordFilter(import_id=import_id)):
        for record in page:
            amount, trace = record["amount"], record["reasoning_trace"]
            yield {
                "external_id": record["external_id"],
                "occurred_at": record["occurred_at"].isoformat(),
                "text": record["text"],
                "counterparty": record["counterparty"],
                "amount": None if amount is None else format(amount, "f"),
                "currency": record["currency"],
                "category": named.get(record["category_id"]),
                "status": record["status"],
                "stage": record["stage"],
                "confidence": record["confidence"],
                "reason": record["failure"] or (trace or {}).get("reason"),
                "suggestion": None if record["category_id"] else _suggestion(trace, named),
            }


def _suggestion(trace: Mapping[str, Any] | None, named: Mapping[UUID, str]) -> str | None:
    """The best of the candidates that no stage was sure of."""
    candidates = [candidate for result in earlier_results(trace) for candidate in result.candidates]
    best = max(candidates, key=lambda candidate: candidate.confidence, default=None)
    return named.get(best.category_id) if best else None


def _deliver(rows: Sequence[dict[str, Any]], json_out: str | None, csv_out: str | None, name: str) -> None:
    if json_out == "-":
        print_json(rows)
    elif json_out:
        with Path(json_out).open("w", encoding="utf-8") as file:
            write_json(rows, file)
    if csv_out == "-":
        _write_csv(rows, sys.stdout)
    elif csv_out:
        with Path(csv_out).open("w", encoding="utf-8", newline="") as file:
            _write_csv(rows, file)
    if not json_out and not csv_out:
        _show(rows, name)


def _write_csv(rows: Sequence[dict[str, Any]], out: TextIO) -> None:
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(row[name]) for name in COLUMNS} for row in rows)


def _show(rows: Sequence[dict[str, Any]], name: str) -> None:
    console = screen()
    columns = ["date", "text", "amount", "category", "by", "sure", "why"]
    if console.width < WIDE:
        columns.remove("why")
    table = new_table(name, *columns, right=["amount", "sure"], long=["text", "category", "why"])
    fates = [row["stage"] or row["status"].replace("_", " ") for row in rows]
    for row, fate in zip(rows, fates, strict=True):
        category = row["category"] or (f"{row['suggestion']}?" if row["suggestion"] else "?")
        sure = "" if row["confidence"] is None else f"{row['confidence']:.0%}"
        amount = shown_amount(row["amount"], row["currency"])
        cells = [row["occurred_at"][:10], row["text"], amount, category, fate, sure, row["reason"] or ""]
        table.add_row(*map(Text, cells[: len(columns)]))
    console.print(table)
    summary = ", ".join(f"{count} {fate}" for fate, count in Counter(fates).most_common())
    console.print(Text(f"{len(rows)} records: {summary or 'nothing to sort'}", style="bold"))
