"""A process that uses connections until its standard input ends: it syncs, receives webhooks, renews tokens, finishes
sign-ins that it began before. `python -m tests.e2e.connection_user SPEC`, settings as the service's; SPEC is JSON with
the tenant's id and key, ids of connections by what they are, and the webhook's secret.

Each round prints a line, `ok`; what fails ends it with the reason on standard error.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx2

from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.settings import load_settings
from entrypoints.worker.inline import drain
from tests.integration.api_support import Api


def main(spec: dict[str, Any]) -> None:
    container = Container(settings=load_settings())
    client = create_app(container).test_client()
    api = Api(client=client, container=container, tenant_id=UUID(spec["tenant_id"]), key=spec["key"])
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    begun: dict[str, str] | None = None
    number = 0
    while not stop.is_set():
        number += 1
        for connection in spec["pulled"]:
            answer = api.call("POST", f"/connections/{connection}/sync")
            assert answer.status_code in (202, 409), answer.text  # another process may be at it
        deliver(api, spec["webhook"], spec["webhook_secret"], f"{spec['name']}-{number}")
        if begun is not None:
            page = client.get("/api/v1/oauth/callback", query_string=begun)
            assert page.status_code == 200, page.text
        begun = sign_in(api.post(f"/connections/{spec['signed_in']}/oauth/start")["url"])
        drain(container, api.tenant_id)
        for connection in api.get("/connections?limit=500")["items"]:
            assert connection["health"] == "healthy", api.get(f"/connections/{connection['id']}/health")
        assert not (dead := api.get("/jobs/dead")["items"]), dead
        sys.stdout.write("ok\n")
        sys.stdout.flush()
    if begun is not None:
        assert client.get("/api/v1/oauth/callback", query_string=begun).status_code == 200


def sign_in(url: str) -> dict[str, str]:
    """What a person's browser brings back."""
    answer = httpx2.get(url, follow_redirects=False, trust_env=False, timeout=60)
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def deliver(api: Api, connection: str, secret: str, id: str) -> None:
    stamp = str(int(time.time()))
    body = json.dumps({"external_id": id, "text": f"delivery {id}", "occurred_at": "2026-03-01"}).encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256)).decode()
    headers = {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
    answer = api.client.post(f"/api/v1/webhooks/{connection}", data=body, headers=headers)
    assert answer.status_code == 202, answer.text


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
