"""The service on a database of its own that lives no longer than a command: nothing has to run, and nothing is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from entrypoints.cli.stopping import deferred
from entrypoints.settings import Settings

if TYPE_CHECKING:
    from entrypoints.container import Container


@contextmanager
def scratch(settings: Settings) -> Iterator[Container]:
    """The container on a database of its own, which is removed at the end, however that comes."""
    from adapters.embedded.postgres import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="sortation-", ignore_cleanup_errors=True) as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            with deferred():
                urls = postgres.start()
            from adapters.postgres.migrate import migrate
            from entrypoints.container import Container
            from entrypoints.observability import set_up_logging

            settings = replace(
                settings, database_url=urls.owner, app_database_url=urls.app, system_database_url=urls.system
            )
            set_up_logging(settings)
            migrate(urls.owner, urls.app, urls.system)
            container = Container(settings=settings)
            yield container
            container.app_engine().dispose()
            container.system_engine().dispose()
        finally:
            postgres.stop()
