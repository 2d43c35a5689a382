"""The check of what becomes of a connection's secrets: they go where the manifest's auth puts them, nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from string import Formatter

from core.domain.plugins import AuthKind
from core.domain.webhooks import SECRET_FIELD
from core.errors import PluginBug
from sortation.testing.client import KitHttp
from sortation.testing.connections import ConnectorSuite, Play, from_request, last_cursor, read, tried
from sortation.testing.scripted_http import Answer, Asked
from sortation.testing.suite import expect, skip
from sortation.testing.watching import heard


class SecretChecks(ConnectorSuite):
    def test_secrets_stay_secret(self) -> None:
        """No secret is in what is logged or printed, in errors, in what the connector shows of itself, or in anything
        that is stored; also where the source fails. A request has the key or token only in the header where the
        manifest's auth puts it, and in no address or body; a secret of which the auth knows nothing may be in another
        header."""
        if not self.manifest.secret_fields() and self.manifest.auth.kind is AuthKind.NONE:
            skip("the connector has no secrets")
        for status in (200, 400, 401, 403, 429, 500, 0):
            with self.play() as play, heard() as said:
                if status != 200:
                    refused = Answer(content=b"<html>no</html>") if status == 0 else Answer(status=status)
                    play.meddle = from_request(1, refused)
                shown = list(self._shown(play))
            for where, text in [*(("the log", line) for line in said), *shown]:
                for secret in filter(None, play.known()):
                    expect(secret not in text, f"a secret is in {where}, the source answering {status or 'garbage'}")
            for request in play.server.requests:
                self._expect_in_place(play, request)

    def _expect_in_place(self, play: Play, request: Asked) -> None:
        own = {value for name, value in play.secrets.items() if name not in self._known_to_the_host()}
        headers = _beside(request, play)
        for secret in filter(None, play.known()):
            told = f"{request.method} {request.path} has a secret in "
            expect(secret not in f"{request.path}?{request.query}", f"{told}its address")
            expect(secret.encode() not in request.body, f"{told}its body")
            where = [name for name, value in headers.items() if secret in value and secret not in own]
            expect(not where, f"{told}the header {', '.join(where)}, where the manifest's auth does not put it")

    def _known_to_the_host(self) -> set[str]:
        """The secret fields by which the host identifies the connection, and verifies what is sent to it."""
        auth, known = self.manifest.auth, {SECRET_FIELD, "client_secret"}
        if auth.kind is not AuthKind.API_KEY:
            return known
        return (
            known | {auth.field} | {name for _, name, _, _ in Formatter().parse(f"{auth.header}{auth.value}") if name}
        )

    def _shown(self, play: Play) -> Iterator[tuple[str, str]]:
        connector = self.make()
        for name in ("check", "discover") if self.manifest.pulls else ():
            given, error = tried(partial(getattr(connector, name), play.ctx))
            yield f"the answer of {name}", repr(given)
            yield f"an error of {name}", _told(error)
        ways, raised = tried(partial(self.ways, lambda: connector, play))
        yield "an error", _told(raised)
        for way, batches in ways:
            stored, error = tried(batches.__iter__)
            if stream := way.removeprefix("stream ") if way.startswith("stream ") else "":
                on, _ = tried(partial(read, connector, play, stream, last_cursor(stored)))
                stored += on
            yield f"what is stored ({way})", repr(stored)
            yield f"an error ({way})", _told(error)
        yield "the connector's repr", repr(connector)


def _beside(request: Asked, play: Play) -> dict[str, str]:
    """The request's headers but for the one that identifies the connection."""
    http = play.ctx.http
    assert isinstance(http, KitHttp)  # noqa: S101 - the kit made it
    expected = http.credentials()
    return {
        name: value
        for name, value in request.headers.items()
        if (name, value) not in {(known.lower(), right) for known, right in expected.items()}
    }


def _told(error: BaseException | None) -> str:
    """Everything that an error shows, and those that it stems from."""
    if error is None:
        return ""
    told = f"{error!r} {error} {getattr(error, 'details', '')}"
    if isinstance(error, PluginBug):
        told += str(error.details.get("trace"))
    return f"{told} {_told(error.__cause__ or error.__context__)}"
