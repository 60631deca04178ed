"""Optimisers and schedules follow PyTorch's to the last bits."""

import math

import numpy as np
import pytest
import torch

from allbps.errors import ArgumentError
from allbps.optim import (
    SGD,
    Adam,
    AdamW,
    CosineAnnealingLR,
    LinearWarmup,
    Optimizer,
    RMSprop,
    StepLR,
    clip_grad_norm,
)

STEPS = 20
OPTIMISERS = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "weight_decay": 0.05}),
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    (Adam, {}),
    (Adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    (AdamW, {}),
    (AdamW, {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.2}),
    (RMSprop, {}),
    (RMSprop, {"lr": 0.02, "alpha": 0.9, "momentum": 0.8, "weight_decay": 0.1}),
    (RMSprop, {"lr": 0.02, "centered": True, "momentum": 0.5, "eps": 1e-3}),
]


def start():
    rng = np.random.default_rng(3)
    return {"K": rng.normal(size=(2, 3)), "head": [rng.normal(size=4), rng.normal(size=())]}


def gradients(t):
    rng = np.random.default_rng([4, t])
    return {"K": rng.normal(size=(2, 3)), "head": [rng.normal(size=4), rng.normal(size=())]}


def flat(tree):
    return [tree["K"], *tree["head"]]


def torch_run(name, arguments, steps=STEPS, schedule=None):
    parameters = [torch.tensor(p, requires_grad=True) for p in flat(start())]
    optimiser = getattr(torch.optim, name)(parameters, **arguments)
    scheduler = schedule(optimiser) if schedule else None
    for t in range(steps):
        for p, g in zip(parameters, flat(gradients(t)), strict=True):
            p.grad = torch.tensor(g)
        optimiser.step()
        if scheduler:
            scheduler.step()
    return [p.detach().numpy() for p in parameters]


def our_run(optimiser, steps=STEPS):
    params = start()
    state = optimiser.init(params)
    for t in range(steps):
        params, state = optimiser.update(params, gradients(t), state)
    return flat(params)


@pytest.mark.parametrize(("kind", "arguments"), OPTIMISERS)
def test_twenty_steps_agree_with_torch(kind, arguments):
    expected = torch_run(kind.__name__, arguments)
    for ours, theirs in zip(our_run(kind(**arguments)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=0)


def test_every_optimiser_is_compared_with_torch():
    def below(kind):
        return {kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))}

    assert below(Optimizer) - {Optimizer} == {kind for kind, _ in OPTIMISERS}


SCHEDULES = [
    (
        StepLR(0.1, step_size=7, gamma=0.3),
        lambda o: torch.optim.lr_scheduler.StepLR(o, 7, gamma=0.3),
    ),
    (
        CosineAnnealingLR(0.1, T_max=20, eta_min=0.01),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20, eta_min=0.01),
    ),
    (
        LinearWarmup(0.1, total_iters=5, start_factor=0.2),
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.2, total_iters=5),
    ),
    (
        LinearWarmup(StepLR(0.1, step_size=7), total_iters=5),
        lambda o: torch.optim.lr_scheduler.ChainedScheduler(
            [
                torch.optim.lr_scheduler.LinearLR(o, total_iters=5),
                torch.optim.lr_scheduler.StepLR(o, 7),
            ]
        ),
    ),
]


@pytest.mark.parametrize(("schedule", "theirs"), SCHEDULES)
def test_schedules_agree_with_torch(schedule, theirs):
    expected = torch_run("SGD", {"lr": 0.1}, schedule=theirs)
    for ours, their in zip(our_run(SGD(lr=schedule)), expected, strict=True):
        np.testing.assert_allclose(ours, their, rtol=1e-12, atol=0)


def test_a_warmup_of_no_steps_changes_nothing():
    assert LinearWarmup(0.1, total_iters=0)(0) == 0.1


@pytest.mark.parametrize("max_norm", [0.5, 1000.0])
def test_clipping_agrees_with_torch(max_norm):
    grads = gradients(0)
    tensors = [torch.zeros(np.shape(g), dtype=torch.float64) for g in flat(grads)]
    for tensor, g in zip(tensors, flat(grads), strict=True):
        tensor.grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_(tensors, max_norm)
    ours, our_norm = clip_grad_norm(grads, max_norm)
    np.testing.assert_allclose(our_norm, norm.item(), rtol=1e-12)
    for g, tensor in zip(flat(ours), tensors, strict=True):
        np.testing.assert_allclose(g, tensor.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize(("kind", "arguments"), OPTIMISERS)
def test_float32_stays_float32_and_nothing_changes_in_place(kind, arguments):
    params = {"K": np.ones((2, 2), np.float32), "b": np.float32(1)}
    grads = {"K": np.full((2, 2), 0.5, np.float32), "b": np.float32(2)}
    optimiser = kind(**arguments)
    state = optimiser.init(params)
    new, after = optimiser.update(params, grads, state)
    assert {np.asarray(p).dtype for p in new.values()} == {np.dtype(np.float32)}
    assert np.asarray(new["b"]).shape == ()
    assert all(a.dtype == np.float32 for name in kind.slots for a in after[name].values())
    np.testing.assert_array_equal(params["K"], np.ones((2, 2)))
    assert state["step"] == 0
    assert after["step"] == 1


def test_gradients_of_another_shape_are_refused():
    sgd = SGD(lr=0.1)
    params = {"K": np.ones(2)}
    with pytest.raises(ArgumentError) as caught:
        sgd.update(params, {"W": np.ones(2)}, sgd.init(params))
    assert str(caught.value) == (
        "the gradients are not arranged like the parameters\n"
        "  expected: {'K': '…'}\n"
        "  got:      {'W': '…'}"
    )


WRONG = [
    (
        lambda: SGD(lr=-1.0),
        "lr is out of range\n  expected: a number from 0\n  got:      -1.0",
    ),
    (
        lambda: SGD(lr=math.nan),
        "lr is out of range\n  expected: a number from 0\n  got:      nan",
    ),
    (
        lambda: Adam(betas=(0.9, 1.0)),
        "betas[1] is out of range\n  expected: a number from 0 to below 1\n  got:      1.0",
    ),
    (
        lambda: SGD(lr=0.1, nesterov=True),
        "Nesterov's method needs momentum and no dampening\n"
        "  expected: momentum > 0 and dampening = 0\n"
        "  got:      momentum = 0 and dampening = 0",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
