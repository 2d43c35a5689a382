"""The adapters that settings choose among, or leave out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from adapters.embedders import Succession
from adapters.http.policy import parse_policy
from adapters.http.transport import GuardedTransport, Limits
from adapters.manual.payments import ManualPayments
from adapters.messaging.smtp import SmtpMailer
from adapters.messaging.webhooks import StandardWebhookSender
from adapters.oidc.providers import OidcProviders
from adapters.onnx.embedder import OnnxEmbedder
from adapters.openai.metering import Prices
from adapters.postgres.vector_homes import PostgresVectorHomes
from adapters.secrets.keys import KeyFile
from core.domain.billing import Terms
from entrypoints.settings import Settings
from ports.agreements import Agreements
from ports.clock import Clock
from ports.connectors import PluginHost
from ports.embedder import Embedder
from ports.llm import Llm
from ports.mail import Mailer
from ports.notifications import WebhookSender
from ports.payments import Payments
from ports.trials import Trials
from ports.vector_homes import VectorHomes

TOKEN_SECONDS = 30.0
IDENTITY_LIMITS = Limits(connect=5.0, read=5.0, total=10.0, answer_bytes=1 << 20)
"""People wait for providers of identities, and their answers are small."""
RECEIVER_LIMITS = Limits(connect=5.0, read=15.0, total=20.0, answer_bytes=1 << 20)
"""As Standard Webhooks recommend: 15 to 30 seconds. What receivers answer beside the status is of no use."""


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


def terms_of(settings: Settings) -> Terms:
    return Terms(
        catalog=settings.plans,
        base=settings.base_plan,
        grace=timedelta(days=settings.grace_days),
        mails=settings.smtp_url is not None,
    )


def payments_of(settings: Settings, agreements: Agreements, clock: Clock) -> Payments:
    if settings.stripe_api_key is None:
        return ManualPayments(agreements, clock)
    from adapters.stripe.payments import StripePayments  # as above

    return StripePayments(
        _key(settings.stripe_api_key, settings.stripe_api_key_file),
        _key(settings.stripe_webhook_secrets, settings.stripe_webhook_secrets_file),
        base_url=settings.stripe_base_url,
        automatic_tax=settings.stripe_tax == "on",
    )


def origins_of(settings: Settings) -> tuple[str, ...]:
    """Where people may be sent back to: here, and where the operator says."""
    here = urlsplit(settings.public_url)
    return (f"{here.scheme}://{here.netloc}", *settings.return_origins)


def model_of(llm: Llm | None) -> str | None:
    return None if llm is None else llm.model


def mailer_of(settings: Settings) -> Mailer | None:
    if settings.smtp_url is None:
        return None
    return SmtpMailer(_key(settings.smtp_url, settings.smtp_url_file), settings.mail_from)


def sender_of(settings: Settings) -> WebhookSender:
    return StandardWebhookSender(GuardedTransport(parse_policy(settings.http_allow), limits=RECEIVER_LIMITS))


def identities_of(settings: Settings) -> OidcProviders:
    """The operator named the issuers, so these may be anywhere; what they name in turn obeys the policy."""
    named = (urlsplit(provider.issuer).hostname or "" for provider in settings.oidc_providers)
    policy = parse_policy([*settings.http_allow, *named])
    transport = GuardedTransport(policy, limits=IDENTITY_LIMITS)
    return OidcProviders(settings.oidc_providers, transport)
