"""What a zygote does about what its children leave behind; in processes of their own, since it ends all orphans."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from plugins.isolation import orphans
from plugins.isolation.zygote import Zygote

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="orphans are adopted on Linux alone")
FILES = 200
SECONDS = 30.0


def apart(do: Callable[..., None], *arguments: object) -> None:
    process = multiprocessing.get_context("fork").Process(target=do, args=arguments)
    process.start()
    process.join(60)
    code = process.exitcode
    process.kill()
    assert code == 0


def detached(told: int) -> None:
    """Becomes a process that has left its group and lost its parent, and tells its pid."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(told, f"{os.getpid()} ".encode())
            time.sleep(SECONDS)
        os._exit(0)


def a_child(zygote: Zygote, folder: Path, orphaned: int) -> tuple[int, list[psutil.Process]]:
    """A call's child that has detached so many, and these."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        for _ in range(orphaned):
            detached(write)
        time.sleep(SECONDS)
        os._exit(0)
    zygote._scratch[pid] = str(folder)
    said = b""
    while said.count(b" ") < orphaned:
        said += os.read(read, 1_000)
    return pid, [psutil.Process(int(one)) for one in said.split()]


def ends_orphans_of_one_call(folder: Path) -> None:
    orphans.adopt()
    zygote = Zygote()
    other, _ = a_child(zygote, folder / "other", 0)
    pid, lost = a_child(zygote, folder, 3)
    assert all(one.is_running() for one in lost)
    assert os.WTERMSIG(zygote.end(pid)) == 9
    assert not any(one.is_running() for one in lost)
    assert psutil.Process(other).is_running()
    zygote.end(other)


def test_what_a_call_detached_ends_with_it_and_other_calls_go_on(tmp_path: Path) -> None:
    apart(ends_orphans_of_one_call, tmp_path)


def sleeping() -> int:
    pid = os.fork()
    if pid == 0:
        time.sleep(SECONDS)
        os._exit(0)
    return pid


def finds_its_children() -> None:
    children = {sleeping() for _ in range(3)}
    assert orphans._children() == orphans._children_by_parents(os.getpid()) == children
    known = children.pop()
    assert orphans.end({known})
    assert not orphans.end({known})
    assert orphans._children() == {known}
    assert orphans.end(())


def test_all_children_are_found_however_the_kernel_tells_of_them() -> None:
    apart(finds_its_children)


def leaves_the_removing_to_others(folder: Path) -> None:
    orphans.adopt()
    zygote = Zygote()
    pid, _ = a_child(zygote, folder, 0)
    for number in range(FILES):
        (folder / f"{number}").touch()
    zygote.end(pid)
    [remover] = zygote._removing
    os.waitpid(remover, 0)
    assert not folder.exists()


def test_a_folder_for_scratch_is_removed_while_others_are_served(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    (folder / "deep").mkdir(parents=True)
    apart(leaves_the_removing_to_others, folder)
