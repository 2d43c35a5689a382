"""The service with everything that it talks to, each holding a canary; and a browser of somebody who uses it."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from adapters.embedded.postgres import DatabaseUrls
from entrypoints.settings import role_password
from tests.canaries import Canaries
from tests.e2e.leaky_plugin import install
from tests.integration.test_mail import Mailbox
from tests.stack import COMMAND, ROOT, Stack, free_port, running_stack
from tests.stubs.issuer import CLIENT_ID as OIDC_CLIENT
from tests.stubs.issuer import IssuerStub
from tests.stubs.llm_server import LlmStub
from tests.stubs.oauth_server import OAuthServer
from tests.stubs.scripted_http import ScriptedServer

METRICS_KEY = "canary-metrics-key-0123456789abcdef"


@dataclass
class World:
    """The service, all that it talks to, and what was planted and seen."""

    stack: Stack
    canaries: Canaries
    mailbox: Mailbox
    issuer: IssuerStub
    provider: OAuthServer
    source: ScriptedServer
    llm: LlmStub
    spans: list[bytes]
    outputs: list[tuple[str, str]] = field(default_factory=list)
    """What answers and commands said in which nothing secret is meant to be."""

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        status, answer = self.stack.call(method, f"/api/v1{path}", body, **options)
        self.outputs.append((f"answer {status} to {method} {path}", json.dumps(answer)))
        return answer

    def make(self, what: str, path: str, body: Any, named: str = "api_key") -> dict[str, Any]:
        """What gives a secret out, once."""
        status, answer = self.stack.call("POST", f"/api/v1{path}", body)
        assert status == 201, answer
        self.canaries.plant(what, answer[named])
        return dict(answer)

    def command(self, *words: str, **environment: str) -> None:
        process = subprocess.run(
            [*COMMAND, *words], cwd=ROOT, env={**self.stack.environment, **environment}, capture_output=True, text=True
        )
        self.outputs.append((f"sortation {' '.join(words)}", process.stdout + process.stderr))


class Browser:
    """Keeps cookies, whatever the address is, and sends forms as they stand on a page."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cookies: dict[str, str] = {}
        self.client = httpx2.Client(base_url=world.stack.url, trust_env=False, follow_redirects=False, timeout=60)

    def open(self, path: str, form: Mapping[str, str] | None = None) -> httpx2.Response:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is None:
            answer = self.client.get(path, headers=headers)
        else:
            answer = self.client.post(path, data=dict(form), headers=headers | {"Origin": self.world.stack.url})
        for name, value in answer.cookies.items():
            self.cookies[name] = value
            if value:
                self.world.canaries.plant(f"cookie {name}", value)
        return answer

    def send(self, page: str, to: str = "", **fields: str) -> httpx2.Response:
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.open(page).text)
        assert found is not None, page
        self.world.canaries.plant("form token", found.group(1))
        return self.open(to or page, {"form_token": found.group(1), **fields})


@contextmanager
def running_world(folder: Path, database: DatabaseUrls) -> Iterator[World]:
    """All of it, started; stopped at the end."""
    canaries = Canaries()
    plant = canaries.plant
    mailbox, spans = Mailbox(), list[bytes]()
    secret_key = plant("secret key", "canary-secret-key-of-this-installation-0123")
    smtp_password = plant("SMTP password", "canary-smtp-password")
    with ExitStack() as stack:
        issuer, provider = stack.enter_context(IssuerStub()), stack.enter_context(OAuthServer(expires_in=30))
        source, llm = stack.enter_context(ScriptedServer()), stack.enter_context(LlmStub())
        mail_port = stack.enter_context(mail_server(mailbox, smtp_password))
        telemetry = stack.enter_context(collector(spans))
        oidc = {
            "key": "acme",
            "title": "Acme",
            "issuer": issuer.url,
            "client_id": OIDC_CLIENT,
            "client_secret": plant("OIDC client secret", "canary-oidc-client-secret"),
            "audiences": ["sortation"],
        }
        for role in ("sortation_app", "sortation_system"):
            plant(f"derived password of {role}", role_password(secret_key, role))
        running = stack.enter_context(
            running_stack(
                folder / "data",
                SORTATION_SECRET_KEY=secret_key,
                SORTATION_FORMER_SECRET_KEYS=plant("former secret key", "canary-former-secret-key-0123456789"),
                SORTATION_METRICS_KEY=plant("metrics key", METRICS_KEY),
                SORTATION_OPERATOR_KEY=plant("operator key", "canary-operator-key-0123456789abcdef"),
                SORTATION_DATABASE_URL=database.owner.replace("@", f":{plant('owner password', 'canary-owner-pw')}@"),
                SORTATION_SMTP_URL=f"smtp://sortation:{smtp_password}@127.0.0.1:{mail_port}",
                SORTATION_OIDC_PROVIDERS=json.dumps([oidc]),
                SORTATION_LLM_API_KEY=plant("LLM key", "sk-canary-llm-key"),
                SORTATION_LLM_BASE_URL=llm.base_url,
                SORTATION_EMBEDDINGS="off",
                SORTATION_OTLP_ENDPOINT=telemetry,
                SORTATION_HTTP_ALLOW="127.0.0.1",
                SORTATION_LOG_LEVEL="debug",
                SORTATION_JOB_MAX_ATTEMPTS="2",
                SORTATION_JOB_BACKOFF_SECONDS="0.1",
                SORTATION_SIGN_IN_LIMIT="10000/minute",
                OTEL_BSP_SCHEDULE_DELAY="100",
                PYTHONPATH=str(install(folder / "plugins")),
            )
        )
        yield World(
            stack=running,
            canaries=canaries,
            mailbox=mailbox,
            issuer=issuer,
            provider=provider,
            source=source,
            llm=llm,
            spans=spans,
        )


def mail_server(mailbox: Mailbox, password: str) -> Any:
    def lets_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == password.encode(), handled=False)

    class Running:
        def __enter__(self) -> int:
            port = free_port()
            self.controller = Controller(
                mailbox,
                hostname="127.0.0.1",
                port=port,
                authenticator=lets_in,
                auth_required=True,
                auth_require_tls=False,
                ready_timeout=60,
            )
            self.controller.start()
            return port

        def __exit__(self, *_: object) -> None:
            self.controller.stop()

    return Running()


def collector(received: list[bytes]) -> Any:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Running:
        def __enter__(self) -> str:
            self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            threading.Thread(target=self.server.serve_forever, daemon=True).start()
            return f"http://127.0.0.1:{self.server.server_port}"

        def __exit__(self, *_: object) -> None:
            self.server.shutdown()
            self.server.server_close()

    return Running()
