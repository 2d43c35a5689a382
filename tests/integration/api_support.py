"""A tenant and its key, over Flask's test client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.domain.permissions import GRANTABLE, Role
from core.domain.tenants import Actor, Membership, TenantSettings, User
from entrypoints.container import Container
from entrypoints.worker.inline import drain
from tests.stubs.issuer import IssuerStub

HEADER = "Date;Description;Amount;Currency\n"
STATEMENT = HEADER + "2026-03-01;NETFLIX.COM 866-579;-12.99;EUR\n2026-03-02;Qwxz unheard of;-3.50;EUR\n"
LEASE_RUNS_OUT = "UPDATE jobs SET lease_until = now() - interval '1 second' WHERE tenant_id = %s AND status = 'running'"
"""Of the tenant's jobs that are worked on, as when their worker is lost."""


@dataclass(kw_only=True)
class Api:
    """Calls as one tenant. Paths are below `/api/v1`, unless they begin with `//`."""

    client: FlaskClient
    container: Container
    tenant_id: UUID
    key: str

    @property
    def actor(self) -> Actor:
        return Actor(tenant_id=self.tenant_id, name="a tester", permissions=GRANTABLE)

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        if json is not None:
            options["json"] = json
        url = path[1:] if path.startswith("//") else f"/api/v1{path}"
        return self.client.open(url, method=method, headers=headers, **options)

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        answer = self.call("GET", path, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json

    def post(self, path: str, json: Any = None, status: int = 200, **headers: str) -> Any:
        answer = self.call("POST", path, json, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json

    def upload(self, payload: str = STATEMENT, filename: str = "statement.csv") -> dict[str, Any]:
        """An import, read and sorted."""
        answer = self.call("POST", f"/imports?filename={filename}", data=payload.encode())
        assert answer.status_code == 202, answer.text
        self.drain()
        imported: dict[str, Any] = self.get(f"/imports/{answer.json['id']}")
        assert imported["status"] == "done", imported
        return imported

    def drain(self) -> None:
        drain(self.container, self.tenant_id)
        self.container.seal_events()

    def category(self, key: str) -> str:
        return str(next(c["id"] for c in self.get("/categories")["items"] if c["key"] == key))


def new_tenant(container: Container, client: FlaskClient, name: str = "A tenant") -> Api:
    """A tenant whose own rules alone decide, without spot checks."""
    settings = TenantSettings(spot_check_share=0.0)
    tenant, issued = container.create_tenant(
        name, time_zone="Europe/Berlin", settings=settings, owner_email="owner@example.com"
    )
    return Api(client=client, container=container, tenant_id=tenant.id, key=issued.secret)


def lease_runs_out(api: Api) -> None:
    """The worker is lost that has the one job of the tenant's that is worked on."""
    with api.container.app_engine().begin() as connection:
        connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{api.tenant_id}', true)")
        connection.exec_driver_sql(LEASE_RUNS_OUT, (api.tenant_id,))
    assert api.container.reap_jobs() == 1


def add_rule(api: Api, category_id: str, text: str = "NETFLIX") -> dict[str, Any]:
    rule: dict[str, Any] = api.post(
        "/rules",
        {
            "name": f"{text} by name",
            "when": {"field": "text", "op": "contains", "value": text},
            "then": {"category": category_id},
        },
        201,
    )
    return rule


def member_by_provider(api: Api, issuer: IssuerStub, role: Role, email: str = "ada@example.org") -> UUID:
    """Somebody of this role who has signed in by the issuer: its tokens speak for them from now on. Their id."""
    container, subject = api.container, f"{email} {role}"
    user = User(id=container.ids().new(), email=email, name="Ada", created_at=container.clock().now())
    with container.uow().begin(api.actor) as tx:
        tx.members.add(user, Membership(tenant_id=api.tenant_id, user_id=user.id, role=role))
        tx.commit()
    container.people().add_identity(issuer.url, subject, user.id, user.created_at)
    issuer.claims |= {"sub": subject, "email": user.email}
    return user.id
