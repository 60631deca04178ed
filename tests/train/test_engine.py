"""A step by the NumPy engine is PyTorch's step."""

import numpy as np
import pytest
import torch

from allbps import nn
from allbps.data import Images, batch_order, load
from allbps.errors import NameUnknownError
from allbps.optim import SGD, AdamW
from allbps.train.engine import State, Task, make_engine

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


def our_run(model, optimiser, clip):
    params, images = double(model)
    engine = make_engine("numpy", Task(model, images, optimiser, clip))
    batches = batch_order(200, 7, seed=1, epoch=0)[:STEPS]
    state, results = engine.run(State(params, optimiser.init(params)), batches)
    return state.params, results


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
def test_twenty_steps_on_digits_follow_torch(ours, theirs, clip):
    model = nn.named("lecture")
    params, results = our_run(model, ours, clip)
    expected, losses, right = their_run(model, theirs, clip)
    np.testing.assert_allclose([r.loss for r in results], losses, rtol=1e-9)
    assert [r.correct for r in results] == right
    for key, p in params.items():
        np.testing.assert_allclose(p, expected[key], rtol=1e-9, atol=1e-13)


def test_evaluating_in_pieces_is_evaluating_at_once():
    model = nn.named("mlp")
    params, images = double(model)
    engine = make_engine("numpy", Task(model, images, SGD(lr=0.1), None))
    many = images.take(np.arange(600) % 200)
    score, same = engine.evaluate(params, many), engine.evaluate(params, images)
    np.testing.assert_allclose(score.loss, same.loss, rtol=1e-12)
    assert score.accuracy == same.accuracy


def test_steps_taken_together_and_one_by_one_give_the_same_bits():
    model = nn.named("lecture")
    params, images = double(model)
    optimiser = SGD(lr=0.1, momentum=0.9)
    engine = make_engine("numpy", Task(model, images, optimiser, None))
    batches = batch_order(200, 16, seed=0, epoch=0)
    start = State(params, optimiser.init(params))
    together, _ = engine.run(start, batches)
    state = start
    for batch in batches:
        state, _ = engine.run(state, [batch])
    for name, p in together.params.items():
        np.testing.assert_array_equal(p, state.params[name])


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


def test_the_first_value_that_is_not_finite_is_named():
    model = nn.named("lecture")
    params, images = double(model)
    optimiser = SGD(lr=0.1)
    engine = make_engine("numpy", Task(model, images, optimiser, None))
    params["K"] = params["K"] * 1e200
    params["W"] = params["W"] * 1e200
    found = engine.origin(State(params, optimiser.init(params)), np.arange(16))
    code, _, place = found.partition("  (")
    assert code.endswith("t3 @ t4")
    assert place.startswith("lecture.py:")
    assert place.endswith('logits = F.linear(p.reshape(len(p), -1), params["W"], params["c"]))')
    params["K"] = params["K"] * np.inf
    found = engine.origin(State(params, optimiser.init(params)), np.arange(16))
    assert found == "K itself, after the step before"


def test_an_unknown_engine():
    with pytest.raises(NameUnknownError, match=r"^there is no 'nunpy'"):
        make_engine("nunpy", Task(nn.named("mlp"), IMAGES, SGD(lr=0.1), None))
