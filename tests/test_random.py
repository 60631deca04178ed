"""Random numbers of the graph: the reference's bits, fresh in every call, the same everywhere."""

import random

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps import optim
from allbps.errors import ArgumentError
from allbps.ir.draws import drawing
from allbps.machine.compile import FrozenWarning, compile  # noqa: A004
from allbps.ops.random import bernoulli, philox, uniform
from allbps.trace import trace

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0,) * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ONES,) * 4, (ONES, ONES), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_vectors_of_its_authors(counter, key, words):
    found = philox([[c] for c in counter], key)
    assert " ".join(f"{int(word):08x}" for word in found[:, 0]) == words


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 1001])
def test_native_code_draws_the_bits_of_numpy(size, dtype, threads):
    seed = 2**40 + 5
    g = bp.random.Generator(seed)
    step = compile(
        lambda x: (g.bernoulli(0.3, size), g.random(size, dtype), x),
        np.ones(1, dtype), threads=threads,
    )  # fmt: skip
    for k in range(3):
        mask, numbers, _ = step(np.ones(1, dtype))
        key = np.array([seed, k])
        np.testing.assert_array_equal(mask, bernoulli(key, 0, (size,), 0.3), strict=True)
        np.testing.assert_array_equal(numbers, uniform(key, 1, (size,), dtype), strict=True)


def test_what_is_drawn_has_the_distribution_it_should():
    g = bp.random.Generator(1)
    u, z, m = g.random(20_000), g.normal(2.0, 3.0, 20_000), g.bernoulli(0.2, 20_000)
    assert 0 <= u.min() < 1e-3
    assert 0.999 < u.max() < 1
    np.testing.assert_allclose([u.mean(), u.var()], [1 / 2, 1 / 12], atol=0.01)
    np.testing.assert_allclose([z.mean(), z.std()], [2, 3], atol=0.1)
    np.testing.assert_allclose(m.mean(), 0.2, atol=0.01)
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.03


SOURCES = {
    "seed": lambda: 7,
    "allbps": lambda: bp.random.Generator(7),
    "NumPy": lambda: np.random.default_rng(7),
    "RandomState": lambda: np.random.RandomState(7),
    "Python": lambda: random.Random(7),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_compiled_function_draws_anew_and_two_compilations_alike(source):
    runs = []
    for _ in range(2):
        rng = source()
        step = compile(lambda x, rng=rng: F.dropout(x, 0.5, rng=rng), np.ones(64))
        runs.append([step(np.ones(64)) for _ in range(4)])
    np.testing.assert_array_equal(*runs)
    assert len({y.tobytes() for y in runs[0]}) == 4


def training(threads=None):
    def loss(w, x, y):
        return F.cross_entropy(F.dropout(x, 0.3, rng=7) @ w, y)

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(64, 5)), rng.integers(0, 3, 64)
    step = compile(
        loss, np.zeros((5, 3)), x[:8], y[:8], params="w", optimizer=optim.Adam(0.1),
        threads=threads,
    )  # fmt: skip
    return step, x, y, np.arange(64).reshape(8, 8)


def test_training_has_the_same_bits_by_step_by_epoch_by_threads_and_taken_up_again():
    step, x, y, order = training()
    losses, w = step.run_epoch(x, y, order=order), step.params["w"]
    one, *_ = training(threads=2)
    np.testing.assert_array_equal([one(x[rows], y[rows]) for rows in order], losses)
    first, *_ = training()
    begun = first.run_epoch(x, y, order=order[:3])
    again, *_ = training()
    again.params, again.optimizer_state = first.params, first.optimizer_state
    ended = again.run_epoch(x, y, order=order[3:])
    np.testing.assert_array_equal([*begun, *ended], losses)
    np.testing.assert_array_equal(again.params["w"], w)


def test_judges_and_emitted_source_see_the_mask_that_was_drawn():
    x = np.arange(1.0, 7)
    worked = bp.explain(lambda x: np.sum(F.dropout(x**2, 0.5, rng=5)), x)
    assert worked.verify()
    source = worked.to_source()
    assert "key = numpy.array([5, 0])" in source
    scope = {}
    exec(source, scope)
    _, slopes = scope["net"](x)
    np.testing.assert_array_equal(slopes["x"], worked["x"].delta)


def test_a_run_can_be_repeated_with_the_same_numbers():
    rng = np.random.default_rng(0)

    def f(x):
        return np.sum(F.dropout(x, 0.5, rng=rng) * F.dropout(x, 0.25, rng=rng))

    x = np.arange(16.0)
    traced = trace(f, x)
    with drawing(traced.draws.again(0)):
        plain = f(x)
    with drawing(traced.draws.again(0)):
        assert f(x) == plain
    with drawing(traced.draws.again(1)):
        assert f(x) != plain


def test_a_branch_on_a_drawn_number_is_a_path():
    def f(x):
        return x if bp.random.Generator(3).random() < 0.5 else 2 * x

    step = compile(f, 1.0)
    want = [1.0 if uniform(np.array([3, k]), 0, (), "float64") < 0.5 else 2.0 for k in range(12)]
    assert [float(step(1.0)) for _ in range(12)] == want
    assert len(step.paths()) == 2


@pytest.mark.parametrize(
    "draw",
    [lambda r: r.normal(size=3), lambda r: np.random.rand(3)],  # noqa: NPY002
    ids=["closure", "hidden"],
)
def test_numbers_drawn_while_compiling_are_told(draw):
    r = np.random.default_rng(0)
    with pytest.warns(FrozenWarning, match=r"drew from (r|np\.random) while it was compiled"):
        compile(lambda x: np.sum(x * draw(r)), np.ones(3))


def test_a_generator_that_gave_only_a_seed_is_not_told_of(recwarn):
    r = np.random.default_rng(0)
    compile(lambda x: F.dropout(x, 0.5, rng=r), np.ones(3))
    assert not recwarn


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5, "a", True])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ArgumentError, match="this is not a source of random numbers"):
        F.dropout(np.ones(3), rng=seed)


@pytest.mark.parametrize(
    ("drop", "shape", "masks"),
    [
        (F.dropout1d, (4, 8, 5), (4, 8)), (F.dropout2d, (4, 8, 3, 3), (4, 8)),
        (F.dropout3d, (4, 8, 2, 2, 2), (4, 8)),
    ],
)  # fmt: skip
def test_whole_channels_are_dropped(drop, shape, masks):
    y = drop(np.ones(shape), 0.5, rng=1).reshape(*masks, -1)
    assert set(np.unique(y)) == {0.0, 2.0}
    assert np.all(y == y[..., :1])


@pytest.mark.parametrize("drop", [F.alpha_dropout, F.feature_alpha_dropout])
def test_alpha_dropout_keeps_mean_and_variance(drop):
    x = np.random.default_rng(0).normal(size=(200, 100, 2))
    y = drop(x, 0.3, training=True, rng=1)
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=0.05)
