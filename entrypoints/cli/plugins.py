"""`sortation plugin`: what is installed, what is wrong with it, and the way to a plugin of one's own."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated, Any

import typer

from core.domain.plugins import PluginInfo, PluginState, deprecations_of
from core.errors import Invalid, PluginUnavailable
from entrypoints.cli import plugin_checks, plugin_install, scaffold
from entrypoints.cli.files import new_table, print_json, quiet_settings, screen
from entrypoints.cli.groups import group
from entrypoints.cli.scaffold import AuthChoice, NewPlugin, PluginKind
from plugins.isolation import sandbox
from plugins.isolation.host import Isolation
from plugins.manager import BUILT_IN, PluginManager

EXAMPLES = """Examples:

\b
  sortation plugin list                what is installed, and its state
  sortation plugin doctor              makes everything that is offered once, and says what fails and why
  sortation plugin doctor sortation-pipes
  sortation plugin new connector shop  writes a package with a connector that works, and its tests
  sortation plugin test ./sortation-shop
  sortation plugin install ./sortation-shop
"""
NEW_EXAMPLES = """Examples:

\b
  sortation plugin new connector shop --auth key             a source that is asked, with a key
  sortation plugin new connector shop --auth oauth2 --webhook
  sortation plugin new rule round-amount --directory plugins/round
"""

app = group("Look at the plugins that are installed beside Sortation, add some, and make your own.", EXAMPLES)
JsonOption = Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")]

_UNGUARDED = (
    "it reaches every address that this machine does, private ones too; the host's policy on addresses "
    "(SORTATION_HTTP_ALLOW), rate limits and redaction do not hold for what it sends"
)


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
    for key in [key for info in host.inventory() for key in _with_sockets(info)]:
        typer.echo(f"connector {key} opens sockets of its own: {_UNGUARDED}")


@app.command()
def doctor(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Plugins or distributions; all unless given.")
    ] = None,
) -> None:
    """Load each plugin, make each connector and rule type once, and say what fails and why. Ends with 1 if anything
    does."""
    host, isolation = _host()
    chosen = [info for info in host.inventory() if not names or {info.name, info.distribution} & {*names}]
    for name in names or ():
        if not any(name in (info.name, info.distribution) for info in chosen):
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
        for key in _with_sockets(info):
            typer.echo(f"  connector {key} opens sockets of its own: {_UNGUARDED}")
        deprecated = [line for m in info.connectors for line in deprecations_of(m)]
        deprecated += [line for m in info.rule_types for line in deprecations_of(m)]
        for line in deprecated:
            typer.echo(f"  deprecated: {line}")
    typer.echo(f"connectors are shut in by: {', '.join(sandbox.strength())} ({platform.system()} {platform.release()})")
    for line in sandbox.lacking():
        typer.echo(f"  what this system can't keep a connector from: {line}")
    if faults:
        raise typer.Exit(1)


@app.command(epilog=NEW_EXAMPLES)
def new(
    kind: Annotated[PluginKind, typer.Argument(help="What it is to offer.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its key, such as shop.", show_default=False)],
    auth: Annotated[AuthChoice, typer.Option(help="How a connector identifies itself.")] = AuthChoice.NONE,
    webhook: Annotated[bool, typer.Option("--webhook", help="The source also sends, signed.")] = False,
    directory: Annotated[
        Path | None, typer.Option(metavar="D", help="Where to write it; sortation-NAME unless given.")
    ] = None,
) -> None:
    """Write a complete package: a connector or a rule type that works, its tests by the conformance kit, and CI.

    The connector reads a made-up JSON API; replace that by your source's.
    """
    if kind is PluginKind.RULE and (auth is not AuthChoice.NONE or webhook):
        raise Invalid("a rule type asks no source: --auth and --webhook are for connectors")
    wanted = NewPlugin(kind=kind, name=name, auth=auth, webhook=webhook)
    host, _ = _host()
    ours = [info for info in host.inventory() if info.distribution == BUILT_IN]
    if name in {m.key for info in ours for m in info.connectors} | {m.key for info in ours for m in info.rule_types}:
        raise Invalid(f"Sortation itself has something called {name!r}: choose another name")
    folder = directory or Path(wanted.distribution)
    files = scaffold.files_of(wanted)
    scaffold.write(files, folder)
    for path in sorted(files):
        typer.echo(folder / path)
    typer.echo(f"\nTry it: sortation plugin test {folder}")


app.command("test", epilog=plugin_checks.TEST_EXAMPLES)(plugin_checks.run_tests)
app.command("install", epilog=plugin_install.INSTALL_EXAMPLES)(plugin_install.install)


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


def _with_sockets(info: PluginInfo) -> list[str]:
    return [m.key for m in info.connectors if m.sockets]


def _told(info: PluginInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "state": info.state.value,
        "connectors": [m.key for m in info.connectors],
        "sockets": _with_sockets(info),
        "rule_types": [m.key for m in info.rule_types],
        "error": info.error,
    }
