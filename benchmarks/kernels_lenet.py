"""LeNet's training step, written by hand as generated code would be, against PyTorch's.

    python benchmarks/kernels_lenet.py [--threads N] [--rounds N]

It shows the calling convention of kernels at work: buffers first, then stages of pieces, each
ended by a barrier. Weights, data and losses are PyTorch's own, compared before anything is timed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from allbps.machine import cache
from allbps.machine.kernels.winograd import scratch_size
from allbps.machine.runtime import Step, default_threads
from allbps.machine.target import host

STEP = """
from allbps.machine.kernels.conv import conv_forward, conv_weights, flip_weights
from allbps.machine.kernels.gemm import finish_product, gemm, product_piece, transpose
from allbps.machine.kernels.loss import cross_entropy
from allbps.machine.kernels.activation import relu_delta
from allbps.machine.kernels.optimise import sgd
from allbps.machine.kernels.pool import max_pool, max_pool_delta
from allbps.machine.kernels.reduce import combine, sum_rows
from allbps.machine.kernels.team import barrier, first_piece, next_piece
from allbps.machine.kernels.winograd import (
    winograd_delta, winograd_forward, winograd_weights, winograd_weights_delta,
)
from allbps.machine.words import (
    Double, Int, Ints, Reals, as_bytes, double, kernel, lanes, pointer_at, real,
)


@kernel
def step(tid: Int, threads: Int, team: Ints, a: Ints) -> None:
    # parameters (h, w, C, O) or (in, out), then their δ
    K1, b1, K2, b2 = pointer_at(a, 0), pointer_at(a, 1), pointer_at(a, 2), pointer_at(a, 3)
    W3, b3, W4, b4 = pointer_at(a, 4), pointer_at(a, 5), pointer_at(a, 6), pointer_at(a, 7)
    X, labels = pointer_at(a, 8), as_ints(pointer_at(a, 9))
    A1, J2 = pointer_at(a, 10), pointer_at(a, 11)  # (64, 26, 26, 32), (64, 24, 24, 64)
    P2, winner = pointer_at(a, 12), as_bytes(pointer_at(a, 13))  # (64, 12, 12, 64)
    A3, Z4 = pointer_at(a, 14), pointer_at(a, 15)  # (64, 128), (64, 10)
    U2, F2, UF2, W3T = (
        pointer_at(a, 16), pointer_at(a, 17), pointer_at(a, 18), pointer_at(a, 19),
    )
    dA3, dP2, dJ2, dA1 = (
        pointer_at(a, 20), pointer_at(a, 21), pointer_at(a, 22), pointer_at(a, 23),
    )
    parts, W4T = pointer_at(a, 24), pointer_at(a, 25)
    scratch = pointer_at(a, 26) + tid * 1000000
    loss = pointer_at(a, 27)
    dK2, dK1 = pointer_at(a, 28), pointer_at(a, 29)
    lr = real(0.05)

    # A1 = relu(X * K1 + b1); weights in the forms that products want
    p = first_piece(tid)
    while p < 48:
        if p < 16:
            conv_forward(A1, X, K1, b1, 6, scratch, 28, 28, 1, 32, 3, 3, 1, 0, p * 4, p * 4 + 4)
        elif p < 32:
            q = p - 16
            winograd_weights(U2, K2, 32, 64, q * 2, q * 2 + 2)
            if q == 0:
                flip_weights(F2, K2, 32, 64, 3, 3, 1)
                winograd_weights(UF2, F2, 64, 32, 0, 64)
                transpose(W4T, 128, W4, 10, 128, 0, 10)
        else:
            transpose(W3T, 9216, W3, 128, 9216, (p - 32) * 8, (p - 32) * 8 + 8)
        p = next_piece(team, p, threads)
    barrier(team, threads)

    # J2 = A1 * K2 + b2;  P2 = relu(max_pool(J2)): one image after the other, still in the cache
    p = first_piece(tid)
    while p < 32:
        winograd_forward(J2, A1, U2, b2, 2, scratch, 26, 26, 32, 64, 0, p * 72, p * 72 + 72)
        max_pool(P2, winner, J2, True, 24, 24, 64, 2, 2, 2, 2, 0, 0, 1, 1, p * 2, p * 2 + 2)
        p = next_piece(team, p, threads)
    barrier(team, threads)

    # A3 = relu(P2 W3 + b3), cut along k
    p = first_piece(tid)
    while p < 16:
        product_piece(parts, 128, P2, 9216, 1, W3, 128, 64, 128, 9216, 0, b3, 1, 1, 16, p)
        p = next_piece(team, p, threads)
    barrier(team, threads)

    # Z4 = A3 W4 + b4;  L and δZ4;  δA3 = δZ4 W4ᵀ ⊙ relu′: rows are independent from here
    p = first_piece(tid)
    while p < 8:
        lo, hi = p * 8, p * 8 + 8
        finish_product(A3, 128, parts, 16, 64, 128, 6, b3, lo, hi)
        gemm(Z4, 10, A3, 128, 1, W4, 10, 10, 128, 2, b4, lo, hi)
        loss[1 + p] = real(cross_entropy(Z4, Z4, labels, 1.0 / 64.0, 10, lo, hi))
        gemm(dA3, 128, Z4, 10, 1, W4T, 128, 128, 10, 0, b3, lo, hi)
        relu_delta(dA3, dA3, A3, lo * 128, hi * 128)
        p = next_piece(team, p, threads)
    barrier(team, threads)

    # δP2 = δA3 W3ᵀ, then, with W3 no more needed, δW3 = P2ᵀ δA3 and its update; the small ones
    p = first_piece(tid)
    while p < 19 + 36:
        if p < 18:
            lo = p * 512
            gemm(dP2 + lo, 9216, dA3, 128, 1, W3T + lo, 9216, 512, 128, 0, b3, 0, 64)
        elif p < 54:
            lo = (p - 18) * 256
            gemm(scratch, 128, P2 + lo, 1, 9216, dA3, 128, 128, 64, 0, b3, 0, 256)
            sgd(W3 + lo * 128, scratch, 1.0, lr, 0.0, 0, 256 * 128)  # δW3 never leaves the cache
        else:
            gemm(scratch, 10, A3, 1, 128, Z4, 10, 10, 64, 0, b4, 0, 128)
            sgd(W4, scratch, 1.0, lr, 0.0, 0, 1280)
            sum_rows(scratch, Z4, 10, 10, 0, 64)
            sgd(b4, scratch, 1.0, lr, 0.0, 0, 10)
            sum_rows(scratch, dA3, 128, 128, 0, 64)
            sgd(b3, scratch, 1.0, lr, 0.0, 0, 128)
            combine(loss, loss + 1, 1, 8, 0, 1)
        p = next_piece(team, p, threads)
    barrier(team, threads)

    # δJ2 through pool and relu;  δK2 and δb2 in partial results
    p = first_piece(tid)
    while p < 16:
        lo, hi = p * 4, p * 4 + 4
        points = scratch + 500000
        max_pool_delta(dJ2, dP2, P2, winner, True, 24, 24, 64, 2, 2, 2, 2, 0, 0, 1, 1, lo, hi)
        winograd_delta(points, dJ2, A1, 0, scratch, 26, 26, 32, 64, 0, lo * 36, hi * 36)
        winograd_weights_delta(parts + p * 18496, points, 32, 64, 0, 32)
        sum_rows(parts + p * 18496 + 18432, dJ2, 64, 64, lo * 576, hi * 576)
        p = next_piece(team, p, threads)
    barrier(team, threads)

    # δA1 = pad(δJ2) * flip(K2) ⊙ relu′;  δK1 and δb1 in partial results
    p = first_piece(tid)
    while p < 17:
        if p < 16:
            lo, hi = p * 4, p * 4 + 4
            winograd_forward(
                dA1, dJ2, UF2, b2, 0, scratch, 24, 24, 64, 32, 2, lo * 49, hi * 49
            )
            relu_delta(dA1, dA1, A1, lo * 21632, hi * 21632)
            part = parts + 16 * 18496 + p * 320
            conv_weights(part, dA1, X, scratch, 0, 28, 28, 1, 32, 3, 3, 1, 0, lo, hi)
            sum_rows(part + 288, dA1, 32, 32, lo * 676, hi * 676)
        else:
            combine(dK2, parts, 18496, 16, 0, 18496)
            sgd(K2, dK2, 1.0, lr, 0.0, 0, 18432)
            sgd(b2, dK2 + 18432, 1.0, lr, 0.0, 0, 64)
        p = next_piece(team, p, threads)
    barrier(team, threads)
    if tid == 0:
        combine(dK1, parts + 16 * 18496, 320, 16, 0, 320)
        sgd(K1, dK1, 1.0, lr, 0.0, 0, 288)
        sgd(b1, dK1 + 288, 1.0, lr, 0.0, 0, 32)
""".replace("as_bytes, double,", "as_bytes, as_ints, double,")

BATCH = 64


def net() -> torch.nn.Sequential:
    """PyTorch's side."""
    torch.manual_seed(0)
    n = torch.nn
    return n.Sequential(
        n.Conv2d(1, 32, 3), n.ReLU(), n.Conv2d(32, 64, 3), n.ReLU(), n.MaxPool2d(2),
        n.Flatten(), n.Linear(9216, 128), n.ReLU(), n.Linear(128, 10),
    )  # fmt: skip


def machine(
    model: torch.nn.Sequential, threads: int
) -> tuple[Step, np.ndarray, np.ndarray, np.ndarray]:
    """The step on copies of the model's weights; its input, labels and loss."""
    k1, k2, w3, w4 = (model[i] for i in (0, 2, 6, 8))

    def array(t: torch.Tensor) -> np.ndarray:
        return np.ascontiguousarray(t.detach().numpy())

    # PyTorch flattens (C, h, w), we (h, w, C): the rows of W3 change places, nothing else
    W3 = array(w3.weight.T).reshape(64, 12, 12, 128).transpose(1, 2, 0, 3).reshape(9216, 128)
    parameters = [
        array(k1.weight.permute(2, 3, 1, 0)), array(k1.bias).copy(),
        array(k2.weight.permute(2, 3, 1, 0)), array(k2.bias).copy(),
        np.ascontiguousarray(W3), array(w3.bias).copy(),
        array(w4.weight.T).copy(), array(w4.bias).copy(),
    ]  # fmt: skip
    f = np.float32
    X, labels = np.zeros((BATCH, 28, 28), f), np.zeros(BATCH, np.int64)
    loss = np.zeros(16, f)
    assert scratch_size(64, 32) < 500_000
    sizes = [
        BATCH * 26 * 26 * 32, BATCH * 24 * 24 * 64, BATCH * 9216, BATCH * 9216, BATCH * 128,
        BATCH * 10, 36 * 2048, 9 * 2048, 36 * 2048, 9216 * 128, BATCH * 128, BATCH * 9216,
        BATCH * 24 * 24 * 64, BATCH * 26 * 26 * 32, 16 * 18496 + 16 * 320, 1280,
        threads * 1_000_000,
    ]  # fmt: skip
    buffers = [np.zeros(s, f) for s in sizes]
    deltas = [np.zeros(s, f) for s in (18496, 320)]
    start = time.perf_counter()
    loaded = cache.load_text(STEP, ["step"], host(), single=True)
    step = Step(loaded, "step", [*parameters, X, labels, *buffers, loss, *deltas], threads)
    print(f"compiled or loaded in {time.perf_counter() - start:.2f} s")
    return step, X, labels, loss


def main() -> None:
    """Compare losses, then time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = net()
    step, X, labels, loss = machine(model, options.threads)
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    rng = np.random.default_rng(0)
    data = rng.standard_normal((20, BATCH, 28, 28), dtype=np.float32)
    classes = rng.integers(0, 10, (20, BATCH))

    def ours(i: int) -> float:
        X[:], labels[:] = data[i], classes[i]
        step()
        return float(loss[0])

    def theirs(i: int) -> float:
        optimiser.zero_grad()
        out = model(torch.from_numpy(data[i])[:, None])
        value = torch.nn.functional.cross_entropy(out, torch.from_numpy(classes[i]))
        value.backward()
        optimiser.step()
        return value.item()

    pairs = [(ours(i), theirs(i)) for i in range(20)]
    worst = max(abs(a - b) / b for a, b in pairs)
    print(
        f"losses of 20 steps: {pairs[0]} ... {pairs[-1]}, largest relative difference {worst:.1e}"
    )
    times: dict[str, list[float]] = {"machine": [], "torch": []}
    for r in range(options.rounds):
        for name, run in (("machine", ours), ("torch", theirs)):
            for i in range(5):
                start = time.perf_counter()
                run((r + i) % 20)
                times[name].append((time.perf_counter() - start) * 1e3)
    for name, t in times.items():
        print(f"{name:8} median {statistics.median(t):7.2f} ms   best {min(t):7.2f} ms")


if __name__ == "__main__":
    main()
