"""Activations on awkward numbers and where their pieces meet have PyTorch's values and slopes."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F

torch = pytest.importorskip("torch")
CORNERS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, -6.0, 20.0, 20.5]
ORDINARY = [1e-300, -1e-300, 1e-8, -1e-8, 0.3, -0.7, 40.0, -40.0, 800.0, -800.0]
ENDLESS = [np.inf, -np.inf, np.nan]
NAMES = {
    "relu6": {}, "hardtanh": {}, "hardswish": {}, "hardsigmoid": {}, "mish": {}, "selu": {},
    "celu": {"alpha": 0.7}, "logsigmoid": {}, "softsign": {}, "softshrink": {}, "hardshrink": {},
    "tanhshrink": {}, "softplus": {}, "threshold": {"threshold": 0.5, "value": -3.0}, "relu": {},
    "leaky_relu": {}, "elu": {}, "silu": {}, "rrelu": {},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_values(name):
    x = np.array(CORNERS + ORDINARY + ENDLESS)
    want = getattr(torch.nn.functional, name)(torch.tensor(x), **NAMES[name]).numpy()
    with np.errstate(all="ignore"):
        got = getattr(F, name)(x, **NAMES[name])
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-300, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_slopes(name):
    x = np.array(CORNERS + ORDINARY)
    tensor = torch.tensor(x, requires_grad=True)
    getattr(torch.nn.functional, name)(tensor, **NAMES[name]).sum().backward()
    with np.errstate(all="ignore"):
        got = bp.grad(lambda x: np.sum(getattr(F, name)(x, **NAMES[name])))(x)
    # there PyTorch multiplies by 1/6, and divides by alpha, in single precision; and eˣ of −40 is
    # beyond what is left of alpha eˣ − alpha + alpha
    single = name in ("hardsigmoid", "celu")
    rtol, atol = (1e-7, 1e-7) if single else (1e-12, 1e-15)
    np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("reduce", ["amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_equal_extremes_of_a_group_share_their_gradient_as_in_pytorch(reduce, include_self):
    old, new = np.array([1.0, 0.0, 2.0]), np.array([1.0, 1.0, 1.0, 2.0, 2.0, np.inf])
    at, weights = np.array([0, 0, 0, 2, 2, 1]), np.array([1.0, 2.0, 5.0])

    def ours(x, y):
        made = F.scatter_reduce(x, 0, at, y, reduce, include_self=include_self)
        return np.sum(np.where(np.isfinite(made), weights * made, 0.0))

    x, y = (torch.tensor(a, requires_grad=True) for a in (old, new))
    made = x.scatter_reduce(0, torch.tensor(at), y, reduce, include_self=include_self)
    torch.where(made.isfinite(), torch.tensor(weights) * made, 0.0).sum().backward()
    for mine, theirs in zip(bp.grad(ours, argnums=(0, 1))(old, new), (x, y), strict=True):
        np.testing.assert_allclose(mine, theirs.grad)
