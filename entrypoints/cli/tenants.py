"""`sortation tenants`: the operator in a tenant, and what is kept of it, given out or erased."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import structlog
import typer

from core.domain.permissions import Role
from core.errors import Invalid
from core.usecases.support import MOST_MINUTES
from entrypoints.cli.files import quiet_settings
from entrypoints.cli.groups import group
from entrypoints.cli.operating import at_command_line
from entrypoints.cli.running import connected

if TYPE_CHECKING:
    from entrypoints.container import Container

log = structlog.get_logger()
EXAMPLES = """Examples:

\b
  sortation tenants export 0192f0c1-... harbour.zip         everything, a file of JSON lines for each kind of thing
  sortation tenants erase 0192f0c1-... --name "Harbour Books"
  sortation tenants enter 0192f0c1-... --minutes 15 --reason "Ticket 4711: imports fail"
                                                            a key to look around with, which the tenant sees
"""

app = group("Enter a tenant, or give out or erase what is kept of it.", EXAMPLES)


@app.command()
def export(
    tenant: Annotated[UUID, typer.Argument(metavar="ID")],
    file: Annotated[Path, typer.Argument(metavar="FILE.zip")],
) -> None:
    """Write everything that a tenant has into a ZIP of JSON lines. Secrets are left out."""
    rows = container().export_tenant(tenant, at_command_line("tenants export"))
    count = write_zip(file, rows)
    typer.echo(f"{count} rows are in {file}.")


@app.command()
def erase(
    tenant: Annotated[UUID, typer.Argument(metavar="ID")],
    name: Annotated[str, typer.Option("--name", help="The tenant's name, as a proof that you mean it.")],
) -> None:
    """Erase a tenant with all that it has, for good: its records, rules, people's places in it, and its log."""
    container().erase_tenant(tenant, name)
    # Its own log went with it.
    log.warning("tenant erased", tenant_id=str(tenant), by=at_command_line("tenants erase").user_agent)
    typer.echo("Erased.")


@app.command()
def enter(
    tenant: Annotated[UUID, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option("--reason", help="Why: the tenant reads it.")],
    role: Annotated[Role, typer.Option("--role", help="What you may do, but for what would outlast it.")] = Role.VIEWER,
    minutes: Annotated[int, typer.Option("--minutes", help=f"For how long, at most {MOST_MINUTES}.")] = 15,
) -> None:
    """Print an API key of a tenant, to help there. The tenant sees it, may revoke it, and reads what was done by it."""
    here = at_command_line("tenants enter")
    issued = container().enter_as_operator(tenant, role, here, minutes=minutes, reason=reason)
    typer.echo(issued.secret)


def write_zip(file: Path, rows: Iterator[tuple[str, Mapping[str, Any]]]) -> int:
    """A file of JSON lines for each kind, in the order in which they come; returns how many rows. Only who runs us may
    read it, and none is left that is not whole. Raises `Invalid` where there is something of that name."""
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Invalid(f"{file} exists already") from None
    try:
        with os.fdopen(opened, "wb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            return _write(archive, rows)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _write(archive: zipfile.ZipFile, rows: Iterator[tuple[str, Mapping[str, Any]]]) -> int:
    from entrypoints.api.responses import dumps

    count = 0
    for kind, of_kind in groupby(rows, key=lambda row: row[0]):
        with archive.open(f"{kind}.jsonl", "w", force_zip64=True) as written:
            for _, row in of_kind:
                written.write(dumps(row) + b"\n")
                count += 1
    return count


def container() -> Container:
    from entrypoints.container import Container  # half a second, which other commands can do without

    return Container(settings=connected(quiet_settings()))


def as_lines(rows: Iterator[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    from entrypoints.api.responses import dumps

    for kind, row in rows:
        yield json.dumps({"kind": kind, **json.loads(dumps(row))}, ensure_ascii=False)
