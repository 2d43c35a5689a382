"""What searching for a tenant's regexes leaves in memory, which `MIN_WEIGHT` and `MAX_WEIGHT` bound."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adapters.matching.regex import MAX_MEMORY, MIN_WEIGHT
from core.domain.rules import MAX_WEIGHT

MANY = 100
SEARCHED = f"""
import random
from pathlib import Path
from adapters.matching.regex import re2_search

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

random.seed(1)
texts = ["".join(random.choices("abcd ", k=200)) for _ in range(1_000)]
before = resident()
kept = [re2_search(f"[ab].{{{{{{12 + n % 3}}}}}}x{{n}}") for n in range({MANY})]  # each text leads to other states
for search in kept:
    for text in texts:
        search(text)
print((resident() - before) // {MANY})
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is resident there")
def test_a_small_regex_takes_no_more_than_it_weighs() -> None:
    done = subprocess.run([sys.executable, "-c", SEARCHED], capture_output=True, text=True, check=True)
    each = int(done.stdout)
    assert each > MAX_MEMORY / 8, "the worst case is none"
    assert each < 256 << 10
    assert each * MAX_WEIGHT // MIN_WEIGHT < 1 << 30
