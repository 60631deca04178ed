"""``gradcheck``: what is right passes, at kinks too; every planted mistake is found."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd.gradcheck import GradcheckError

import allbps as bp
from allbps.errors import ArgumentError

from . import _backwards as backwards


def drawn(*shape, dtype=torch.double, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


def inputs_of(count):
    return (drawn(4, 3), drawn(3, 3, seed=1))[:count]


def filled(value, *shape):
    return torch.full(shape, value, dtype=torch.double, requires_grad=True)


RIGHT = {
    "relu at its kink": (torch.relu, filled(0.0, 5)),
    "abs at its kink": (torch.abs, filled(0.0, 5)),
    "ties of a pool": (lambda x: F.max_pool2d(x, 2), filled(1.0, 1, 1, 4, 4)),
    "dropout": (lambda x: F.dropout(x, 0.5) * x, drawn(20)),
    "single precision": (
        lambda x, w: torch.tanh(x @ w),
        drawn(6, 6, dtype=torch.float32),
        drawn(6, 6, dtype=torch.float32),
    ),
    "a transposed input": (lambda x: (x * x).sum(1), drawn(5, 6).t()),
    "an expanded input": (lambda x: (x**3).sum(), filled(1.0, 1).expand(5)),
    "numbers of all sizes": (torch.sin, torch.tensor([1e-8, 1.0, 1e3]).double().requires_grad_()),
    "one input twice": (torch.mul, *[drawn(3)] * 2),
    "singular values": (torch.linalg.svdvals, drawn(4, 4)),
    "whole numbers beside": (lambda x, i: x[i], drawn(4), torch.tensor([2, 0])),
    "a module of single precision": (torch.nn.Linear(3, 2), drawn(4, 3, dtype=torch.float32)),
    "complex": (lambda x: x * x.conj(), torch.randn(3, dtype=torch.cdouble, requires_grad=True)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name):
    f, *inputs = RIGHT[name]
    assert bp.torch.gradcheck(f, tuple(inputs))


@pytest.mark.parametrize("function", backwards.RIGHT)
def test_right_functions_pass(function):
    assert bp.torch.gradcheck(function.apply, inputs_of(backwards.RIGHT[function]))


@pytest.mark.parametrize("function", backwards.WRONG)
def test_every_planted_mistake_is_found(function):
    inputs = inputs_of(backwards.WRONG[function])
    assert not bp.torch.gradcheck(function.apply, inputs, raise_exception=False, atol=0, rtol=0)
    with pytest.raises(GradcheckError, match="the backward pass is wrong"):
        bp.torch.gradcheck(function.apply, inputs, atol=0, rtol=0)


def test_the_one_wrong_element_of_many_is_named():
    x = drawn(40, 25, 10)
    with pytest.raises(GradcheckError) as caught:
        bp.torch.gradcheck(backwards.OneElement.apply, x, atol=0, rtol=1e-6)
    place = torch.unravel_index(torch.tensor(10_000 // 3), x.shape)
    assert f"input 0[{', '.join(str(int(k)) for k in place)}]" in str(caught.value)
    assert str(caught.value).count("differences say") == 1


def test_tolerances_are_pytorchs():
    assert bp.torch.gradcheck(backwards.OneElement.apply, drawn(30), rtol=2e-2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own
def test_forward_mode_and_batches_are_left_to_pytorch():
    assert bp.torch.gradcheck(torch.sin, drawn(3), check_forward_ad=True, check_batched_grad=True)


def test_nothing_to_check_is_said():
    with pytest.raises(ArgumentError, match="no input requires a gradient"):
        bp.torch.gradcheck(torch.sin, torch.ones(3))


unsummed = backwards.Unsummed.apply


@pytest.mark.parametrize("shape", [(3,), (1, 3), (4, 1), ()])
@pytest.mark.parametrize("f", [unsummed, lambda x, b: unsummed(x, b) * 2])
def test_a_gradient_that_pytorch_sums_passes_and_is_said(f, shape):
    with pytest.warns(UserWarning, match="the gradient of b as \\(4, 3\\), and PyTorch sums it to"):
        assert bp.torch.gradcheck(f, (drawn(4, 3), drawn(*shape, seed=1)))


@pytest.mark.parametrize("shape", [(), (1, 3), (12,)])
def test_a_gradient_of_fewer_axes_than_its_input_is_refused(shape):
    class Short(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum().expand(shape).clone()

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(bp.torch.WrongGradientError, match="invalid gradient"):
        bp.torch.gradcheck(Short.apply, drawn(4, 3))
