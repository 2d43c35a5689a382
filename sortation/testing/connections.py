"""A suite's way to its connector: a scripted source that runs, a connection to it, and what is read through it."""

from __future__ import annotations

import io
import logging
import pkgutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from core.domain.plugins import Auth, AuthKind, Batch, ConnectorManifest, Webhook, WebhookMessage
from core.domain.webhooks import SECRET_FIELD, kept_headers, verify
from core.errors import SortationError
from plugins.isolation.isolated import IsolatedConnector
from plugins.isolation.wire import KNOWN
from ports.connectors import Connector, Context, ReadRequest
from sortation.testing.client import KitHttp
from sortation.testing.folders import ScriptedFolder
from sortation.testing.samples import Delivery, Sample
from sortation.testing.scripted_http import Answer, Asked, ScriptedServer
from sortation.testing.signing import made_secret, signed
from sortation.testing.source import FIRST, Incremental, Item, Source, expected
from sortation.testing.suite import Suite, fail, isolation

T = TypeVar("T")
CONTRACT: tuple[type[SortationError], ...] = tuple(KNOWN.values())
"""What a connector may raise."""
SMALL = 2
"""Drafts of a batch, in most checks."""
Meddling = Callable[[int, Asked], Answer | None]
"""What the kit answers in the source's place to its n-th request (from 0 on), if anything."""


@dataclass(slots=True, kw_only=True)
class Play:
    """A scripted source that runs, and a connection of one tenant to it."""

    source: Source
    server: ScriptedServer
    ctx: Context
    secrets: Mapping[str, str]
    meddle: Meddling | None = None
    answers: dict[int, Answer] = field(default_factory=dict)
    """What the author's `serve` answered, by the request's number (from 0 on)."""
    token: str = ""
    """What the source takes."""
    stored: str = ""
    """What the host has stored: the same, or one that has expired."""
    expired: list[str] = field(default_factory=list)
    exchanges: int = 0
    """How often the host had the token renewed."""
    token_requests: int = 0
    """How often the connector asked for a token itself."""
    folder: ScriptedFolder | None = None

    def expire(self) -> None:
        """From now on the source takes another token, which the host would get by renewing."""
        self.expired.append(self.token)
        self.token = f"{self.token.rpartition('-')[0]}-{len(self.expired) + 1}"

    def beside(self) -> Context:
        """What another process of the host's hands to the connector."""
        assert isinstance(self.ctx.http, KitHttp)  # noqa: S101 - the kit made it
        return replace(self.ctx, http=self.ctx.http.beside())

    def renewed(self, token: str) -> str:
        """The token in the place of this one, as the host gets it under its lock: where another process has it already,
        that one."""
        if token == self.stored:
            self.stored = self.token
            self.exchanges += 1
        return self.stored

    def known(self) -> list[str]:
        """Every secret so far."""
        return [*self.secrets.values(), *self.expired, self.token]


class ConnectorSuite(Suite):
    """What the author of a connector says of it."""

    config: Mapping[str, Any] = {}
    """The configuration of a connection, without its secrets; in texts `{url}` stands for the address of the scripted
    source, which a connector of one source need not know: all that `ctx.http` is asked for goes there."""
    secrets: Mapping[str, str] = {}
    """Secret fields that must have a certain form; the kit makes up the others."""
    incremental: ClassVar[Incremental] = "changed_at"
    """What the source can be asked for; see `Source`."""
    newest_first: ClassVar[bool] = False
    """Whether the source hands out the newest items first."""
    late: ClassVar[timedelta] = timedelta(0)
    """How long after it has handed out an item the source may come up with one from before it."""
    orders_pages: ClassVar[bool] = False
    """Whether the source promises to hand out its items in order."""
    has_empty_pages: ClassVar[bool] = True
    """Whether a page without items may stand before one with some."""
    pages_move: ClassVar[bool] = False
    """Whether the connector can't help that pages, which the source counts, move where something is deleted."""
    of_interest_by: ClassVar[frozenset[str]] = frozenset()
    """Fields of the source's items and deliveries by which the connector leaves out what is of no interest, without a
    refusal."""
    settles: ClassVar[float] = 0.0
    """Seconds for which a file in a folder must have been left alone until it is read."""
    roots: tuple[str, ...] = ()
    """Folders and URLs that an operator would let the connector read (`SORTATION_FOLDER_ROOTS`), beside the kit's."""
    samples: tuple[Sample, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    old_cursors: tuple[tuple[int, Mapping[str, Any]], ...] = ()
    """Cursors of earlier versions of the connector's state, each with its version."""
    bad_configs: tuple[Mapping[str, Any], ...] = ()
    """Configurations that the schema allows, and that the source or its files can't serve."""
    max_cursor_bytes: ClassVar[int] = 8_192

    def serve(self, source: Source, asked: Asked) -> Answer:
        """What the source answers to a request, as its API does, from the items that `source` has."""
        raise NotImplementedError(f"{type(self).__name__} must say by `serve` what its source answers to {asked.path}")

    def file_of(self, item: Item) -> tuple[str, bytes]:
        """The name and the content of the file that an item comes in, where the manifest says that a folder is read;
        the kit writes it there."""
        raise NotImplementedError(f"{type(self).__name__} must say by `file_of` in what file {item.id} comes")

    def place_of(self, folder: Path) -> str:
        """What the configuration says of that folder: its path, or a URL under which the suite serves it."""
        return str(folder)

    def expected(self, item: Item) -> Mapping[str, Any]:
        """The fields that the draft of an item must have, `external_id` among them."""
        return expected(item)

    def is_open(self, asked: Asked) -> bool:
        """Whether the source answers this request without credentials."""
        del asked
        return False

    @cached_property
    def manifest(self) -> ConnectorManifest:
        return self.offered(ConnectorManifest)

    def make(self) -> Connector:
        """The connector, in this process."""
        made: Connector = pkgutil.resolve_name(self.manifest.factory)()
        return made

    def make_isolated(self) -> Connector:
        """The connector as the host has it: in a child process, which ends with each call."""
        return IsolatedConnector(self.manifest, isolation(*self.roots))

    @contextmanager
    def play(self, tenant: int = 0, config: Mapping[str, Any] | None = None, **source: Any) -> Iterator[Play]:
        """Runs the scripted source with a connection of that tenant's to it. The source's options are `Source`'s."""
        manifest = self.manifest
        auth = manifest.auth
        items = Source(self.incremental, tenant=tenant, newest_first=self.newest_first, **source)
        secrets = self._secrets(tenant)
        play: Play

        def script(asked: Asked) -> Answer:
            if _asks_for_token(asked, auth, filled):
                play.token_requests += 1
                return Answer(status=400, json={"error": "invalid_grant"})
            if play.meddle and (answer := play.meddle(len(server.requests) - 1, asked)):
                return answer
            if not manifest.sockets and not self.is_open(asked):
                bearer = {"Authorization": f"Bearer {play.token}"}
                for name, value in (bearer if play.token else http.credentials()).items():
                    if asked.headers.get(name.lower()) != value:
                        return Answer(status=401, json={"error": "who are you?"})
            number = len(server.requests) - 1
            play.answers[number] = self.serve(items, asked)
            return play.answers[number]

        with ScriptedServer(script) as server, ExitStack() as stack:
            filled = {**_filled(self.config if config is None else config, server.url), **secrets}
            folder = self._folder(stack, items) if manifest.folder else None
            if folder is not None:
                filled = {manifest.folder: self.place_of(folder.path), **filled}
            token = f"canary-token-{tenant}-1" if auth.kind in (AuthKind.OAUTH2, AuthKind.CLIENT_CREDENTIALS) else ""
            http = KitHttp(server.port, auth, filled, token, lambda token: play.renewed(token))
            stack.callback(http.close)
            ctx = Context(
                config=filled,
                default_currency="EUR" if tenant == 0 else "GBP",
                http=http,
                log=logging.getLogger("sortation.plugin"),
            )
            play = Play(source=items, server=server, ctx=ctx, secrets=secrets, token=token, stored=token, folder=folder)
            if manifest.pulls:
                items.streams = self.streams(play)
            server.requests.clear()
            play.answers.clear()
            yield play
        for error in server.errors:
            raise AssertionError(f"the suite's own `serve` failed: {error!r}") from error

    def streams(self, play: Play) -> list[str]:
        return [stream.name for stream in self.make().discover(play.ctx)]

    def ways(
        self, make: Callable[[], Connector], play: Play, size: int = SMALL
    ) -> Iterator[tuple[str, Iterator[Batch]]]:
        """Every way in which this connector comes by records: each stream, file and delivery with a name."""
        for stream in play.source.streams:
            yield f"stream {stream}", read(make(), play, stream, size=size)
        for sample in self.samples:
            if not sample.unreadable:
                yield sample.name, self.read_file(make(), play.ctx, sample, size)
        for number, delivery in enumerate(self.deliveries, start=1):
            yield f"delivery {number}", iter([self.parse(make(), play.ctx, delivery)])

    def read_file(self, connector: Connector, ctx: Context, sample: Sample, size: int = 5_000) -> Iterator[Batch]:
        if sample.config is not None:
            ctx = replace(ctx, config={**ctx.config, **sample.config})
        request = ReadRequest(file=io.BytesIO(sample.read()), filename=sample.name, batch_size=size)
        return iter(connector.read(ctx, request))

    def parse(self, connector: Connector, ctx: Context, delivery: Delivery, at: datetime = FIRST) -> Batch:
        """What it makes of a delivery that its source signs, and the host takes for genuine."""
        secret = ctx.config.get(SECRET_FIELD) or made_secret(0)
        return self.received(connector, ctx, self.sent(delivery, str(secret), at), delivery.written(), at)

    def sent(self, delivery: Delivery, secret: str, at: datetime) -> dict[str, str]:
        """The headers of the delivery, names in lower case, as its source signs it."""
        own = {name.lower(): value for name, value in delivery.headers.items()}
        return own | signed(self.webhook, secret, delivery.id, delivery.written(), at)

    def received(
        self, connector: Connector, ctx: Context, headers: Mapping[str, str], body: bytes, at: datetime
    ) -> Batch:
        """What the host does with a delivery: the connector sees it once it is verified. Raises `WebhookRefused`."""
        id = verify(self.webhook, ctx.config, headers, body, at)
        return connector.parse_webhook(
            ctx, WebhookMessage(id=id, body=body, headers=kept_headers(self.webhook, headers), received_at=at)
        )

    @property
    def webhook(self) -> Webhook:
        hook = self.manifest.webhook
        if hook is None:
            fail("the connector has no webhook")
        return hook

    def _secrets(self, tenant: int) -> dict[str, str]:
        made = {name: f"canary-{name}-{tenant}-6e1f0c" for name in sorted(self.manifest.secret_fields())}
        if SECRET_FIELD in made:
            made[SECRET_FIELD] = made_secret(tenant)
        return {**made, **(self.secrets if tenant == 0 else {})}

    def _folder(self, stack: ExitStack, source: Source) -> ScriptedFolder:
        path = stack.enter_context(tempfile.TemporaryDirectory(prefix="sortation-kit-", ignore_cleanup_errors=True))
        return ScriptedFolder(Path(path), source, self.file_of, self.settles)


def read(
    connector: Connector, play: Play, stream: str = "", cursor: Mapping[str, Any] | None = None, size: int = SMALL
) -> Iterator[Batch]:
    """What is read of a stream; drafts alone are counted by `size`."""
    if play.folder is not None:
        play.folder.follow()
    return iter(connector.read(play.ctx, ReadRequest(stream=stream, cursor=cursor, batch_size=size)))


def last_cursor(batches: list[Batch], before: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
    """What the host has stored after these batches."""
    return next((batch.cursor for batch in reversed(batches) if batch.cursor is not None), before)


def from_request(first: int, answer: Answer) -> Meddling:
    """Answers so from that request on (the first is 0)."""
    return lambda number, _: answer if number >= first else None


def at_request(which: int, answer: Answer) -> Meddling:
    """Answers that request so, and no other."""
    return lambda number, _: answer if number == which else None


def tried(doing: Callable[[], Iterable[T]]) -> tuple[list[T], Exception | None]:
    """What it gives, up to the error that it raises, if any."""
    given: list[T] = []
    try:
        for part in doing():
            given.append(part)  # noqa: PERF402 - those before an error count
    except Exception as error:
        return given, error
    return given, None


def error_of(doing: Callable[[], object]) -> Exception | None:
    """What it raises, if anything."""
    try:
        doing()
    except Exception as error:
        return error
    return None


def expect_contract(error: Exception | None, when: str) -> None:
    """That it is no error, or one of the contract's."""
    if error is not None and not isinstance(error, CONTRACT):
        raise AssertionError(f"{when}: {type(error).__name__} is none of the contract's errors: {error}") from error


def _asks_for_token(asked: Asked, auth: Auth, config: Mapping[str, Any]) -> bool:
    if not auth.token_url:
        return False
    where = urlsplit(auth.token_url.format(**config))
    return (asked.host, asked.path) == (where.netloc, where.path)


def _filled(value: Any, url: str) -> Any:
    if isinstance(value, str):
        return value.replace("{url}", url)
    if isinstance(value, Mapping):
        return {name: _filled(part, url) for name, part in value.items()}
    return [_filled(part, url) for part in value] if isinstance(value, list | tuple) else value
