"""Prometheus metrics: requests of this process, and what the database knows of jobs and stages."""

from __future__ import annotations

from collections import Counter as Counting
from collections.abc import Iterable, Sequence
from typing import cast

import structlog
from flask import current_app
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.domain.webhooks import Outcome
from core.errors import Transient
from entrypoints.api.kept import Kept
from ports.system import SystemStorage

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"})
SECONDS = 5.0
"""How long an exposition serves."""
log = structlog.get_logger("sortation.api")


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, system: SystemStorage) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self._requests = Counter("sortation_http_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "sortation_http_request_seconds", "Seconds until the answer begins.", labels[:2], registry=self.registry
        )
        self._webhooks = Counter("sortation_webhooks", "Webhooks by outcome.", ["outcome"], registry=self.registry)
        self._payment_events = Counter(
            "sortation_payment_events",
            "What the provider of payments told, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.registry.register(_Stored(system))
        self._exposition = Kept(lambda: generate_latest(self.registry), seconds=SECONDS)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def webhook(self, outcome: Outcome) -> None:
        self._webhooks.labels(outcome.value).inc()

    def payment_event(self, outcome: str) -> None:
        self._payment_events.labels(outcome).inc()

    def exposition(self) -> bytes:
        """At most some seconds old. Raises `Transient` where it is not there in time."""
        return self._exposition.get()


class _Stored(Collector):
    """Read from the database; `sortation_database_up` is 0 when it does not answer."""

    def __init__(self, system: SystemStorage) -> None:
        self._system = system

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("sortation_database_up", "Whether the database answered this scrape.")
        try:
            streams, stages = self._system.stream_stats(), self._system.stage_counts()
            connections, syncs = self._system.connection_counts(), self._system.sync_counts()
        except Transient as error:
            log.warning("metrics without the database", error=str(error))
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        jobs = GaugeMetricFamily("sortation_jobs", "Jobs by stream and status.", labels=["stream", "status"])
        dead = GaugeMetricFamily("sortation_jobs_dead", "Jobs in the dead letters.", labels=["stream"])
        oldest = GaugeMetricFamily("sortation_jobs_oldest_seconds", "Age of the oldest open job.", labels=["stream"])
        retries = GaugeMetricFamily(
            "sortation_jobs_retries", "Attempts after the first, of kept jobs.", labels=["stream"]
        )
        for stats in streams:
            for status, count in stats.counts.items():
                jobs.add_metric([stats.stream, status], count)
            dead.add_metric([stats.stream], stats.counts.get("dead", 0))
            oldest.add_metric([stats.stream], stats.oldest_seconds)
            retries.add_metric([stats.stream], stats.retries)
        decided = CounterMetricFamily(
            "sortation_records_decided", "Records by stage and status.", labels=["stage", "status"]
        )
        for stage, status, count in stages:
            decided.add_metric([stage, status], count)
        yield from (jobs, dead, oldest, retries, decided)
        yield from _of_connections(connections, syncs)


def _of_connections(
    connections: Sequence[tuple[str, str, int]], syncs: Sequence[tuple[str, str, int, int]]
) -> Iterable[Metric]:
    health = GaugeMetricFamily(
        "sortation_connections", "Connections by connector and health.", labels=["connector", "health"]
    )
    for connector, state, count in connections:
        health.add_metric([connector, state], count)
    ended = CounterMetricFamily(
        "sortation_syncs", "Syncs and read files by connector and how they ended.", labels=["connector", "outcome"]
    )
    stored = CounterMetricFamily("sortation_records_stored", "New records by connector.", labels=["connector"])
    records: Counting[str] = Counting()
    for connector, outcome, count, new in syncs:
        ended.add_metric([connector, outcome], count)
        records[connector] += new
    for connector, count in records.items():
        stored.add_metric([connector], count)
    yield from (health, ended, stored)


def of_app() -> Metrics:
    return cast(Metrics, current_app.extensions["sortation.metrics"])
