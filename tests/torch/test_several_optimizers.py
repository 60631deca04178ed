"""Several optimizers in one step, each with parameters of its own, as for Muon beside AdamW."""

import copy

import pytest

import allbps as bp
from allbps.errors import ArgumentError

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")
T, nn = torch.nn.functional, torch.nn
optim = torch.optim
PAIRS = {
    "momentum and AdamW": (
        lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda p: optim.AdamW(p, 0.01, weight_decay=0.1)
    ),
    "plain and Adam": (lambda p: optim.SGD(p, 0.1), lambda p: optim.Adam(p, 0.01)),
    "RMSprop and Adagrad": (lambda p: optim.RMSprop(p, 0.01), lambda p: optim.Adagrad(p, 0.1)),
    "two alike": (lambda p: optim.AdamW(p, 0.1), lambda p: optim.AdamW(p, 0.01, amsgrad=True)),
    "groups": (
        lambda p: optim.Adam([{"params": [p[0]], "lr": 0.1}, {"params": p[1:]}], 0.01),
        lambda p: optim.Adamax(p, 0.01),
    ),
}  # fmt: skip


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)
    ).double()


def split(module):
    """Matrices, and the rest."""
    parameters = list(module.parameters())
    return [p for p in parameters if p.ndim == 2], [p for p in parameters if p.ndim != 2]


def batch(seed):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(6, 3, generator=rng, dtype=torch.float64)
    return x, torch.randint(0, 2, (6,), generator=rng)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("max_norm", [None, 0.05])
def test_each_moves_its_own_parameters_as_in_pytorch(pair, max_norm):
    module = net()
    other = copy.deepcopy(module)
    ours, theirs = (
        [make(part) for make, part in zip(PAIRS[pair], split(m), strict=True)]
        for m in (module, other)
    )
    schedules = [optim.lr_scheduler.ExponentialLR(o[1], 0.5) for o in (ours, theirs)]
    step = bp.torch.train_step(module, T.cross_entropy, batch(0), optimizer=ours, max_norm=max_norm)
    for k in range(4):
        x, y = batch(k)
        for optimizer in theirs:
            optimizer.zero_grad()
        expected = T.cross_entropy(other(x), y)
        expected.backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(other.parameters(), max_norm)
        for optimizer in theirs:
            optimizer.step()
        assert step(x, y).item() == pytest.approx(expected.item(), rel=1e-10)
        for schedule in schedules:
            schedule.step()
    for name, p in other.named_parameters():
        torch.testing.assert_close(module.get_parameter(name), p, rtol=1e-9, atol=1e-12)
    for mine, own in zip(ours, theirs, strict=True):
        for p, q in zip(mine.state.values(), own.state.values(), strict=True):
            torch.testing.assert_close(dict(p), dict(q), rtol=1e-9, atol=1e-12)


def test_muon_for_matrices_beside_adamw_for_the_rest():
    module = net()
    matrices, rest = split(module)
    before = [p.detach().clone() for p in module.parameters()]
    with pytest.warns(bp.torch.RoundingWarning, match="Muon"):
        step = bp.torch.train_step(
            module, T.cross_entropy, batch(0),
            optimizer=[optim.Muon(matrices, 0.02), optim.AdamW(rest, 0.01)],
        )  # fmt: skip
    step(*batch(0))
    assert not any(torch.equal(p, old) for p, old in zip(module.parameters(), before, strict=True))


def test_a_parameter_in_two_optimizers_and_no_optimizer_are_refused():
    module = net()
    twice = [optim.SGD(module.parameters(), 0.1), optim.Adam(list(module.parameters())[:1])]
    for optimizers, message in ((twice, "share a parameter"), ([], "no optimizer")):
        with pytest.raises(ArgumentError, match=message):
            bp.torch.train_step(module, T.cross_entropy, batch(0), optimizer=optimizers)
