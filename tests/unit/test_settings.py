from __future__ import annotations

import json
import re
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

from entrypoints.setting_values import FROM_FILE, SettingsError
from entrypoints.settings import Settings, load_settings

SECRET, OPERATOR = ("canary-" + word * 6 for word in ("secret-", "operator-"))
FEW = "ab12cd3" * 8
OWNER_URL = "postgresql://owner:p%40ss@db.example:6432/sortation?sslmode=require&password=p%40ss"
STRONG = {"SORTATION_SECRET_KEY": SECRET, "SORTATION_OPERATOR_KEY": OPERATOR}


def test_nothing_set_gives_a_development_setup_that_embeds_its_servers() -> None:
    settings = load_settings({})

    assert settings.profile == "dev"
    assert settings.embedded_database
    assert settings.embedded_broker
    assert settings.data_dir == Path.cwd() / "sortation-data"
    assert settings.files_url == (Path.cwd() / "sortation-data" / "files").as_uri()
    assert settings.llm_api_key is None


def test_set_but_empty_counts_as_not_set() -> None:
    settings = load_settings({"SORTATION_DATABASE_URL": "", "SORTATION_PORT": "", "SORTATION_LLM_API_KEY": ""})

    assert settings.embedded_database
    assert settings.port == 8080
    assert settings.llm_api_key is None


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORTATION_PORT", "9000")

    assert load_settings().port == 9000


def test_values_are_parsed() -> None:
    settings = load_settings(
        {
            "SORTATION_PORT": "9001",
            "SORTATION_LEASE_SECONDS": "0.5",
            "SORTATION_FILES_URL": "s3://bucket/sortation",
            "SORTATION_PLUGINS_BLOCK": "ofx, csv,,",
            "SORTATION_FOLDER_ROOTS": "/srv/statements,/mnt/in",
            "SORTATION_EMBEDDINGS": "off",
            "SORTATION_BROKER_URL": "rediss://:pw@broker.example:6380/1",
        }
    )

    assert (settings.port, settings.lease_seconds) == (9001, 0.5)
    assert (settings.plugins_allow, settings.plugins_block) == ((), ("ofx", "csv"))
    assert settings.folder_roots == ("/srv/statements", "/mnt/in")
    assert settings.files_url == "s3://bucket/sortation"
    assert settings.embeddings == "off"
    assert not settings.embedded_broker


def test_embeddings_share_the_llms_key_and_url_unless_they_have_their_own() -> None:
    llm = {"SORTATION_LLM_API_KEY": "sk-llm", "SORTATION_LLM_BASE_URL": "http://llm.example/v1"}
    chosen = {"SORTATION_EMBEDDINGS": "openai"}
    own_key = {"SORTATION_EMBEDDINGS_API_KEY": "sk-own"}
    own_url = {"SORTATION_EMBEDDINGS_BASE_URL": "http://own.example/v1"}

    def of(*given: dict[str, str]) -> tuple[str | None, str | None]:
        settings = load_settings({name: value for one in (chosen, *given) for name, value in one.items()})
        return settings.embeddings_api_key, settings.embeddings_base_url

    assert of(llm) == ("sk-llm", "http://llm.example/v1")
    assert of(llm, own_key) == ("sk-own", None)
    assert of(llm, own_url) == ("sk-llm", "http://own.example/v1")
    assert of(own_key, own_url) == ("sk-own", "http://own.example/v1")
    with pytest.raises(SettingsError, match="SORTATION_EMBEDDINGS_API_KEY"):
        of()


def test_the_other_roles_urls_are_derived_from_the_owners() -> None:
    settings = load_settings({**STRONG, "SORTATION_DATABASE_URL": OWNER_URL})

    assert settings.database_url == OWNER_URL
    for url, role in ((settings.app_database_url, "sortation_app"), (settings.system_database_url, "sortation_system")):
        assert url is not None
        user, _, password = url.removeprefix("postgresql://").partition("@")[0].partition(":")
        assert user == role
        assert len(password) == 43
        assert "p%40ss" not in url
        assert url.endswith("@db.example:6432/sortation?sslmode=require")
    other = load_settings({"SORTATION_DATABASE_URL": OWNER_URL})
    assert other.app_database_url != settings.app_database_url, "the password must depend on the secret key"


def test_a_url_over_a_unix_socket_keeps_its_host() -> None:
    settings = load_settings({"SORTATION_DATABASE_URL": "postgres:///sortation?host=/run/pg"})

    assert settings.database_url == "postgresql:///sortation?host=/run/pg"
    assert settings.app_database_url is not None
    assert settings.app_database_url.endswith("@/sortation?host=/run/pg")


def test_explicit_urls_win_over_derived_ones_and_need_no_owner() -> None:
    app = "postgresql://app:pw@db.example/sortation"

    assert (
        load_settings({"SORTATION_APP_DATABASE_URL": app, "SORTATION_DATABASE_URL": OWNER_URL}).app_database_url == app
    )
    without_owner = load_settings({"SORTATION_APP_DATABASE_URL": app})
    assert without_owner.database_url is None
    assert not without_owner.embedded_database


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROFILE", "production"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("WORKER_CONCURRENCY", "0"),
        ("SYNC_CONCURRENCY", "0"),
        ("LEASE_SECONDS", "nan"),
        ("JOB_BACKOFF_SECONDS", "-1"),
        ("EMBEDDINGS", "remote"),
        ("LOG_LEVEL", "loud"),
        ("DATABASE_URL", "mysql://user:hunter2@db.example/x"),
        ("APP_DATABASE_URL", "postgresql://user:hunter2@[db.example/x"),
        ("BROKER_URL", "amqp://user:hunter2@broker.example"),
        ("LLM_BASE_URL", "api.example/v1"),
        ("LLM_INPUT_PRICE", "cheap"),
        ("LLM_INPUT_PRICE", "-0.15"),
        ("LLM_OUTPUT_PRICE", "NaN"),
        ("LLM_BREAKER_FAILURES", "0"),
        ("HTTP_ALLOW", "erp.internal,10.0.0.1/8"),
        ("PUBLIC_URL", "sort.example"),
        ("PUBLIC_URL", "https://sort.example/?x=1"),
        ("MAX_WEBHOOK_BYTES", "0"),
    ],
)
def test_an_invalid_value_is_refused_in_one_line_that_names_it_and_tells_no_secret(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({f"SORTATION_{name}": value})

    message = str(caught.value)
    assert f"SORTATION_{name}" in message
    assert "\n" not in message
    assert "hunter2" not in message


def test_every_invalid_value_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"SORTATION_PORT.*SORTATION_TENANT_SHARE"):
        load_settings({"SORTATION_PORT": "x", "SORTATION_TENANT_SHARE": "many"})


@pytest.mark.parametrize("profile", ["stage", "prod"])
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, {"SORTATION_SECRET_KEY", "SORTATION_OPERATOR_KEY"}),
        ({"SORTATION_SECRET_KEY": SECRET}, {"SORTATION_OPERATOR_KEY"}),
        ({"SORTATION_SECRET_KEY": "short", "SORTATION_OPERATOR_KEY": OPERATOR}, {"SORTATION_SECRET_KEY"}),
        (
            {"SORTATION_SECRET_KEY": load_settings({}).secret_key, "SORTATION_OPERATOR_KEY": OPERATOR},
            {"SORTATION_SECRET_KEY"},
        ),
        ({"SORTATION_SECRET_KEY": FEW, "SORTATION_OPERATOR_KEY": OPERATOR}, {"SORTATION_SECRET_KEY"}),
        ({**STRONG, "SORTATION_OPERATOR_KEY": "o" * 40}, {"SORTATION_OPERATOR_KEY"}),
        ({**STRONG, "SORTATION_OPERATOR_KEY": SECRET}, {"SORTATION_SECRET_KEY", "SORTATION_OPERATOR_KEY"}),
        ({**STRONG, "SORTATION_METRICS_KEY": "short"}, {"SORTATION_METRICS_KEY"}),
        ({**STRONG, "SORTATION_METRICS_KEY": OPERATOR}, {"SORTATION_METRICS_KEY", "SORTATION_OPERATOR_KEY"}),
        ({**STRONG, "SORTATION_FORMER_SECRET_KEYS": f"{SECRET}x,short"}, {"SORTATION_FORMER_SECRET_KEYS, number 2"}),
        ({**STRONG, "SORTATION_FORMER_SECRET_KEYS": "x" * 40}, {"SORTATION_FORMER_SECRET_KEYS, number 1"}),
        (
            {**STRONG, "SORTATION_FORMER_SECRET_KEYS": load_settings({}).secret_key},
            {"SORTATION_FORMER_SECRET_KEYS, number 1"},
        ),
        (
            {**STRONG, "SORTATION_FORMER_SECRET_KEYS": OPERATOR},
            {"SORTATION_OPERATOR_KEY", "SORTATION_FORMER_SECRET_KEYS, number 1"},
        ),
    ],
)
def test_outside_development_weak_secrets_are_refused_by_name(
    profile: str, given: dict[str, str], named: set[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"SORTATION_PROFILE": profile, **given})

    told = re.findall(r"SORTATION_\w+_KEYS?(?:, number \d)?", str(caught.value))
    assert {*told} == named
    assert not [value for value in given.values() if value in str(caught.value)]


def test_prod_starts_with_strong_secrets() -> None:
    strong = {**STRONG, "SORTATION_METRICS_KEY": f"{OPERATOR}x", "SORTATION_FORMER_SECRET_KEYS": f"{SECRET}x,{SECRET}"}
    assert load_settings({"SORTATION_PROFILE": "prod", **strong}).profile == "prod"


@pytest.mark.parametrize(
    "url", ["http://sort.example", "http://10.0.0.7:8080", "http://localhost.example", "http://[2001:db8::1]", ""]
)
def test_prod_lets_nobody_sign_in_over_plain_http(url: str) -> None:
    given = {**STRONG, "SORTATION_PUBLIC_URL": url, "SORTATION_HOST": "0.0.0.0"}  # noqa: S104 - as in the image
    with pytest.raises(SettingsError, match="SORTATION_PUBLIC_URL must begin with https://"):
        load_settings({**given, "SORTATION_PROFILE": "prod"})
    for profile in ("dev", "stage"):
        assert load_settings({**given, "SORTATION_PROFILE": profile}).profile == profile


@pytest.mark.parametrize(
    "url", ["https://sort.example", "http://localhost:8080", "http://127.0.0.1", "http://[::1]:80", ""]
)
def test_prod_takes_https_and_this_machine(url: str) -> None:
    given = {"SORTATION_PROFILE": "prod", **STRONG, "SORTATION_PUBLIC_URL": url}
    assert load_settings(given).profile == "prod"


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")

    assert load_settings({"SORTATION_SECRET_KEY_FILE": str(file)}).secret_key == SECRET
    with pytest.raises(SettingsError, match="SORTATION_OPERATOR_KEY_FILE"):
        load_settings({"SORTATION_OPERATOR_KEY_FILE": str(tmp_path / "missing")})
    with pytest.raises(SettingsError, match="both set"):
        load_settings({"SORTATION_SECRET_KEY": SECRET, "SORTATION_SECRET_KEY_FILE": str(file)})


SECRETS = {f"SORTATION_{field.name.upper()}" for field in fields(Settings) if not field.repr}
"""What does not show in the representation."""
NO_SECRETS = {"files_url", "public_url", "llm_base_url", "embeddings_base_url", "stripe_base_url"}


def test_all_that_is_secret_may_come_from_a_file_and_nothing_else_is_secret() -> None:
    assert FROM_FILE - {"SORTATION_PLANS"} == SECRETS, "plans are long, and no secret"
    telling = re.compile(r"key|secret|password|token|credential|url|provider")
    shown = {field.name for field in fields(Settings) if field.repr and telling.search(field.name)}
    assert {name for name in shown if not name.endswith("_file")} <= NO_SECRETS


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_file_says_what_the_variable_would(tmp_path: Path, name: str) -> None:
    value = {
        "SORTATION_BROKER_URL": "redis://:canary@broker.example",
        "SORTATION_SMTP_URL": "smtps://sortation:canary@mail.example",
        "SORTATION_OIDC_PROVIDERS": json.dumps([{"key": "k", "issuer": "https://i.example", "client_id": "c"}]),
    }.get(name, "postgresql://user:canary@db.example/x" if name.endswith("DATABASE_URL") else "canary" * 8)
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")
    field = name.removeprefix("SORTATION_").lower()
    said = getattr(load_settings({f"{name}_FILE": str(file)}), field)
    assert said
    assert said == getattr(load_settings({name: value}), field)
    assert said != getattr(load_settings({}), field)


def test_former_secret_keys_are_a_list_also_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "former"
    file.write_text("first-key\nsecond-key\n")

    assert load_settings({}).former_secret_keys == ()
    assert load_settings({"SORTATION_FORMER_SECRET_KEYS": "a, b,"}).former_secret_keys == ("a", "b")
    listed = load_settings({"SORTATION_FORMER_SECRET_KEYS_FILE": str(file)})
    assert listed.former_secret_keys == ("first-key", "second-key")


def test_no_secret_shows_in_the_representation() -> None:
    settings = load_settings(
        {
            **STRONG,
            "SORTATION_FORMER_SECRET_KEYS": "hunter2",
            "SORTATION_DATABASE_URL": "postgresql://owner:hunter2@db.example/sortation",
            "SORTATION_BROKER_URL": "redis://:hunter2@broker.example",
            "SORTATION_LLM_API_KEY": "hunter2",
        }
    )

    for secret in (SECRET, OPERATOR, "hunter2", "sortation_app"):
        assert secret not in repr(settings)


def test_the_standard_variable_for_traces_is_the_fallback() -> None:
    standard = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}

    assert load_settings(standard).otlp_endpoint == "http://collector.example:4318"
    own = {**standard, "SORTATION_OTLP_ENDPOINT": "http://own.example:4318"}
    assert load_settings(own).otlp_endpoint == "http://own.example:4318"


def test_a_worker_serves_all_streams_or_those_that_are_named() -> None:
    assert set(load_settings({}).worker_streams) == {
        "records:ingest",
        "records:process",
        "records:llm",
        "examples:embed",
        "models:refit",
        "rules:learn",
        "rules:run",
        "evaluations:run",
        "reports:generate",
        "connections:sync",
        "mail:send",
        "webhooks:receive",
        "receipts:read",
        "receipts:match",
        "billing:sync",
        "billing:report",
        "notifications:send",
        "records:resume",
    }
    named = load_settings({"SORTATION_WORKER_STREAMS": "records:llm"})
    assert named.worker_streams == ("records:llm",)
    but = load_settings({"SORTATION_WORKER_STREAMS": "-records:llm, -connections:sync"}).worker_streams
    assert {*but} == {*load_settings({}).worker_streams} - {"records:llm", "connections:sync"}
    with pytest.raises(SettingsError, match="SORTATION_WORKER_STREAMS leaves none"):
        load_settings({"SORTATION_WORKER_STREAMS": "records:llm,-records:llm"})
    with pytest.raises(SettingsError, match="SORTATION_WORKER_STREAMS: 'records:all'"):
        load_settings({"SORTATION_WORKER_STREAMS": "-records:all"})
    with pytest.raises(SettingsError, match="SORTATION_WORKER_STREAMS: 'records:all'"):
        load_settings({"SORTATION_WORKER_STREAMS": "records:llm,records:all"})


def test_people_are_sent_back_to_the_public_url() -> None:
    assert load_settings({"SORTATION_PORT": "9001"}).public_url == "http://127.0.0.1:9001"
    given = load_settings({"SORTATION_PUBLIC_URL": "https://sort.example/base/"})
    assert given.public_url == "https://sort.example/base"


def test_hosts_and_networks_may_be_allowed() -> None:
    allowed = load_settings({"SORTATION_HTTP_ALLOW": "erp.internal, 10.1.0.0/16,::1"}).http_allow
    assert allowed == ("erp.internal", "10.1.0.0/16", "::1")


def test_prices_come_in_pairs() -> None:
    both = {"SORTATION_LLM_INPUT_PRICE": "0.15", "SORTATION_LLM_OUTPUT_PRICE": "0"}
    settings = load_settings(both)
    assert (settings.llm_input_price, settings.llm_output_price) == (Decimal("0.15"), Decimal(0))
    assert load_settings({}).llm_input_price is None
    for name in both:
        with pytest.raises(SettingsError, match="both or neither"):
            load_settings({name: "1"})


@pytest.mark.parametrize("roots", ["/srv,statements", "sftp://user:pw@host/in", "not-a-tenant=/srv"])
def test_roots_of_watched_folders_are_absolute_paths_or_plain_urls(roots: str) -> None:
    with pytest.raises(SettingsError, match="SORTATION_FOLDER_ROOTS"):
        load_settings({"SORTATION_FOLDER_ROOTS": roots})


@pytest.mark.parametrize(("given", "share"), [({}, 2), ({"SYNC_CONCURRENCY": "7"}, 3), ({"SYNC_CONCURRENCY": "1"}, 1)])
def test_a_tenant_has_half_of_the_syncs_unless_it_is_said(given: dict[str, str], share: int) -> None:
    named = {f"SORTATION_{name}": value for name, value in given.items()}
    assert load_settings(named).tenant_sync_share == share
    assert load_settings({**named, "SORTATION_TENANT_SYNC_SHARE": "9"}).tenant_sync_share == 9
