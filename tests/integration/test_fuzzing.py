"""Schemathesis finds nothing: every route, every check, as each role, as the operator, and as nobody.

`SORTATION_FUZZ_EXAMPLES=200` asks for as many examples an operation, in all phases, which takes hours; without it the
run is bounded: what the schema's edges are is asked once, as the owner, and a few examples as everybody.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import pytest
import structlog
from dependency_injector import providers
from structlog.testing import LogCapture

from adapters.http.policy import Policy
from adapters.http.transport import GuardedTransport
from adapters.messaging.webhooks import StandardWebhookSender
from core.domain.identity import providers_from
from core.domain.permissions import Role
from core.errors import SortationError
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.worker.inline import drain
from tests.integration.api_support import Api, member_by_provider, new_tenant
from tests.integration.fuzz_support import Living, fill, fuzz, served
from tests.stubs.issuer import CLIENT_ID, IssuerStub

EXAMPLES = int(os.environ.get("SORTATION_FUZZ_EXAMPLES", "0"))
FEW = 3
HOURS = 24
SERVED = 60
"""So many of the operations answer an owner more than refusals: what asks for much and gets nothing proves nothing."""
CALLERS = (*Role, "operator", "nobody")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(HOURS * 3600 if EXAMPLES else 900)]


@pytest.fixture(autouse=True)
def faults() -> Iterator[LogCapture]:
    """Nothing is printed of the thousands of requests; warnings and errors are kept."""
    before, capture = structlog.get_config(), LogCapture()
    structlog.configure(processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield capture
    structlog.configure(**before)


@pytest.fixture
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


@pytest.fixture
def api(make_container: Callable[..., Container], issuer: IssuerStub) -> Api:
    written = {"key": "acme", "issuer": issuer.url, "client_id": CLIENT_ID, "audiences": [CLIENT_ID]}
    container = make_container(
        embeddings="off",
        oidc_providers=tuple(providers_from([written])),
        job_backoff_seconds=0.01,
        webhook_limit="1000000/minute",
    )
    # Nobody is sent anything, whoever has a host that was made up.
    unreached = GuardedTransport(Policy(), lookup=lambda host, port: ())
    container.sender.override(providers.Object(StandardWebhookSender(unreached)))
    api = new_tenant(container, create_app(container).test_client())
    fill(api)
    return api


@pytest.mark.parametrize("caller", CALLERS)
def test_nothing_is_found(
    api: Api, issuer: IssuerStub, superuser: psycopg.Connection, faults: LogCapture, caller: Role | str
) -> None:
    token, own = None, None
    if isinstance(caller, Role):
        own = str(member_by_provider(api, issuer, caller))
        token = issuer.token(exp=int(time.time()) + HOURS * 3600)
    elif caller == "operator":
        token = api.container.settings().operator_key
    whole = EXAMPLES > 0
    with served(api.client.application) as url:
        found = fuzz(
            url,
            token,
            Living(database=superuser, own=own),
            examples=EXAMPLES or FEW,
            edges=whole or caller is Role.OWNER,
        )
    drain(api.container, api.tenant_id, patience=0)
    served_well = {operation for operation, status in found.statuses if 200 <= status < 300}
    told = (
        f"{caller}: {len(found.sent)} operations, {len(served_well)} of them answered 2xx, "
        f"{found.sent.total()} requests, {len(found.wrong)} findings"
    )
    print(told)  # noqa: T201 - what `pytest -s` is asked for
    assert not found.wrong, "\n\n".join([told, *(f"{what}\n{how}" for what, how in sorted(found.wrong.items()))])
    assert not [line for line in faults.entries if unexpected(line)]
    assert found.sent.keys() == documented(api)
    if caller is Role.OWNER:
        assert len(served_well) >= SERVED, sorted(found.sent.keys() - served_well)


def unexpected(line: Mapping[str, Any]) -> bool:
    """Whether it tells of a fault in a request, or in a job that somebody's request has queued."""
    return line["event"] == "unexpected" or (
        line["event"] == "job failed" and not isinstance(line.get("exc_info"), SortationError | None)
    )


def documented(api: Api) -> set[str]:
    paths = api.client.get("/api/openapi.json").json["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item if method != "parameters"}
