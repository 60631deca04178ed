"""Random numbers of a net while it is trained: fresh in every step, the same in every engine."""

import random
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps import nn
from allbps.data import Images, batch_order, load
from allbps.errors import ArgumentError
from allbps.nn import Model
from allbps.nn.initial import layers
from allbps.optim import SGD
from allbps.train import run
from allbps.train.engine import State, Task
from allbps.train.engines import make_engine

DIGITS = load("digits").train
IMAGES = Images(DIGITS.x[:40].astype(np.float64), DIGITS.labels[:40], DIGITS.classes)
BATCHES = batch_order(40, 16, seed=1, epoch=0)  # 16, 16, 8
NET = Model(
    "linear",
    lambda p, x: F.linear(x.reshape(len(x), -1), p["W"], p["b"]),
    lambda rng, shape, classes: layers(rng, {("W", "b"): (classes, int(np.prod(shape)))}),
    lr=0.1,
)

SOURCES = {
    "seed": lambda: 7,
    "allbps": lambda: bp.random.Generator(7),
    "NumPy": lambda: np.random.default_rng(7),
    "Python": lambda: random.Random(7),
}
sources = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
engines = pytest.mark.parametrize("name", ["machine", "numpy"])


def dropping(rng, **changed):
    """A net that is trained with dropout."""

    def training(p, x):
        return NET.forward(p, F.dropout(F.dropout(x, 0.5, rng=rng), 0.2, rng=rng)), {}

    return replace(NET, name="dropping", training=training, **changed)


def engine_of(name, model, **more):
    return make_engine(name, Task(model, IMAGES, SGD(lr=0.1), None), **more)


def start():
    params = NET.init(np.random.default_rng(0), IMAGES.shape, 10)
    params = {key: p.astype(np.float64) for key, p in params.items()}
    return State(params, SGD(lr=0.1).init(params))


@sources
def test_the_engines_take_the_same_steps(source):
    """In batches of two sizes, each of which is traced by itself."""
    (state, taken), (other, same) = (
        engine_of(name, dropping(source())).run(start(), BATCHES * 2)
        for name in ("machine", "numpy")
    )
    np.testing.assert_allclose(taken.losses, same.losses, rtol=1e-9)
    for key, p in state.params.items():
        np.testing.assert_allclose(p, other.params[key], rtol=1e-7, atol=1e-12, err_msg=key)


@engines
def test_every_step_draws_anew(name):
    engine = make_engine(name, Task(dropping(7), IMAGES, SGD(lr=0.0), None))
    _, taken = engine.run(start(), [BATCHES[0]] * 4)
    assert len(set(taken.losses)) == 4


@engines
@sources
def test_a_run_that_is_taken_up_elsewhere_draws_the_same(name, source):
    """Also where the sizes of batches come in another order than before."""
    engine = engine_of(name, dropping(source()))
    middle, _ = engine.run(start(), BATCHES[:2])
    end, taken = engine.run(middle, BATCHES[2:] + BATCHES)
    again, same = engine_of(name, dropping(source())).run(middle, BATCHES[2:] + BATCHES)
    assert taken.losses == same.losses
    for key, p in end.params.items():
        np.testing.assert_array_equal(p, again.params[key])


@engines
def test_where_a_loss_is_not_finite_the_numbers_are_those_of_its_step(name):
    def training(p, x):
        mask = F.dropout(np.ones(8), 0.5, rng=7)
        return NET.forward(p, x) / np.where(np.sum(mask) < 6, 0.0, 1.0), {}

    model = replace(NET, name="dropping", training=training)
    engine = engine_of(name, model)
    _, taken = engine.run(start(), [BATCHES[0]] * 40)
    assert not np.isfinite(taken.losses[-1])
    before, good = engine.run(start(), [BATCHES[0]] * (len(taken.losses) - 1))
    assert np.isfinite(good.losses).all()
    assert engine.origin(before, BATCHES[0])


def test_the_program_of_a_net_that_draws_takes_the_number_of_the_step():
    text = engine_of("numpy", dropping(7)).source(8)
    assert "labels, step, dloss)" in text
    assert "step" not in engine_of("numpy", NET).source(8).replace("step = ", "")


def test_a_parameter_may_be_called_as_the_number_of_the_step():
    def renamed(p):
        return {"W": p["step"], "b": p["b"]}

    model = Model(
        "dropping", lambda p, x: NET.forward(renamed(p), x), NET.initial, 0.1,
        training=lambda p, x: dropping(7).training(renamed(p), x),
    )  # fmt: skip
    params = {"step": start().params["W"], "b": start().params["b"]}
    state = State(params, SGD(lr=0.1).init(params))
    taken = [engine_of(name, model).run(state, BATCHES)[1].losses for name in ("machine", "numpy")]
    np.testing.assert_allclose(*taken, rtol=1e-9)


@engines
def test_a_net_is_not_judged_by_chance(name):
    """It is refused before its first step, where it is trained as it is judged."""

    def forward(p, x):
        return NET.forward(p, F.dropout(x, 0.5, rng=7))

    model = replace(NET, name="dropping", forward=forward)
    with pytest.raises(ArgumentError, match="draws random numbers during evaluation"):
        engine_of(name, model).run(start(), BATCHES)
    engine = engine_of(name, replace(model, training=dropping(7).training))
    engine.run(start(), BATCHES)
    with pytest.raises(ArgumentError, match="draws random numbers during evaluation"):
        engine.evaluate(start().params, IMAGES)


@pytest.mark.parametrize("looks", [0, 2, 3])
@pytest.mark.parametrize(
    "chosen", [{}, {"parts": 2}, {"engine": "numpy"}], ids=["machine", "parts", "numpy"]
)
def test_a_resumed_run_ends_with_the_same_bits(
    options, tmp_path, monkeypatch, looks, chosen, stop_after, bits
):
    """Also with a generator that nobody could seed again: the checkpoint knows what it gave."""
    rng = np.random.default_rng()
    monkeypatch.setitem(nn.MODELS, "dropping", dropping(deepcopy(rng)))
    usual = options(model="dropping", batch_size=32, epochs=2, **chosen)
    whole, part = (replace(usual, out=str(tmp_path / name)) for name in ("whole", "part"))
    run(whole)
    with monkeypatch.context() as patch:
        patch.setitem(nn.MODELS, "dropping", dropping(deepcopy(rng)))
        stop_after(patch, looks)
        assert run(part).interrupted
    other = deepcopy(rng) if looks == 0 else np.random.default_rng()
    monkeypatch.setitem(nn.MODELS, "dropping", dropping(other))
    run(replace(part, resume=True))
    assert bits(part.out) == bits(whole.out)


def test_a_run_is_resumed_in_the_process_that_stopped_it(options, tmp_path, monkeypatch, bits):
    """A generator that gave numbers before goes on with those of the run."""
    monkeypatch.setitem(nn.MODELS, "dropping", dropping(bp.random.Generator(7)))
    usual = options(model="dropping", batch_size=32, epochs=2, schedule="constant")
    part = replace(usual, epochs=1, out=str(tmp_path / "part"))
    run(part)
    run(replace(part, epochs=2, resume=True))
    monkeypatch.setitem(nn.MODELS, "dropping", dropping(bp.random.Generator(7)))
    run(usual)
    assert bits(part.out) == bits(usual.out)


def test_a_checkpoint_of_other_seeds_is_refused(options, monkeypatch):
    monkeypatch.setitem(nn.MODELS, "dropping", dropping(bp.random.Generator(7)))
    once = options(model="dropping", batch_size=32, epochs=1, schedule="constant")
    run(once)
    monkeypatch.setitem(nn.MODELS, "dropping", dropping(bp.random.Generator(8)))
    with pytest.raises(ArgumentError) as error:
        run(replace(once, epochs=2, resume=True))
    assert "seed 7" in str(error.value)
    assert "seed 8" in str(error.value)
