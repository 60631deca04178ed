"""Fixtures that several rooms share."""

import os
import shutil
import subprocess
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import allbps as bp


def _is_float(x):
    return np.asarray(x).dtype.kind == "f"


class Comparison:
    """A function of ours and the same function in PyTorch, on the same operands."""

    def __init__(self, ours, theirs, operands, rng):
        self.ours, self.theirs, self.rng = ours, theirs, rng
        self.operands = [np.asarray(x)[()] for x in operands]
        self.floats = [k for k, x in enumerate(self.operands) if _is_float(x)]
        self.torch = pytest.importorskip("torch")

    def filled(self, xs, operands):
        rest = list(operands)
        for k, x in zip(self.floats, xs, strict=True):
            rest[k] = x
        return rest

    def f(self, *xs):
        return self.ours(*self.filled(xs, self.operands))

    def tensors(self):
        made = [self.torch.tensor(np.array(x)) for x in self.operands]
        for k in self.floats:
            made[k].requires_grad_()
        return made

    def differentiable_twice(self):
        """PyTorch's fused attention, which some versions choose here, is so only once."""
        attention = self.torch.nn.attention
        return attention.sdpa_kernel(attention.SDPBackend.MATH)

    def gradients_of(self, y, wanted, **more):
        """PyTorch's, zeros where nothing flows."""
        if not y.requires_grad:
            return [self.torch.zeros_like(x) for x in wanted]
        found = self.torch.autograd.grad(y, wanted, allow_unused=True, **more)
        pairs = zip(found, wanted, strict=True)
        return [self.torch.zeros_like(x) if g is None else g for g, x in pairs]

    def check(self, rtol, second):
        xs = [self.operands[k] for k in self.floats]
        plain = self.ours(*self.operands)
        assert isinstance(plain, (np.ndarray, np.generic, float)), "plain in, plain out"
        y, pullback = bp.vjp(self.f, *xs)
        np.testing.assert_array_equal(plain, y)
        tensors = self.tensors()
        wanted = [tensors[k] for k in self.floats]
        with self.differentiable_twice():
            y_torch = self.theirs(*tensors)
        _close(y, y_torch, rtol, "value")
        g = self.rng.normal(size=np.shape(y))
        again = self.gradients_of(
            y_torch, wanted, grad_outputs=self.torch.tensor(g), create_graph=second
        )
        for k, got, want in zip(self.floats, pullback(g), again, strict=True):
            _close(got, want, rtol, f"δ of operand {k}")
        if second:
            self.check_second(xs, g, again, wanted, rtol)
        self.check_float32(xs, g)

    def check_second(self, xs, g, first, wanted, rtol):
        """The gradient of a random projection of the gradients."""
        directions = [self.rng.normal(size=np.shape(x)) for x in xs]

        def projected(*xs):
            pulled = bp.vjp(self.f, *xs)[1](g)
            return sum(np.sum(d * v) for d, v in zip(pulled, directions, strict=True))

        h = sum((d * self.torch.tensor(v)).sum() for d, v in zip(first, directions, strict=True))
        got = bp.grad(projected, tuple(range(len(xs))))(*xs)
        for k, ours, theirs in zip(self.floats, got, self.gradients_of(h, wanted), strict=True):
            _close(ours, theirs, rtol, f"second derivative, operand {k}")

    def check_float32(self, xs, g):
        single = [np.asarray(x, np.float32)[()] for x in xs]
        y, pullback = bp.vjp(self.f, *single)
        assert np.asarray(y).dtype == np.float32
        kinds = {np.asarray(d).dtype for d in pullback(np.asarray(g, np.float32)[()])}
        assert kinds == {np.dtype(np.float32)}


def _close(ours, theirs, rtol, what):
    want = theirs.numpy(force=True)
    assert np.shape(ours) == want.shape, f"{what}: shape"
    scale = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    np.testing.assert_allclose(ours, want, rtol=rtol, atol=rtol * scale, err_msg=what)


@pytest.fixture
def rng(request):
    """Random numbers of this test's own, the same in every run."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def same_as_torch(rng):
    """Compare a function with PyTorch's: value, δ, second derivatives, dtype, plain arrays."""

    def compare(ours, theirs, *operands, rtol=1e-9, second=True):
        Comparison(ours, theirs, operands, rng).check(rtol, second)

    return compare


@contextmanager
def _planted(op, index, wrong):
    rules = list(op.rules)
    right, rules[index] = op.rules, replace(rules[index], build=wrong)
    object.__setattr__(op, "rules", tuple(rules))
    try:
        yield
    finally:
        object.__setattr__(op, "rules", right)


@pytest.fixture
def planted():
    """``with planted(op, index, wrong)``: another BP rule for one operand of an operation."""
    return _planted


@pytest.fixture(scope="session")
def in_browser():
    """Runs a file of tests in a real browser: Debian's chromium, driven by playwright-core."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node here")
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    tools = home / "allbps-tests"  # installed once, kept for later runs
    script = Path(__file__).parent / "page" / "install.sh"
    done = subprocess.run(
        ["sh", str(script), str(tools)], capture_output=True, text=True, check=False
    )
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"no browser can be installed here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr

    def run(script, timeout=900, **environment):
        done = subprocess.run(
            ["node", "--test", "--test-reporter=spec", str(script)],
            env={**os.environ, "TOOLS": str(tools), **environment},
            capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert "fail 0" in done.stdout
        assert "tests 0" not in done.stdout

    return run
