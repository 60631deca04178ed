"""How near the kernels come to this machine's peak of fused multiply-adds.

    python benchmarks/kernels.py [--threads N] [--only TEXT] [--width 64|32|16]

Rounds of all kernels are interleaved with rounds of the peak itself, so that a machine that slows
down slows both; the table shows medians and the median of each round's own ratio.
"""

# ruff: noqa: E741 - I, J, K and O are the letters of the formulas.

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from allbps.machine.execution.runtime import Step, default_threads
from allbps.machine.kernels.conv import conv_forward, conv_input, conv_weights, flip_weights
from allbps.machine.kernels.gemm import cut_product, finish_product, product_piece
from allbps.machine.kernels.reduce import combine
from allbps.machine.kernels.team import barrier, first_piece, next_piece
from allbps.machine.kernels.winograd import (
    POINTS,
    group_size,
    points_apart,
    winograd_delta,
    winograd_forward,
    winograd_weights,
    winograd_weights_delta,
)
from allbps.machine.language.build import build
from allbps.machine.language.native import Loaded
from allbps.machine.language.target import Target, host, narrowed
from allbps.machine.language.words import Int, Ints, brgemm, kernel, pointer_at, stack

SCRATCH = 1 << 19  # numbers a thread may use
PIECES = 16


@kernel
def peak(tid: Int, threads: Int, team: Ints, arguments: Ints) -> None:
    """One register tile over and over on one line of A and B: nothing but multiply-adds."""
    c, x = stack(6 * 64), stack(64 + 6)
    for i in range(64 + 6):
        x[i] = 0.0
    p = first_piece(team, tid, threads, PIECES)
    while p < PIECES:
        brgemm(c, 64, x, 1, 0, 0, x, 0, 0, 6, 64, arguments[0], 1, 0, c)
        p = next_piece(team, p, tid, threads, PIECES)
    barrier(team, threads)


@kernel
def product(tid: Int, threads: Int, team: Ints, a: Ints) -> None:
    """a: C, A, B, partials, M, N, K, sar, sak, rows, columns, depth, scratch."""
    C, A, B, partials = pointer_at(a, 0), pointer_at(a, 1), pointer_at(a, 2), pointer_at(a, 3)
    M, N, K, sar, sak, rows, columns, depth = a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]
    scratch = pointer_at(a, 12) + tid * SCRATCH
    p = first_piece(team, tid, threads, rows * columns * depth)
    while p < rows * columns * depth:
        if depth > 1:
            product_piece(
                partials, N, A, sar, sak, B, N, M, N, K, 0, C, rows, columns, depth, scratch, p
            )
        else:
            product_piece(C, N, A, sar, sak, B, N, M, N, K, 0, C, rows, columns, 1, scratch, p)
        p = next_piece(team, p, tid, threads, rows * columns * depth)
    barrier(team, threads)
    if depth > 1:
        p = first_piece(team, tid, threads, PIECES)
        while p < PIECES:
            lo, hi = p * M // PIECES, (p + 1) * M // PIECES
            finish_product(C, N, partials, depth, M, N, 0, C, lo, hi)
            p = next_piece(team, p, tid, threads, PIECES)
        barrier(team, threads)


@kernel
def convolution(tid: Int, threads: Int, team: Ints, a: Ints) -> None:
    """a: I, K, J, D, F, partials, scratch, which, N, H, W, C, O, h, w, s, p."""
    I, K, J, D = pointer_at(a, 0), pointer_at(a, 1), pointer_at(a, 2), pointer_at(a, 3)
    F, partials, scratch = pointer_at(a, 4), pointer_at(a, 5), pointer_at(a, 6) + tid * SCRATCH
    which, N, H, W, C, O, h, w, s, pad = (
        a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16],
    )  # fmt: skip
    size = h * w * C * O
    if which == 2:
        if tid == 0:
            flip_weights(F, K, C, O, h, w, s, 0, C)
        barrier(team, threads)
    p = first_piece(team, tid, threads, PIECES)
    while p < PIECES:
        lo, hi = p * N // PIECES, (p + 1) * N // PIECES
        if which == 0:
            conv_forward(J, I, K, K, 0, scratch, H, W, C, O, h, w, s, pad, lo, hi)
        elif which == 1:
            conv_weights(partials + p * size, J, I, scratch, 0, H, W, C, O, h, w, s, pad, lo, hi)
        else:
            conv_input(D, J, F, H, W, C, O, h, w, s, pad, lo, hi)
        p = next_piece(team, p, tid, threads, PIECES)
    barrier(team, threads)
    if which == 1 and tid == 0:
        combine(F, partials, size, PIECES, 0, size)


@kernel
def winograd(tid: Int, threads: Int, team: Ints, a: Ints) -> None:
    """a: I, K, J, D, F, partials, scratch, U, which, N, H, W, C, O, p, pieces; which as above."""
    I, K, J, D = pointer_at(a, 0), pointer_at(a, 1), pointer_at(a, 2), pointer_at(a, 3)
    F, partials, scratch = pointer_at(a, 4), pointer_at(a, 5), pointer_at(a, 6) + tid * SCRATCH
    U, which, N, H, W, C, O, pad = pointer_at(a, 7), a[8], a[9], a[10], a[11], a[12], a[13], a[14]
    oh, ow, size = H + 2 * pad - 2, W + 2 * pad - 2, 9 * C * O
    if tid == 0 and which == 0:
        winograd_weights(U, K, C, O, 0, C)
    if tid == 0 and which == 2:
        flip_weights(F, K, C, O, 3, 3, 1, 0, C)
        winograd_weights(U, F, O, C, 0, O)
    barrier(team, threads)
    tiles = N * ((oh + 3) // 4) * ((ow + 3) // 4)
    if which == 2:
        tiles = N * ((H + 3) // 4) * ((W + 3) // 4)
    pieces = a[15]
    p = first_piece(team, tid, threads, pieces)
    while p < pieces:
        lo, hi = p * tiles // pieces, (p + 1) * tiles // pieces
        if which == 0:
            winograd_forward(J, I, U, K, 0, scratch, H, W, C, O, pad, lo, hi)
        elif which == 1:
            points = scratch + (SCRATCH - POINTS * points_apart(C, O))
            winograd_delta(points, J, I, 0, scratch, H, W, C, O, pad, lo, hi)
            winograd_weights_delta(partials + p * size, points, C, O, 0, C)
        else:
            winograd_forward(D, J, U, K, 0, scratch, oh, ow, O, C, 2 - pad, lo, hi)
        p = next_piece(team, p, tid, threads, pieces)
    barrier(team, threads)
    if which == 1 and tid == 0:
        combine(F, partials, size, pieces, 0, size)


@dataclass
class Row:
    """One line of the table."""

    name: str
    flops: float
    run: Callable[[], None]


CONVOLUTIONS = {
    "LeNet conv2": (64, 26, 26, 32, 64, 3, 3, 1, 0),
    "LeNet conv1": (64, 28, 28, 1, 32, 3, 3, 1, 0),
    "ResNet 16": (64, 32, 32, 16, 16, 3, 3, 1, 1),
    "ResNet 32": (64, 16, 16, 32, 32, 3, 3, 1, 1),
    "ResNet 64": (64, 8, 8, 64, 64, 3, 3, 1, 1),
    "ResNet 16-32 /2": (64, 32, 32, 16, 32, 3, 3, 2, 1),
}

PRODUCTS = {
    "MLP 1": (128, 784, 512),
    "MLP 2": (128, 512, 256),
    "LeNet dense": (64, 9216, 128),
    "GPT qkv": (2048, 128, 384),
    "GPT up": (2048, 128, 512),
    "GPT down": (2048, 512, 128),
    "GPT head": (2048, 128, 65),
}


def rows(loaded: Loaded, target: Target, threads: int, dtype: type) -> list[Row]:
    """Everything that is measured; the first row is the peak."""
    rng = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    turns = 2_000
    out = [Row("peak", PIECES * 6 * 64 * 2 * turns, Step(loaded, "peak", [turns], threads))]
    for name, (M, K, N) in PRODUCTS.items():
        A, B, C, G, D = array(M, K), array(K, N), array(M, N), array(M, N), array(K, N)
        for what, X, Y, Z, shape, strides in (
            (f"{M}x{K}x{N}  A@B", A, B, C, (M, N, K), (K, 1)),
            (f"{K}x{M}x{N}  A.T@G", A, G, D, (K, N, M), (1, K)),
        ):
            cut = cut_product(*shape, target, X.itemsize, transposed=strides[0] == 1)
            partials = array(cut.depth, Z.size)
            pieces = cut.rows, cut.columns, cut.depth, array(threads, SCRATCH)
            run = Step(loaded, "product", [Z, X, Y, partials, *shape, *strides, *pieces], threads)
            out.append(Row(f"{name} {what}", 2 * M * N * K, run))
    for name, shape in CONVOLUTIONS.items():
        N, H, W, C, O, h, w, s, p = shape
        oh, ow = (H + 2 * p - h) // s + 1, (W + 2 * p - w) // s + 1
        buffers = [
            array(N, H, W, C), array(h, w, C, O), array(N, oh, ow, O), array(N, H, W, C),
            array(h, w, C, O), array(PIECES, h, w, C, O), array(threads, SCRATCH),
        ]  # fmt: skip
        for which, what in enumerate(("J", "dK", "dI")):
            run = Step(loaded, "convolution", [*buffers, which, *shape], threads)
            flops = 2 * N * oh * ow * O * h * w * C
            out.append(Row(f"{name} {what}", flops, run))
            if (h, w, s) == (3, 3, 1) and C > 1:
                height, width = (H, W) if which == 2 else (oh, ow)
                cut = cut_tiles(N * -(-height // 4) * -(-width // 4), C, O)
                arguments = (which, N, H, W, C, O, p, cut[which == 1])
                points = array(POINTS * points_apart(C, O))
                run = Step(loaded, "winograd", [*buffers, points, *arguments], threads)
                out.append(Row(f"{name} {what} Winograd", flops, run))
    return out


def cut_tiles(tiles: int, C: int, O: int) -> tuple[int, int]:
    """Pieces of winograd_forward, at most a group each, and of δK, at least 32 tiles each."""
    return -(-tiles // group_size(C, O)), max(1, min(PIECES, tiles // 32))


def once(run: Callable[[], None]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--width", type=int, choices=(64, 32, 16))
    parser.add_argument("--double", action="store_true", help="float64 instead of float32")
    options = parser.parse_args()
    target = narrowed(options.width) if options.width else host()
    objects = build([peak, product, convolution, winograd], target, single=not options.double)
    dtype = np.float64 if options.double else np.float32
    table = rows(Loaded(*objects), target, options.threads, dtype)
    table = [r for r in table if options.only in r.name or r is table[0]]
    rates: list[list[float]] = [[] for _ in table]
    for _ in range(options.rounds):
        for row, rate in zip(table, rates, strict=True):
            rate.append(row.flops / statistics.median(once(row.run) for _ in range(5)) / 1e9)
    print(f"{'kernel':34} {'GFLOP/s':>8} {'best':>8} {'of peak':>8}")
    for row, rate in zip(table, rates, strict=True):
        ratio = statistics.median(r / p for r, p in zip(rate, rates[0], strict=True))
        print(f"{row.name:34} {statistics.median(rate):8.1f} {max(rate):8.1f} {ratio:8.1%}")


if __name__ == "__main__":
    main()
