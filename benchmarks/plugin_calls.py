"""Connectors in child processes beside the same in this process: a file read whole, and the least that a call costs.

`python -m benchmarks.plugin_calls [--records N] [--repeat N] [--json]`. A CSV of `--records` transactions is read by
its connector, batch by batch, here and in a child: wall-clock seconds, and CPU seconds of this process alone. Then a
file is looked at by a child, which is forked and shut in for that, and by a Python process that imports the same.
Medians of repeats; ways take turns.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from plugins.isolation.host import Isolation
from plugins.manager import PluginManager
from ports.connectors import Context, ReadRequest

FACTORY = "plugins.json_lines:JsonLines"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines = (f"05.01.2026;Shop {n} in the High Street;-{n % 900},50;EUR\n" for n in range(options.records))
    content = ("Date;Description;Amount;Currency\n" + "".join(lines)).encode()
    isolation = Isolation()
    hosts = {"here": PluginManager(), "child": PluginManager(isolation=isolation)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in hosts}
    for _ in range(options.repeat):
        for name, host in hosts.items():
            times[name].append(_timed(lambda host=host: _read(host, content, options.records)))
    wall = {name: statistics.median(wall for wall, _ in found) for name, found in times.items()}
    cpu = {name: statistics.median(cpu for _, cpu in found) for name, found in times.items()}
    looks = [_timed(lambda: isolation.detect([FACTORY], b"{}", "x.json"))[0] for _ in range(20)]
    command = [sys.executable, "-c", "import plugins.isolation.serving, plugins.json_lines"]
    starts = [_timed(lambda: subprocess.run(command, check=True))[0] for _ in range(options.repeat)]
    result = {
        "records": options.records,
        "seconds_here": round(wall["here"], 3),
        "seconds_child": round(wall["child"], 3),
        "ratio": round(wall["child"] / wall["here"], 2),
        "host_cpu_seconds_here": round(cpu["here"], 3),
        "host_cpu_seconds_child": round(cpu["child"], 3),
        "call_milliseconds": round(statistics.median(looks) * 1000, 1),
        "process_milliseconds": round(statistics.median(starts) * 1000, 1),
    }
    if options.json:
        print(json.dumps(result))
        return
    for name in hosts:
        print(
            f"{options.records:,} rows of CSV, {name:<5} {wall[name]:6.2f} s, {cpu[name]:.2f} of it this process's CPU"
        )
    print(f"a child takes {result['ratio']} times as long")
    print(f"a call {result['call_milliseconds']} ms, a process of its own {result['process_milliseconds']} ms")


def _read(host: PluginManager, content: bytes, records: int) -> None:
    request = ReadRequest(file=io.BytesIO(content), filename="statement.csv")
    read = sum(len(batch.drafts) for batch in host.connector("csv").read(Context(), request))
    assert read == records


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
