"""A ``torch.autograd.Function`` in a module has the gradient of its own backward pass."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import NotDifferentiableError

torch = pytest.importorskip("torch")
nn, Function = torch.nn, torch.autograd.Function


class Rounded(Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return g


class Turned(Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -g * ctx.factor, None


class Signs(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        own = g.clone()
        own[x.abs() > 1] = 0
        return own


class Linear(Function):
    @staticmethod
    def forward(ctx, x, weight, bias=None):
        ctx.save_for_backward(x, weight, bias)
        y = x.mm(weight.t())
        return y if bias is None else y + bias

    @staticmethod
    def backward(ctx, g):
        x, weight, bias = ctx.saved_tensors
        return g.mm(weight), g.t().mm(x), None if bias is None else g.sum(0)


class Wrong(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 3


class Pair(Function):
    @staticmethod
    def forward(x):
        return x.exp(), x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output[0])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, a, b):
        x, e = ctx.saved_tensors
        return a * e + b * x.cos()


class Largest(Function):
    @staticmethod
    def forward(ctx, x):
        values, places = x.topk(2, 1)
        ctx.save_for_backward(places)
        ctx.mark_non_differentiable(places)
        return values, places

    @staticmethod
    def backward(ctx, g, _):
        (places,) = ctx.saved_tensors
        return torch.zeros(5, 4, dtype=g.dtype).scatter_(1, places, g)


class Net(nn.Module):
    def __init__(self, middle):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=rng)
        self.middle = middle
        self.double()

    def forward(self, x):
        return (self.last(self.middle(self, self.first(x))) ** 2).mean()


rounded, linear, pair = Rounded.apply, Linear.apply, Pair.apply  # as PyTorch's tutorials do

MIDDLES = {
    "rounded by name": lambda net, h: rounded(3 * h),
    "linear by name": lambda net, h: linear(h, net.first.weight),
    "pair by name": lambda net, h: sum(pair(h)),
    "rounded": lambda net, h: Rounded.apply(3 * h),
    "turned": lambda net, h: Turned.apply(torch.tanh(h), 0.3),
    "signs": lambda net, h: Signs.apply(h) * h,
    "linear": lambda net, h: Linear.apply(h, net.first.weight, net.first.bias),
    "without bias": lambda net, h: Linear.apply(h, net.first.weight),
    "wrong": lambda net, h: Wrong.apply(h),
    "pair": lambda net, h: sum(Pair.apply(h)),
    "largest": lambda net, h: h + Largest.apply(h)[0].sum(1, keepdim=True),
    "twice": lambda net, h: Wrong.apply(Rounded.apply(h) + Wrong.apply(h)),
}


@pytest.mark.parametrize("name", MIDDLES)
def test_a_function_has_the_gradient_of_its_own_backward(name):
    module = Net(MIDDLES[name])
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    net = bp.torch.from_module(module, x)
    expected = module(x)
    expected.backward()
    value, found = bp.value_and_grad(lambda params: net(x, params=params))(net.params)
    assert float(value) == pytest.approx(expected.item(), rel=1e-12)
    for key, p in module.named_parameters():
        np.testing.assert_allclose(found[key], p.grad, rtol=1e-9, atol=1e-12, err_msg=key)


def with_backward(name, told):
    """A Function that passes its argument on, and has this backward pass."""
    return type(name, (Function,), {
        "forward": staticmethod(lambda ctx, x: x.clone()), "backward": staticmethod(told),
    })  # fmt: skip


NOT_LINEAR = {
    "clipped": lambda ctx, g: g.clamp(-0.1, 0.1),
    "beside its sign": lambda ctx, g: g + 0.1 * g.sign(),
    "rounded": lambda ctx, g: g.round(),
    "made as long as 1": lambda ctx, g: g / g.norm(),
    "without what is small": lambda ctx, g: torch.where(g.abs() < 0.1, torch.zeros_like(g), g),
    "detached": lambda ctx, g: 2 * g.detach(),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_backward_that_is_not_linear_is_refused_with_its_line(name):
    own = with_backward("Own", NOT_LINEAR[name])
    module = Net(lambda net, h: own.apply(h))
    with pytest.raises(NotDifferentiableError, match="not linear in the gradient") as caught:
        bp.torch.from_module(module, torch.ones(5, 4, dtype=torch.float64))
    assert "own.apply(h)" in str(caught.value)


def test_a_function_that_writes_into_its_argument_is_refused():
    class Writes(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    module = Net(lambda net, h: Writes.apply(h.clone()))
    with pytest.raises(NotDifferentiableError, match="Writes writes into its arguments"):
        bp.torch.from_module(module, torch.ones(5, 4, dtype=torch.float64))


def test_the_backward_of_a_function_inside_is_no_judge_of_itself():
    module = Net(lambda net, h: Wrong.apply(h))
    report = bp.check(module, torch.ones(5, 4, dtype=torch.float64))
    assert not report
    assert "Wrong" in str(report)
