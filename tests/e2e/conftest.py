"""Fixtures of tests that start the processes."""

from __future__ import annotations

import pytest

from tests.beside import Beside, new_environment


@pytest.fixture(scope="session")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Beside:
    """An environment with Sortation out of its wheel."""
    return new_environment(tmp_path_factory.mktemp("beside"))
