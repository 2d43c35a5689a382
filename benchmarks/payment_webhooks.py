"""What a provider of payments tells is kept and answered, beside a route of the same server that answers and does
nothing.

`python -m benchmarks.payment_webhooks [--rate N] [--seconds N] [--json]`. The whole service runs as its processes do,
with eight tenants whose subscriptions change all the while at a small Stripe: six deliveries of ten are new, three come
again, one is forged, and jobs ask what is so. Both are asked over eight connections, so many times a second whether or
not those before were answered, and then as fast as they are. Times are from when a request was due; who asks, Stripe
and the service share the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import repeat
from pathlib import Path
from typing import Any

from tests.integration.stripe_support import with_prices
from tests.payment_load import A_SECOND, ALIVE, SECONDS, Answered, Asked, Sender, Telling, settings, subscribed
from tests.stack import running_stack
from tests.stubs.stripe_billing_server import StripeBillingServer

EXPECTED = {"true": HTTPStatus.OK, "forged": HTTPStatus.UNAUTHORIZED, ALIVE: HTTPStatus.OK}


def shown(name: str, answers: Sequence[Answered], took: float) -> dict[str, Any]:
    for one in answers:
        assert one.status == EXPECTED[one.kind], one
    percentiles = statistics.quantiles([one.seconds for one in answers], n=100)
    milliseconds = {f"p{n}_ms": round(1_000 * percentiles[n - 1], 2) for n in (50, 95, 99)}
    return {"asked": name, "requests": len(answers), "per_second": round(len(answers) / took, 1), **milliseconds}


def measure(rate: int, seconds: int) -> list[dict[str, Any]]:
    count = rate * seconds
    with (
        tempfile.TemporaryDirectory() as folder,
        StripeBillingServer() as provider,
        running_stack(Path(folder) / "data", **settings(provider)) as stack,
    ):
        with_prices(provider).now = datetime.now(UTC)
        tenants = subscribed(stack, provider)
        telling = Telling(provider=provider, subscriptions=list(tenants.values()), told=list(provider.events))
        Sender(port=stack.port).send_all(telling.first())
        found = []
        for name, a_second in ((f"{rate} a second", rate), ("as fast as answered", None)):
            for route in (ALIVE, "webhook"):
                requests = repeat(Asked(kind=ALIVE), count) if route == ALIVE else telling.next(count)
                sender = Sender(port=stack.port)
                took = sender.send_all(requests, a_second)
                found.append(shown(f"{route}, {name}", sender.answers, took))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=A_SECOND)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rate, options.seconds)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'':<30} {'requests':>8} {'a second':>9} {'p50 ms':>9} {'p95 ms':>9} {'p99 ms':>9}")
    for one in found:
        times = " ".join(f"{one[f'p{n}_ms']:>9.2f}" for n in (50, 95, 99))
        print(f"{one['asked']:<30} {one['requests']:>8,} {one['per_second']:>9,.1f} {times}")
    alive, told = found[2], found[3]
    print(f"a delivery takes {alive['per_second'] / told['per_second']:.1f} times as long as an answer alone")


if __name__ == "__main__":
    main()
