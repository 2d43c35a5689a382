"""`sortation evaluate` and `sortation replay`: what the pipeline would do with data whose answers are known."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from core.domain.tenants import TenantSettings, check_settings
from core.errors import UnreadableFile
from entrypoints.cli.files import new_table, quiet_settings, screen
from entrypoints.cli.scratch import scratch
from entrypoints.evaluating.rows import Columns, read_rows

EVALUATE_EXAMPLES = """Examples:

\b
  sortation evaluate train.csv test.csv --text text --category category --promise 0.98
  sortation evaluate 2024.csv 2025.csv --text merchant --category gl --context card,cc --amount amount --date date
"""
REPLAY_EXAMPLES = """Examples:

\b
  sortation replay history.csv.gz --text merchant --category gl --context card,cc --amount amount --date date
"""
_File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
_Text = Annotated[str, typer.Option("--text", metavar="COL", help="The column with the text.")]
_Category = Annotated[str, typer.Option("--category", metavar="COL", help="The column with the category.")]
_Context = Annotated[str, typer.Option("--context", metavar="COL,COL", help="Columns with what else is known.")]
_Amount = Annotated[str | None, typer.Option("--amount", metavar="COL", help="The column with the amount.")]
_Date = Annotated[str | None, typer.Option("--date", metavar="COL", help="The column with the date, ISO 8601.")]
_Promise = Annotated[float, typer.Option(help="The share of what is decided alone that must be right.")]
_Json = Annotated[str | None, typer.Option("--json", metavar="OUT", help="Write JSON; - is stdout.")]


def evaluate(
    train: _File,
    test: _File,
    text: _Text,
    category: _Category,
    context: _Context = "",
    amount: _Amount = None,
    date: _Date = None,
    promise: _Promise = 0.95,
    out_of_scope: Annotated[
        Path | None, typer.Option(metavar="OOS.csv", exists=True, dir_okay=False, help="What fits no category.")
    ] = None,
    json_out: _Json = None,
) -> None:
    """Teach with one file, ask about another: how much would be decided alone, and how much of that is right.

    The real pipeline on a database of its own, which is gone afterwards. With dates, rows are learned in their order.
    """
    from entrypoints.evaluating.evaluate import evaluate as run

    columns = Columns(text=text, category=category, context=_names(context), amount=amount, date=date)
    check_settings(TenantSettings(promise=promise))
    taught, asked = read_rows(train, columns), read_rows(test, columns)
    outside = read_rows(out_of_scope, Columns(text=text)) if out_of_scope else []
    if not taught or not asked:
        raise UnreadableFile(f"{test if taught else train} has no rows with a text and a category")
    settings = replace(quiet_settings(), rule_proposals="off", refit_delay_seconds=0.0)
    with Console(stderr=True).status("teaching and asking"), scratch(settings) as container:
        found = run(container, taught, asked, outside, promise=promise, dated=date is not None)
    if json_out is not None:
        _write(json_out, found)
        return
    table = new_table("", "what", "value")
    for name, value in found.items():
        table.add_row(name.replace("_", " "), str(value))
    screen().print(table)


def replay(
    file: _File,
    text: _Text,
    category: _Category,
    context: _Context = "",
    amount: _Amount = None,
    date: _Date = None,
    promise: _Promise = 0.95,
    spot_checks: Annotated[float, typer.Option(help="The share of what is decided alone that people check.")] = 0.02,
    batch: Annotated[int, typer.Option(min=10, max=5_000, help="Records that arrive at once.")] = 1_000,
    accept_rules: Annotated[
        bool,
        typer.Option("--accept-rules", help="Accept the rules that are proposed and expected to keep the promise."),
    ] = False,
    json_out: _Json = None,
) -> None:
    """Live a tenant's life: rows arrive in their order, and what is not decided alone is answered from the file.

    Tells by quarter (by tenth, without dates) how much was decided alone, how much of that was right, and what spot
    checks alone would have told of it.
    """
    from entrypoints.evaluating.replay import replay as run

    columns = Columns(text=text, category=category, context=_names(context), amount=amount, date=date)
    check_settings(TenantSettings(promise=promise, spot_check_share=spot_checks))
    rows = read_rows(file, columns)
    if not rows:
        raise UnreadableFile(f"{file} has no rows with a text and a category")
    settings = replace(quiet_settings(), rule_proposals="off", refit_delay_seconds=0.0)
    with Console(stderr=True).status("beginning") as status, scratch(settings) as container:
        found = run(
            container,
            rows,
            promise=promise,
            spot_checks=spot_checks,
            batch=batch,
            dated=date is not None,
            accept_rules=accept_rules,
            tell=lambda done: status.update(f"{done} of {len(rows)} records"),
        )
    if json_out is not None:
        _write(json_out, found)
        return
    table = new_table("", "period", "records", "automated", "precision", "estimated", "interval")
    for one in found["periods"]:
        names = ("period", "records", "automated", "precision", "estimated_precision", "interval")
        table.add_row(*(str(one[name]) if one[name] is not None else "" for name in names))
    screen().print(table)
    screen().print({name: value for name, value in found.items() if name != "periods"})


def _names(given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip())


def _write(out: str, found: Mapping[str, Any]) -> None:
    """A JSON object, on stdout or into a file."""
    written = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if out == "-":
        sys.stdout.write(written)
    else:
        Path(out).write_text(written, encoding="utf-8")
