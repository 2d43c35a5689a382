"""What the things are called that a report's filter names by their ids."""

from __future__ import annotations

from contextlib import suppress

from core.domain.categories import paths
from core.domain.reports import ReportSpec
from core.errors import NotFound
from entrypoints.api.state import container
from entrypoints.console.guard import me


def names_in(spec: ReportSpec) -> dict[str, str]:
    """By id; without those that are gone."""
    where, found = spec.where, dict[str, str]()
    if where.category_id is not None:
        found |= {str(id): name for id, name in paths(container().list_categories(me())).items()}
    if where.connection_id is not None:
        with suppress(NotFound):
            found[str(where.connection_id)] = container().get_connection(me(), where.connection_id).name
    if where.import_id is not None:
        with suppress(NotFound):
            found[str(where.import_id)] = container().get_import(me(), where.import_id).filename or "without a file"
    return found
