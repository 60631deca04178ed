"""allbps functions as ``torch.autograd.Function``: right under everything that PyTorch does."""

import os
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError, DtypeError, ValuesNeededError
from allbps.ir import CONST, INPUT, OPS, Node, constant
from allbps.readings.split import may_share

from . import _functions as functions


def drawn(*shapes, dtype=torch.double):
    generator = torch.Generator().manual_seed(sum(map(len, shapes)))
    return [
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes
    ]


LABELS = torch.tensor([0, 2, 1, 1])
CASES = {
    "elementwise": (functions.elementwise, drawn((3, 2), (3, 2))),
    "mlp": (
        lambda x, W, b: functions.mlp(x, [(W, b)] * 2),
        drawn((2, 3), (3, 3), (3,)),
    ),
    "normed": (functions.normed, drawn((2, 4), (4,), (4,))),
    "attention": (functions.attention, drawn((1, 3, 2), (1, 3, 2), (1, 3, 2))),
    "convolved": (functions.convolved, drawn((1, 2, 7, 7), (2, 2, 3, 3))),
    "whitened": (functions.whitened, drawn((4, 2), (2,), (2,))),
    "with constants": (functions.with_constants, drawn((10, 1))),
    "sliced": (functions.sliced, drawn((3, 4))),
    "singular": (functions.singular, drawn((3, 3))),
}


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives_pass_pytorchs_own_checks(name):
    f, inputs = CASES[name]
    made = bp.torch.function(f)
    assert gradcheck(made, inputs)
    assert gradgradcheck(made, inputs)


def test_whole_numbers_decide_the_path_and_every_path_is_right():
    made = bp.torch.function(functions.classified)
    x, W = drawn((4, 5), (5, 3))
    for labels in (LABELS, torch.tensor([0, -100, 1, -100]), LABELS):
        ours, theirs = made(x, W, labels), torch.nn.functional.cross_entropy(x @ W, labels)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
        found, right = (torch.autograd.grad(loss, (x, W)) for loss in (ours, theirs))
        torch.testing.assert_close(found, right, rtol=1e-10, atol=1e-14)
    assert gradgradcheck(lambda x, W: made(x, W, LABELS), (x, W))


def test_every_branch_is_followed():
    def bent(x):
        return np.sum(x**2) if np.sum(x) > 0 else np.sum(np.sin(x))

    made = bp.torch.function(bent)
    for sign in (1.0, -1.0, 1.0, -1.0):
        x = torch.full((3,), sign, requires_grad=True)
        y = made(x)
        y.backward()
        right = 2 * x if sign > 0 else torch.cos(x)
        torch.testing.assert_close(x.grad, right)
    with pytest.raises(ValuesNeededError, match="looks at a number"):
        torch.func.vmap(made)(torch.ones(2, 3) * torch.tensor([[1.0], [-1.0]]))
    torch.testing.assert_close(torch.func.vmap(made)(torch.ones(2, 3)), torch.full((2,), 3.0))
    with pytest.raises(ValuesNeededError):
        made(torch.ones(3, device="meta"))


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_another_batch_size_is_traced_anew(batch):
    made = bp.torch.function(lambda x: np.mean(x**2, axis=0))
    made(torch.ones(5, 2))
    (x,) = drawn((batch, 2))
    torch.testing.assert_close(made(x), (x**2).mean(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_it_computes_in_the_dtype_of_its_arguments(dtype):
    x, W = drawn((4, 5), (5, 3), dtype=dtype)
    made = bp.torch.function(functions.classified)
    loss = made(x, W, LABELS)
    loss.backward()
    assert loss.dtype == x.grad.dtype == W.grad.dtype == dtype
    right = torch.nn.functional.cross_entropy(x.double() @ W.double(), LABELS)
    torch.testing.assert_close(loss.double(), right, rtol=20 * torch.finfo(dtype).eps, atol=0)


def test_tensors_without_numbers_give_shapes():
    for f, inputs in CASES.values():
        found = bp.torch.function(f)(*[x.detach().to("meta") for x in inputs])
        right = bp.torch.function(f)(*inputs)
        shapes = [[y.shape for y in torch.utils._pytree.tree_leaves(z)] for z in (found, right)]
        assert shapes[0] == shapes[1]


def test_containers_options_and_integers_come_back_as_they_were():
    made = bp.torch.function(functions.views)
    (x,) = drawn((3, 2))
    found = made(x)
    assert list(found) == ["turned", "itself", "place", "twice"]
    loss = (found["turned"].T * 2 + found["itself"] * 3 + found["twice"][1] * 5).sum()
    (grad,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(grad, torch.full_like(x, 10.0))
    assert found["place"] == x.argmax()
    assert gradgradcheck(lambda x: made(x)["turned"] * made(x)["itself"].T, (x,))


def test_options_are_part_of_the_arrangement():
    def reduced(x, kind="sum", scale=2.0, axis=None):
        return getattr(np, kind)(x, axis=axis) * scale

    made = bp.torch.function(reduced)
    (x,) = drawn((3, 2))
    torch.testing.assert_close(made(x), x.sum() * 2)
    torch.testing.assert_close(made(x, "mean", scale=3.0), x.mean() * 3)
    torch.testing.assert_close(made(x, axis=1), x.sum(1) * 2)
    assert made(x.float()).dtype == torch.float32
    with pytest.raises(ArgumentError, match="can be remembered"):
        made(x, bytearray(b"sum"))


def test_a_function_that_draws_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="every call would have the same numbers"):
        bp.torch.function(lambda x: x * rng.normal(size=3))(torch.ones(3))
    seeded = bp.random.Generator(3)
    with pytest.raises(ArgumentError, match="same numbers"):
        bp.torch.function(lambda x: F.dropout(x, 0.5, rng=seeded))(torch.ones(3))


def test_complex_numbers_are_refused():
    with pytest.raises(DtypeError, match="complex64"):
        bp.torch.function(np.sum)(torch.ones(3, dtype=torch.complex64))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own
def test_func_transforms():
    x, W = drawn((4, 5), (5, 3))
    made = bp.torch.function(functions.classified)

    def theirs(x, W, labels):
        return torch.nn.functional.cross_entropy(x @ W, labels)

    xs, labels = torch.randn(2, 4, 5, dtype=torch.double), torch.stack([LABELS, LABELS.flip(0)])
    for transform in (
        lambda f: torch.func.grad(f, argnums=1)(x.detach(), W.detach(), LABELS),
        lambda f: torch.func.vmap(f, in_dims=(0, None, 0))(xs, W.detach(), labels),
        lambda f: torch.func.vmap(torch.func.grad(f), (0, None, 0))(xs, W.detach(), labels),
        lambda f: (
            torch.func.hessian(f)(x.detach(), W.detach(), LABELS)
            if f is theirs
            else torch.func.jacrev(torch.func.grad(f))(x.detach(), W.detach(), LABELS)
        ),
    ):
        torch.testing.assert_close(transform(made), transform(theirs), rtol=1e-9, atol=1e-13)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own
def test_torch_compile_in_one_graph_for_several_sizes():
    made = bp.torch.function(functions.classified)
    compiled = torch.compile(lambda x, W, y: 2 * made(x, W, y), fullgraph=True, backend="aot_eager")
    (W,) = drawn((5, 3))
    for labels in (LABELS, torch.tensor([1, 0])):
        (x,) = drawn((len(labels), 5))
        ours, theirs = compiled(x, W, labels), 2 * torch.nn.functional.cross_entropy(x @ W, labels)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(
            torch.autograd.grad(ours, (x, W)), torch.autograd.grad(theirs, (x, W))
        )
    with pytest.raises(RuntimeError, match="this text is for the case"):
        compiled(x, W, torch.tensor([1, -100]))


def test_the_text_stands_alone():
    x, W = drawn((4, 5), (5, 3))
    text = bp.torch.function(functions.classified).source(x, W, LABELS)
    assert "allbps" not in text
    scope = {}
    exec(text, scope)
    assert gradcheck(lambda x, W: scope["classified"](x, W, LABELS), (x, W))
    assert gradgradcheck(lambda x, W: scope["classified"](x, W, LABELS), (x, W))
    worked = bp.explain(functions.mlp, x.detach().numpy(), [(W.detach().numpy(), np.ones(3))],
                        cotangents={"L": 1.0, "x_2": np.ones((4, 3))})  # fmt: skip
    exec(worked.to_source("torch", form="autograd"), scope)
    bias = torch.ones(3, dtype=torch.double, requires_grad=True)
    assert gradcheck(lambda x, W, b: scope["mlp"](x, [(W, b)]), (x, W, bias))
    with pytest.raises(ArgumentError, match="no form 'custom_vjp' in torch"):
        worked.to_source("torch", form="custom_vjp")


def test_only_the_gradients_that_are_wanted_are_computed():
    x, W = drawn((4, 5), (5, 3))
    made = bp.torch.function(lambda x, W: np.sum((x @ W) ** 2))
    with torch.profiler.profile() as seen:
        made(x.detach(), W).backward()
    products = [e for e in seen.events() if e.name == "aten::mm"]
    assert len(products) == 2  # forward, and dW


def shares_memory(op, sample):
    """May the op's result in PyTorch lie in its operand's memory?"""
    rng = np.random.default_rng(0)
    given = [torch.as_tensor(np.asarray(x)) for x in sample.draw(rng)]
    names = [f"x{k}" for k in range(len(given))]
    text = op.text(op.torch, names, sample.attrs)
    scope = {"torch": torch, **dict(zip(names, given, strict=True))}
    try:
        result = eval(text, scope)
    except Exception:  # helpers are NumPy's; such texts make arrays of their own
        return False
    return isinstance(result, torch.Tensor) and any(
        result.numel() and result.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
        for x in given
    )


def test_every_operation_that_may_share_memory_is_known():
    found = [
        (op, sample)
        for op in OPS.values()
        if op not in (INPUT, CONST) and op.torch is not None and op.names
        for sample in op.samples
        if shares_memory(op, sample)
    ]
    assert len(found) > 10
    for op, sample in found:
        x = constant(np.ones(3))
        node = Node(op, (x,) * len(sample.operands), (), x.dtype, attrs=sample.attrs)
        assert may_share(node), op.name


WORKER = """
import os, sys, numpy as np, torch, torch.distributed as dist, allbps as bp
rank = int(os.environ["RANK"])
dist.init_process_group("gloo")
affine = bp.torch.function(lambda x, W, b: np.mean(np.tanh(x @ W + b) ** 2))
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.W = torch.nn.Parameter(torch.arange(6.0).reshape(3, 2) / 10)
        self.b = torch.nn.Parameter(torch.zeros(2))
    def forward(self, x):
        return affine(x, self.W, self.b)
net = torch.nn.parallel.DistributedDataParallel(Net())
x = torch.linspace(-1, 1, 24).reshape(8, 3)
net(x[4 * rank : 4 * rank + 4]).backward()
whole = Net()
whole(x).backward()
for ours, right in zip(net.module.parameters(), whole.parameters(), strict=True):
    torch.testing.assert_close(ours.grad, right.grad)
dist.destroy_process_group()
"""


def test_two_workers_share_gradients():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = str(door.getsockname()[1])
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2",
              "OMP_NUM_THREADS": "1"}  # fmt: skip
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER)],
            stderr=subprocess.PIPE,
            text=True,
            env={**common, "RANK": str(rank)},
        )
        for rank in range(2)
    ]
    try:
        said = [worker.communicate(timeout=120)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], said
