"""A backward pass with a mistake planted in it, before the judges."""

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
import pytest

from allbps.backward import backward
from allbps.ir import Op
from allbps.readings.source import emit
from allbps.trace import trace
from allbps.verify import verify


def uneven(shape, rng):
    """A δ of short numbers, all different in size and none of them 0."""
    return rng.integers(1, 33, shape) * rng.choice([-1, 1], shape) / 16


@pytest.fixture
def run(planted):
    """(backward, values) of a function, its rules altered while the δ are built."""

    def build(f, *args, plants: Mapping[tuple[Op, int], object] | None = None, seed=0):
        with np.errstate(all="ignore"):
            traced = trace(f, *args)
        rng = np.random.default_rng(seed)
        outputs = [y for y in dict.fromkeys(traced.graph.outputs) if y.is_float]
        scalar = len(outputs) == 1 and outputs[0].shape == ()
        given = {} if scalar else {y.name: uneven(y.shape, rng)[()] for y in outputs}
        with ExitStack() as stack:
            for (op, index), wrong in (plants or {}).items():
                stack.enter_context(planted(op, index, wrong))
            passes = backward(traced, cotangents=given)
        values = {**passes.traced.values, **passes.given}
        with np.errstate(all="ignore"):
            return passes, emit(passes).run({x.name: v for x, v in values.items()})

    return build


@pytest.fixture
def judged(run):
    """The report on a function, its rules altered while the δ are built."""

    def build(f, *args, judges=None, plants=None, seed=0):
        passes, values = run(f, *args, plants=plants, seed=seed)
        return verify(passes, values, judges, seed)

    return build
