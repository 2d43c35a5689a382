"""File stores: in memory, in a folder, and on a file system of fsspec that knows no folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from fsspec.implementations.local import LocalFileOpener

from adapters.files.store import FsspecFileStore
from adapters.memory.files import MemoryFileStore
from core.errors import Invalid, NotFound, Transient
from ports.files import FileStore, Written

TENANT, OTHER = str(uuid4()), str(uuid4())


@pytest.fixture(params=["memory", "folder", "other"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    if request.param == "memory":
        return MemoryFileStore()
    # fsspec's own file system in memory has, as object stores have, no folders and no renaming
    url = f"file://{tmp_path}/files" if request.param == "folder" else f"memory://{uuid4()}"
    return FsspecFileStore(url)


def read(store: FileStore, path: str) -> bytes:
    return b"".join(store.read(path))


def test_what_was_written_is_read(store: FileStore) -> None:
    whole = bytes(range(256)) * 10_000
    written = store.write(f"{TENANT}/receipts/a", (whole[n : n + 1000] for n in range(0, len(whole), 1000)))
    assert written == Written(bytes=len(whole), sha256=sha256(whole).hexdigest())
    assert read(store, f"{TENANT}/receipts/a") == whole


def test_a_store_knows_what_it_holds(store: FileStore) -> None:
    assert not store.holds(f"{TENANT}/a")
    store.write(f"{TENANT}/a", [b"whole"])
    assert store.holds(f"{TENANT}/a")
    store.delete([f"{TENANT}/a"])
    assert not store.holds(f"{TENANT}/a")


def test_a_file_takes_the_place_of_the_one_before(store: FileStore) -> None:
    store.write(f"{TENANT}/a", [b"first"])
    store.write(f"{TENANT}/a", [b"2nd"])
    assert read(store, f"{TENANT}/a") == b"2nd"


def test_what_is_not_whole_is_not_there(store: FileStore) -> None:
    def torn() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("torn")

    store.write(f"{TENANT}/a", [b"before"])
    for path in ("a", "b"):
        with pytest.raises(RuntimeError, match="torn"):
            store.write(f"{TENANT}/{path}", torn())
    assert read(store, f"{TENANT}/a") == b"before"
    with pytest.raises(NotFound):
        store.read(f"{TENANT}/b")


def test_files_are_deleted_one_by_one_and_by_folder(store: FileStore) -> None:
    for path in (f"{TENANT}/a", f"{TENANT}/b/c", f"{TENANT}/b/d", f"{OTHER}/a", f"{TENANT}x/a"):
        store.write(path, [path.encode()])
    store.delete([f"{TENANT}/a", f"{TENANT}/never"])
    with pytest.raises(NotFound):
        store.read(f"{TENANT}/a")
    assert read(store, f"{TENANT}/b/c")
    store.delete_under(TENANT)
    store.delete_under(TENANT)
    for path in ("b/c", "b/d"):
        with pytest.raises(NotFound):
            store.read(f"{TENANT}/{path}")
    assert read(store, f"{OTHER}/a")
    assert read(store, f"{TENANT}x/a")


def test_no_part_of_a_file_stays_behind(tmp_path: Path) -> None:
    store = FsspecFileStore(f"file://{tmp_path}")
    with pytest.raises(ZeroDivisionError):
        store.write("tenant/a", (bytes(1 // n) for n in (1, 0)))
    store.write("tenant/a", [b"whole"])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a"]


def test_no_part_stays_behind_of_a_file_that_can_not_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = LocalFileOpener.close

    def full(file: LocalFileOpener) -> None:
        close(file)
        raise OSError("no space left on device")

    monkeypatch.setattr(LocalFileOpener, "close", full)
    with pytest.raises(Transient):
        FsspecFileStore(f"file://{tmp_path}").write("tenant/a", [b"whole"])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[tuple[int, bool]] = []
    monkeypatch.setattr("os.fsync", lambda fd: settled.append((os.fstat(fd).st_size, (tmp_path / "tenant/a").exists())))
    FsspecFileStore(f"file://{tmp_path}").write("tenant/a", [b"wh", b"ole"])
    assert settled == [(5, False)]


@pytest.mark.parametrize("path", ["../a", "a/../../b", "/a", "a//b", "", "a/", "ä", "a\0", ".a", "a/..b"])
def test_a_path_never_leads_elsewhere(path: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        FsspecFileStore(f"file://{tmp_path}/files").write(path, [b"x"])
    assert not list(tmp_path.iterdir())


def test_a_store_that_does_not_answer_may_answer_later(tmp_path: Path) -> None:
    (tmp_path / "files").write_bytes(b"a file, where the folder should be")
    store = FsspecFileStore(f"file://{tmp_path}/files")
    with pytest.raises(Transient):
        store.write("tenant/a", [b"x"])
    with pytest.raises(Transient):
        store.read("tenant/a")
