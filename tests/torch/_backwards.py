"""Functions with a backward pass of their own: right ones, and with one mistake planted."""

import torch
from torch.autograd import Function


class Sine(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.cos()


class Product(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        dx = g @ w.t() if ctx.needs_input_grad[0] else None
        dw = x.t() @ g if ctx.needs_input_grad[1] else None
        return dx, dw


class Rectifier(Function):
    @staticmethod
    def forward(x):
        return x.clamp(min=0)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (y > 0)


class Largest(Function):
    @staticmethod
    def forward(ctx, x):
        values, places = x.max(dim=-1)
        ctx.mark_non_differentiable(places)
        ctx.save_for_backward(places)
        ctx.length = x.shape[-1]
        return values, places

    @staticmethod
    def backward(ctx, g, _):
        (places,) = ctx.saved_tensors
        return torch.nn.functional.one_hot(places, ctx.length) * g[..., None]


RIGHT = {Sine: 1, Product: 2, Rectifier: 1, Largest: 1}


class Unsummed(Function):
    """Returns the gradient of ``b`` in the shape of the product."""

    @staticmethod
    def forward(ctx, x, b):
        ctx.save_for_backward(x, b)
        return x * b

    @staticmethod
    def backward(ctx, g):
        return unsummed(g, ctx.saved_tensors)


def unsummed(g, cache):
    x, b = cache
    return g * b, g * x


# -- one mistake each ------------------------------------------------------------------------------
class SineOfSine(Sine):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.sin()


class OneElement(Sine):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        d = (g * x.cos()).contiguous()
        d.view(-1)[d.numel() // 3] *= 1.01
        return d


class WithoutDelta(Sine):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return x.cos()


class NeedsOther(Product):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        dx = g @ w.t() if ctx.needs_input_grad[0] else None
        return dx, x.t() @ g if ctx.needs_input_grad[0] else None


class NoneGiven(Product):
    @staticmethod
    def backward(ctx, g):
        _, w = ctx.saved_tensors
        return g @ w.t(), None


class SignOnly(Sine):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g.abs() * x.cos()


class WritesIntoInput(Sine):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.clone())
        y = x.sin()
        x.detach().mul_(2)
        return y


class WritesIntoDelta(Sine):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g.mul_(x.cos())


class MindsStrides(Sine):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.as_strided(x, x.shape, torch.empty(x.shape).stride()).sin()


class MindsStridesOfDelta(Sine):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        dense = torch.empty(g.shape).stride()
        return x.cos() * (g if g.stride() == dense else torch.zeros_like(x))


class Unmarked(Sine):
    @staticmethod
    def forward(ctx, x):
        y = x * x
        ctx.mark_non_differentiable(y)
        ctx.save_for_backward(x)
        return x.sin(), y

    @staticmethod
    def backward(ctx, g, _):
        (x,) = ctx.saved_tensors
        return g * x.cos()


class OneAtZero(Rectifier):
    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * torch.where(y > 0, 1.0, 0.5)


class Random(Sine):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        import random

        return x.sin() * random.random()


class ChangesWhatItKept(Sine):
    @staticmethod
    def forward(ctx, x):
        ctx.slope = x.cos()
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return ctx.slope.mul_(g)


class InSinglePrecision(Sine):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g.float() * x.float().cos()


class DetachesInBackward(Sine):
    """Its gradient is right; the derivative of that is not, which is no fault but a note."""

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.detach().cos()


class Scaled(Sine):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return factor * x

    @staticmethod
    def backward(ctx, g):
        return ctx.factor * g, None


WRONG = {
    SineOfSine: 1, OneElement: 1, WithoutDelta: 1, NeedsOther: 2, NoneGiven: 2, SignOnly: 1,
    WritesIntoInput: 1, WritesIntoDelta: 1, MindsStrides: 1, MindsStridesOfDelta: 1, Unmarked: 1,
    ChangesWhatItKept: 1, InSinglePrecision: 1,
    OneAtZero: 1, Random: 1,
}  # fmt: skip
