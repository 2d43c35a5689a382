"""docs/plugins.md names everything that a plugin's author may use: what is not there is not promised."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from enum import Enum

import pytest

import sortation
import sortation.testing
from plugins import hookspecs
from tests.architecture.test_imports import ROOT

DOCUMENT = (ROOT / "docs" / "plugins.md").read_text()
REFERENCE = DOCUMENT.partition("\n## Reference\n")[2].partition("\n## ")[0]
SECTIONS = re.split(r"^### ", re.sub(r"^```.*?^```", "", REFERENCE, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE)
UNTOLD = {"Record"}
"""Whose fields authors see by other names: a stored record is what became of a draft."""
PROTOCOLS = (
    sortation.Connector,
    sortation.RuleType,
    sortation.CompiledRule,
    sortation.HttpClient,
    sortation.History,
    sortation.Sortable,
)


def words(*sections: str) -> frozenset[str]:
    """What stands in them as code."""
    return frozenset(re.findall(r"\w+", " ".join(code for one in sections for code in re.findall(r"`([^`]+)`", one))))


def of(kind: type) -> set[str]:
    """The fields and methods that a class has by itself."""
    named = {name for name, value in vars(kind).items() if callable(value) or isinstance(value, property)}
    if is_dataclass(kind):
        named |= {field.name for field in fields(kind)}
    if issubclass(kind, Enum):
        named |= {member.name for member in kind}
    return {name for name in named if not name.startswith("_")}


def exported() -> list[tuple[str, object]]:
    modules = (sortation, sortation.testing)
    return [(name, getattr(module, name)) for module in modules for name in module.__all__]


def test_every_name_is_told() -> None:
    assert sorted(name for name, _ in exported() if name not in words(*SECTIONS)) == []


def test_every_hook_is_told() -> None:
    hooks = [name for name, _ in inspect.getmembers(hookspecs, inspect.isfunction) if name.startswith("sortation_")]
    assert len(hooks) == 2
    for hook in hooks:
        arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
        assert f"`{hook}({arguments})`" in REFERENCE


@pytest.mark.parametrize(
    "kind",
    [
        value
        for name, value in exported()
        if name not in UNTOLD and isinstance(value, type) and value.__module__.startswith(("core.", "ports."))
        if is_dataclass(value) or issubclass(value, Enum) or value in PROTOCOLS
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_field_and_method_is_told(kind: type) -> None:
    """In the same section as the class."""
    about = [section for section in SECTIONS if kind.__name__ in words(section)]
    assert sorted(of(kind) - words(*about)) == []


@pytest.mark.parametrize("kind", [sortation.Connector, sortation.RuleType, sortation.CompiledRule])
def test_methods_are_told_with_their_arguments(kind: type) -> None:
    for name in of(kind):
        arguments = [word for word in inspect.signature(getattr(kind, name)).parameters if word != "self"]
        assert f"`{name}({', '.join(arguments)})`" in REFERENCE


def test_the_versions_are_those_of_the_code() -> None:
    assert f"`sortation.API_VERSION`, now {sortation.API_VERSION}." in DOCUMENT
    assert f"`MAX_PAST` ({sortation.MAX_PAST})" in REFERENCE
    assert f"`MAX_AMOUNTS` ({sortation.MAX_AMOUNTS:,})" in REFERENCE


def test_every_error_of_the_contract_is_told_with_its_effect() -> None:
    errors = [name for name, value in exported() if isinstance(value, type) and issubclass(value, Exception)]
    rows = re.findall(r"^\| `(\w+)` \|", REFERENCE.partition("### Errors")[2].partition("###")[0], re.MULTILINE)
    assert sorted(rows) == sorted(set(errors) - {"PluginBug"})


@pytest.mark.parametrize("suite", [sortation.testing.ConnectorConformance, sortation.testing.RuleTypeConformance])
def test_what_a_suite_may_be_told_is_told(suite: type) -> None:
    """Its attributes that are values, in the kit's section."""
    (kit,) = (section for section in SECTIONS if section.startswith("The kit"))
    told = {name for kind in suite.__mro__ for name in getattr(kind, "__annotations__", {}) if not name.startswith("_")}
    assert len(told) > 5
    assert sorted(told - words(kit)) == []
