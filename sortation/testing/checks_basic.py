"""Checks of every connector: what it says of itself, what it makes, and what it leaves alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

from core.domain.plugins import Batch
from core.domain.records import Draft, check_draft
from core.domain.webhooks import SECRET_FIELD
from core.errors import Invalid
from sortation.testing.accounting import drafts_of, refused
from sortation.testing.connections import ConnectorSuite
from sortation.testing.suite import check_fits, check_told_values, expect, fail, isolation, skip
from sortation.testing.watching import watched

_SECRETIVE = re.compile(r"(password|passwd|passphrase|secret|token|(api|private)[-_]?key|credentials?)$", re.IGNORECASE)
_TEXTS = ("text", "kind", "account", "counterparty")
_MAYBE_TEXTS = ("external_id", "currency", "pending_external_id", "category")


class BasicChecks(ConnectorSuite):
    def test_manifest_is_complete(self) -> None:
        """The host would load the plugin; its factory needs no arguments and makes what the manifest promises, and the
        suite gives a sample of each way in which records come."""
        manifest = self.manifest
        made = self.make()
        needed = ["read", "detect"] if manifest.file_extensions else []
        needed += ["check", "discover", "read", "migrate_state"] if manifest.pulls else []
        needed += ["parse_webhook"] if manifest.webhook else []
        lacking = [name for name in dict.fromkeys(needed) if not callable(getattr(made, name, None))]
        expect(not lacking, f"the connector has no {', '.join(lacking)}")
        docs = manifest.docs_url
        expect(not docs or docs.startswith("https://"), f"docs_url {docs!r} is no https:// address")
        expect(self.samples or not manifest.file_extensions, "the suite has no `samples` of its files")
        expect(self.deliveries or not manifest.webhook, "the suite has no `deliveries` of its webhook")

    def test_schema_describes_the_configuration(self) -> None:
        """The configuration fits the schema; each field says what it is for; secrets are marked, stand at the top, are
        text and have no default; what the schema tells as values are some."""
        schema = self.manifest.config_schema
        secrets = self.manifest.secret_fields()
        check_told_values(schema)
        with self.play() as play:
            check_fits(schema, dict(play.ctx.config), "the suite's `config` with its secrets")
        made_up = dict.fromkeys(secrets, "canary-secret-6e1f0c")
        if self.manifest.folder:
            made_up[self.manifest.folder] = self.place_of(Path("/the/kit/s"))
        for config in (*self.bad_configs, *(s.config for s in self.samples if s.config is not None)):
            check_fits(schema, {**made_up, **config}, f"{config}")
        for path, part in _fields(schema, ()):
            name = ".".join(path)
            secret = part.get("writeOnly") is True
            expect(
                secret or not _SECRETIVE.search(path[-1]) or part.get("type") != "string",
                f'{name} is shown to everybody: mark it as a secret with "writeOnly": true',
            )
            if secret:
                expect(len(path) == 1, f"{name} is a secret, and would not be encrypted: it must stand at the top")
                several = path == (SECRET_FIELD,) and part.get("type") == ["string", "array"]
                expect(part.get("type") == "string" or several, f"{name} is a secret and no text")
                expect(
                    "default" not in part, f"{name} is a secret, and everybody who sees the schema knows its default"
                )

    def test_import_is_cheap(self) -> None:
        """Importing the plugin takes little time, prints nothing and starts no threads."""
        entry, factory = self.plugin.partition(":")[0], self.manifest.factory.partition(":")[0]
        self.check_imports({entry: self.import_seconds} | ({} if factory == entry else {factory: self.factory_seconds}))

    def test_works_shut_in(self) -> None:
        """In a child process as the host has it, without sockets and files of the host's, it is loaded, and gives the
        same as in this one."""
        name, value = "under test", self.plugin
        (offered,) = isolation().load([(name, value)])
        if isinstance(offered, Exception):
            raise AssertionError(f"in a child process it can't be loaded: {offered}") from offered
        expect(self.manifest.key in {m.key for m in offered[0]}, "a child process sees no such connector")
        with self.play() as play:
            here, there = self.make(), self.make_isolated()
            if self.manifest.pulls:
                expect(list(there.discover(play.ctx)) == list(here.discover(play.ctx)), "discover differs")
                expect(list(there.check(play.ctx)) == list(here.check(play.ctx)), "check differs")
            for sample in self.samples:
                head = sample.read()[: 64 << 10]
                expect(there.detect(head, sample.name) == here.detect(head, sample.name), "detect differs")
            pairs = zip(self.ways(self.make_isolated, play), self.ways(self.make, play), strict=True)
            for (way, isolated), (_, own) in pairs:
                expect(list(isolated) == list(own), f"{way}: what a child process gives differs")

    def test_drafts_are_valid(self) -> None:
        """Each draft is one that the host takes: types as declared, amounts Decimals with a currency, instants aware,
        attributes and raw in JSON, nothing too long; kinds are those of the streams. Receipts have a content."""
        with self.play() as play:
            kinds: dict[str, str] = {}
            if self.manifest.pulls:
                kinds = {f"stream {s.name}": s.kind for s in self.make().discover(play.ctx)}
            found: list[Batch] = []
            for way, given in self.ways(self.make, play):
                batches = list(given)
                found += batches
                for draft in drafts_of(batches):
                    _check(draft, way)
                    expect(
                        draft.kind == kinds.get(way, draft.kind),
                        f"{way}: a {draft.kind} in a stream of {kinds.get(way)}",
                    )
            receipts = [receipt for batch in found for receipt in batch.receipts]
            expect(all(r.content and isinstance(r.content, bytes) for r in receipts), "a receipt has no content")
            nothing = f"no way brings a draft or a receipt{refused(found) or ': there is nothing to check'}"
            expect(drafts_of(found) or receipts, nothing)

    def test_ids_are_stable_and_distinct(self) -> None:
        """What is read twice has the same ids, in the same order, and no two records of an account have the same; a
        source that is asked may give a record again, as it was."""
        with self.play() as play:
            for (way, first), (_, second) in zip(
                self.ways(self.make, play), self.ways(self.make, play, size=3), strict=True
            ):
                once, twice = drafts_of(first), drafts_of(second)
                if way.startswith("stream"):
                    once, twice = _without_repeats(once), _without_repeats(twice)
                ids = [(d.account, d.external_id) for d in once]
                expect(ids == [(d.account, d.external_id) for d in twice], f"{way}: read again, the ids are others")
                expect(once == twice, f"{way}: read again, the drafts are others")
                named = [pair for pair in ids if pair[1] is not None]
                expect(len(named) == len(set(named)), f"{way}: two records have the same account and external_id")

    def test_batches_are_small(self) -> None:
        """A batch has no more drafts than were asked for, whatever the source's pages have."""
        with self.play() as play:
            for size in (1, 2, 5):
                for way, batches in self.ways(self.make, play, size):
                    if way.startswith("delivery"):
                        continue
                    most = max((len(batch.drafts) for batch in batches), default=0)
                    expect(most <= size, f"{way}: a batch of {most} drafts where {size} were asked for")

    def test_tenants_do_not_mix(self) -> None:
        """Two connections that are read in turns in one process give what each gives in its own: nothing is kept in
        modules or classes."""
        with self.play() as first, self.play(tenant=1) as second:
            alone = [[list(batches) for _, batches in self.ways(self.make_isolated, play)] for play in (first, second)]
            ways = zip(self.ways(self.make, first), self.ways(self.make, second), strict=True)
            for number, ((way, one), (_, other)) in enumerate(ways):
                got: tuple[list[Batch], list[Batch]] = ([], [])
                for pair in zip_longest(one, other):
                    for batches, batch in zip(got, pair, strict=True):
                        batches.extend([batch] if batch is not None else [])
                for batches, wanted in zip(got, (alone[0][number], alone[1][number]), strict=True):
                    expect(batches == wanted, f"{way}: read in turns with another tenant's, it gives something else")

    def test_touches_nothing_else(self) -> None:
        """It writes no files but in its working directory, opens no sockets and starts no processes, nor tries to."""
        if self.manifest.sockets:
            skip("the manifest says that the connector opens sockets of its own")
        with self.play() as play:
            for again in (False, True):  # the first time, so that what is imported late is imported
                with watched() as seen:
                    for _, batches in self.ways(self.make, play):
                        list(batches)
                    if self.manifest.pulls:
                        self.make().check(play.ctx)
                if again and seen:
                    fail("; ".join(dict.fromkeys(seen)))


def _fields(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every field of a schema, also of objects within it."""
    if not isinstance(schema, Mapping):
        return
    for name, part in schema.get("properties", {}).items():
        if isinstance(part, Mapping):
            yield (*path, name), part
            yield from _fields(part, (*path, name))
    for word in ("items", "anyOf", "oneOf", "allOf", "$defs", "additionalProperties"):
        inner = schema.get(word)
        parts: Iterable[Any] = inner if isinstance(inner, list) else [inner]
        if word == "$defs" and isinstance(inner, Mapping):
            parts = inner.values()
        for part in parts:
            yield from _fields(part, (*path, word))


def _check(draft: Draft, way: str) -> None:
    expect(isinstance(draft, Draft), f"{way}: a batch holds {type(draft).__name__}, no Draft")
    for name in (*_TEXTS, *_MAYBE_TEXTS):
        value = getattr(draft, name)
        fits = isinstance(value, str) or (value is None and name in _MAYBE_TEXTS)
        expect(fits, f"{way}: {name} is {type(value).__name__}, no text: {draft}")
    amount, when = draft.amount, draft.occurred_at
    expect(amount is None or isinstance(amount, Decimal), f"{way}: the amount {amount!r} is no Decimal: {draft}")
    expect(
        isinstance(when, date), f"{way}: occurred_at is {type(when).__name__}, neither a date nor an instant: {draft}"
    )
    expect(not isinstance(when, datetime) or when.utcoffset() is not None, f"{way}: {when} has no time zone: {draft}")
    expect(isinstance(draft.pending, bool), f"{way}: pending is no bool: {draft}")
    for name in ("attributes", "raw"):
        try:
            json.dumps(dict(getattr(draft, name)), allow_nan=False)
        except (TypeError, ValueError) as error:
            fail(f"{way}: {name} can't be stored as JSON, {error}: {draft}")
    try:
        check_draft(draft)
    except Invalid as error:
        fail(f"{way}: the host would refuse it, {error}: {draft}")


def _without_repeats(drafts: Sequence[Draft]) -> list[Draft]:
    """Each draft where it came first."""
    found: list[Draft] = []
    for draft in drafts:
        if draft not in found:
            found.append(draft)
    return found
