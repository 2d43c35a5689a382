"""`sortation events`: the log, as who answers for it sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from entrypoints.cli.files import new_table, print_json, quiet_settings, screen
from entrypoints.cli.groups import group
from entrypoints.cli.running import connected

if TYPE_CHECKING:
    from entrypoints.container import Container

PAGE = 500
EXAMPLES = """Examples:

\b
  sortation events verify                      whether every event of every tenant is as it was sealed
  sortation events verify --tenant 0192f0c1-...
  sortation events verify --json > anchors     note the digests where nobody can change them: a later run must have
                                               each of them as the digest of that event
"""

app = group("Look whether the log of events was tampered with.", EXAMPLES)


@app.command()
def verify(
    tenant: Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="Only this tenant.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")] = False,
) -> None:
    """Go through the sealed events. Ends with 1 if one was changed, removed or inserted."""
    from entrypoints.container import Container

    container = Container(settings=connected(quiet_settings()))
    found = list(_verified(container, tenant))
    if as_json:
        print_json(found)
    else:
        table = new_table("Events", "tenant", "events", "digest of the last", "fault")
        for one in found:
            table.add_row(one["tenant_id"], str(one["events"]), one["digest"], one["fault"] or "")
        screen().print(table)
    if any(one["fault"] for one in found):
        raise typer.Exit(1)


def _verified(container: Container, tenant: UUID | None) -> Iterator[dict[str, Any]]:
    for id in [tenant] if tenant is not None else _tenants(container):
        found = container.verify_events(id)
        yield {"tenant_id": str(id), "events": found.events, "digest": found.digest, "fault": found.fault}


def _tenants(container: Container) -> Iterator[UUID]:
    after: UUID | None = None
    while page := container.list_tenants(after=after, limit=PAGE):
        yield from (one.id for one in page)
        after = page[-1].id
