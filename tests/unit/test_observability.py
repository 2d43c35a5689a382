"""What a line of the log never says, whoever writes it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from entrypoints.observability import set_up_logging
from entrypoints.settings import Settings, load_settings

PLANTED = {
    "SECRET_KEY": "canary-secret-key-0123456789abcdefgh",
    "FORMER_SECRET_KEYS": "canary-former-1,canary-former-2",
    "OPERATOR_KEY": "canary-operator-key-0123456789abcdef",
    "METRICS_KEY": "canary-metrics-key-0123456789abcdef",
    "DATABASE_URL": "postgresql://owner:canary%40owner@db.example/x",
    "APP_DATABASE_URL": "postgresql://app:canary-app@db.example/x",
    "SYSTEM_DATABASE_URL": "postgresql://system:canary-system@db.example/x",
    "BROKER_URL": "redis://:canary-broker@broker.example",
    "SMTP_URL": "smtps://sortation:canary-smtp@mail.example",
    "OIDC_PROVIDERS": json.dumps(
        [{"key": "k", "issuer": "https://i.example", "client_id": "c", "client_secret": "canary-oidc"}]
    ),
    "LLM_API_KEY": "canary-llm",
    "EMBEDDINGS_API_KEY": "canary-embeddings",
}


@pytest.fixture(params=["json", "console"])
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    given = {f"SORTATION_{name}": value for name, value in PLANTED.items()}
    yield load_settings({**given, "SORTATION_LOG_FORMAT": request.param})
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configured)


def test_the_installations_secrets_show_in_no_line(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(settings)
    words = " ".join(PLANTED.values()).replace(",", " ").split()
    logging.getLogger("a.library").error("it says %s", words)
    try:
        raise LookupError("a server says " + " ".join(words)) from ValueError("canary@owner")
    except LookupError:
        logging.getLogger("a.library").exception("broken")
        structlog.get_logger("ours").error("broken", exc_info=True, seen={"all": words})
    told = capsys.readouterr().err
    assert told.count("broken") == 2
    assert "•••" in told
    assert "canary" not in told
    assert "db.example" in told
