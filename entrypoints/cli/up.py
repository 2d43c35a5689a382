"""`sortation up`: the whole service on one machine, with all that it needs, until it is told to stop."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from adapters.embedded.processes import DataDirLock, Supervisor
from core.domain.jobs import Stream
from core.errors import StartFailed
from entrypoints.cli import demo, running, stopping
from entrypoints.cli.operating import at_command_line
from entrypoints.cli.services import bring_up, check_port
from entrypoints.cli.stopping import deferred
from entrypoints.cli.tenants import container
from entrypoints.setting_values import PREFIX
from entrypoints.settings import Settings, load_settings

READY_SECONDS = 90.0
DEATHS = 3
"""An API that died so often while starting will not start."""
STATEMENT = Path("examples/statement.csv")
HISTORY = "history.csv"
EXAMPLES = """Examples:

\b
  sortation up                                   with a demo tenant and examples/statement.csv, if that is here
  sortation up --statement ~/Downloads/bank.csv  the demo with a statement of yours
  sortation up --no-demo
  SORTATION_PORT=9000 SORTATION_DATA_DIR=/srv/sortation sortation up

\b
  What it writes, all in SORTATION_DATA_DIR (./sortation-data):
    postgres/       the database
    logs/           a file for each part
    demo-key        the demo tenant's key; remove it to get a fresh demo tenant
    services.json   for `sortation jobs` and others, while this runs
"""


def up(
    with_demo: Annotated[
        bool | None, typer.Option("--demo/--no-demo", help="Make a demo tenant; unless said, only in the profile dev.")
    ] = None,
    statement: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help=f"What the demo sorts, having learnt from the {HISTORY} beside it; default: {STATEMENT}.",
        ),
    ] = None,
) -> None:
    """Run everything here: database, broker, API, workers and relay.

    PostgreSQL and Valkey come along, unless SORTATION_DATABASE_URL and SORTATION_BROKER_URL name others. Data stays in
    one directory. Serves until Ctrl-C, and leaves no process behind.
    """
    settings = load_settings()
    url = _url(settings)
    with DataDirLock(settings.data_dir):
        check_port(settings.host, settings.port)
        serving = False
        try:
            with _services(settings) as events:
                _await_ready(settings, url, events)
                typer.echo(f"Sortation is ready at {url}")
                if settings.profile == "dev" if with_demo is None else with_demo:
                    _show_demo(settings, url, statement)
                else:
                    typer.echo(f"\n  API      {url}/api/v1\n  Docs     {url}/api/docs\n  Console  {url}/sign-in\n")
                serving = True
                typer.echo("Serving until Ctrl-C.")
                while True:
                    stopping.check()
                    time.sleep(1)  # not signal.pause(), which misses a signal that comes just before it
        except SystemExit:
            if not serving:
                raise
            typer.echo("\nStopped.")


@contextmanager
def _services(settings: Settings) -> Iterator[Sequence[str]]:
    """Everything runs within, nothing does afterwards; the supervisor's events, as they come."""
    events: list[str] = []

    def note(event: str) -> None:
        events.append(event)
        with suppress(OSError):  # nobody may be reading any more
            typer.echo(f"sortation: {event}", err=True)

    with ExitStack() as stack:
        supervisor = Supervisor(settings.data_dir, on_event=note)
        # Not with the module: the other commands do without their libraries.
        from adapters.embedded.postgres import EmbeddedPostgres
        from adapters.embedded.valkey import EmbeddedValkey

        postgres, valkey = EmbeddedPostgres(settings.data_dir), EmbeddedValkey(settings.data_dir)
        stack.callback(postgres.stop)  # these two in case that one fails before the supervisor has it
        stack.callback(valkey.stop)
        stack.callback(supervisor.stop)
        if settings.embedded_database:
            typer.echo("Starting PostgreSQL ...")
            with deferred():
                urls = postgres.start()
                supervisor.keep("postgres", postgres)
            settings = replace(
                settings, database_url=urls.owner, app_database_url=urls.app, system_database_url=urls.system
            )
        if settings.embedded_broker:
            typer.echo("Starting Valkey ...")
            with deferred():
                broker_url = valkey.start()
                supervisor.keep("valkey", valkey)
            settings = replace(settings, broker_url=broker_url)
        _migrate(settings)
        running.note(settings)
        stack.callback(running.forget, settings)
        parts = _parts(settings)
        typer.echo(f"Starting {', '.join(parts)} ... (logs in {settings.data_dir / 'logs'})")
        with deferred():
            for part, (command, own) in parts.items():
                # -P, or packages in the present directory would stand in for ours.
                environment = {**running.child_environment(settings, owner=part == "relay"), **own}
                line = [sys.executable, "-P", "-m", "entrypoints.cli", command]
                # Who waits for a page comes before what is learned and sorted meanwhile.
                supervisor.run(part, line, environment, gives_way=command == "worker")
        yield events


def _parts(settings: Settings) -> dict[str, tuple[str, dict[str, str]]]:
    """The command of each part, and what its environment has of its own. Syncs have a worker for themselves, so that
    those which hang hold up nothing else."""
    syncs = [name for name in settings.worker_streams if name == Stream.SYNC.value]
    rest = [name for name in settings.worker_streams if name != Stream.SYNC.value]
    workers = {name: streams for name, streams in (("worker", rest), ("syncs", syncs)) if streams}
    return {
        "api": ("api", {}),
        **{name: ("worker", {f"{PREFIX}WORKER_STREAMS": ",".join(streams)}) for name, streams in workers.items()},
        "relay": ("relay", {}),
    }


def _migrate(settings: Settings) -> None:
    if settings.database_url is None:
        typer.echo("SORTATION_DATABASE_URL is not set: the database is taken to be migrated.")
        return
    typer.echo("Migrating the database ...")
    bring_up(settings)


def _await_ready(settings: Settings, url: str, events: Sequence[str]) -> None:
    """Raises `StartFailed` when the API does not get ready."""
    log = settings.data_dir / "logs" / "api.log"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + READY_SECONDS
    reason = "it does not listen"
    while time.monotonic() < deadline:
        try:
            with opener.open(f"{url}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            reason = f"/readyz answers {error.code}"
        except OSError:
            pass  # not listening yet
        if sum(event.startswith("api died") for event in events) >= DEATHS:
            raise StartFailed(f"the API does not start; see {log}")
        stopping.check()
        time.sleep(0.05)
    raise StartFailed(f"the API did not get ready in {READY_SECONDS:.0f} s: {reason}; see {log}")


def _way_in(settings: Settings, url: str) -> str:
    """For who looks at the demo: the first time a link by which they choose a password, and are in."""
    services = container()
    if settings.local_accounts == "off" or services.people().account(demo.OWNER) is not None:
        return f"{url}/sign-in (you are {demo.OWNER})"
    token = services.reset_link(demo.OWNER, at_command_line("up"))
    return f"{url}/password/{token} (choose a password: you are {demo.OWNER})"


def _show_demo(settings: Settings, url: str, statement: Path | None) -> None:
    key = demo.demo_key(url, settings.operator_key, settings.data_dir)
    chosen = statement or (STATEMENT if STATEMENT.exists() else None)
    if chosen is None:
        typer.echo(f"There is no {STATEMENT} here, so the demo tenant stays empty: try --statement FILE.")
    else:
        history = chosen.with_name(HISTORY)
        console = Console()
        console.print(
            demo.run_demo(demo.Client(url=url, key=key), chosen, history if history.exists() else None, console)
        )
    typer.echo(
        f"  API       {url}/api/v1\n"
        f"  Docs      {url}/api/docs\n"
        f"  Console   {_way_in(settings, url)}\n"
        f"  Demo key  {key}\n\n"
        f"  Try       {demo.curl(url, key)}\n"
    )


def _url(settings: Settings) -> str:
    """Where this machine reaches the API."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - a comparison
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
