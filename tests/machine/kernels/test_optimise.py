"""Updates against torch.optim's, several steps, float64 to the last digits."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.optimise import adam, momentum, rmsprop, sgd
from allbps.machine.kernels.reduce import clip_factor, sum_of_squares

torch = pytest.importorskip("torch")
STEPS, SIZE, LR, DECAY = 5, 37, 0.03, 0.1


@pytest.fixture
def against_torch(draw, near):
    """Run STEPS updates with the same gradients both ways."""

    def run(make, update):
        P, gradients = draw(SIZE), draw(STEPS, SIZE)
        p = torch.tensor(P, dtype=torch.float64, requires_grad=True)
        optimiser = make([p])
        for t in range(STEPS):
            p.grad = torch.tensor(gradients[t], dtype=torch.float64)
            optimiser.step()
            for lo, hi in ((0, 20), (20, SIZE)):
                update(P, gradients[t], t, lo, hi)
        near(P, p.detach().numpy())

    return run


def test_sgd(against_torch, native):
    against_torch(
        lambda p: torch.optim.SGD(p, LR, weight_decay=DECAY),
        lambda P, G, t, lo, hi: native(sgd)(P, G, 1.0, LR, DECAY, lo, hi),
    )


@pytest.mark.parametrize(("nesterov", "damping"), [(False, 0.0), (False, 0.3), (True, 0.0)])
def test_momentum(nesterov, damping, against_torch, native, draw):
    V = draw(SIZE)  # what the buffer held before the first step must not matter
    against_torch(
        lambda p: torch.optim.SGD(p, LR, 0.9, damping, DECAY, nesterov),
        lambda P, G, t, lo, hi: native(momentum)(
            P, G, V, 1.0, LR, DECAY, 0.9, damping, nesterov, t == 0, lo, hi
        ),
    )


@pytest.mark.parametrize("decoupled", [False, True], ids=["Adam", "AdamW"])
def test_adam(decoupled, against_torch, native, dtype):
    M, V = np.zeros((2, SIZE), dtype)

    def update(P, G, t, lo, hi):
        first, second = 1 - 0.9 ** (t + 1), np.sqrt(1 - 0.99 ** (t + 1))
        native(adam)(P, G, M, V, 1.0, LR, DECAY, decoupled, 0.9, 0.99, 1e-8, first, second, lo, hi)

    make = torch.optim.AdamW if decoupled else torch.optim.Adam
    against_torch(lambda p: make(p, LR, (0.9, 0.99), 1e-8, DECAY), update)


@pytest.mark.parametrize("rate", [0.0, 0.9])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop(centered, rate, against_torch, native, dtype):
    V, A, B = np.zeros((3, SIZE), dtype)
    against_torch(
        lambda p: torch.optim.RMSprop(p, LR, 0.9, 1e-6, DECAY, rate, centered),
        lambda P, G, t, lo, hi: native(rmsprop)(
            P, G, V, A, B, 1.0, LR, DECAY, 0.9, 1e-6, rate, centered, lo, hi
        ),
    )


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_clipping_by_the_norm_of_all_gradients(largest, native, near, draw):
    G = draw(SIZE)
    squares, clip = np.zeros(2), np.zeros(1, G.dtype)
    for p, cut in enumerate(((0, 16), (16, SIZE))):
        native(sum_of_squares)(squares[p:], G, *cut)
    native(clip_factor)(clip, squares, 2, largest)
    g = torch.nn.Parameter(torch.zeros(SIZE, dtype=torch.float64))
    g.grad = torch.tensor(G, dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([g], largest)
    near(G * clip, g.grad.numpy())
