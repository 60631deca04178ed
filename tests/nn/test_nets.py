"""Every named net against the same net in PyTorch's modules: loss, gradients, trajectories."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from allbps import nn
from allbps.data import Images, Windows
from allbps.errors import ArgumentError
from allbps.nn.gpt import initial_gpt
from allbps.nn.initial import layers
from allbps.nn.resnet20 import initial_resnet20
from allbps.optim import SGD, Adam, AdamW, RMSprop
from allbps.train.engine import State, Task
from allbps.train.engines import make_engine
from allbps.train.numpy_engine import step_program

_spec = importlib.util.spec_from_file_location("nets", Path(__file__).with_name("torch_nets.py"))
nets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(nets)

RTOL = 1e-9
CLASSES, VOCABULARY, CONTEXT, WIDTH = 3, 7, 5, 8


@dataclass
class Case:
    """One net, small, here and in PyTorch."""

    model: nn.Model
    params: dict
    module: torch.nn.Module
    names: dict  # ours -> PyTorch's
    x: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        rng = np.random.default_rng(5)  # no parameter stays at a special value, 0 or 1
        self.params = {
            name: p.astype(float) + rng.uniform(0.05, 0.2, p.shape)
            for name, p in self.params.items()
        }
        self.module.double().load_state_dict(
            {self.names[name]: torch.tensor(p) for name, p in self.params.items()}, strict=False
        )
        assert set(self.names.values()) == {
            name for name in self.module.state_dict() if not name.endswith("num_batches_tracked")
        }

    def torch_loss(self):
        logits = self.module(torch.tensor(self.x))
        return torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), torch.tensor(self.labels.reshape(-1))
        )

    def torch_tensors(self, learnt):
        known = dict(self.module.named_parameters())
        return {name: known[self.names[name]] for name in learnt}


def images(channels, size):
    rng = np.random.default_rng(1)
    return rng.normal(size=(4, channels, size, size)), rng.integers(0, CLASSES, 4)


def numbered(params, modules):
    """K1, b1, K2, … in the order of the modules that have parameters."""
    names = [f"{k}.{kind}" for k in modules for kind in ("weight", "bias")]
    return dict(zip(params, names, strict=True))


def mlp_case():
    sizes = {("W1", "b1"): (6, 18), ("W2", "b2"): (5, 6), ("W3", "b3"): (CLASSES, 5)}
    params = layers(np.random.default_rng(0), sizes)
    module = nets.Mlp(18, 6, 5, CLASSES)
    return Case(nn.named("mlp"), params, module, numbered(params, (1, 3, 5)), *images(2, 3))


def lenet_case():
    sizes = {
        ("K1", "b1"): (3, 2, 3, 3), ("K2", "b2"): (4, 3, 3, 3), ("W3", "b3"): (6, 16),
        ("W4", "b4"): (CLASSES, 6),
    }  # fmt: skip
    params = layers(np.random.default_rng(0), sizes)
    module = nets.Lenet(2, 3, 4, 16, 6, CLASSES)
    return Case(nn.named("lenet"), params, module, numbered(params, (0, 2, 6, 8)), *images(2, 8))


def lecture_case():
    params = nn.named("lecture").init(np.random.default_rng(0), (2, 6, 6), CLASSES)
    module = nets.Lecture(2, 32, 32 * 9, CLASSES)
    return Case(nn.named("lecture"), params, module, numbered(params, (0, 4)), *images(2, 6))


def resnet_case():
    params = initial_resnet20(np.random.default_rng(0), (2, 8, 8), CLASSES, (3, 4, 5), blocks=2)
    module = nets.Resnet(2, (3, 4, 5), 2, CLASSES)
    plain = {name.replace(".", "_"): name for name in module.state_dict()}
    names = {name: plain[name] for name in params}
    return Case(nn.named("resnet20"), params, module, names, *images(2, 8))


def gpt_case():
    rng = np.random.default_rng(0)
    params = initial_gpt(rng, (CONTEXT,), VOCABULARY, width=WIDTH, blocks=2)
    module = nets.Gpt(VOCABULARY, CONTEXT, WIDTH, 2, 4)
    text = rng.integers(0, VOCABULARY, (2, 3, CONTEXT))
    return Case(nn.named("gpt"), params, module, {n: nets.gpt_name(n) for n in params}, *text)


CASES = {
    "lecture": lecture_case, "mlp": mlp_case, "lenet": lenet_case, "resnet20": resnet_case,
    "gpt": gpt_case,
}  # fmt: skip


def test_every_named_net_is_compared_with_torch():
    assert set(CASES) == set(nn.MODELS)


@pytest.mark.parametrize("name", CASES)
def test_loss_and_every_gradient_agree_with_torch(name):
    case = CASES[name]()
    values = {**case.params, "x": case.x, "labels": case.labels, "dloss": np.float64(1)}
    program = step_program(case.model, values)
    reached = program.run(values)
    loss = case.torch_loss()
    loss.backward()
    np.testing.assert_allclose(reached["loss"], loss.item(), rtol=RTOL)
    learnt = case.model.learnt(case.params)
    tensors = case.torch_tensors(learnt)
    assert {f"d{name}" for name in learnt} <= set(reached)
    assert set(tensors) == set(learnt)
    for parameter, tensor in tensors.items():
        ours, theirs = reached[f"d{parameter}"], tensor.grad.numpy()
        scale = np.abs(theirs).max()  # a sum of terms of that size that cancels to 0
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=RTOL, atol=RTOL * scale, err_msg=parameter)


@pytest.mark.parametrize("name", CASES)
def test_in_use_a_net_agrees_with_torch_in_evaluation(name):
    case = CASES[name]()
    _, logits = case.model.objective(case.params, case.x, case.labels)
    theirs = case.module.eval()(torch.tensor(case.x)).detach().numpy()
    np.testing.assert_allclose(logits, theirs, rtol=RTOL)


SIX = {
    "sgd": (SGD, {"lr": 0.05}),
    "momentum": (SGD, {"lr": 0.02, "momentum": 0.9}),
    "nesterov": (SGD, {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "adam": (Adam, {"lr": 0.01}),
    "adamw": (AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    "rmsprop": (RMSprop, {"lr": 0.002}),
}


def our_trajectory(case, kind, arguments, steps):
    """Losses of the training engine's own steps, and where they end."""
    optimiser = kind(**arguments)
    holder = Windows if case.model.reads == "text" else Images
    examples = holder(case.x, case.labels, tuple("abcdefg"))
    engine = make_engine("numpy", Task(case.model, examples, optimiser, None))
    state = State(case.params, optimiser.init(case.model.learnt(case.params)))
    state, taken = engine.run(state, [np.arange(len(case.x))] * steps)
    return taken.losses, state.params


def torch_trajectory(case, kind, arguments, steps):
    optimiser = getattr(torch.optim, kind.__name__)(case.module.parameters(), **arguments)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = case.torch_loss()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses, case.module.state_dict()


def compare_trajectories(case, kind, arguments, steps):
    losses, params = our_trajectory(case, kind, arguments, steps)
    expected, state = torch_trajectory(case, kind, arguments, steps)
    assert expected[-1] < expected[0]
    np.testing.assert_allclose(losses, expected, rtol=1e-7)
    for name, ours in params.items():
        theirs = state[case.names[name]].numpy()
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-7 * scale, err_msg=name)


@pytest.mark.parametrize("optimiser", SIX)
@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_twenty_steps_agree_with_torch(name, optimiser):
    compare_trajectories(CASES[name](), *SIX[optimiser], steps=20)


def test_running_statistics_follow_the_batches_as_in_torch():
    compare_trajectories(resnet_case(), *SIX["momentum"], steps=3)


def test_a_gpt_learns_as_in_torch():
    compare_trajectories(gpt_case(), *SIX["adamw"], steps=5)


def test_full_sized_nets_have_the_published_numbers_of_parameters():
    rng = np.random.default_rng(0)
    sizes = {
        name: sum(p.size for p in model.learnt(params).values())
        for name, model, params in (
            (m.name, m, m.init(rng, (128,) if m.reads == "text" else (3, 32, 32), 10))
            for m in nn.MODELS.values()
        )
    }
    # He et al. count 0.27 M for ResNet-20
    assert round(sizes["resnet20"] / 1e6, 2) == 0.27
    # 12 D² weights and 13 D biases and norms a block, two embeddings, final norm, head
    width = 128
    assert sizes["gpt"] == 4 * (12 * width**2 + 13 * width) + (10 + 128 + 10 + 2) * width


def test_images_too_small_for_a_net_are_refused():
    with pytest.raises(ArgumentError) as caught:
        nn.named("lenet").init(np.random.default_rng(0), (1, 5, 8), 10)
    assert str(caught.value) == (
        "the images are too small for the net lenet\n"
        "  expected: at least 6×6\n"
        "  got:      5×8\n"
        "  fix:      choose another --model, or larger images"
    )


def test_an_unknown_net_is_refused_with_the_nearest_one():
    with pytest.raises(KeyError) as caught:
        nn.named("resnet")
    assert str(caught.value) == (
        "there is no net 'resnet'\n"
        "  expected: one of lecture, mlp, lenet, resnet20, gpt\n"
        "  fix:      did you mean 'resnet20'?"
    )
