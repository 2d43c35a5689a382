"""What the local embedder promises beyond `test_embedders.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from adapters.onnx.embedder import OnnxEmbedder

TEXTS = ["TESCO STORES 3214 LONDON", "SAINSBURYS SUPERMARKET", "a much longer description of a payment " * 20, ""]


def test_threads_that_meet_while_it_loads_agree() -> None:
    embedder = OnnxEmbedder()
    results: list[list[Sequence[float]]] = []
    threads = [threading.Thread(target=lambda: results.append(embedder.embed(TEXTS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [results[0]] * 4


def test_it_needs_no_home_and_no_network_and_stays_quiet(tmp_path: Path) -> None:
    """Also after a fork, where tokenizers warns if its thread pool was in use."""
    script = (
        "import os, socket, sys\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "from adapters.onnx.embedder import OnnxEmbedder\n"
        "embedder = OnnxEmbedder()\n"
        "texts = [f'text {number}' for number in range(50)]\n"
        "print(len(embedder.embed(texts)), flush=True)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    print(len(embedder.embed(texts)), flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    root = Path(__file__).parents[2]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "50\n50\n", "")
    assert list(home.iterdir()) == []
