"""The `sortation` command: its subcommands, and what becomes of their errors.

Whatever goes wrong is one line on stderr: exit code 2 for what the caller can mend, 1 for a fault of ours.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from core.errors import SortationError
from entrypoints.cli import (
    billing,
    classify,
    evaluation,
    events,
    files,
    jobs,
    people,
    plugins,
    secrets,
    services,
    stopping,
    tenants,
    up,
    vectors,
)

INTERRUPTED = 128 + signal.SIGINT

app = typer.Typer(
    name="sortation",
    help="""Sorts records: by rules, by similarity, by an LLM, and by people who teach all three.

    \b
    Start here:
      sortation classify statement.csv    sort one file now, nothing to set up
      sortation up                        the whole service on this machine, with a demo

    Settings are environment variables named SORTATION_..., such as SORTATION_DATABASE_URL, SORTATION_BROKER_URL,
    SORTATION_PORT, SORTATION_DATA_DIR, SORTATION_LLM_API_KEY and SORTATION_LOG_LEVEL.
    """,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.command(epilog=classify.EXAMPLES)(classify.classify)
app.command(epilog=files.EXAMPLES)(files.parse)
app.command(epilog=evaluation.EVALUATE_EXAMPLES)(evaluation.evaluate)
app.command(epilog=evaluation.REPLAY_EXAMPLES)(evaluation.replay)
app.command(epilog=up.EXAMPLES)(up.up)
app.add_typer(billing.app, name="billing")
app.add_typer(events.app, name="events")
app.add_typer(jobs.app, name="jobs")
app.add_typer(people.app, name="people")
app.add_typer(plugins.app, name="plugin")
app.add_typer(secrets.app, name="secrets")
app.add_typer(tenants.app, name="tenants")
app.command(epilog=vectors.EXAMPLES)(vectors.vectors)
app.command(epilog=services.MIGRATE_EXAMPLES)(services.migrate)
app.command(epilog=services.API_EXAMPLES)(services.api)
app.command(epilog=services.WORKER_EXAMPLES)(services.worker)
app.command(epilog=services.RELAY_EXAMPLES)(services.relay)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if show_version:
        typer.echo(f"sortation {version('sortation')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Carries out a command line; returns its exit code."""
    stopping.listen()
    try:
        code = app(args=list(arguments), prog_name="sortation", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except typer.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's own flush complains
        return 1
    except typer.TyperException as error:
        return _refuse(error.format_message())
    except SortationError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:
        if os.environ.get("SORTATION_LOG_LEVEL", "").lower() == "debug":
            traceback.print_exc()
        hint = "run with SORTATION_LOG_LEVEL=debug for the traceback"
        return _refuse(f"{type(error).__name__}: {error} ({hint})", code=1)


def _refuse(message: str, code: int = 2) -> int:
    print(f"sortation: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return code
