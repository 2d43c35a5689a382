"""`sortation people`: a first way in, and a way back in, for who runs the installation."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from uuid import UUID

import typer

from core.domain.permissions import Role
from core.usecases.shared.people import operator
from entrypoints.cli.groups import group
from entrypoints.cli.operating import at_command_line
from entrypoints.cli.tenants import as_lines, container

EXAMPLES = """Examples:

\b
  sortation people password ada@example.org                           a link that sets her password, good for an hour
  sortation people second-factor ada@example.org --remove             her password alone lets her in again
  sortation people sign-out ada@example.org                           she is to sign in again, wherever she is
  sortation people unlink ada@example.org                             no provider signs her in as well as her password
  sortation people invite ada@example.org --tenant ID --role owner    a link that makes her a member, good for a week
"""

app = group("Let people in: links to pass on, where no mail server does.", EXAMPLES)


@app.command()
def password(email: Annotated[str, typer.Argument(metavar="E-MAIL")]) -> None:
    """Print a link that sets somebody's password, once and within the hour."""
    services = container()
    token = services.reset_link(email, at_command_line("people password"))
    typer.echo(f"{services.settings().public_url}/password/{token}")


@app.command()
def invite(
    email: Annotated[str, typer.Argument(metavar="E-MAIL")],
    tenant: Annotated[UUID, typer.Option("--tenant", help="The tenant's id.")],
    role: Annotated[Role, typer.Option("--role", help="What they may do.")] = Role.OWNER,
) -> None:
    """Print a link that makes somebody a member of a tenant, within a week."""
    services = container()
    inviting = replace(operator(tenant, at_command_line("people invite")), role=Role.OWNER)
    services.get_tenant(inviting)
    token = services.invitation_link(services.invite(inviting, email, role))
    typer.echo(f"{services.settings().public_url}/invitations/{token}")


@app.command("second-factor")
def second_factor(
    email: Annotated[str, typer.Argument(metavar="E-MAIL")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove it: be sure of who asks you to.")] = False,
) -> None:
    """Say whether somebody has a second factor; remove it for who lost it with all recovery codes, and sign them out
    everywhere."""
    services = container()
    if remove:
        services.drop_second_factor(email, at_command_line("people second-factor"))
        typer.echo("Removed, and signed out everywhere: their password alone lets them in now.")
        return
    account = services.people().account(email.strip().lower())
    typer.echo("on" if account and account.second_factor else "off")


@app.command("sign-out")
def sign_out(email: Annotated[str, typer.Argument(metavar="E-MAIL")]) -> None:
    """End all sessions of somebody, in all tenants."""
    ended = container().sign_out_person(email, at_command_line("people sign-out"))
    typer.echo(f"Ended {ended} {'session' if ended == 1 else 'sessions'}.")


@app.command()
def unlink(email: Annotated[str, typer.Argument(metavar="E-MAIL")]) -> None:
    """Unlink somebody from all providers of OpenID Connect, in case it was not they who linked one."""
    issuers = container().unlink_person(email, at_command_line("people unlink"))
    typer.echo(f"Unlinked: {', '.join(issuers)}." if issuers else "Nothing was linked.")


@app.command()
def export(email: Annotated[str, typer.Argument(metavar="E-MAIL")]) -> None:
    """Print everything that names somebody, as JSON lines."""
    for line in as_lines(container().export_person(email, at_command_line("people export"))):
        typer.echo(line)


@app.command()
def erase(email: Annotated[str, typer.Argument(metavar="E-MAIL")]) -> None:
    """Erase what proves and names somebody, in all tenants, for good. What they decided stays, as somebody's."""
    container().erase_person(email, at_command_line("people erase"))
    typer.echo("Erased.")
