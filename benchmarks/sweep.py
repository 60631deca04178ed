"""Matrix products of all shapes, one core: share of the peak here, and of NumPy's BLAS.

    python benchmarks/sweep.py [--sizes 1,4,16,…] [--most 2e10] [--width 64|32|16] [--out FOLDER]

(M, K) · (K, N) in float32, each size from 1 to 4096. The process is held to one core and counts its
own time on it, so that other programs disturb caches and memory only; each number is the best of
several rounds in which peak, product and NumPy take turns. Writes sweep.md and sweep.png.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from kernels import SCRATCH, product

from allbps.machine.execution.executable import aligned
from allbps.machine.execution.runtime import Step
from allbps.machine.kernels.gemm import cut_product
from allbps.machine.language.build import build
from allbps.machine.language.native import Loaded
from allbps.machine.language.peak import peak_loop
from allbps.machine.language.target import Target, host, narrowed
from allbps.train.figures import drawing, write_figure

SIZES = (1, 4, 16, 64, 256, 1024, 4096)
LARGE, CLIFF = 1e7, 0.6
"""Operations from which on a share of the peak below CLIFF is listed."""


@dataclass(frozen=True)
class Point:
    """One shape: shares of the peak."""

    M: int
    N: int
    K: int
    here: float
    numpy: float

    @property
    def operations(self) -> float:
        """Multiplications and additions."""
        return 2.0 * self.M * self.N * self.K

    @property
    def intensity(self) -> float:
        """Operations for each number that is read or written at least once."""
        return self.operations / (self.M * self.K + self.K * self.N + self.M * self.N)


def best(runs: Sequence[Callable[[], object]], seconds: float = 0.02) -> list[float]:
    """The least time of each on this core, in three turns or more, some ``seconds`` each."""
    least = [float("inf")] * len(runs)
    for run in runs:
        run()
    spent, turns = 0.0, 0
    while turns < 3 or spent < seconds * len(runs):
        for k, run in enumerate(runs):
            start = time.thread_time_ns()
            run()
            took = (time.thread_time_ns() - start) * 1e-9
            least[k], spent = min(least[k], took), spent + took
        turns += 1
    return least


def sweep(target: Target, sizes: Sequence[int], most: float) -> Iterator[Point]:
    """Every shape of up to ``most`` operations."""
    loaded, rng = Loaded(*build([product], target, single=True)), np.random.default_rng(0)
    loop, operations = peak_loop(target, single=True)
    scratch = aligned(SCRATCH, np.dtype(np.float32))

    def array(*shape: int) -> np.ndarray:
        made = aligned(int(np.prod(shape)), np.dtype(np.float32)).reshape(shape)
        made[...] = rng.standard_normal(shape)
        return made

    for M, N, K in itertools.product(sizes, repeat=3):
        if most < 2.0 * M * N * K:
            continue
        A, B, C, D = array(M, K), array(K, N), array(M, N), array(M, N)
        cut = cut_product(M, N, K, target, 4)
        partials = array(cut.depth, M * N)
        pieces = cut.rows, cut.columns, cut.depth
        step = Step(loaded, "product", [C, A, B, partials, M, N, K, K, 1, *pieces, scratch], 1)
        t = best([*[loop] * 9, step, lambda A=A, B=B, D=D: np.matmul(A, B, out=D)])
        np.testing.assert_allclose(C, D, atol=1e-4 * K**0.5 * 10)
        rate = operations / min(t[:-2])
        yield Point(M, N, K, *(2.0 * M * N * K / s / rate for s in t[-2:]))


def table(points: Sequence[Point], target: Target) -> str:
    """What stands in sweep.md."""
    large = [p for p in points if p.operations > LARGE]
    low = sorted((p for p in large if p.here < CLIFF), key=lambda p: p.here)
    ahead = sum(p.here >= p.numpy for p in large)
    lines = [
        f"Matrix products (M, K) · (K, N), float32, one core of {target.cpu}, vectors of "
        f"{target.vector_bytes} bytes; shares of the peak of fused multiply-adds in registers.",
        "",
        f"{len(points)} shapes, {len(large)} of them with more than 10⁷ operations: median "
        f"{np.median([p.here for p in large]):.0%} here, {np.median([p.numpy for p in large]):.0%} "
        f"by NumPy; here is not below NumPy in {ahead} of them. Below {CLIFF:.0%} are {len(low)}:",
        "",
        "| M | N | K | here | NumPy | operations for each number moved |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {p.M} | {p.N} | {p.K} | {p.here:.0%} | {p.numpy:.0%} | {p.intensity:.1f} |" for p in low
    ]
    return "\n".join(lines) + "\n"


def draw(path: Path, points: Sequence[Point]) -> None:
    """Shares over operations, both."""
    with drawing(8, 5) as figure:
        axes = figure.subplots()
        x = [p.operations for p in points]
        axes.scatter(x, [p.numpy for p in points], s=12, color="#BBBBBB", label="NumPy")
        axes.scatter(x, [p.here for p in points], s=12, color="#0072B2", label="here")
        axes.axhline(CLIFF, color="#444444", linewidth=0.8)
        axes.axvline(LARGE, color="#444444", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xlabel("2·M·N·K")
        axes.set_ylabel("share of the peak")
        axes.legend()
        write_figure(figure, path)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--most", type=float, default=2e10, help="operations of the largest shape")
    parser.add_argument("--width", type=int, choices=(64, 32, 16))
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    target = narrowed(options.width) if options.width else host()
    points = []
    for point in sweep(target, [int(n) for n in options.sizes.split(",")], options.most):
        points.append(point)
        print(
            f"{point.M:5} {point.N:5} {point.K:5}  {point.here:6.1%}  {point.numpy:6.1%}",
            flush=True,
        )
    text = table(points, target)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sweep.md").write_text(text)
    draw(options.out / "sweep.png", points)


if __name__ == "__main__":
    main()
