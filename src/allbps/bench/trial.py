"""One peer on one row in a process of its own: time until the first step, and peak memory.

    python -m allbps.bench.trial ROW PEER STEPS

prints one line of JSON. Memory counts from where the framework is imported and the data are made.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from allbps.bench.deadline import OVER, Deadline
from allbps.bench.peer import peer_named
from allbps.bench.row import work_for


def steps_for(seconds: float) -> int:
    """How many steps a trial takes: enough for compilers that trace twice, few where one is slow.

    >>> steps_for(0.01), steps_for(3.0)
    (5, 2)
    """
    return 5 if seconds < 1 else 2


def trial(row: str, peer: str, steps: int) -> dict[str, float]:
    """What a fresh process needs: seconds to prepare, and bytes at most."""
    work = work_for(row)
    start = peer_named(peer).load()
    before = _resident()
    _forget_peak()
    began = time.perf_counter()
    runner = start(work)
    runner.run(steps)
    first = time.perf_counter() - began
    began = time.perf_counter()
    runner.run(steps)
    steady = time.perf_counter() - began
    return {"prepare": max(0.0, first - steady), "memory": _peak() - before}


def cold_and_warm(row: str, peer: str, steps: int, deadline: Deadline) -> dict[str, Any]:
    """A trial with empty caches of compiled code, and one with what the first has left.

    Args:
        row: its name.
        peer: its name.
        steps: how many to take.
        deadline: when a trial is given up.

    Returns:
        cold, warm: seconds to prepare; memory: bytes of the warm one; or error: what went wrong.

    """
    with tempfile.TemporaryDirectory(prefix="allbps-bench-") as folder:
        found = [_in_a_process(row, peer, steps, folder, deadline) for _ in range(2)]
    for one in found:
        if "error" in one:
            return one
    cold, warm = found
    return {"cold": cold["prepare"], "warm": warm["prepare"], "memory": warm["memory"]}


def _in_a_process(
    row: str, peer: str, steps: int, caches: str, deadline: Deadline
) -> dict[str, Any]:
    environment = {
        **os.environ,
        "ALLBPS_CACHE_DIR": f"{caches}/allbps",
        "TORCHINDUCTOR_CACHE_DIR": f"{caches}/torch",
        "CACHEDB": f"{caches}/tinygrad.db",
        "JAX_COMPILATION_CACHE_DIR": f"{caches}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-m", "allbps.bench.trial", row, peer, str(steps)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            timeout=deadline.left,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"compile time and memory not measured: {OVER}"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# -- memory ----------------------------------------------------------------------------------------
def _resident() -> int:
    """Bytes in memory now; where Linux does not say, the most there ever were."""
    return _status("VmRSS") or _highest()


def _peak() -> int:
    return _status("VmHWM") or _highest()


def _forget_peak() -> None:
    """Count the peak from here on."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _status(field: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def _highest() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(json.dumps(trial(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
