"""The tutorial of docs/plugins.md, followed to the letter: its files are written, its commands are typed into one
shell, and what they print must be what it shows (`...` stands for anything)."""

from __future__ import annotations

import ast
import doctest
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.beside import Beside
from tests.stack import ROOT, free_port

pytestmark = pytest.mark.slow

TUTORIAL = (ROOT / "docs" / "plugins.md").read_text().partition("\n## Tutorial\n")[2].partition("\n## ")[0]
BLOCK = re.compile(r"(?:<!-- (?P<where>[^\n]*) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
READY = "Serving until Ctrl-C."
PORTS = ("8080", "8801")
"""Those of the document, which others on this machine may have: the test takes free ones."""
SHOWN = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    where: str
    kind: str
    text: str

    def commands(self) -> list[tuple[str, str]]:
        """What is typed, and what that shows."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(line, shown) for line, _, shown in (part.partition("\n") for part in parts)]


class Shell:
    """A shell that lives as long as the tutorial, as a reader's does."""

    def __init__(self, environment: dict[str, str], cwd: Path) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type(self, command: str) -> str:
        """What it prints."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        end = f"end-{uuid4()}"
        self._process.stdin.write(f"{command}\nprintf '\\n{end}\\n'\n")
        self._process.stdin.flush()
        said = []
        for line in self._process.stdout:
            if line.strip() == end:
                break
            said.append(line)
        return "".join(said)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def blocks(ports: dict[str, int]) -> list[Block]:
    text = TUTORIAL
    for known, free in ports.items():
        text = text.replace(known, str(free))
    return [Block(where=found["where"] or "", kind=found["kind"], text=found["text"]) for found in BLOCK.finditer(text)]


@contextmanager
def other_terminals(block: Block, environment: dict[str, str], cwd: Path) -> Iterator[None]:
    """Its commands, each in a terminal of its own; the first says when it is ready."""
    running: list[subprocess.Popen[str]] = []
    try:
        for command, _ in block.commands():
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=cwd,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            running.append(process)
        assert running[0].stdout is not None
        said = []
        for line in running[0].stdout:
            said.append(line)
            if line.strip() == READY:
                break
        assert READY in "".join(said), "".join(said)
        yield
    finally:
        for process in running:
            family = psutil.Process(process.pid).children(recursive=True)
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=60)
            _, alive = psutil.wait_procs(family, timeout=30)
            assert not alive


def replaced(source: str, new: str) -> str:
    """The source with the functions of `new` in place of those of the same names."""
    lines = source.splitlines(keepends=True)
    for function in ast.parse(new).body:
        assert isinstance(function, ast.FunctionDef)
        before = next(
            part for part in ast.parse(source).body if isinstance(part, ast.FunctionDef) and part.name == function.name
        )
        lines[before.lineno - 1 : before.end_lineno] = [f"{new.strip()}\n"]
    return "".join(lines)


def test_the_tutorial_leads_where_it_says(beside: Beside, tmp_path: Path) -> None:
    ports = {known: free_port() for known in PORTS}
    environment = beside.environment(SORTATION_PORT=str(ports["8080"]), COLUMNS="200")
    shell = Shell(environment, tmp_path)
    terminals = None
    try:
        for block in blocks(ports):
            kind, _, path = block.where.partition(" ")
            if block.kind == "python":
                target = tmp_path / path
                target.write_text(block.text if kind == "file" else replaced(target.read_text(), block.text))
            elif block.where:
                terminals = other_terminals(block, environment, tmp_path)
                terminals.__enter__()
            else:
                for command, shown in block.commands():
                    said = shell.type(command)
                    assert doctest.OutputChecker().check_output(shown, said, SHOWN), f"$ {command}\n{said}\n{shown}"
        assert terminals is not None
    finally:
        shell.close()
        if terminals is not None:
            terminals.__exit__(None, None, None)


def test_the_tutorial_is_whole() -> None:
    """Every block is one that the other test follows."""
    found = blocks({})
    assert TUTORIAL.count("```") == 2 * len(found)
    for block in found:
        assert block.kind in ("python", "console")
        assert block.kind == "console" or block.where.startswith(("in ", "file "))
        assert block.kind == "python" or block.text.startswith("$ ")
