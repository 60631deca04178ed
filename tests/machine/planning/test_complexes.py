"""Complex numbers in compiled code: every operation as pairs of real numbers."""

import zlib

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import NoRuleError
from allbps.ir import OPS
from allbps.machine.planning.complexes import FORMULAS

REFUSED = {"eig_values", "eig_vectors"}
TABLE = [
    pytest.param(op, sample, id=f"{op.name}-{k}")
    for op in OPS.values()
    if op.complex or op.name in ("complex", "rfft")
    for k, sample in enumerate(op.samples[:2])
    if op.name != "astype" and all(np.size(x) for x in sample.draw(np.random.default_rng(0)))
]


def net_of(op, sample, seed=0):
    """|op(z)|² added up, of every number of the sample that may be complex; and its arguments."""
    rng = np.random.default_rng(zlib.crc32(op.name.encode()) + seed)
    operands = [np.asarray(x) for x in sample.draw(rng)]
    moved = [k for k, x in enumerate(operands) if x.dtype.kind in "fc"]
    parts = [operands[k].real for k in moved], [0.3 * operands[k].imag for k in moved]
    if op.complex:
        parts = parts[0], [rng.uniform(-1, 1, operands[k].shape) for k in moved]

    def net(xs, ys):
        filled = list(operands)
        for k, x, y in zip(moved, xs, ys, strict=True):
            filled[k] = F.complex(x, y) if op.complex else x + y
        made = op(*filled, **sample.attrs)
        weights = np.arange(1.0, made.size + 1).reshape(made.shape)
        lengths = sum(np.sum(x * x) + np.sum(y * y) for x, y in zip(xs, ys, strict=True))
        return np.sum(weights * np.abs(1.0 * made) ** 2) + lengths

    return net, parts


@pytest.mark.filterwarnings("ignore:no kernel for (expm|inv|solve)")
@pytest.mark.parametrize(("op", "sample"), TABLE)
def test_a_compiled_operation_on_complex_numbers_gives_the_gradients_of_the_graph(op, sample):
    net, parts = net_of(op, sample)
    if op.name in REFUSED:
        with pytest.raises(NoRuleError, match="is complex"):
            bp.compile(net, *parts, params=(0, 1))
        return
    value, deltas = bp.value_and_grad(net, argnums=(0, 1))(*parts)
    step = bp.compile(net, *parts, params=(0, 1))
    found, compiled = step(*parts)
    np.testing.assert_allclose(found, value, rtol=1e-12)
    for expected, got in zip(deltas, compiled.values(), strict=True):
        for a, b in zip(expected, got, strict=True):
            np.testing.assert_allclose(
                b, a, rtol=1e-9, atol=1e-11 * max(1, np.abs(a).max(initial=0))
            )


def test_every_formula_belongs_to_an_operation_that_takes_or_makes_complex_numbers():
    assert set(FORMULAS) | REFUSED == {op.name for op in OPS.values() if op.complex} | {
        "complex",
        "rfft",
    }


@pytest.mark.parametrize("n", [1, 2, 97, 101, 128, 360])
def test_transforms_of_any_length_are_those_of_numpy(n):
    rng = np.random.default_rng(n)
    x, weights = rng.normal(size=(2, n)), rng.normal(size=(2, n))

    def spectrum(x, weights):
        half = np.fft.rfft(x, axis=1)
        there = np.fft.fft(x, axis=1) * half[:, :1]
        back = np.fft.irfft(half * half, n=n, axis=1) + np.real(np.fft.ifft(there, axis=1))
        return np.sum(weights * back)

    value, delta = bp.value_and_grad(spectrum)(x, weights)
    found, compiled = bp.compile(spectrum, x, weights, params="x")(x, weights)
    np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(compiled, delta, rtol=1e-10, atol=1e-10 * np.abs(delta).max())


def test_a_long_transform_of_prime_length_is_refused_in_words():
    def energy(x):
        return np.sum(np.abs(np.fft.rfft(x)) ** 2)

    with pytest.raises(NoRuleError, match="length 2053 has no fast way") as told:
        bp.compile(energy, np.ones(2053), params="x")
    assert "4096" in str(told.value)


def test_a_fourier_layer_trains_in_single_precision():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 16)).astype(np.float32)
    params = {k: rng.normal(size=(1, 5)).astype(np.float32) for k in ("re", "im")}

    def loss(params, x):
        kept = np.fft.rfft(x)[:, :5] * (params["re"] + 1j * params["im"])
        low = np.concatenate([kept, np.zeros((4, 4), np.complex64)], axis=1)
        return np.mean((np.fft.irfft(low, n=16) - np.roll(x, 1, axis=1)) ** 2)

    step = bp.compile(loss, params, x, params="params", optimizer=bp.optim.SGD(lr=0.5))
    losses = [float(step(x)) for _ in range(200)]
    assert step.params["params"]["re"].dtype == np.float32
    assert losses[-1] < 0.6 * losses[0]
    first, deltas = bp.value_and_grad(loss)(params, x)
    np.testing.assert_allclose(losses[0], first, rtol=1e-5)
    assert deltas["re"].shape == (1, 5)
