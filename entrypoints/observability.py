"""What can be seen from outside: JSON logs that carry request, tenant and job; traces, when an endpoint is set."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from opentelemetry import context, propagate, trace

from core.domain.health import MASK, secret_words
from entrypoints.settings import Settings


def set_up_logging(settings: Settings) -> None:
    """structlog and the standard library's loggers, a JSON object a line on stderr (or coloured text for people)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level.upper()),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
                _blackening(settings),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("httpcore2", "httpx2"):  # their debug lines hold headers, their others whole addresses
        logging.getLogger(name).setLevel(logging.WARNING)


def _blackening(settings: Settings) -> structlog.typing.Processor:
    """Masks the installation's own secrets in a line that is about to be written. None should be there; but a library's
    exception may say what a server sent back."""
    words = secret_words({"settings": list(_secrets_of(settings))})
    pattern = re.compile("|".join(map(re.escape, words)))

    def blacken(_: object, __: str, line: Any) -> Any:
        return pattern.sub(MASK, line)

    return blacken


def _secrets_of(settings: Settings) -> Iterator[str]:
    urls = (settings.database_url, settings.app_database_url, settings.system_database_url)
    for url in (*urls, settings.broker_url, settings.smtp_url):
        if url and (password := urlsplit(url).password):
            yield password
            yield unquote(password)
    yield from (settings.secret_key, *settings.former_secret_keys, settings.operator_key)
    yield from (provider.client_secret for provider in settings.oidc_providers)
    yield from filter(None, (settings.metrics_key, settings.llm_api_key, settings.embeddings_api_key))


def set_up_tracing(settings: Settings, service: str) -> None:
    """Traces of Flask, Celery and psycopg to the OTLP endpoint (HTTP); without one, nothing is instrumented."""
    if settings.otlp_endpoint is None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": f"sortation-{service}"}))
    endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    PsycopgInstrumentor().instrument(skip_dep_check=True)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]


def trace_parent() -> str | None:
    """The W3C `traceparent` of what runs now, to be kept with a job; None without tracing."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def span(name: str, parent: str | None) -> Iterator[None]:
    """A span that goes on where the call that queued the work left off."""
    came_from = propagate.extract({"traceparent": parent}) if parent else context.get_current()
    with trace.get_tracer("sortation").start_as_current_span(name, context=came_from):
        yield
