"""The adapters that settings choose among, or leave out."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from adapters.embedders import Succession
from adapters.http.policy import parse_policy
from adapters.http.transport import GuardedTransport, Limits
from adapters.messaging.smtp import SmtpMailer
from adapters.oidc.providers import OidcProviders
from adapters.onnx.embedder import OnnxEmbedder
from adapters.openai.metering import Prices
from adapters.postgres.vector_homes import PostgresVectorHomes
from adapters.secrets.keys import KeyFile
from entrypoints.settings import Settings
from ports.connectors import PluginHost
from ports.embedder import Embedder
from ports.llm import Llm
from ports.mail import Mailer
from ports.trials import Trials
from ports.vector_homes import VectorHomes

TOKEN_SECONDS = 30.0


def embedder_of(settings: Settings) -> Embedder | None:
    if settings.embeddings == "off":
        return None
    local = OnnxEmbedder()

    def former(model: str) -> Embedder | None:
        """That of a model whose vectors are stored: local, or one that the present API has under its name."""
        if model == local.model:
            return local
        asked_for, _, _ = model.rpartition("@")
        remote = _remote_embedder(settings, asked_for.rpartition("/")[2])
        return remote if remote is not None and remote.model == model else None

    present = local if settings.embeddings == "local" else _remote_embedder(settings, settings.embeddings_model)
    return None if present is None else Succession(present, former)


def _remote_embedder(settings: Settings, model: str) -> Embedder | None:
    if settings.embeddings_api_key is None:
        return None
    from adapters.openai.embedder import OpenAiEmbedder  # half a second, which most starts can do without

    return OpenAiEmbedder(
        api_key=_key(settings.embeddings_api_key, settings.embeddings_api_key_file),
        base_url=settings.embeddings_base_url,
        model=model,
        timeout=settings.llm_timeout_seconds,
    )


def transport_of(settings: Settings) -> GuardedTransport:
    return GuardedTransport(parse_policy(settings.http_allow))


def token_transport_of(settings: Settings) -> GuardedTransport:
    """That of providers of tokens: who waits for them keeps others from renewing theirs."""
    return GuardedTransport(parse_policy(settings.http_allow), limits=Limits(total=TOKEN_SECONDS))


def vector_homes_of(settings: Settings) -> VectorHomes | None:
    return None if settings.database_url is None else PostgresVectorHomes(settings.database_url)


def llm_of(settings: Settings) -> Llm | None:
    if settings.llm_api_key is None:
        return None
    from adapters.openai.llm import OpenAiLlm  # as above

    prices = None
    if settings.llm_input_price is not None and settings.llm_output_price is not None:
        prices = Prices(input=settings.llm_input_price, output=settings.llm_output_price)
    return OpenAiLlm(
        api_key=_key(settings.llm_api_key, settings.llm_api_key_file),
        base_url=settings.llm_base_url,
        model=settings.llm_model,
        timeout=settings.llm_timeout_seconds,
        prices=prices,
        breaker_failures=settings.llm_breaker_failures,
        breaker_seconds=settings.llm_breaker_seconds,
    )


def _key(key: str, file: Path | None) -> str | KeyFile:
    return key if file is None else KeyFile(file, key)


def trials_of(settings: Settings, embedder: Embedder | None, host: PluginHost) -> Trials:
    from entrypoints.evaluating.trials import ScratchTrials  # which makes a container

    return ScratchTrials(settings, embedder, host)


def model_of(llm: Llm | None) -> str | None:
    return None if llm is None else llm.model


def mailer_of(settings: Settings) -> Mailer | None:
    if settings.smtp_url is None:
        return None
    return SmtpMailer(_key(settings.smtp_url, settings.smtp_url_file), settings.mail_from)


def identities_of(settings: Settings) -> OidcProviders:
    """The operator named the issuers, so these may be anywhere; what they name in turn obeys the policy."""
    named = (urlsplit(provider.issuer).hostname or "" for provider in settings.oidc_providers)
    transport = GuardedTransport(parse_policy([*settings.http_allow, *named]))
    return OidcProviders(settings.oidc_providers, transport)
