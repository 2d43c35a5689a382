"""The watched folder: each file once, in the order of its change, whole, and no crash or bad file loses another."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from plugins import json_lines, watched_folder
from plugins.json_lines import parsed
from plugins.watched_folder import WatchedFolder
from sortation import Batch, ConfigInvalid, Context, CursorInvalid, ReadRequest

NOW = 2_000_000_000.0
"""Long after what tests write."""


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the connector's clock, files have settled."""
    monkeypatch.setattr(watched_folder, "time", lambda: NOW)


def put(folder: Path, name: str, *texts: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text, "occurred_at": "2026-03-01"}) + "\n" for text in texts))
    return path


def read(folder: Path, cursor: Mapping[str, Any] | None = None, size: int = 100, **config: Any) -> list[Batch]:
    ctx = Context(config={"folder": str(folder), **config})
    return list(WatchedFolder().read(ctx, ReadRequest(stream="files", cursor=cursor, batch_size=size)))


def texts(batches: list[Batch]) -> list[str]:
    return [draft.text for batch in batches for draft in batch.drafts]


def refusals(batches: list[Batch]) -> list[str]:
    return [refusal.reason for batch in batches for refusal in batch.refusals]


def test_each_file_is_read_once(tmp_path: Path) -> None:
    put(tmp_path, "b.ndjson", "first", "second")
    put(tmp_path, "sub/a.ndjson", "third")
    batches = read(tmp_path)
    assert texts(batches) == ["first", "second", "third"]
    assert [d.attributes["file"] for b in batches for d in b.drafts] == ["b.ndjson", "b.ndjson", "sub/a.ndjson"]
    cursor = json.loads(json.dumps(batches[-1].cursor))
    assert read(tmp_path, cursor) == []
    put(tmp_path, "a.ndjson", "fourth")
    assert texts(read(tmp_path, cursor)) == ["fourth"]


def test_a_file_that_arrives_with_an_old_date_is_new(tmp_path: Path) -> None:
    put(tmp_path, "new.ndjson", "new")
    cursor = read(tmp_path)[-1].cursor
    os.utime(put(tmp_path, "old.ndjson", "old"), (0, 0))
    assert texts(read(tmp_path, cursor)) == ["old"]


def test_a_changed_file_brings_the_same_ids_for_what_it_had(tmp_path: Path) -> None:
    put(tmp_path, "a.ndjson", "coffee", "coffee")
    first = read(tmp_path)
    put(tmp_path, "a.ndjson", "coffee", "coffee", "tea")
    second = read(tmp_path, first[-1].cursor)
    ids = [[d.external_id for b in batches for d in b.drafts] for batches in (first, second)]
    assert len(set(ids[0])) == 2, "two equal purchases stay two"
    assert ids[1][:2] == ids[0]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("crash_after", [1, 2])
def test_no_crash_loses_a_row(tmp_path: Path, size: int, crash_after: int) -> None:
    put(tmp_path, "a.ndjson", *(f"a{n}" for n in range(5)))
    (tmp_path / "b.ndjson").write_text("nothing\n")
    put(tmp_path, "c.ndjson", *(f"c{n}" for n in range(3)))
    found: list[str] = []
    cursor: Any = None
    ctx = Context(config={"folder": str(tmp_path)})
    for _ in range(30):
        request = ReadRequest(stream="files", cursor=cursor, batch_size=size)
        part = list(islice(WatchedFolder().read(ctx, request), crash_after))
        if not part:
            break
        assert all(len(batch.drafts) <= size for batch in part)
        found += texts(part)
        cursor = json.loads(json.dumps(part[-1].cursor))
    else:
        pytest.fail("it never comes to an end")
    assert found == ["a0", "a1", "a2", "a3", "a4", "c0", "c1", "c2"], "and none twice"


def test_what_is_being_written_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = put(tmp_path, "a.ndjson", "whole").stat().st_ctime
    monkeypatch.setattr(watched_folder, "time", lambda: changed + 59)
    assert texts(read(tmp_path)) == []
    monkeypatch.setattr(watched_folder, "time", lambda: changed + 61)
    assert texts(read(tmp_path)) == ["whole"]
    monkeypatch.setattr(watched_folder, "time", lambda: changed + 6)
    assert texts(read(tmp_path, settle_seconds=5)) == ["whole"]


def test_a_bad_file_is_refused_alone(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0\1\2")
    (tmp_path / "b.ofx").write_text("<OFX><BANKMSGSRSV1>")
    put(tmp_path, "c.ndjson", "good")
    batches = read(tmp_path)
    assert texts(batches) == ["good"]
    one, other = refusals(batches)
    assert one.startswith("a.bin: no connector recognises")
    assert other.startswith("b.ofx: ")
    assert read(tmp_path, batches[-1].cursor) == []


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    put(tmp_path, "a.ndjson", "a")
    put(tmp_path, "b.json", "b")
    put(tmp_path, ".hidden/c.ndjson", "c")
    put(tmp_path, ".d.ndjson", "d")
    outside = put(tmp_path.parent / f"{tmp_path.name}-outside", "e.ndjson", "e")
    (tmp_path / "f.ndjson").symlink_to(outside)
    assert sorted(texts(read(tmp_path))) == ["a", "b"]
    assert texts(read(tmp_path, pattern="*.json")) == ["b"]


def test_a_format_may_be_told(tmp_path: Path) -> None:
    put(tmp_path, "a.dat", "a")
    assert texts(read(tmp_path, format="json")) == ["a"]
    for wrong in ({"format": "rest"}, {"format": "nothing"}, {"format": "json", "options": {"colour": "red"}}):
        with pytest.raises(ConfigInvalid, match="config"):
            read(tmp_path, **wrong)


def test_a_check_says_whether_the_folder_can_be_read(tmp_path: Path) -> None:
    (check,) = WatchedFolder().check(Context(config={"folder": str(tmp_path)}))
    assert (check.ok, check.reason) == (True, "there are no files to read yet")
    (check,) = WatchedFolder().check(Context(config={"folder": str(tmp_path / "none")}))
    assert (check.ok, check.reason) == (False, "the folder can't be read: No such file or directory")
    with pytest.raises(ConfigInvalid):
        read(tmp_path / "none")
    with pytest.raises(CursorInvalid):
        read(tmp_path, {"last": 7})


def test_an_empty_folder_is_well(tmp_path: Path) -> None:
    """A cursor and no records: nothing is wrong with a source that has none yet."""
    (batch,) = read(tmp_path)
    assert (batch.drafts, batch.refusals) == ((), ())
    assert batch.cursor is not None
    assert read(tmp_path, batch.cursor) == []
    put(tmp_path, "a.ndjson", "first")
    assert texts(read(tmp_path, batch.cursor)) == ["first"]


def test_a_file_that_takes_too_much_memory_is_refused_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.ndjson", "first")
    put(tmp_path, "b.ndjson", "second")

    def exhausted(text: bytes) -> Any:
        if b"first" in text:
            raise MemoryError
        return parsed(text)

    monkeypatch.setattr(json_lines, "parsed", exhausted)
    batches = read(tmp_path)
    assert texts(batches) == ["second"]
    assert refusals(batches) == ["a.ndjson: too large to be read"]
    assert read(tmp_path, batches[-1].cursor) == []
