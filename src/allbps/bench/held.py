"""Everyone held to the same vectors: what tells each library so, and whether it obeys."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec

from allbps.errors import ArgumentError

PEERS_HELD = {
    "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's kernels, and what torch.compile writes
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions of PyTorch, products of XLA
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",  # products of PyTorch; on AMD they are AVX2 without it
    "OPENBLAS_CORETYPE": "Haswell",  # products of NumPy and scikit-learn
    # YNNPACK, which XLA calls for products unless told otherwise, takes the widest there is
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2 --xla_cpu_experimental_ynn_fusion_type=",
    # torch.compile does not ask how wide the code is that it has kept
    "TORCHINDUCTOR_CACHE_DIR": f"{tempfile.gettempdir()}/allbps-bench-avx2",
}
"""What holds each library to vectors of 32 bytes; read when it is loaded."""
AVX2 = 32
PROBED = "numpy", "torch", "jax"
ABOVE = 1.1
"""Who reaches this share of the peak of narrow multiply-adds uses wider ones; less may be noise."""


def environment(width: int, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process in which all are held to vectors of that many bytes.

    >>> environment(32, {"XLA_FLAGS": "--a"})["XLA_FLAGS"].split()[:2]
    ['--a', '--xla_cpu_max_isa=AVX2']
    """
    from allbps.machine.language.target import WIDTH

    peers = PEERS_HELD if width == AVX2 else {}
    flags = " ".join(filter(None, (given.get("XLA_FLAGS", ""), peers.get("XLA_FLAGS", ""))))
    return {**given, **peers, WIDTH: str(width), **({"XLA_FLAGS": flags} if flags else {})}


def begin_again(width: int) -> None:
    """Run this command from its start with everyone held, unless it runs so already.

    Libraries read their environment while they are loaded, and NumPy is loaded by now.
    """
    from allbps.machine.language.target import WIDTH, reported

    if os.environ.get(WIDTH) == str(width):
        return
    widest = reported().vector_bytes
    if width not in (16, 32, 64) or width > widest:
        raise ArgumentError(
            "--width is not a width of vectors of this CPU",
            expected=" or ".join(str(w) for w in (64, 32, 16) if w <= widest),
            got=str(width),
        )
    sys.stdout.flush()
    os.execve(sys.executable, sys.orig_argv, environment(width, os.environ))


@functools.cache
def obeyed() -> dict[str, float]:
    """How far each library comes in this environment; those that are missing are left out.

    Returns:
        library: the share of the peak of multiply-adds in registers that its best kernel reaches,
        at our width. More than 1.1 of it is only to be had with wider vectors.

    """
    before = _probe("machine")
    found = {name: _probe(name) for name in PROBED if find_spec(name)}
    peak = max(before, _probe("machine"))  # another program may have slowed one of them down
    return {name: rate / peak for name, rate in found.items()}


def in_words(shares: Mapping[str, float]) -> str:
    """Who obeys, for the head of a table.

    >>> in_words({"torch": 0.83, "jax": 1.9})
    'peers held to AVX2, share of its peak: torch 83 %, jax 190 % (NOT held: wider vectors)'
    """
    each = [
        f"{name} {100 * share:.0f} %" + " (NOT held: wider vectors)" * (share > ABOVE)
        for name, share in shares.items()
    ]
    return f"peers held to AVX2, share of its peak: {', '.join(each)}"


def _probe(name: str) -> float:
    command = [sys.executable, "-m", "allbps.bench.by_rate", name]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
