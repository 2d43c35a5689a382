"""Checks of connectors that read files."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import PurePath
from typing import ClassVar

from core.domain.plugins import Batch
from core.errors import ConfigInvalid, UnreadableFile
from sortation.testing.accounting import drafts_of, refused
from sortation.testing.connections import ConnectorSuite, tried
from sortation.testing.samples import FOREIGN, Sample, monotonous, odd_rows, spoiled
from sortation.testing.suite import expect, fail, skip

SURE_ENOUGH = 0.3
"""From here on the host believes a connector that a file is its own."""


class FileChecks(ConnectorSuite):
    monotonous_seconds: ClassVar[float] = 2.0
    """CPU time for 64 KiB of one character, or of one line."""

    def test_detects_its_own_files(self) -> None:
        """It is sure enough of each sample, also where the file's first 64 KiB end in the middle of something."""
        for sample in self._files():
            head = sample.read()[: 64 << 10]
            if not sample.unreadable:
                sure = self._sure(head, sample.name)
                expect(sure >= SURE_ENOUGH, f"{sample.name}: it is sure to {sure}, and the host would not ask it")
            for name, content in spoiled(head):
                self._sure(content, f"{sample.name} ({name})")

    def test_leaves_other_files_alone(self) -> None:
        """It is not sure of files of other kinds: the host would hand them to it."""
        self._files()
        for name, content in FOREIGN.items():
            if PurePath(name).suffix not in self.manifest.file_extensions:
                sure = self._sure(content, name)
                expect(sure < SURE_ENOUGH, f"{name}: it is sure to {sure} that this is its own")

    def test_reads_its_files(self) -> None:
        """Each sample gives as many drafts, refusals and receipts as its author says, and amounts of that sum; an
        unreadable one is refused with `UnreadableFile`, and one line that says why."""
        with self.play() as play:
            read = [(s, tried(partial(self.read_file, self.make(), play.ctx, s))) for s in self._files()]
        for sample, (batches, error) in read:
            if isinstance(error, UnreadableFile):
                expect(sample.unreadable, f"{sample.name}: {error}")
                expect(len(str(error).splitlines()) == 1, f"{sample.name}: no one line says why: {error}")
                continue
            if error is not None:
                raise AssertionError(f"{sample.name}: {error!r}") from error
            expect(not sample.unreadable, f"{sample.name}: it is read as if it were none the worse")
            drafts = drafts_of(batches)
            refusals = [refusal for batch in batches for refusal in batch.refusals]
            counts = (len(drafts), len(refusals))
            expect(
                counts == (sample.drafts, sample.refusals),
                f"{sample.name}: {counts[0]} drafts and {counts[1]} refusals, "
                f"not {sample.drafts} and {sample.refusals}{refused(batches)}",
            )
            receipts = sum(len(batch.receipts) for batch in batches)
            expect(receipts == sample.receipts, f"{sample.name}: {receipts} receipts, not {sample.receipts}")
            expect(
                all(r.reason and r.position > 0 for r in refusals), f"{sample.name}: a refusal has no reason or place"
            )
            if sample.total is not None:
                total = _total(batches)
                expect(total == sample.total, f"{sample.name}: the amounts sum up to {total}, not {sample.total}")

    def test_file_sizes_of_batches_change_nothing(self) -> None:
        """Read in batches of any size, a file gives the same drafts and refusals in the same order."""
        for sample in self._files():
            if sample.unreadable:
                continue
            with self.play() as play:
                whole = list(self.read_file(self.make(), play.ctx, sample))
                for size in (1, 2, 3):
                    parts = list(self.read_file(self.make(), play.ctx, sample, size))
                    same = drafts_of(parts) == drafts_of(whole) and [r for b in parts for r in b.refusals] == [
                        r for b in whole for r in b.refusals
                    ]
                    expect(same, f"{sample.name}: in batches of {size} it gives something else")

    def test_broken_files_are_refused(self) -> None:
        """Of a file that is cut off, damaged or none at all, it refuses parts or the whole: with `UnreadableFile` and
        one line that says why."""
        with self.play() as play:
            for sample in self._files():
                for name, content in spoiled(sample.read()):
                    broken = replace(sample, content=content, path=None, filename=sample.name)
                    _, error = tried(partial(self.read_file, self.make(), play.ctx, broken))
                    if isinstance(error, UnreadableFile):
                        lines = len(str(error).splitlines())
                        expect(lines == 1, f"{sample.name}, {name}: no one line says why: {error}")
                    elif error is not None:
                        raise AssertionError(
                            f"{sample.name}, {name}: {type(error).__name__} where UnreadableFile is meant: {error}"
                        ) from error

    def test_odd_rows_are_refused(self) -> None:
        """Of a file in which one amount or day is none, it refuses a part, or the whole with `UnreadableFile`: where
        there are fewer drafts there are more refusals, or the others have their amounts, as an entry that is no longer
        split has."""
        odd = 0
        with self.play() as play:
            for sample in self._files():
                if sample.unreadable:
                    continue
                whole = list(self.read_file(self.make(), play.ctx, sample))
                for what, content in odd_rows(sample.read(), drafts_of(whole)):
                    odd += 1
                    broken = replace(sample, content=content, path=None, filename=sample.name)
                    batches, error = tried(partial(self.read_file, self.make(), play.ctx, broken))
                    told = f"{sample.name}, its {what} made unreadable"
                    if error is not None and not isinstance(error, UnreadableFile):
                        raise AssertionError(f"{told}: {type(error).__name__}: {error}") from error
                    lost = len(drafts_of(whole)) - len(drafts_of(batches))
                    refusals = _refusals(batches) - _refusals(whole)
                    expect(
                        error or lost <= 0 or refusals > 0 or _total(batches) == _total(whole) != 0,
                        f"{told}: {lost} drafts fewer, and no refusal tells of it{refused(batches)}",
                    )
        if not odd:
            skip("no sample tells the amounts or days of its drafts in plain text")

    def test_monotonous_files_are_quick(self) -> None:
        """64 KiB of one character, or of one line of the first sample, are looked at and refused at once: no pattern
        goes through them again and again."""
        for sample in self._files()[:1]:
            for name, content in monotonous(sample.read()):
                self.make_isolated().detect(content, sample.name)  # what takes for ever is ended there
                for doing in ("looked at", "read"):
                    start = time.process_time()
                    if doing == "read":
                        with self.play() as play:
                            broken = replace(sample, content=content, path=None, filename=sample.name)
                            tried(partial(self.read_file, self.make(), play.ctx, broken))
                    else:
                        self.make().detect(content, sample.name)
                    took = time.process_time() - start
                    expect(
                        took <= self.monotonous_seconds,
                        f"{sample.name}, 64 KiB of {name}: it is {doing} for {took:.1f} s of CPU time",
                    )

    def test_file_bad_configuration(self) -> None:
        """A configuration that the schema allows and the file can't serve is refused with `ConfigInvalid` or
        `UnreadableFile`."""
        if not self.bad_configs:
            skip("the suite has no `bad_configs`")
        for config in self.bad_configs:
            for sample in self._files():
                if sample.unreadable:
                    continue
                with self.play(config=config) as play:
                    try:
                        list(self.read_file(self.make(), play.ctx, replace(sample, config=None)))
                    except (ConfigInvalid, UnreadableFile):
                        continue
                    fail(f"{sample.name} is read with the bad configuration {config}")

    def _files(self) -> tuple[Sample, ...]:
        if not self.manifest.file_extensions:
            skip("the connector reads no files")
        return self.samples

    def _sure(self, content: bytes, name: str) -> float:
        try:
            sure = float(self.make().detect(content, name))
        except Exception as error:
            raise AssertionError(f"{name}: detect raises {type(error).__name__}: {error}") from error
        expect(0 <= sure <= 1, f"{name}: {sure} is not from 0 to 1")
        return sure


def _refusals(batches: Iterable[Batch]) -> int:
    return sum(len(batch.refusals) for batch in batches)


def _total(batches: Iterable[Batch]) -> Decimal:
    return sum((draft.amount for draft in drafts_of(batches) if draft.amount is not None), Decimal(0))
