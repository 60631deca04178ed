"""Modules around PyTorch's own samples: what ``allbps.functional`` or NumPy has whole."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F

torch = pytest.importorskip("torch")
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402

from allbps.torch.table import TABLE, writers_of  # noqa: E402
from allbps.torch.table.named import by_name  # noqa: E402

ENTRIES = {f"{op.name} {op.variant_test_name}".strip(): op for op in op_db}
LAYERS = """
    adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d avg_pool2d avg_pool3d bilinear celu
    conv3d conv_transpose3d cosine_embedding_loss embedding_bag glu grid_sample hardshrink
    hinge_embedding_loss interpolate local_response_norm logsigmoid margin_ranking_loss max_pool3d
    mish multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss pairwise_distance
    pdist pixel_unshuffle poisson_nll_loss selu soft_margin_loss softshrink tanhshrink threshold
    triplet_margin_loss unfold
"""
NUMBERS = """
    cdist copysign cross cummax cummin erfc erfinv hypot index_copy index_fill kthvalue lgamma
    linalg.det linalg.qr linalg.slogdet linalg.solve linalg.solve_triangular linalg.svd
    logcumsumexp masked_scatter median mode msort renorm rot90 scatter_reduce sort special.i1
    special.ndtri take topk trace
"""
CASES = [f"nn.functional.{name}" for name in LAYERS.split()] + NUMBERS.split()
VARIANTS = {
    "scatter_reduce": "scatter_reduce amax", "nn.functional.interpolate":
    "nn.functional.interpolate bicubic",
}  # fmt: skip


class Called(torch.nn.Module):
    """A function called with what a sample holds; its tensors are the inputs."""

    def __init__(self, function, sample):
        super().__init__()
        given = (sample.input, sample.args, sample.kwargs)
        self.function = function
        self.flat, self.spec = pytree.tree_flatten(given)
        self.where = [k for k, x in enumerate(self.flat) if isinstance(x, torch.Tensor)]
        self.learnt = [self.flat[k].requires_grad for k in self.where]
        self.tensors = [self.flat[k].detach() for k in self.where]

    def forward(self, *tensors):
        flat = list(self.flat)
        for k, x in zip(self.where, tensors, strict=True):
            flat[k] = x
        first, args, kwargs = pytree.tree_unflatten(flat, self.spec)
        return self.function(first, *args, **kwargs)


def samples(name):
    op = ENTRIES[VARIANTS.get(name, name)]
    torch.manual_seed(0)
    made = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))
    usable = [s for s in made if all(x.numel() and x.ndim for x in Called(op.op, s).tensors)]
    return op.op, usable[:: max(1, len(usable) // 2)][:2]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_what_pytorch_has_is_written_with_its_value_and_its_derivative(name):
    function, found = samples(name)
    assert found
    for sample in found:
        module = Called(function, sample)
        net = bp.torch.from_module(module, *(x.clone() for x in module.tensors))
        pairs = zip(module.tensors, module.learnt, strict=True)
        own = [x.clone().requires_grad_(learnt) for x, learnt in pairs]
        results = [x for x in pytree.tree_leaves(module(*own)) if x.is_floating_point()]
        wanted = [x for x in own if x.requires_grad]
        deltas = [torch.randn_like(x) for x in results]
        expected = torch.autograd.grad(results, wanted, deltas, allow_unused=True)

        def ours(*floats, net=net, own=own):
            waiting = iter(floats)
            given = [next(waiting) if x.requires_grad else x.numpy() for x in own]
            return [y for y in pytree.tree_leaves(net(*given)) if y.dtype.kind == "f"]

        values, pullback = bp.vjp(ours, *(x.detach().numpy() for x in wanted))
        for value, result in zip(values, results, strict=True):
            np.testing.assert_allclose(value, result.detach().numpy(), rtol=1e-9, atol=1e-11)
        for delta, theirs in zip(pullback([d.numpy() for d in deltas]), expected, strict=True):
            want = np.zeros_like(delta) if theirs is None else theirs.numpy()
            np.testing.assert_allclose(delta, want, rtol=1e-7, atol=1e-9)


def test_a_row_says_what_the_name_alone_does_not():
    """What functional has under PyTorch's name, argument by argument, needs no row."""
    aten = torch.ops.aten
    assert by_name(aten.celu.default) is not None
    assert by_name(aten.unfold.default) is None, "windows of an axis, not of an image"
    assert by_name(aten.dropout.default) is None, "it needs a generator"
    assert writers_of(aten.celu.default) is not None
    assert "aten.celu.default" not in TABLE
    assert "celu" in dir(F)
    assert writers_of(torch.ops.prims.rev.default) is None


@pytest.mark.parametrize(
    "module", [torch.nn.Identity(), torch.nn.Dropout(0.5).eval(), torch.nn.Flatten()]
)
def test_a_module_that_only_hands_on(module):
    x = torch.randn(2, 3)
    np.testing.assert_array_equal(bp.torch.from_module(module, x)(x), x.numpy())
