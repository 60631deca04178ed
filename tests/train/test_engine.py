"""A step by the NumPy engine is PyTorch's step."""

import numpy as np
import pytest
import torch

from allbps import nn
from allbps.data import Images, batch_order, load
from allbps.errors import NameUnknownError
from allbps.optim import SGD, AdamW
from allbps.train.engine import State, Task
from allbps.train.engines import make_engine

STEPS = 20
IMAGES = load("digits").train
F = torch.nn.functional


def torch_lecture(p, x):
    z = F.relu(F.conv2d(x, p["K"], p["b"], padding=2))
    return F.linear(F.max_pool2d(z, 2).flatten(1), p["W"], p["c"])


def double(model):
    """The net's initial parameters and some digits, in float64."""
    params = model.init(np.random.default_rng(5), IMAGES.shape, 10)
    images = Images(IMAGES.x[:200].astype(np.float64), IMAGES.labels[:200], IMAGES.classes)
    return {name: p.astype(np.float64) for name, p in params.items()}, images


def our_run(name, model, optimiser, clip):
    params, images = double(model)
    engine = make_engine(name, Task(model, images, optimiser, clip))
    batches = batch_order(200, 7, seed=1, epoch=0)[:STEPS]
    state, taken = engine.run(State(params, optimiser.init(params)), batches)
    return state.params, taken


def their_run(model, make_optimiser, clip):
    params, images = double(model)
    tensors = {name: torch.tensor(p, requires_grad=True) for name, p in params.items()}
    optimiser = make_optimiser(tensors.values())
    losses, right = [], []
    for batch in batch_order(200, 7, seed=1, epoch=0)[:STEPS]:
        labels = torch.tensor(images.labels[batch])
        logits = torch_lecture(tensors, torch.tensor(images.x[batch]))
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(tensors.values(), clip)
        optimiser.step()
        losses.append(loss.item())
        right.append((logits.argmax(1) == labels).sum().item())
    return {name: t.detach().numpy() for name, t in tensors.items()}, losses, right


engines = pytest.mark.parametrize("name", ["machine", "numpy"])


@engines
@pytest.mark.parametrize(
    ("ours", "theirs", "clip"),
    [
        (
            SGD(lr=0.05, momentum=0.9),
            lambda tensors: torch.optim.SGD(tensors, lr=0.05, momentum=0.9),
            None,
        ),
        (AdamW(lr=0.003), lambda tensors: torch.optim.AdamW(tensors, lr=0.003), 0.5),
    ],
    ids=["momentum", "adamw-clipped"],
)
def test_twenty_steps_on_digits_follow_torch(name, ours, theirs, clip):
    model = nn.named("lecture")
    params, taken = our_run(name, model, ours, clip)
    expected, losses, right = their_run(model, theirs, clip)
    np.testing.assert_allclose(taken.losses, losses, rtol=1e-9)
    assert (taken.sizes, taken.right, taken.labels) == ((7,) * STEPS, sum(right), 7 * STEPS)
    for key, p in params.items():
        np.testing.assert_allclose(p, expected[key], rtol=1e-9, atol=1e-13)


@engines
def test_evaluating_in_pieces_is_evaluating_at_once(name):
    model = nn.named("mlp")
    params, images = double(model)
    engine = make_engine(name, Task(model, images, SGD(lr=0.1), None))
    many = images.take(np.arange(600) % 200)
    score, same = engine.evaluate(params, many), engine.evaluate(params, images)
    np.testing.assert_allclose(score.loss, same.loss, rtol=1e-12)
    assert score.accuracy == same.accuracy


@engines
def test_steps_taken_together_and_one_by_one_give_the_same_bits(name):
    model = nn.named("lecture")
    params, images = double(model)
    optimiser = SGD(lr=0.1, momentum=0.9)
    engine = make_engine(name, Task(model, images, optimiser, None))
    batches = batch_order(200, 16, seed=0, epoch=0)
    start = State(params, optimiser.init(params))
    together, taken = engine.run(start, batches)
    state, losses = start, []
    for batch in batches:
        state, found = engine.run(state, [batch])
        losses += found.losses
    assert tuple(losses) == taken.losses
    for key, p in together.params.items():
        np.testing.assert_array_equal(p, state.params[key])


@engines
def test_steps_end_at_the_first_loss_that_is_no_number(name):
    model = nn.named("lecture")
    params, images = double(model)
    images.x[40] = np.nan
    engine = make_engine(name, Task(model, images, SGD(lr=0.1), None))
    batches = np.arange(64).reshape(8, 8)
    start = State(params, SGD(lr=0.1).init(params))
    _, taken = engine.run(start, list(batches))
    assert len(taken.losses) == 6
    assert np.isnan(taken.losses[-1])
    fine, before = engine.run(start, list(batches[:5]))
    assert taken.losses[:5] == before.losses
    assert engine.origin(fine, batches[5]).startswith("x")


def test_engines_agree_on_running_statistics():
    model = nn.named("resnet20")
    rng = np.random.default_rng(0)
    images = Images(rng.random((24, 3, 8, 8)), rng.integers(0, 4, 24), tuple("abcd"))
    params = {k: p.astype(float) for k, p in model.init(rng, (3, 8, 8), 4).items()}
    optimiser = SGD(lr=0.05, momentum=0.9)
    batches = batch_order(24, 10, seed=0, epoch=0)
    ends = []
    for name in ("machine", "numpy"):
        engine = make_engine(name, Task(model, images, optimiser, 1.0))
        start = State(params, optimiser.init(model.learnt(params)))
        state, taken = engine.run(start, batches)
        ends.append((state, taken, engine.evaluate(state.params, images)))
    (state, taken, score), (other, same, expected) = ends
    np.testing.assert_allclose(taken.losses, same.losses, rtol=1e-9)
    np.testing.assert_allclose(score.loss, expected.loss, rtol=1e-8)
    assert (taken.right, score.accuracy) == (same.right, expected.accuracy)
    assert list(state.params) == list(other.params)
    for key, p in state.params.items():
        np.testing.assert_allclose(p, other.params[key], rtol=1e-7, atol=1e-10, err_msg=key)


def test_the_step_can_be_read_in_the_names_of_the_slide():
    model = nn.named("lecture")
    text = make_engine("numpy", Task(model, IMAGES, SGD(lr=0.1), None)).source(4)
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    for line in (
        "def lecture(K, b, W, c, x, labels, dloss):",
        "z = np.maximum(y, 0)",
        "p = max_pool2d(z, (2, 2), stride=(2, 2))",
        "dy = dz * (y > 0)",
    ):
        assert line in lines
    assert not any(line.startswith("dx ") for line in lines), "we don't need δx"


@engines
def test_the_first_value_that_is_not_finite_is_named(name):
    model = nn.named("lecture")
    params, images = double(model)
    optimiser = SGD(lr=0.1)
    engine = make_engine(name, Task(model, images, optimiser, None))
    params["K"] = params["K"] * 1e200
    params["W"] = params["W"] * 1e200
    found = engine.origin(State(params, optimiser.init(params)), np.arange(16))
    code, _, place = found.partition("  (")
    assert code.endswith("t3 @ t4" if name == "numpy" else "t5")
    assert place.startswith("lecture.py:")
    assert place.endswith('logits = F.linear(p.reshape(len(p), -1), params["W"], params["c"]))')
    params["K"] = params["K"] * np.inf
    found = engine.origin(State(params, optimiser.init(params)), np.arange(16))
    assert found == "K itself, after the step before"


def test_an_unknown_engine():
    with pytest.raises(NameUnknownError, match=r"^there is no engine 'nunpy'"):
        make_engine("nunpy", Task(nn.named("mlp"), IMAGES, SGD(lr=0.1), None))
