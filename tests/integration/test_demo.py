"""The demo over real HTTP: what it waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from werkzeug.serving import make_server

from core.domain.jobs import NewJob, Stream
from entrypoints.api.app import create_app
from entrypoints.cli import stopping
from entrypoints.cli.demo import Client, run_demo
from tests.integration.api_support import STATEMENT, Api


@pytest.fixture
def served(api: Api) -> Iterator[Client]:
    server = make_server("127.0.0.1", 0, create_app(api.container), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Client(url=f"http://127.0.0.1:{server.server_port}", key=api.key)
    finally:
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "payload", "waits"),
    [(Stream.EMBED, {"forget": "a former model"}, False), (Stream.LEARN, {}, False), (Stream.EMBED, {}, True)],
)
def test_it_waits_for_nothing_that_does_not_sort(
    api: Api,
    served: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stream: Stream,
    payload: dict[str, str],
    waits: bool,
) -> None:
    class Waits(Exception):
        pass

    def wait() -> None:
        raise Waits

    statement = tmp_path / "statement.csv"
    statement.write_text(STATEMENT)
    api.upload()
    with api.container.uow().begin(api.actor) as tx:
        tx.jobs.add([NewJob(id=api.container.ids().new(), stream=stream, payload=payload, delay_seconds=900.0)])
        tx.commit()
    monkeypatch.setattr(stopping, "check", wait)  # what it asks before it looks again
    if waits:
        with pytest.raises(Waits):
            run_demo(served, statement, None, Console(quiet=True))
    else:
        run_demo(served, statement, None, Console(quiet=True))
