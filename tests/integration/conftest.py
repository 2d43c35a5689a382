"""Containers over real storage, with settings of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from adapters.embedded.postgres import DatabaseUrls
from entrypoints.container import Container
from entrypoints.settings import load_settings


@pytest.fixture
def make_container(database: DatabaseUrls) -> Iterator[Callable[..., Container]]:
    """Containers on the test's database; keyword arguments are settings."""
    made: list[Container] = []

    def make(**changed: Any) -> Container:
        settings = replace(
            load_settings({}),
            database_url=database.owner,
            app_database_url=database.app,
            system_database_url=database.system,
            **{"broker_url": "redis://127.0.0.1:1/0", "learn_delay_seconds": 0.0} | changed,
        )
        made.append(Container(settings=settings))
        return made[-1]

    yield make
    for container in made:
        container.app_engine().dispose()
        container.system_engine().dispose()


@pytest.fixture
def container(make_container: Callable[..., Container]) -> Container:
    return make_container()
