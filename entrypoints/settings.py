"""Settings, read from `SORTATION_*` environment variables and nowhere else.

A variable that is set but empty counts as not set. Secrets and DSNs may also come from a file:
`SORTATION_SECRET_KEY_FILE` names a file whose content, without surrounding whitespace, is the value.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit, urlunsplit

from environs import EnvValidationError, validate

from adapters.embedded import APP_ROLE, SYSTEM_ROLE
from core.domain.identity import IdentityProvider
from core.domain.plans import FREE, UNLIMITED, Catalog
from entrypoints.setting_refusals import DEV_OPERATOR_KEY, DEV_SECRET_KEY, refuse
from entrypoints.setting_values import (
    PREFIX,
    MappingEnv,
    SettingsError,
    at_least_one,
    base_plan,
    choice,
    limit,
    names,
    oidc_providers,
    origins,
    plans,
    policy,
    positive,
    postgres_url,
    price,
    public_url,
    roots,
    streams,
    url,
)

Profile = Literal["dev", "stage", "prod"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a process is told from outside. Durations are seconds, sizes bytes."""

    profile: Profile
    data_dir: Path
    """Absolute."""
    files_url: str
    """Where files are kept: a folder, or what fsspec opens."""
    secret_key: str = field(repr=False)
    former_secret_keys: tuple[str, ...] = field(repr=False)
    """What was the secret key before: they open what they sealed, until `sortation secrets rotate` sealed it anew."""
    operator_key: str = field(repr=False)
    """The bearer token of the operator's routes."""
    metrics_key: str | None = field(repr=False)
    """The bearer token of `/metrics`. `None`: it answers in `dev` alone, and to this machine."""
    database_url: str | None = field(repr=False)
    """The owner's DSN, for migrations; `None` where the process has no owner rights, or the database is embedded."""
    app_database_url: str | None = field(repr=False)
    system_database_url: str | None = field(repr=False)
    broker_url: str | None = field(repr=False)
    """`None`: the broker is embedded."""
    host: str
    port: int
    api_threads: int
    worker_concurrency: int
    worker_streams: tuple[str, ...]
    """The streams that a worker serves."""
    sync_concurrency: int
    """How many syncs a worker that serves nothing else has at once."""
    lease_seconds: float
    republish_after_seconds: float
    job_max_attempts: int
    job_backoff_seconds: float
    """The first retry's delay, which grows exponentially."""
    payload_retention_days: float
    """How long a payload is kept after it was read, so that its import can be read again."""
    job_retention_days: float
    """How long a job is listed after it was done."""
    report_retention_days: float
    """How long the files of a report are kept."""
    sync_records: int
    """How many records a sync stores before it lets others have a turn; it goes on where it was."""
    sync_seconds: float
    """How long it reads before it does so."""
    rule_proposals: Literal["on", "off"]
    learn_delay_seconds: float
    """How long after a person's decision rules are proposed out of it: what is decided meanwhile is learned with it."""
    refit_delay_seconds: float
    """How long after a person's decision the ensemble learns of it: what is decided meanwhile is learned with it."""
    tenant_share: int
    """How many jobs of one tenant and stream may be in flight at once."""
    tenant_sync_share: int
    """How many of its syncs."""
    max_upload_bytes: int
    max_webhook_bytes: int
    max_receipt_bytes: int
    statement_seconds: float
    """How long one statement may run in the database, or wait for a lock."""
    public_url: str
    """Where people and sources reach the API from outside, without a slash at its end."""
    rate_limit: str
    """Requests of one credential (an address, without one), as `limits` writes it: "6000/minute; 100/second"."""
    costly_limit: str
    """Of those, requests that start work on many records."""
    sign_in_limit: str
    """Attempts of one address to prove who somebody is."""
    refused_limit: str
    """Refused credentials of one address."""
    invite_limit: str
    """Invitations of one tenant."""
    reset_limit: str
    """Links to set a password that are asked for one e-mail address."""
    webhook_limit: str
    """Deliveries to one connection."""
    proxies: int
    """How many reverse proxies of ours stand in front, whose `X-Forwarded-*` tell the client's address; 0: none is
    believed."""
    smtp_url: str | None = field(repr=False)
    """`None`: no mail is sent, and links are shown to who invites."""
    smtp_url_file: Path | None
    mail_from: str
    oidc_providers: tuple[IdentityProvider, ...] = field(repr=False)
    """Who else may say who people are."""
    local_accounts: Literal["on", "off"]
    """Whether people may sign in with a password."""
    second_factor: Literal["offered", "required"]
    """Whether people who sign in with a password must have a second factor, too."""
    session_seconds: float
    """How long a session lasts at most."""
    session_idle_seconds: float
    """How long it lasts without being used."""
    http_allow: tuple[str, ...]
    """Hosts and networks that connections may ask beside public addresses, also by http://."""
    embeddings: Literal["local", "openai", "off"]
    embeddings_model: str
    """The model that is asked for where embeddings are OpenAI's, or those of an API like it."""
    embeddings_api_key: str | None = field(repr=False)
    """The LLM's, unless it is set."""
    embeddings_api_key_file: Path | None
    embeddings_base_url: str | None
    """The LLM's, unless it or a key of its own is set."""
    llm_api_key: str | None = field(repr=False)
    """`None`: the LLM stage is off."""
    llm_api_key_file: Path | None
    """Where the key comes from, if it is to be read anew when it changes; as the other files here."""
    llm_base_url: str | None
    """`None`: the provider's own."""
    llm_model: str
    llm_timeout_seconds: float
    llm_input_price: Decimal | None
    """In US dollars per million tokens, as `llm_output_price`; both or neither are set. `None`: costs are not known."""
    llm_output_price: Decimal | None
    llm_breaker_failures: int
    """After so many failures in a row the provider is left in peace for `llm_breaker_seconds`."""
    llm_breaker_seconds: float
    plans: Catalog
    """What is sold, and what a tenant may do for it."""
    base_plan: str
    """The plan of who has no subscription: where nobody can pay, one without limits."""
    grace_days: float
    """How long a missing payment is waited for before its tenant is read-only."""
    return_origins: tuple[str, ...]
    """Where else than here people may be sent back to when they paid."""
    stripe_api_key: str | None = field(repr=False)
    """`None`: invoices are written by hand."""
    stripe_api_key_file: Path | None
    stripe_webhook_secrets: str = field(repr=False)
    """What Stripe signs its webhooks with: several, with spaces between them, while one takes another's place."""
    stripe_webhook_secrets_file: Path | None
    stripe_base_url: str | None
    """`None`: Stripe's own."""
    payment_delay_seconds: float
    """How long after something was told of a customer the provider is asked, and at once about what is told until
    then."""
    stripe_tax: Literal["on", "off"]
    """Whether Stripe works out taxes; it must be set up there."""
    plugins_allow: tuple[str, ...]
    """Empty: every installed plugin that is not blocked."""
    plugins_block: tuple[str, ...]
    folder_roots: tuple[str, ...]
    """Folders at and under these may be read by connections of watched folders: absolute paths, or URLs, with the id of
    the tenant and `=` before those of one tenant; empty: none."""
    log_level: str
    log_format: Literal["json", "console"]
    otlp_endpoint: str | None

    @property
    def learn_delay(self) -> float | None:
        """`learn_delay_seconds`; `None` when no rules are to be proposed."""
        return self.learn_delay_seconds if self.rule_proposals == "on" else None

    @property
    def embedded_database(self) -> bool:
        """Whether no DSN is given, so that the embedded PostgreSQL is to be started."""
        return not (self.database_url or self.app_database_url or self.system_database_url)

    @property
    def embedded_broker(self) -> bool:
        """Whether no broker is given, so that the embedded Valkey is to be started."""
        return self.broker_url is None


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from `environ` (default: the process's environment).

    Raises `SettingsError` with one line that names every variable at fault.
    """
    env = MappingEnv(os.environ if environ is None else environ)
    otlp_fallback = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", None)
    with env.prefixed(PREFIX):
        secret_key = env.str("SECRET_KEY", DEV_SECRET_KEY)
        database_url = postgres_url(env, "DATABASE_URL")
        app_database_url = postgres_url(env, "APP_DATABASE_URL")
        system_database_url = postgres_url(env, "SYSTEM_DATABASE_URL")
        if database_url:
            app_database_url = app_database_url or role_url(database_url, APP_ROLE, secret_key)
            system_database_url = system_database_url or role_url(database_url, SYSTEM_ROLE, secret_key)
        llm_api_key = env.str("LLM_API_KEY", None)
        llm_base_url = env.str("LLM_BASE_URL", None, validate=url("http", "https"))
        embeddings_api_key = env.str("EMBEDDINGS_API_KEY", None)
        stripe_api_key = env.str("STRIPE_API_KEY", None)
        catalog = plans(env.str("PLANS", ""))
        data_dir = env.path("DATA_DIR", Path("sortation-data")).absolute()
        sync_concurrency = env.int("SYNC_CONCURRENCY", 4, validate=at_least_one) or 1
        settings = Settings(
            profile=choice(env, "PROFILE", "dev", "stage", "prod"),
            data_dir=data_dir,
            files_url=env.str("FILES_URL", (data_dir / "files").as_uri(), validate=url("file", "s3", "gs", "az")),
            secret_key=secret_key,
            former_secret_keys=tuple(env.str("FORMER_SECRET_KEYS", "").replace(",", " ").split()),
            operator_key=env.str("OPERATOR_KEY", DEV_OPERATOR_KEY),
            metrics_key=env.str("METRICS_KEY", None),
            database_url=database_url,
            app_database_url=app_database_url,
            system_database_url=system_database_url,
            broker_url=env.str("BROKER_URL", None, validate=url("redis", "rediss", "redis+socket", "sentinel")),
            host=env.str("HOST", "127.0.0.1"),
            port=env.int("PORT", 8080, validate=validate.Range(1, 65535)),
            api_threads=env.int("API_THREADS", 8, validate=at_least_one),
            worker_concurrency=env.int("WORKER_CONCURRENCY", os.cpu_count() or 1, validate=at_least_one),
            worker_streams=streams(env),
            sync_concurrency=sync_concurrency,
            lease_seconds=env.float("LEASE_SECONDS", 30.0, validate=positive),
            republish_after_seconds=env.float("REPUBLISH_AFTER_SECONDS", 15.0, validate=positive),
            job_max_attempts=env.int("JOB_MAX_ATTEMPTS", 5, validate=at_least_one),
            job_backoff_seconds=env.float("JOB_BACKOFF_SECONDS", 2.0, validate=positive),
            payload_retention_days=env.float("PAYLOAD_RETENTION_DAYS", 30.0, validate=positive),
            job_retention_days=env.float("JOB_RETENTION_DAYS", 30.0, validate=positive),
            report_retention_days=env.float("REPORT_RETENTION_DAYS", 90.0, validate=positive),
            sync_records=env.int("SYNC_RECORDS", 1_000_000, validate=at_least_one),
            sync_seconds=env.float("SYNC_SECONDS", 600.0, validate=positive),
            rule_proposals=choice(env, "RULE_PROPOSALS", "on", "off"),
            learn_delay_seconds=env.float("LEARN_DELAY_SECONDS", 30.0, validate=validate.Range(0)),
            refit_delay_seconds=env.float("REFIT_DELAY_SECONDS", 5.0, validate=validate.Range(0)),
            tenant_share=env.int("TENANT_SHARE", 16, validate=at_least_one),
            tenant_sync_share=env.int("TENANT_SYNC_SHARE", max(sync_concurrency // 2, 1), validate=at_least_one),
            max_upload_bytes=env.int("MAX_UPLOAD_BYTES", 100 * 1024 * 1024, validate=at_least_one),
            max_webhook_bytes=env.int("MAX_WEBHOOK_BYTES", 1024 * 1024, validate=at_least_one),
            max_receipt_bytes=env.int("MAX_RECEIPT_BYTES", 20 * 1024 * 1024, validate=at_least_one),
            statement_seconds=env.float("STATEMENT_SECONDS", 300.0, validate=positive),
            public_url=(env.str("PUBLIC_URL", "", validate=public_url) or "").rstrip("/"),
            rate_limit=env.str("RATE_LIMIT", "6000/minute", validate=limit),
            costly_limit=env.str("COSTLY_LIMIT", "120/minute", validate=limit),
            sign_in_limit=env.str("SIGN_IN_LIMIT", "10/minute; 100/hour", validate=limit),
            refused_limit=env.str("REFUSED_LIMIT", "100/minute", validate=limit),
            invite_limit=env.str("INVITE_LIMIT", "50/hour", validate=limit),
            reset_limit=env.str("RESET_LIMIT", "5/hour", validate=limit),
            webhook_limit=env.str("WEBHOOK_LIMIT", "12000/minute", validate=limit),
            proxies=env.int("PROXIES", 0, validate=validate.Range(0, 10)),
            smtp_url=env.str("SMTP_URL", None, validate=url("smtp", "smtp+starttls", "smtps")),
            smtp_url_file=env.path("SMTP_URL_FILE", None),
            mail_from=env.str("MAIL_FROM", "sortation@localhost"),
            oidc_providers=oidc_providers(env.str("OIDC_PROVIDERS", "[]")),
            local_accounts=choice(env, "LOCAL_ACCOUNTS", "on", "off"),
            second_factor=choice(env, "SECOND_FACTOR", "offered", "required"),
            session_seconds=env.float("SESSION_SECONDS", 12 * 3600.0, validate=positive),
            session_idle_seconds=env.float("SESSION_IDLE_SECONDS", 3600.0, validate=positive),
            http_allow=names(env.list("HTTP_ALLOW", [], validate=policy) or ()),
            embeddings=choice(env, "EMBEDDINGS", "local", "openai", "off"),
            embeddings_model=env.str("EMBEDDINGS_MODEL", "text-embedding-3-small"),
            embeddings_api_key=embeddings_api_key or llm_api_key,
            embeddings_api_key_file=env.path(
                "EMBEDDINGS_API_KEY_FILE", None if embeddings_api_key else env.path("LLM_API_KEY_FILE", None)
            ),
            embeddings_base_url=env.str(
                "EMBEDDINGS_BASE_URL",
                None if embeddings_api_key else llm_base_url,
                validate=url("http", "https"),
            ),
            llm_api_key=llm_api_key,
            llm_api_key_file=env.path("LLM_API_KEY_FILE", None),
            llm_base_url=llm_base_url,
            llm_model=env.str("LLM_MODEL", "gpt-4o-mini"),
            llm_timeout_seconds=env.float("LLM_TIMEOUT_SECONDS", 30.0, validate=positive),
            llm_input_price=env.decimal("LLM_INPUT_PRICE", None, validate=price),
            llm_output_price=env.decimal("LLM_OUTPUT_PRICE", None, validate=price),
            llm_breaker_failures=env.int("LLM_BREAKER_FAILURES", 5, validate=at_least_one),
            llm_breaker_seconds=env.float("LLM_BREAKER_SECONDS", 30.0, validate=positive),
            plans=catalog,
            base_plan=base_plan(env, catalog, UNLIMITED.key if stripe_api_key is None else FREE),
            grace_days=env.float("GRACE_DAYS", 14.0, validate=validate.Range(0)),
            return_origins=names(env.list("RETURN_ORIGINS", [], validate=origins) or ()),
            stripe_api_key=stripe_api_key,
            stripe_api_key_file=env.path("STRIPE_API_KEY_FILE", None),
            stripe_webhook_secrets=env.str("STRIPE_WEBHOOK_SECRETS", ""),
            stripe_webhook_secrets_file=env.path("STRIPE_WEBHOOK_SECRETS_FILE", None),
            stripe_base_url=env.str("STRIPE_BASE_URL", None, validate=url("http", "https")),
            payment_delay_seconds=env.float("PAYMENT_DELAY_SECONDS", 1.0, validate=validate.Range(0)),
            stripe_tax=choice(env, "STRIPE_TAX", "off", "on"),
            plugins_allow=names(env.list("PLUGINS_ALLOW", [])),
            plugins_block=names(env.list("PLUGINS_BLOCK", [])),
            folder_roots=names(env.list("FOLDER_ROOTS", [], validate=roots) or ()),
            log_level=choice(env, "LOG_LEVEL", "info", "debug", "warning", "error", "critical"),
            log_format=choice(env, "LOG_FORMAT", "json", "console"),
            otlp_endpoint=env.str("OTLP_ENDPOINT", otlp_fallback, validate=url("http", "https")),
        )
    settings = replace(settings, public_url=settings.public_url or f"http://{settings.host}:{settings.port}")
    try:
        env.seal()
    except EnvValidationError as error:
        messages = cast("Mapping[str, list[str]]", error.error_messages)
        faults = (f"{name}: {' '.join(messages[name])}" for name in messages)
        raise SettingsError("; ".join(faults)) from None
    refuse(settings)
    return settings


def role_password(secret_key: str, role: str) -> str:
    """The password of a database role where none is configured: HMAC-SHA256 of its name, URL-safe base64."""
    digest = hmac.digest(secret_key.encode(), role.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def role_url(owner_url: str, role: str, secret_key: str) -> str:
    """The owner's DSN with `role` and its derived password in place of the owner's."""
    parts = urlsplit(owner_url)
    hosts = parts.netloc.rpartition("@")[2]
    query = "&".join(pair for pair in parts.query.split("&") if pair.partition("=")[0] not in {"user", "password"})
    return urlunsplit(parts._replace(netloc=f"{role}:{role_password(secret_key, role)}@{hosts}", query=query))
