"""Every provider of the container builds: type checkers can't see a misspelt one."""

from __future__ import annotations

import inspect
from functools import cache

import pytest
from dependency_injector import providers

from entrypoints.container import Container
from entrypoints.settings import load_settings

SETTINGS = load_settings(
    {
        "SORTATION_DATABASE_URL": "postgresql://owner@127.0.0.1:1/sortation",
        "SORTATION_BROKER_URL": "redis://127.0.0.1:1/0",
        "SORTATION_LLM_API_KEY": "some-key",
        "SORTATION_SMTP_URL": "smtp://127.0.0.1:1",
    }
)
NAMES = sorted(Container.providers)


@cache
def _use_cases() -> dict[str, providers.Callable[object]]:
    return {
        name: provider
        for name, provider in Container(settings=SETTINGS).providers.items()
        if isinstance(provider, providers.Callable) and inspect.isfunction(provider.provides)
        if provider.provides.__module__.startswith("core.usecases")
    }


@pytest.mark.parametrize("name", [n for n in NAMES if n not in _use_cases()])
def test_an_adapter_builds(name: str) -> None:
    assert getattr(Container(settings=SETTINGS), name)() is not None


@pytest.mark.parametrize("name", sorted(_use_cases()))
def test_a_use_case_gets_ports_that_it_takes(name: str) -> None:
    provider = _use_cases()[name]
    taken = inspect.signature(provider.provides).parameters
    assert set(provider.kwargs) <= set(taken)
    assert all(built() is not None for built in provider.kwargs.values())


def test_every_use_case_is_bound() -> None:
    import importlib
    import pkgutil

    import core.usecases

    bound = {provider.provides for provider in _use_cases().values()}
    for module in pkgutil.iter_modules(core.usecases.__path__, "core.usecases."):
        functions = inspect.getmembers(importlib.import_module(module.name), inspect.isfunction)
        public = {f for name, f in functions if not name.startswith("_") and f.__module__ == module.name}
        assert public <= bound, f"{module.name}: {[f.__name__ for f in public - bound]}"
