"""Twenty steps of compiled training against PyTorch's, on real data, in double precision."""

import numpy as np
import pytest

import allbps as bp
from allbps import nn, optim
from allbps.data import load

torch = pytest.importorskip("torch")
STEPS = 20

RULES = {
    "SGD": (optim.SGD, {"lr": 0.05, "weight_decay": 0.001}),
    "momentum": (optim.SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.1}),
    "Nesterov": (optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "Adam": (optim.Adam, {"lr": 0.001, "weight_decay": 0.01}),
    "AdamW": (optim.AdamW, {"lr": 0.001}),
    "RMSprop": (optim.RMSprop, {"lr": 0.001, "momentum": 0.5, "centered": True}),
}
CASES = [
    *((net, rule, None) for net in ("mlp", "lenet") for rule in RULES),
    ("lenet", "momentum", 0.5),
    ("resnet20", "AdamW", None),
    ("gpt", "AdamW", 0.5),
]


def digits(rng, shape, batch):
    """Mini-batches of digits, each pixel repeated to fill (channels, rows, columns)."""
    train = load("digits").train
    rows = rng.integers(0, len(train), (STEPS, batch))
    x = train.x[rows].astype(float)
    for axis, length in zip((-3, -2, -1), shape, strict=True):
        x = np.repeat(x, length // x.shape[axis], axis)
    return x, train.labels[rows], 10


def text(rng, length, batch):
    """Mini-batches of this file's own characters."""
    with open(__file__, encoding="utf-8") as file:
        known, codes = np.unique(list(file.read()), return_inverse=True)
    start = rng.integers(0, len(codes) - length - 1, (STEPS, batch, 1))
    window = codes[start + np.arange(length + 1)]
    return window[..., :-1], window[..., 1:], len(known)


SHAPES = {
    "mlp": ((1, 8, 8), 64),
    "lenet": ((1, 16, 16), 16),
    "resnet20": ((3, 16, 16), 8),
    "gpt": ((24,), 3),
}


def theirs(name, rule, options, clip, params, learnt, x, y):
    """Losses of PyTorch's own optimiser."""
    from allbps.bench.torch_nets import LOSSES

    tensors = {name: torch.tensor(p) for name, p in params.items()}
    moving = [tensors[name].requires_grad_() for name in learnt]
    optimiser = getattr(torch.optim, rule.__name__)(moving, **options)
    for k in range(STEPS):
        optimiser.zero_grad()
        loss = LOSSES[name](tensors, torch.tensor(x[k]), torch.tensor(y[k]))
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(moving, clip)
        optimiser.step()
        yield loss.item()


@pytest.mark.parametrize(("name", "rule", "clip"), CASES)
def test_twenty_losses_are_pytorchs(name, rule, clip):
    shape, batch = SHAPES[name]
    rng = np.random.default_rng(0)
    x, y, classes = text(rng, *shape, batch) if name == "gpt" else digits(rng, shape, batch)
    model, (kind, options) = nn.named(name), RULES[rule]
    params = {k: p.astype(float) for k, p in model.init(rng, shape, classes).items()}
    running = {k: p for k, p in params.items() if model.is_running(k)}
    learnt = model.learnt(params)

    def loss_and_running(p, x, y, running):
        loss, _, new = model.training_objective({**p, **running}, x, y)
        return loss, new

    def loss_alone(p, x, y):
        return model.training_objective(p, x, y)[0]

    step = bp.compile(
        loss_and_running if running else loss_alone,
        *(learnt, x[0], y[0], *([running] if running else [])),
        params="p",
        carry="running" if running else None,
        optimizer=kind(**options),
        max_norm=clip,
    )
    losses = [float(step(x[k], y[k])) for k in range(STEPS)]
    want = list(theirs(name, kind, options, clip, params, learnt, x, y))
    np.testing.assert_allclose(losses, want, rtol=1e-9)
    assert min(want) < 0.98 * want[0], "something is learnt"
