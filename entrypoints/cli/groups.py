"""Commands that stand together under one word, as `sortation jobs ...`."""

from __future__ import annotations

import typer


def group(help: str, examples: str) -> typer.Typer:
    """Without a command it says what there is."""
    app = typer.Typer(help=help, epilog=examples, no_args_is_help=False, rich_markup_mode=None)

    @app.callback(invoke_without_command=True)
    def root(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    return app
