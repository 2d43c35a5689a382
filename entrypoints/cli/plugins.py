"""`sortation plugin`: what is installed, and what is wrong with it."""

from __future__ import annotations

import platform
from typing import Annotated, Any

import typer

from core.domain.plugins import PluginInfo, PluginState
from core.errors import Invalid, PluginUnavailable
from entrypoints.cli.files import new_table, print_json, quiet_settings, screen
from plugins.isolation import sandbox
from plugins.isolation.host import Isolation
from plugins.manager import PluginManager

EXAMPLES = """Examples:

\b
  sortation plugin list                what is installed, and its state
  sortation plugin doctor              makes everything that is offered once, and says what fails and why
  sortation plugin doctor sortation-pipes
"""

app = typer.Typer(
    help="Look at the plugins that are installed beside Sortation.",
    epilog=EXAMPLES,
    no_args_is_help=False,
    rich_markup_mode=None,
)
JsonOption = Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")]


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """Every plugin with its state, and what it offers."""
    host, _ = _host()
    if as_json:
        print_json([_told(info) for info in host.inventory()])
        return
    table = new_table("Plugins", "plugin", "distribution", "version", "state", "connectors", "rule types")
    for info in host.inventory():
        table.add_row(
            info.name,
            info.distribution,
            info.version,
            info.state.value,
            ", ".join(m.key for m in info.connectors),
            ", ".join(m.key for m in info.rule_types),
        )
    screen().print(table)


@app.command()
def doctor(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A plugin or distribution; all unless given.")
    ] = None,
) -> None:
    """Load each plugin, make each connector and rule type once, and say what fails and why. Ends with 1 if anything
    does."""
    host, isolation = _host()
    chosen = [info for info in host.inventory() if name in (None, info.name, info.distribution)]
    if not chosen:
        raise Invalid(f"no plugin and no distribution with plugins is called {name!r}")
    faults = 0
    for info in chosen:
        typer.echo(f"{info.name} ({info.distribution} {info.version}): {info.state.value}")
        if info.error is not None:
            typer.echo("".join(f"    {line}\n" for line in info.error.strip().splitlines()), nl=False)
        faults += info.state in (PluginState.FAILED, PluginState.INCOMPATIBLE)
        for what, key, fault in _made(host, isolation, info):
            typer.echo(f"  {what} {key}: {fault or 'ok'}")
            faults += fault is not None
    typer.echo(f"connectors are shut in by: {', '.join(sandbox.strength())} ({platform.system()} {platform.release()})")
    if faults:
        raise typer.Exit(1)


def _made(host: PluginManager, isolation: Isolation, info: PluginInfo) -> list[tuple[str, str, str | None]]:
    found = [("connector", connector.key, isolation.fault_of(connector)) for connector in info.connectors]
    for rule_type in info.rule_types:
        try:
            host.rule_type(rule_type.key)
            found.append(("rule type", rule_type.key, None))
        except PluginUnavailable as error:
            found.append(("rule type", rule_type.key, str(error)))
    return found


def _host() -> tuple[PluginManager, Isolation]:
    settings, isolation = quiet_settings(), Isolation()
    return PluginManager(frozenset(settings.plugins_allow), frozenset(settings.plugins_block), isolation), isolation


def _told(info: PluginInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "state": info.state.value,
        "connectors": [m.key for m in info.connectors],
        "rule_types": [m.key for m in info.rule_types],
        "error": info.error,
    }
