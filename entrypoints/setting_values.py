"""How the values of settings are written: what is wrong with one is told by its name, and never shows a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import Env, ValidationError, validate
from limits import parse_many

from adapters.http.policy import parse_policy
from core.domain.defaults import default_plans
from core.domain.identity import IdentityProvider, providers_from
from core.domain.jobs import Stream
from core.domain.plans import Catalog, catalog_from
from core.errors import Invalid, SortationError
from plugins.roots import Roots

PREFIX = "SORTATION_"
MAX_PRICE = 1_000_000
FROM_FILE = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "SECRET_KEY",
        "FORMER_SECRET_KEYS",
        "OPERATOR_KEY",
        "METRICS_KEY",
        "SMTP_URL",
        "OIDC_PROVIDERS",
        "LLM_API_KEY",
        "EMBEDDINGS_API_KEY",
        "STRIPE_API_KEY",
        "STRIPE_WEBHOOK_SECRETS",
        "PLANS",
        "DATABASE_URL",
        "APP_DATABASE_URL",
        "SYSTEM_DATABASE_URL",
        "BROKER_URL",
    )
)


class SettingsError(SortationError):
    """The settings are not valid."""

    code = "settings"


class MappingEnv(Env):
    """An `Env` over any mapping, with `NAME_FILE` for secrets; collects its faults until `seal`."""

    def __init__(self, source: Mapping[str, str]) -> None:
        super().__init__(eager=False)
        self._source = source

    def _get_value(self, env_key: str, default: Any) -> Any:
        file = self._source.get(f"{env_key}_FILE") if env_key in FROM_FILE else None
        if not file:
            return self._source.get(env_key) or default
        if self._source.get(env_key):
            raise SettingsError(f"{env_key} and {env_key}_FILE are both set: keep one.")
        try:
            return Path(file).read_text(encoding="utf-8").strip() or default
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{env_key}_FILE: {file} cannot be read: {error}") from error


def postgres_url(env: Env, name: str) -> str | None:
    """A `postgresql://` DSN; the other spellings of its scheme are accepted and made one."""
    value: str | None = env.str(name, None, validate=url("postgresql", "postgres", "postgresql+psycopg"))
    return None if value is None else f"postgresql:{value.partition(':')[2]}"


def names(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for value in values if (name := value.strip()))


def choice(env: Env, name: str, default: str, *others: str) -> Any:
    return env.str(name, default, validate=validate.OneOf((default, *others), error="Must be one of: {choices}."))


def oidc_providers(written: str) -> tuple[IdentityProvider, ...]:
    # What is wrong is told by its place alone: the value holds secrets.
    try:
        return tuple(providers_from(json.loads(written)))
    except json.JSONDecodeError as error:
        raise SettingsError(f"{PREFIX}OIDC_PROVIDERS: no JSON, from character {error.pos} on.") from None
    except Invalid as error:
        raise SettingsError(f"{PREFIX}OIDC_PROVIDERS: {error}.") from None


def plans(written: str) -> Catalog:
    if not written:
        return default_plans()
    try:
        return catalog_from(json.loads(written))
    except json.JSONDecodeError as error:
        raise SettingsError(f"{PREFIX}PLANS: no JSON: {error}.") from None
    except Invalid as error:
        raise SettingsError(f"{PREFIX}PLANS: {error}.") from None


def base_plan(env: Env, catalog: Catalog, default: str) -> str:
    key: str = env.str("BASE_PLAN", default)
    if catalog.newest(key) is None:
        raise SettingsError(f"{PREFIX}BASE_PLAN: {key!r} is none of {', '.join(one.key for one in catalog.offered())}.")
    return key


def origins(values: Iterable[str]) -> None:
    for value in names(values):
        url("http", "https")(value)
        if urlsplit(value)._replace(scheme="", netloc="").geturl() or "@" in value:
            raise ValidationError("Must be origins such as https://sortation.example, without a path.")


def streams(env: Env) -> tuple[str, ...]:
    """Those that are named; of names that begin with a dash, all but these."""
    everything = [stream.value for stream in Stream]
    named = names(env.list("WORKER_STREAMS", everything) or ())
    if unknown := sorted({name.removeprefix("-") for name in named} - {*everything}):
        raise SettingsError(f"SORTATION_WORKER_STREAMS: {unknown[0]!r} is none of {', '.join(everything)}.")
    wanted = [name for name in named if not name.startswith("-")] or everything
    streams = tuple(dict.fromkeys(name for name in wanted if f"-{name}" not in named))
    if not streams:
        raise SettingsError("SORTATION_WORKER_STREAMS leaves none.")
    return streams


def policy(values: Iterable[str]) -> None:
    try:
        parse_policy(names(values))
    except ValueError as error:
        raise ValidationError(str(error)) from None


def roots(values: Iterable[str]) -> None:
    try:
        Roots(names(values))
    except ValueError as error:
        raise ValidationError(str(error)) from None


def limit(value: str) -> None:
    try:
        parse_many(value)
    except ValueError:
        raise ValidationError('Must be a rate such as "6000/minute", or several, with ";" between them.') from None


def public_url(value: str) -> None:
    if not value:
        return
    url("http", "https")(value)
    if "?" in value or "#" in value:
        raise ValidationError("Has neither a query nor a fragment.")


at_least_one = validate.Range(min=1)
positive = validate.Range(min=0, min_inclusive=False)


def price(value: Decimal | None) -> None:
    if value is not None and not (value.is_finite() and 0 <= value < MAX_PRICE):
        raise ValidationError("Must be US dollars per million tokens, from 0.")


def url(*schemes: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        # The value itself stays out of the messages: it may hold a password.
        scheme, _, rest = value.partition("://")
        if scheme not in schemes or not rest:
            raise ValidationError(f"Must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        try:
            urlsplit(value)
        except ValueError as error:
            raise ValidationError("Not a valid URL.") from error

    return check
