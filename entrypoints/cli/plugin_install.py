"""`sortation plugin install`: pip in Sortation's own environment, and what came of it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import distributions, entry_points
from pathlib import Path
from typing import Annotated

import typer

from core.errors import Invalid
from plugins.hookspecs import PROJECT
from plugins.isolation.host import LOOK_SECONDS

INSTALL_EXAMPLES = """Examples:

\b
  sortation plugin install sortation-shop               from the package index
  sortation plugin install ./sortation-shop             from a folder
  sortation plugin install --editable ./sortation-shop  so that changes of the folder count, without installing again
"""
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)[^;]*(;.*\bextra\b)?")


def install(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC", help="Names, folders, files or addresses, as pip's.")],
    editable: Annotated[bool, typer.Option("--editable", "-e", help="Install folders so that their changes count.")] = (
        False
    ),
    upgrade: Annotated[bool, typer.Option("--upgrade", "-U", help="Take the newest versions.")] = False,
) -> None:
    """Install plugins beside Sortation, by pip, and say what became of them.

    What Sortation itself needs stays at its version: a plugin that needs another one is refused. Ends with 1 if pip
    fails, or a plugin does not work.
    """
    _check_environment()
    names = _installed(specs, editable=editable, upgrade=upgrade)
    importlib.invalidate_caches()
    owners = {_normal(entry.dist.name) for entry in entry_points(group=PROJECT) if entry.dist}
    plugins = [name for name in names if _normal(name) in owners]
    if not names:
        typer.echo("all of it was installed already; --upgrade looks for newer versions")
        return
    typer.echo(f"installed: {', '.join(names)}")
    if not plugins:
        typer.echo(
            f"sortation: none of them has an entry point in the group {PROJECT!r}: no plugin was added", err=True
        )
        raise typer.Exit(1)
    # Another process: this one does not see what was installed as editable.
    code = subprocess.run([sys.executable, "-m", "entrypoints.cli", "plugin", "doctor", *plugins], check=False)  # noqa: S603
    if code.returncode:
        remove = f"{sys.executable} -m pip uninstall {' '.join(plugins)}"
        typer.echo(
            "sortation: not all of it works. That hurts no other plugin, but each start of the API and of a worker's "
            f"processes waits {LOOK_SECONDS:.0f} s for one that hangs when it is imported; to remove it: {remove}",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo("Restart the API and the workers (all of `sortation up`): they load plugins when they start.")


def _check_environment() -> None:
    site = sysconfig.get_path("purelib")
    if importlib.util.find_spec("pip") is None:
        raise Invalid(f"there is no pip in {sys.prefix}: install plugins there by the tool that made it")
    if not os.access(site, os.W_OK):
        raise Invalid(f"{site} is read-only here: install plugins where Sortation's environment or image is made")


def _installed(specs: Sequence[str], *, editable: bool, upgrade: bool) -> list[str]:
    """The names and versions' distributions that pip has installed; ends the command where it fails."""
    with tempfile.TemporaryDirectory(prefix="sortation-") as folder:
        report, constraints = Path(folder) / "report.json", Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in _own()))
        command = [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        command += ["--quiet", f"--report={report}", f"--constraint={constraints}", *(["--upgrade"] if upgrade else [])]
        command += [f"--editable={spec}" for spec in specs] if editable else ["--", *specs]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            typer.echo(f"sortation: pip failed: {_last_error(done.stderr)}", err=True)
            raise typer.Exit(1)
        found = json.loads(report.read_text())
        return [item["metadata"]["name"] for item in found["install"]]


def _own() -> list[tuple[str, str]]:
    """Sortation and all that it needs, with the versions that are installed."""
    installed = {_normal(dist.name): dist for dist in distributions() if dist.name}  # a broken one has none
    wanted, found = [PROJECT], set[str]()
    while wanted:
        name = wanted.pop()
        if name in installed and name not in found:
            found.add(name)
            wanted += _needed(installed[name].requires or ())
    return sorted((name, installed[name].version) for name in found)


def _needed(requirements: Iterable[str]) -> list[str]:
    """The names of what is needed without extras."""
    matches = (_REQUIREMENT.match(requirement) for requirement in requirements)
    return [_normal(match[1]) for match in matches if match and not match[2]]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _last_error(said: str) -> str:
    """The last line that pip calls an error, without the word; else the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.lower().startswith("error:")]
    return (errors or lines or ["it said nothing"])[-1]
