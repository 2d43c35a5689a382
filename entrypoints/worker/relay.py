"""The relay process: publish, seal, reap, until told to stop; and beside that, tend where vectors live, and remove what
tenants no longer want to be kept."""

from __future__ import annotations

import time
from threading import Event, Thread

import structlog

from core.errors import Transient
from entrypoints.container import Container

log = structlog.get_logger()

IDLE_SECONDS = 1.0
"""How long to wait for news at most: retries become due without anybody telling."""
SWEEP_SECONDS = 3_600.0
PAUSE_SECONDS = 1.0
"""After a fault of the database or the broker."""
MODELS_SECONDS = 60.0
"""How often it looks whether another model is to take over."""
NEWS_SECONDS = 15.0
"""How often it looks for what endpoints are to be told, unless something was sealed."""
AT_ONCE_SECONDS = 0.25
"""How long it gathers what is sealed before it tells: where very much is, a few looks a second do for all of it."""
QUEUES_SECONDS = 60.0
"""How often it looks whether review queues are over their limits."""
BILLING_SECONDS = 15.0
"""How often it looks what is due of billing: what ends by the clock is told so soon after."""
TEND_SECONDS = 600.0
"""How often it looks whose vectors live in the wrong place."""
EXPIRE_SECONDS = 3_600.0
"""How often it looks what tenants no longer want to be kept."""


def run_relay(container: Container, stop: Event) -> None:
    """Returns when `stop` is set. A database or broker that is away is waited for."""
    # Beside the rest, since an index or very many records take minutes; what is cut off is carried on by the next.
    Thread(target=_tend, args=(container, stop), name="vectors", daemon=True).start()
    Thread(target=_expire, args=(container, stop), name="retention", daemon=True).start()
    news = Event()
    Thread(target=_tell, args=(container, news, stop), name="news", daemon=True).start()
    reap_every = min(container.settings().lease_seconds, container.settings().republish_after_seconds) / 3
    next_reap = next_sweep = next_models = next_billing = 0.0
    while not stop.is_set():
        try:
            busy = _turn(container, news, reap=time.monotonic() >= next_reap)
            if time.monotonic() >= next_reap:
                next_reap = time.monotonic() + reap_every
            if time.monotonic() >= next_sweep:
                log.info("swept", rows=_sweep(container))
                next_sweep = time.monotonic() + SWEEP_SECONDS
            if time.monotonic() >= next_billing:
                if queued := container.queue_billing():
                    log.info("billing queued", jobs=queued)
                next_billing = time.monotonic() + BILLING_SECONDS
            if time.monotonic() >= next_models:
                if tenants := container.start_reembedding():
                    log.info("another model takes over", tenants=tenants)
                next_models = time.monotonic() + MODELS_SECONDS
            if not busy:
                container.system().wait(min(IDLE_SECONDS, reap_every))
        except Transient as error:
            log.warning("relay waits", error=str(error))
            stop.wait(PAUSE_SECONDS)
        except Exception:  # one bad batch must not keep the others from being published
            log.exception("relay failed")
            stop.wait(PAUSE_SECONDS)


def _tend(container: Container, stop: Event) -> None:
    while not stop.is_set():
        try:
            for moved in container.tend_vectors():
                log.info(
                    "vectors moved",
                    tenant_id=str(moved.tenant_id),
                    own=moved.own,
                    vectors=moved.vectors,
                    seconds=round(moved.seconds, 3),
                    held_seconds=round(moved.held_seconds, 3),
                )
        except Transient as error:
            log.warning("vectors wait", error=str(error))
        except Exception:
            log.exception("vectors could not be tended")
        stop.wait(TEND_SECONDS)


def _expire(container: Container, stop: Event) -> None:
    expiries = (
        ("callers", container.forget_callers),
        ("records", container.expire_records),
        ("reports", container.sweep_reports),
    )
    while not stop.is_set():
        for what, expire in expiries:
            try:
                log.info("expired", **{what: expire()})
            except Transient as error:
                log.warning("retention waits", error=str(error))
            except Exception:
                log.exception("what was to go could not be removed")
        stop.wait(EXPIRE_SECONDS)


def _tell(container: Container, news: Event, stop: Event) -> None:
    """Beside sealing, which never waits for it."""
    next_queues = 0.0
    while not stop.is_set():
        try:
            if time.monotonic() >= next_queues:
                next_queues = time.monotonic() + QUEUES_SECONDS  # before it may fail, or that would hold up the rest
                if told := container.watch_queues():
                    log.info("queues over their limits", tenants=told)
            _tell_news(container)
        except Transient as error:
            log.warning("notifications wait", error=str(error))
            stop.wait(PAUSE_SECONDS)
        except Exception:
            log.exception("notifications could not be made")
            stop.wait(PAUSE_SECONDS)
        news.wait(NEWS_SECONDS)
        stop.wait(AT_ONCE_SECONDS)
        news.clear()


def _tell_news(container: Container) -> None:
    for tenant_id in container.tenants_with_news():
        try:
            if made := container.make_notifications(tenant_id):
                log.info("notifications made", tenant_id=str(tenant_id), notifications=made)
        except Transient:
            raise
        except Exception:  # whatever it is, the others are told
            log.exception("notifications could not be made", tenant_id=str(tenant_id))


def _sweep(container: Container) -> int:
    """How many rows went."""
    swept: int = container.sweep() + container.sweep_payment_events() + container.sweep_notifications()
    return swept


def _turn(container: Container, news: Event, *, reap: bool) -> bool:
    """Sealing goes on while the broker is away: readers of events need no broker."""
    reaped = container.reap_jobs() if reap else 0
    if reaped:
        log.info("jobs brought back", jobs=reaped)
    if sealed := container.seal_events():
        news.set()
    if due := container.queue_syncs():
        log.info("syncs queued", syncs=due)
    if due := container.queue_reports():
        log.info("reports queued", reports=due)
    published = container.publish_due()
    return bool(published or sealed or reaped)
