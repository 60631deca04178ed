"""Schedules follow PyTorch's, step by step."""

import numpy as np
import pytest
import torch

from allbps.optim import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearWarmup,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
    WarmupCosineLR,
)

theirs = torch.optim.lr_scheduler
STEPS = 20
SCHEDULES = {
    "step": (StepLR(0.1, step_size=7, gamma=0.3), lambda o: theirs.StepLR(o, 7, gamma=0.3)),
    "exponential": (ExponentialLR(0.1, gamma=0.9), lambda o: theirs.ExponentialLR(o, 0.9)),
    "cosine": (
        CosineAnnealingLR(0.1, T_max=20, eta_min=0.01),
        lambda o: theirs.CosineAnnealingLR(o, 20, eta_min=0.01),
    ),
    "warm-up": (
        LinearWarmup(0.1, total_iters=5, start_factor=0.2),
        lambda o: theirs.LinearLR(o, 0.2, total_iters=5),
    ),
    "warm-up, then steps": (
        LinearWarmup(StepLR(0.1, step_size=7), total_iters=5),
        lambda o: theirs.ChainedScheduler([theirs.LinearLR(o, total_iters=5), theirs.StepLR(o, 7)]),
    ),
    "warm-up, then cosine": (
        WarmupCosineLR(0.1, warmup=5, total_steps=20, eta_min=0.01),
        lambda o: theirs.SequentialLR(
            o,
            [theirs.LinearLR(o, 0.2, total_iters=4), theirs.CosineAnnealingLR(o, 15, 0.01)],
            [5],
        ),
    ),
    "one cycle": (
        OneCycleLR(0.1, total_steps=20),
        lambda o: theirs.OneCycleLR(o, 0.1, total_steps=20),
    ),
    "one cycle, other shape": (
        OneCycleLR(0.1, total_steps=20, pct_start=0.5, div_factor=10, final_div_factor=100),
        lambda o: theirs.OneCycleLR(
            o, 0.1, total_steps=20, pct_start=0.5, div_factor=10, final_div_factor=100
        ),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore:.*deprecated.*")
def test_rates_are_those_of_torch(name):
    ours, make = SCHEDULES[name]
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = make(optimiser)
    expected = []
    for _ in range(STEPS):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    np.testing.assert_allclose([ours(t) for t in range(STEPS)], expected, rtol=1e-12)


def test_a_warmup_of_no_steps_changes_nothing():
    assert LinearWarmup(0.1, total_iters=0)(0) == 0.1


def test_a_plateau_lowers_the_rate_as_torch_does():
    losses = np.random.default_rng(0).uniform(0.9, 1.0, 60) * np.linspace(2, 1, 60) ** 0.2
    ours = ReduceLROnPlateau(0.1, factor=0.5, patience=2, min_lr=0.01)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = theirs.ReduceLROnPlateau(optimiser, factor=0.5, patience=2, min_lr=0.01)
    for loss in losses:
        ours.report(loss)
        scheduler.step(loss)
        assert ours(0) == optimiser.param_groups[0]["lr"]
    assert ours(0) < 0.1
