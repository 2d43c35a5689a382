"""Sources that do not answer keep few requests waiting: a quarter of the threads, one for a tenant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from core.domain.plugins import Auth, AuthKind
from ports.connectors import Context
from tests.integration.api_support import Api, new_tenant
from tests.integration.sync_support import SECRET, Shop, TestHost, connect

CHECK = {"connector": "shop", "config": {"api_key": SECRET}}


class Gate:
    """A source that answers nobody until it is opened."""

    def __init__(self, shop: Shop) -> None:
        self.asked = threading.Semaphore(0)
        self.opened = threading.Event()
        shop.before = self._wait

    def _wait(self, ctx: Context, stream: str, n: int) -> None:
        self.asked.release()
        assert self.opened.wait(60)

    def reached(self) -> None:
        assert self.asked.acquire(timeout=30)


@pytest.fixture
def gate(shop: Shop) -> Gate:
    return Gate(shop)


@pytest.fixture
def callers(gate: Gate) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool
        gate.opened.set()


def another(api: Api, name: str) -> Api:
    return new_tenant(api.container, api.client.application.test_client(), name)


def own(api: Api) -> Api:
    """The same tenant's, for another thread."""
    client = api.client.application.test_client()
    return Api(client=client, container=api.container, tenant_id=api.tenant_id, key=api.key)


def busy(answer: Any) -> bool:
    if answer.status_code != 503:
        return False
    assert answer.json["code"] == "busy"
    assert int(answer.headers["Retry-After"]) > 0
    return True


def test_a_quarter_of_the_threads_waits_and_one_of_a_tenant(
    make_shop_api: Callable[..., Api], gate: Gate, callers: ThreadPoolExecutor
) -> None:
    api = make_shop_api(api_threads=8)
    second, third = another(api, "B"), another(api, "C")
    path = f"/connections/{connect(api)['id']}"
    waits = callers.submit(own(api).post, "/connections/check", CHECK)
    gate.reached()
    for method, url, body in (
        ("POST", "/connections/check", CHECK),
        ("POST", f"{path}/check", None),
        ("GET", f"{path}/streams", None),
    ):
        assert busy(api.call(method, url, body)), url
    also = callers.submit(own(second).post, "/connections/check", CHECK)
    gate.reached()
    assert busy(third.call("POST", "/connections/check", CHECK))
    assert api.client.get("/api/v1/oauth/callback?state=x&code=y").status_code == 503
    assert api.get("/connections")["items"], "everything else is answered"
    gate.opened.set()
    assert [waits.result(30)["ok"], also.result(30)["ok"]] == [True, True]
    assert third.post("/connections/check", CHECK)["ok"], "who waited gives the turn back"
    assert api.get(f"{path}/streams")["items"]
    assert api.client.get("/api/v1/oauth/callback?state=x&code=y").status_code == 422


def test_a_failure_gives_the_turn_back(
    make_shop_api: Callable[..., Api], gate: Gate, callers: ThreadPoolExecutor
) -> None:
    gate.opened.set()
    api = make_shop_api(api_threads=1)
    for _ in range(3):
        api.post("/connections/check", {"connector": "none"}, 409)
        api.post("/connections/check", {"connector": "shop"}, 422)
    assert api.post("/connections/check", CHECK)["ok"]


def test_a_sign_in_that_finds_no_turn_can_be_finished_later(
    make_shop_api: Callable[..., Api], host: TestHost, gate: Gate, callers: ThreadPoolExecutor
) -> None:
    """Its state is used up by the call that had its turn alone."""
    api = make_shop_api(api_threads=4, public_url="https://sort.example")
    schema = {**host.manifests["shop"].config_schema, "required": []}
    schema["properties"] = {**schema["properties"], "client_id": {"type": "string"}}
    auth = Auth(kind=AuthKind.OAUTH2, authorize_url="https://a.example/", token_url="https://a.example/token")
    host.change(config_schema=schema, auth=auth)
    connection = connect(api, config={"client_id": "me"})
    url = api.post(f"/connections/{connection['id']}/oauth/start")["url"]
    state = parse_qs(urlsplit(url).query)["state"][0]
    waits = callers.submit(own(api).post, "/connections/check", {"connector": "shop", "config": {"client_id": "me"}})
    gate.reached()
    refused = f"/api/v1/oauth/callback?state={state}&error=access_denied"
    assert api.client.get(refused).status_code == 503
    path = f"/connections/{connection['id']}"
    for method, url, body in (  # which may give tokens back, to a provider that hangs, too
        ("DELETE", path, None),
        ("POST", f"{path}/disable", None),
        ("PATCH", path, {"config": {"client_id": "other"}}),
    ):
        assert busy(api.call(method, url, body)), url
    assert api.call("PATCH", path, {"name": "Renamed"}).status_code == 200
    gate.opened.set()
    waits.result(30)
    assert api.client.get(refused).status_code == 409
