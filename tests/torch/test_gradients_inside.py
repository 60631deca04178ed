"""Gradients that a forward pass takes itself are PyTorch's, and so are gradients through them."""

import copy

import numpy as np
import pytest

import allbps as bp
from allbps.errors import AllBPsError, NotDifferentiableError

torch = pytest.importorskip("torch")
T, nn, func = torch.nn.functional, torch.nn, torch.func
grad = torch.autograd.grad


class Net(nn.Module):
    """A small net whose forward pass is one of the functions below."""

    def __init__(self, told=None):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 1)
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=rng)
        self.register_buffer("points", torch.randn(5, 3, generator=rng))
        self.told = told
        self.double()

    def value(self, x):
        return self.last(torch.tanh(self.first(x)))

    def forward(self, x):
        return self.told(self, x)


def at_a_copy(net, x):
    """The other use of x is none of the copy's."""
    y = x.clone().requires_grad_()
    z = net.value(y) + net.value(x) * x.sum(1, keepdim=True)
    return (grad(z.sum(), y, create_graph=True)[0] ** 2).sum() + z.mean()


def at_the_argument(net, x):
    x.requires_grad_(True)
    u = net.value(x)
    (g,) = grad(u, x, torch.ones_like(u), create_graph=True)
    return ((g.norm(2, dim=1) - 1) ** 2).mean()


def at_a_value_on_the_way(net, x):
    h = net.first(x)
    return (grad(net.last(torch.tanh(h)).sum(), h, create_graph=True)[0] ** 3).sum()


def at_parameters(net, x):
    loss = (net.value(x) ** 2).mean()
    found = grad(loss, list(net.parameters()), create_graph=True)
    return loss + sum((g**2).sum() for g in found)


def at_a_buffer(net, x):
    points = net.points.requires_grad_()
    return (grad(net.value(points).sum(), points, create_graph=True)[0] * x).sum()


def of_a_differential_equation(net, data):
    x, t, rest = (data[:, k : k + 1].requires_grad_() for k in range(3))
    u = net.value(torch.cat([x, t, rest], 1))
    ux, ut = grad(u.sum(), (x, t), create_graph=True)
    (uxx,) = grad(ux.sum(), x, create_graph=True)
    return ((ut + u * ux - 0.1 * uxx) ** 2).mean()


def without_a_graph(net, x):
    x = x.clone().requires_grad_()
    (g,) = grad(net.value(x).sum(), x)
    return (net.value(x + g) * g.sum(1, keepdim=True)).mean()


def by_func(net, x):
    inner = func.grad(lambda z: (net.value(z) * x.sum()).sum())
    return (func.grad(lambda z: (inner(z) ** 2).sum())(x) ** 2).mean()


def for_each_example(net, x):
    def loss(params, row):
        return func.functional_call(net.last, params, (torch.tanh(net.first(row)),)).sum() ** 2

    found = func.vmap(func.grad(loss), in_dims=(None, 0))(dict(net.last.named_parameters()), x)
    return sum(g.flatten(1).norm(dim=1).mean() for g in found.values())


def by_hessian(net, x):
    h = func.vmap(func.hessian(lambda z: net.value(z)[0]))(x)
    return ((h[:, 0, 0] + h[:, 1, 1]) ** 2).mean()


def by_pairs(net, x):
    def value(a, b):
        return net.value(a * b)[0]

    rows = func.vmap(func.grad(value), in_dims=(None, 0))
    return (func.vmap(rows, in_dims=(0, None))(x, x) ** 2).sum()


def forward_mode(net, x):
    return (func.jvp(net.value, (x,), (torch.ones_like(x),))[1] ** 2).mean()


def by_rows_and_columns(net, x):
    def hidden(z):
        return torch.tanh(net.first(z))

    return ((func.jacrev(hidden)(x[0]) * 2 - func.jacfwd(hidden)(x[0])) ** 2).sum()


def by_autograd_functional(net, x):
    def total(z):
        return net.value(z).sum()

    return (torch.autograd.functional.hessian(total, x[0], create_graph=True) ** 2).sum()


TOLD = [
    at_a_copy, at_the_argument, at_a_value_on_the_way, at_parameters, at_a_buffer,
    of_a_differential_equation, without_a_graph, by_func, for_each_example, by_hessian, by_pairs,
    forward_mode, by_rows_and_columns, by_autograd_functional,
]  # fmt: skip


def points():
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch itself
@pytest.mark.parametrize("told", TOLD)
def test_a_gradient_taken_by_forward_has_pytorchs_value_and_gradients(told):
    module, x = Net(told), points()
    net = bp.torch.from_module(module, x.clone())
    expected = module(x.clone())
    expected.backward()
    assert float(net(x)) == pytest.approx(expected.item(), rel=1e-12)
    found = bp.grad(lambda params: net(x, params=params))(net.params)
    for name, p in module.named_parameters():
        if p.grad is not None and p.grad.any():
            np.testing.assert_allclose(found[name], p.grad, rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_critic_with_a_gradient_penalty_trains_as_in_pytorch():
    pytest.importorskip("llvmlite")

    def loss(module, real, made):
        between = (0.5 * (real + made)).requires_grad_()
        scores = module.value(between)
        (g,) = grad(scores, between, torch.ones_like(scores), create_graph=True)
        fit = module.value(made).mean() - module.value(real).mean()
        return fit + ((g.norm(2, dim=1) - 1) ** 2).mean()

    module, real = Net(), points()
    other, made = copy.deepcopy(module), real.flip(0) * 2
    ours, theirs = (torch.optim.Adam(m.parameters(), 0.01) for m in (module, other))
    step = bp.torch.train_step(module, loss, (real, made), optimizer=ours)
    for _ in range(5):
        theirs.zero_grad()
        expected = loss(other, real, made)
        expected.backward()
        theirs.step()
        assert step(real, made).item() == pytest.approx(expected.item(), rel=1e-10)
    for p, q in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_what_only_pytorchs_engine_can_do_is_refused_with_its_line():
    def goes_back(net, x):
        net.value(x).mean().backward()  # here
        return net.value(x).mean()

    with pytest.raises(NotDifferentiableError, match="by backward") as caught:
        bp.torch.from_module(Net(goes_back), points())
    assert "# here" in str(caught.value)


def test_a_vmap_that_fails_leaves_nothing_open():
    def fails(net, x):
        def pushed(z):
            return func.linearize(net.value, z)[1](z)

        return func.vmap(pushed)(x)

    with pytest.raises(AllBPsError):
        bp.torch.from_module(Net(fails), points())
    assert torch._C._functorch.peek_interpreter_stack() is None
