"""`sortation vectors`: where tenants' vectors live, and moving those that live in the wrong place."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from core.domain.vector_homes import Moved
from entrypoints.cli.files import new_table, print_json, quiet_settings, screen
from entrypoints.cli.running import connected

EXAMPLES = """Examples:

\b
  sortation vectors              moves them, while the service runs; a relay that has the owner's URL does so by itself
  sortation vectors --dry-run    only shows where they live
"""


def vectors(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Move nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")] = False,
) -> None:
    """Give each tenant with more than 20,000 approved examples a home and an index of their own for their vectors.

    Below 10,000 they lose them again. Searching and learning go on meanwhile. Needs the owner's URL
    (SORTATION_DATABASE_URL), or a running `sortation up`.
    """
    from entrypoints.container import Container

    container = Container(settings=connected(quiet_settings(), owner=True))
    moved: dict[object, Moved] = {} if dry_run else {one.tenant_id: one for one in container.tend_vectors()}
    homes = container.list_vector_homes()
    if as_json:
        print_json(
            [
                asdict(home) | {"moved": asdict(moved[home.tenant_id]) if home.tenant_id in moved else None}
                for home in homes
            ]
        )
        return
    if not homes:
        typer.echo("no tenant has vectors yet")
        return
    table = new_table("Vectors of examples", "tenant", "vectors", "home", "moved", right=("vectors",))
    for home in homes:
        now = moved.get(home.tenant_id)
        told = "" if now is None else f"in {now.seconds:.1f} s, writes held up {now.held_seconds * 1000:.0f} ms"
        table.add_row(str(home.tenant_id), f"{home.vectors:,}", "own" if home.own else "shared", told)
    screen().print(table)
