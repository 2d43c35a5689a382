"""Settings that each are valid and together are not, or not outside development."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import combinations, product
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from entrypoints.setting_values import PREFIX, SettingsError

if TYPE_CHECKING:
    from entrypoints.settings import Settings

DEV_SECRET_KEY = "insecure-secret-key-for-development"  # noqa: S105 - known on purpose, refused outside dev
DEV_OPERATOR_KEY = "insecure-operator-key-for-development"
SECRET_MIN_LENGTH, SECRET_MIN_DIFFERENT = 32, 8
"""Characters of a key. Of 32 hexadecimal ones fewer than 8 are different once in 28 million times."""


def refuse(settings: Settings) -> None:
    """Raises `SettingsError` in one line."""
    if settings.embeddings == "openai" and settings.embeddings_api_key is None:
        raise SettingsError(f"{PREFIX}EMBEDDINGS is openai: set {PREFIX}EMBEDDINGS_API_KEY, or {PREFIX}LLM_API_KEY.")
    _refuse_weak_secrets(settings)
    _refuse_open_sign_in(settings)
    _refuse_half_a_price(settings)


def _refuse_weak_secrets(settings: Settings) -> None:
    if settings.profile == "dev":
        return
    keys = {"SECRET_KEY": settings.secret_key, "OPERATOR_KEY": settings.operator_key}
    if settings.metrics_key is not None:
        keys["METRICS_KEY"] = settings.metrics_key
    # Links that rest on a former key open as well: who guesses one, signs in.
    former = {f"FORMER_SECRET_KEYS, number {n},": key for n, key in enumerate(settings.former_secret_keys, start=1)}
    faults = [
        f"{PREFIX}{name} must be set to a secret of its own of at least {SECRET_MIN_LENGTH} characters,"
        f" {SECRET_MIN_DIFFERENT} of them different"
        for name, key in (keys | former).items()
        if key in (DEV_SECRET_KEY, DEV_OPERATOR_KEY)
        or len(key) < SECRET_MIN_LENGTH
        or len(set(key)) < SECRET_MIN_DIFFERENT
    ]
    faults += [
        f"{PREFIX}{one} and {PREFIX}{other} must differ"
        for (one, key), (other, same) in (
            *combinations(keys.items(), 2),
            *product(list(keys.items())[1:], former.items()),
        )
        if key == same
    ]
    if faults:
        raise SettingsError(f"Profile {settings.profile} does not start: {'; '.join(faults)}.")


def _refuse_open_sign_in(settings: Settings) -> None:
    """Passwords and sessions would go over the network as they are."""
    address = urlsplit(settings.public_url)
    if settings.profile == "prod" and address.scheme != "https" and not _is_loopback(address.hostname or ""):
        raise SettingsError(
            f"Profile prod does not start: {PREFIX}PUBLIC_URL must begin with https://, unless it is this machine's"
            " own (http://localhost:8080)."
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_half_a_price(settings: Settings) -> None:
    if (settings.llm_input_price is None) != (settings.llm_output_price is None):
        raise SettingsError(f"{PREFIX}LLM_INPUT_PRICE and {PREFIX}LLM_OUTPUT_PRICE: set both or neither.")
