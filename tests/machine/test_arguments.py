"""Arguments of every kind of number: in a call, in a step, in an epoch, carried over."""

import numpy as np
import pytest

import allbps as bp
from allbps import optim
from allbps.errors import DtypeError
from allbps.machine.building import FallbackWarning
from allbps.machine.compile import compile  # noqa: A004

pytestmark = pytest.mark.filterwarnings(f"ignore::{FallbackWarning.__module__}.FallbackWarning")
KINDS = [
    np.bool_, np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64,
    np.float32, np.float64,
]  # fmt: skip
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def numbers(kind):
    return np.array([[1, 0, 300], [0, 1, 70_000]]).astype(kind)


def weighted(w, x):
    return np.sum(w * x)


@kinds
def test_an_argument_of_any_kind_is_read_as_it_is(kind):
    x = numbers(kind)
    got = compile(lambda x: (x, np.sum(x * 2.0)), x)(x)
    np.testing.assert_array_equal(got[0], x, strict=True)
    assert got[1] == np.sum(x * 2.0)


@kinds
def test_a_step_and_an_epoch_take_examples_of_any_kind(kind):
    x, w = numbers(kind), np.ones(3)
    step = compile(weighted, w, x[0], params="w", optimizer=optim.SGD(1e-9))
    losses, want = [step(x[0]), *step.run_epoch(x, order=np.array([1, 0]))], []
    for row in (x[0], x[1], x[0]):
        want.append(weighted(w, row))
        w = w - 1e-9 * row
    np.testing.assert_allclose(losses, want, rtol=1e-6)


@kinds
def test_a_state_of_any_kind_is_carried_over(kind):
    def f(w, x, state):
        return np.sum(w * x) + np.sum(state * 1.0), state[::-1]

    state = numbers(kind)[1]
    step = compile(
        f, np.ones(1), np.ones(1), state, params=0, carry="state", optimizer=optim.SGD(0.0)
    )
    step(np.ones(1))
    np.testing.assert_array_equal(step.carried, state[::-1], strict=True)
    step.run_epoch(np.ones((1, 1)), order=np.array([0]))
    np.testing.assert_array_equal(step.carried, state, strict=True)


@pytest.mark.parametrize(
    ("compiled_for", "given"),
    [(np.uint8, 300), (np.uint8, -1), (np.int64, 0.5), (np.bool_, 2), (np.int32, 2**40)],
)
def test_a_number_that_the_step_cannot_hold_is_refused(compiled_for, given):
    step = compile(weighted, np.ones(1), np.ones(1, compiled_for))
    with pytest.raises(DtypeError, match="x has dtype"):
        step(np.ones(1), np.array([given]))
    assert step(np.ones(1), np.ones(1, compiled_for)) == 1.0


def test_a_gradient_that_is_stopped_is_worked_out_in_every_call():
    def f(x):
        return np.sum(np.exp(x - bp.stop_gradient(np.max(x))) * bp.stop_gradient(x**2))

    x = np.array([1.0, 2.0])
    step = compile(f, x, params=0)
    for here in (x, x + 1, -x):
        value, slope = step(here)
        want, right = bp.value_and_grad(f)(here)
        np.testing.assert_allclose(value, want, rtol=1e-14)
        np.testing.assert_allclose(slope, right, rtol=1e-14)
    assert len(step.paths()) == 1
