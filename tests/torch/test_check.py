"""``bp.check`` of Functions, modules and pairs: what is wrong, and where inside."""

import numpy as np
import pytest
import torch

import allbps as bp

from . import _backwards as backwards

X = np.random.default_rng(3).normal(size=(4, 3))
W = np.random.default_rng(4).normal(size=(3, 2))


def sine(x):
    return np.sin(x)


@pytest.mark.parametrize("function", [backwards.Sine, backwards.Sine.apply])
def test_a_right_function_with_and_without_a_reference(function):
    assert bp.check(function, torch.tensor(X))
    assert bp.check(sine, X, gradients=function)


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((backwards.SineOfSine, torch.tensor(X)), {}),
        ((sine, X), {"gradients": backwards.SineOfSine}),
        ((torch.sin, torch.tensor(X)), {"gradients": backwards.SineOfSine}),
        (((lambda x: (x.sin(), x), lambda g, x: g * x.sin()), torch.tensor(X)), {}),
    ],
)
def test_the_mistake_inside_is_named(args, options):
    report = bp.check(*args, **options)
    assert not report
    assert report.verified
    (mark,) = report.marks
    assert any("instead of its derivative" in text for text in mark.mistakes)


@pytest.mark.parametrize("function", backwards.WRONG)
def test_what_is_broken_beside_numbers_is_told(function):
    given = (X, W)[: backwards.WRONG[function]]
    report = bp.check(function, *map(torch.tensor, given))
    assert not report
    assert "fault: " in str(report) or "is wrong" in str(report)


def test_another_forward_pass_than_the_reference():
    report = bp.check(lambda x: np.sin(x) + 1e-3, X, gradients=backwards.Sine)
    assert not report
    assert report.faults == ("forward and the reference give different values, in result 0",)


class Deep(torch.nn.Module):
    def __init__(self, wrong):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weights = torch.nn.ParameterList(
            torch.randn(3, 3, generator=generator, dtype=torch.double) for _ in range(6)
        )
        self.wrong = wrong

    def forward(self, x):
        for k, w in enumerate(self.weights):
            sine = backwards.SineOfSine if k == self.wrong else backwards.Sine
            x = sine.apply(backwards.Product.apply(x, w))
        return x


wrong_sine = backwards.SineOfSine.apply  # as PyTorch's tutorials do


class ByName(torch.nn.Module):
    def forward(self, x):
        return wrong_sine(x) * 2


def test_a_wrong_function_that_is_applied_by_a_name_is_found():
    report = bp.check(ByName(), torch.tensor(X))
    assert not report
    assert any(fault.startswith("SineOfSine (Function 1 of 1)") for fault in report.faults)


def test_the_wrong_function_among_twelve_is_named():
    report = bp.check(Deep(wrong=3), torch.tensor(X))
    assert not report
    inside = [fault for fault in report.faults if "(Function" in fault]
    assert len(inside) == 1
    assert inside[0].startswith("SineOfSine (Function 8 of 12)")
    assert "instead of its derivative" in inside[0]


def test_twelve_right_ones_pass():
    assert bp.check(Deep(wrong=None), torch.tensor(X))


def test_a_module_with_parameters():
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh()).double()
    report = bp.check(net, torch.tensor(X))
    assert report
    assert {mark.node for mark in report.marks} == {"input", "_0_weight", "_0_bias"}


def test_where_forward_cannot_be_read_differences_judge():
    class Outside(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.from_numpy(np.sin(x.detach().numpy()))

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x.cos() * (1 + 1e-4)

    report = bp.check(Outside, torch.tensor(X))
    assert not report


def normed(x):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False))


def normed_back(g, x):
    y, size = normed(x), torch.sqrt(x.var(-1, keepdim=True, unbiased=False))
    return (g - g.mean(-1, keepdim=True) - y * (g * y).mean(-1, keepdim=True)) / size


def shares(x):
    return torch.softmax(x, -1).sum()


def shares_back(g, x):
    p = torch.softmax(x, -1)
    return p * (g - (g * p).sum(-1, keepdim=True))


CANCELLED = {
    "norm": (normed, normed_back),
    "sum of a softmax": (shares, shares_back),
    "centred sum": (lambda x: (x - x.mean(0)).sum(0), lambda g, x: (g - g).expand(x.shape)),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", CANCELLED)
def test_rounding_that_is_left_where_gradients_cancel_is_no_fault(name, dtype):
    x = torch.tensor(np.random.default_rng(9).normal(size=(5, 6)), dtype=dtype)
    forward, backward = CANCELLED[name]
    report = bp.check((lambda x: (forward(x), x), backward), x)
    assert report, report.faults


def test_a_backward_that_minds_strides_is_a_fault_where_gradients_cancel_too():
    def strided(g, x):
        return normed_back(g if g.is_contiguous() else 2 * g * x, x)

    report = bp.check((lambda x: (normed(x), x), strided), torch.tensor(X))
    assert not report
    assert any("not contiguous" in fault for fault in report.faults)


def test_second_derivatives_that_pytorch_would_get_wrong_are_a_note():
    report = bp.check(backwards.DetachesInBackward, torch.tensor(X))
    assert report
    assert "second derivatives through this backward are wrong" in str(report)
    assert "second" not in str(bp.check(backwards.Sine, torch.tensor(X)))


class Turned(torch.autograd.Function):
    """A rotation by angles that need no gradient."""

    @staticmethod
    def forward(ctx, x, cos, sin):
        ctx.save_for_backward(cos, sin)
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    @staticmethod
    def backward(ctx, g):
        cos, sin = ctx.saved_tensors
        a, b = g.chunk(2, dim=-1)
        return torch.cat([a * cos + b * sin, b * cos - a * sin], dim=-1), None, None


class Turns(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.x = torch.nn.Parameter(torch.tensor(np.tile(X, (1, 2))))
        self.register_buffer("cos", torch.tensor(np.cos(X)))
        self.register_buffer("sin", torch.tensor(np.sin(X)))

    def forward(self, y):
        return Turned.apply(self.x * y, self.cos, self.sin)


def test_inputs_that_need_no_gradient_are_those_that_are_not_marked():
    x, cos, sin = torch.tensor(np.tile(X, (1, 2))), torch.tensor(np.cos(X)), torch.tensor(np.sin(X))
    report = bp.check(Turned, x, cos, sin)
    assert not report
    assert report.faults == (
        "no gradient is given for cos and sin: where none is wanted, mark the inputs that need one,"
        " x.requires_grad_()",
    )
    assert bp.check(Turned, x.requires_grad_(), cos, sin)
    assert not bp.check(Turned, x, cos.requires_grad_(), sin)
    assert bp.check(Turns(), torch.ones(1, dtype=torch.double))


def test_a_gradient_that_pytorch_sums_to_its_input_is_a_note():
    class Shifted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, bias):
            return x + bias

        @staticmethod
        def backward(ctx, g):
            return g, g

    report = bp.check(Shifted, torch.tensor(X), torch.tensor(X[0]))
    assert report
    assert "the gradient of bias as (4, 3), and PyTorch sums it to (3,)" in str(report)


def test_a_gradient_that_pytorch_sums_is_said_of_pairs_and_of_functions_inside():
    def forward(x, b):
        return x * b, (x, b)

    inside = backwards.Unsummed.apply
    said = "the gradient of b as (4, 3), and PyTorch sums it to (3,)"
    x, b = torch.tensor(X), torch.tensor(X[0])
    for thing in ((forward, backwards.unsummed), lambda x, b: torch.sin(inside(x, b))):
        report = bp.check(thing, x, b)
        assert report
        assert said in str(report)


def test_a_number_beside_tensors_is_an_option():
    assert bp.check(backwards.Scaled, torch.tensor(X), 2.5)
