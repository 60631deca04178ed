"""Every way of writing an operation, against autograd: value and gradients, in double precision."""

import numpy as np
import pytest

import allbps as bp

torch = pytest.importorskip("torch")
parts = pytest.importorskip("allbps.torch.parts")
T = torch.nn.functional


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def ties(*shape):
    return torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(2)).double()


X, Y, S = draw(3, 4), draw(3, 4) + 2, draw(2, 3, 6, 6)
FOUR, SIGNS, STATE = draw(4), torch.sign(draw(3, 4)), draw(3, 2)
POSITIVE = FOUR.abs()
BOUNDS = torch.tensor([-1.0, 0.0, 0.5, 1.0], dtype=torch.float64)
P = torch.rand(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 0.8 + 0.1
ids = torch.tensor([[0, 2, 1, 1], [3, 0, 0, 2], [1, 1, 1, 3]])
labels = torch.tensor([1, -100, 3])
CASES = {
    "add with alpha": (lambda x, y: torch.add(x, y, alpha=0.5) - torch.sub(x, y, alpha=3), X, Y),
    "rsub, whole numbers": (lambda x: (1 - x) * 3 + x / 2 - 2 / (x + 9), X),
    "division by whole numbers": (
        lambda x: x / torch.tensor(3) + torch.tensor([1, 2, 3, 4]) / 2,
        X,
    ),
    "floor and trunc division": (
        lambda x, y: (
            x * torch.div(y, 2, rounding_mode="floor")
            + y * torch.div(x, 0.3, rounding_mode="trunc")
        ),
        X,
        Y,
    ),
    "powers": (lambda x, y: x**3 + y**-1.5 + 2**x + y**x + torch.pow(y, 0.5), X, Y),
    "roots": (lambda y: torch.sqrt(y.abs()) + torch.rsqrt(y.abs()) + y.reciprocal(), Y),
    "extremes at ties": (
        lambda x: torch.maximum(x, x.flip(0)) + torch.minimum(x, x.flip(1)),
        ties(3, 4),
    ),
    "clamps at ties": (
        lambda x: x.clamp(-1, 1) + x.clamp(min=0) * 2 + x.clamp(max=1) * 3,
        ties(3, 4),
    ),
    "hard functions at ties": (
        lambda x: T.hardtanh(x) + T.relu6(x) + T.relu(x) + T.leaky_relu(x),
        ties(3, 4),
    ),
    "hardswish": (lambda x: T.hardswish(4 * x), X),
    "histograms": (
        lambda x: x * torch.histc(x.detach(), 4, -1, 1) + x * torch.histc(x, 4, 0, 9),
        X,
    ),
    "places in a row of bounds": (
        lambda x: (
            x * torch.searchsorted(BOUNDS, x.detach())
            + x * torch.bucketize(x.detach(), BOUNDS, right=True)
        ),
        ties(3, 4),
    ),
    "amax at ties": (
        lambda x: x.amax(1) + x.amin(0, keepdim=True).sum() + x.max() - x.min(),
        ties(3, 4),
    ),
    "max with indices": (lambda x: x.max(1)[0] + x.min(1, keepdim=True)[0].sum(), ties(3, 4)),
    "abs at 0": (lambda x: x.abs() + torch.sign(x) * x, ties(3, 4)),
    "norms at 0": (lambda x: torch.linalg.vector_norm(x, dim=1) + (x * 0).norm(), ties(3, 4)),
    "norms": (lambda x: x.norm(p=1, dim=1) + x.norm(p=3, dim=1) + x.norm(dim=1), X),
    "where and masks": (lambda x, y: torch.where(x > 0, x, y * 2).masked_fill(y > 2, 5.0), X, Y),
    "lerp, addcmul": (
        lambda x, y: (
            torch.lerp(x, y, 0.3)
            + torch.addcmul(x, x, y, value=2)
            + torch.addcdiv(x, x, y, value=-1)
        ),
        X,
        Y,
    ),
    "activations": (
        lambda x: (
            T.silu(x)
            + T.elu(x, 0.7)
            + T.gelu(x)
            + T.softplus(x, 2.0)
            + T.mish(x)
            + T.selu(x)
            + T.celu(x)
            + T.softsign(x)
            + T.logsigmoid(x)
        ),
        X,
    ),
    "more activations": (
        lambda x: (
            T.hardshrink(x)
            + T.softshrink(x)
            + T.tanhshrink(x)
            + T.threshold(x, 0.1, 3.0)
            + T.glu(x).sum()
        ),
        X,
    ),
    "gelu by tanh": (lambda x: T.gelu(x, approximate="tanh"), X),
    "prelu": (lambda s, w: T.prelu(s, w), S, draw(3)),
    "softplus above its threshold": (lambda x: T.softplus(30 * x), X),
    "softmax": (
        lambda x: T.softmax(x, 0) + T.log_softmax(x, 1) + torch.logsumexp(x, 1)[:, None],
        X,
    ),
    "moments": (lambda x: x.var(1) + x.std(0, unbiased=False).sum() + x.var(dim=(0, 1)), X),
    "sums": (lambda x: x.sum(0) * x.mean(0) + x.prod(1).sum() + x.cumsum(1)[0] + x.mean(), X),
    "views": (lambda s: s.view(6, -1).t()[:, 1:].reshape(-1)[::3].unflatten(0, (3, -1)), S),
    "slices": (lambda s: s[:, 1:, ::2, -1] + s[:, :1, 1::2, 0] + s.narrow(2, 1, 3)[:, :2, :, 1], S),
    "splits": (
        lambda s: (
            torch.cat([*s.split([1, 2], 1), *s.chunk(2, 2)[0].chunk(2, 3)[:0]], 1)
            + torch.stack(s.unbind(1), 1)
        ),
        S,
    ),
    "axes": (lambda s: s.permute(0, 2, 3, 1).transpose(1, 2).flip(1).roll(2, 1).movedim(1, 2), S),
    "repeats": (
        lambda x: x.repeat(2, 1) + x.repeat_interleave(2, 0) + x.expand(2, 3, 4).flatten(0, 1),
        X,
    ),
    "squeezes": (lambda x: x[:, None, :, None].squeeze(1).squeeze() * x.unsqueeze(-1)[..., 0], X),
    "triangles": (lambda x: x.tril() + x.triu(1) + torch.diagonal(x[:, :3]).sum(), X),
    "in place": (lambda x: written(x), X),
    "indices": (
        lambda x: (
            x[[0, 2]][:, ids[0]]
            + x[ids[0, :2]]
            + x[:, [1]][:2]
            + x[torch.tensor([0, 1]), torch.tensor([2, 0])][:, None]
        ),
        X,
    ),
    "gather": (
        lambda x: (
            x.gather(0, ids[:2] % 3)
            + x.gather(1, ids)[:2]
            + torch.index_select(x, 0, torch.tensor([2, 2]))
        ),
        X,
    ),
    "scatter": (
        lambda x, y: (
            x.scatter(1, torch.tensor([[0, 3], [1, 2], [3, 1]]), y[:, :2])
            + x.scatter_add(1, ids, y)
            + x.index_add(0, torch.tensor([0, 0]), y[:2], alpha=2.0)
        ),
        X,
        Y,
    ),
    "index_put": (
        lambda x, y: (
            x.index_put((torch.tensor([0, 0, 2]),), y, accumulate=True)
            + x.index_put((torch.tensor([0, 1]), torch.tensor([3, 3])), y[0, :2])
        ),
        X,
        Y,
    ),
    "products": (
        lambda x, y: (
            x @ y.T
            + torch.addmm(x[:, :3], x, y.t(), beta=0.5, alpha=2.0)
            + torch.einsum("ij,kj->ik", x, y)
            + torch.outer(x[:, 0], y[:, 0])
        ),
        X,
        Y,
    ),
    "batched products": (
        lambda s: (
            torch.bmm(s[:, 0], s[:, 1])
            + torch.baddbmm(s[:, 2], s[:, 0], s[:, 1])
            + torch.matmul(s, s.mT)[:, 0]
        ),
        S,
    ),
    "pads": (
        lambda s: (
            T.pad(s, (1, 2, 0, 1), value=2.0) * T.pad(s, (1, 2, 0, 1), mode="reflect")
            + T.pad(s, (2, 1, 1, 0), mode="replicate")
            + T.pad(s, (2, 1, 0, 1), mode="circular")
            + T.pad(s, (4, -1, 0, 1))
        ),
        S,
    ),
    "convolution": (
        lambda s, w: (
            T.conv2d(s, w, stride=2, padding=1, dilation=2, groups=3)
            + T.conv2d(s, w, padding="same", groups=3)[..., ::3, ::3][..., :2, :2]
        ),
        S,
        draw(3, 1, 3, 3),
    ),
    "transposed convolution": (
        lambda s, w: T.conv_transpose2d(s, w, FOUR, 2, 1, 1, 1, 1),
        S,
        draw(3, 4, 3, 3),
    ),
    "transposed in groups": (
        lambda s, w: T.conv_transpose2d(s, w, None, (2, 3), (0, 2), (1, 0), 3, 2),
        S,
        draw(3, 2, 2, 3),
    ),
    "transposed along one axis": (
        lambda x, w: T.conv_transpose1d(x[None], w, None, 2, 1),
        X,
        draw(3, 2, 3),
    ),
    "pools": (
        lambda s: (
            T.max_pool2d(s, 3, 2, 1)
            + T.avg_pool2d(s, 3, 2, 1, count_include_pad=False)
            + T.adaptive_avg_pool2d(s, 3)
            + T.avg_pool2d(s, 2)
        ),
        S,
    ),
    "pools along one axis": (
        lambda x: (
            T.max_pool1d(x[None], 2) + T.avg_pool1d(x[None], 2) + T.adaptive_avg_pool1d(x[None], 2)
        ),
        X,
    ),
    "norm layers": (
        lambda s: (
            T.layer_norm(s, (6, 6))
            + T.group_norm(s, 3)
            + T.instance_norm(s)
            + T.batch_norm(s, None, None, training=True)
            + T.normalize(s, dim=1)
        ),
        S,
    ),
    "rms norm": (lambda x, w: T.rms_norm(x, (4,), w), X, draw(4)),
    "upsampling": (
        lambda s: (
            T.interpolate(s, scale_factor=2)
            + T.interpolate(s, 12, mode="bilinear")
            + T.interpolate(s, (12, 12), mode="bilinear", align_corners=True)
            + T.interpolate(T.interpolate(s, 5), scale_factor=2.4)
        ),
        S,
    ),
    "pixel shuffle": (
        lambda s: (
            T.pixel_shuffle(s.repeat(1, 4, 1, 1), 2).sum(1) + T.pixel_unshuffle(s, 2)[:, :1].sum()
        ),
        S,
    ),
    "attention": (
        lambda s: (
            T.scaled_dot_product_attention(s, s, s, is_causal=True)
            + T.scaled_dot_product_attention(s, s, s, attn_mask=S[0, 0])
            + T.scaled_dot_product_attention(s, s, s, attn_mask=S[0, 0].abs() > 0.5, scale=0.3)
        ),
        S,
    ),
    "shared heads": (
        lambda s: T.scaled_dot_product_attention(s.repeat(1, 2, 1, 1), s, s, enable_gqa=True),
        S,
    ),
    "embedding": (lambda x: T.embedding(ids % 3, x, padding_idx=1), X),
    "cross-entropy": (
        lambda x: (
            T.cross_entropy(x, labels)
            + T.cross_entropy(x, labels.clamp(min=0), POSITIVE, label_smoothing=0.1)
            + T.cross_entropy(x, P, reduction="sum")
            + T.nll_loss(x, labels, reduction="sum")
        ),
        X,
    ),
    "regression": (
        lambda x, y: (
            T.mse_loss(x, y)
            + T.l1_loss(x, y)
            + T.smooth_l1_loss(x, y, beta=0.5)
            + T.huber_loss(x, y, delta=2.0)
        ),
        X,
        Y,
    ),
    "binary": (
        lambda x, p: (
            T.binary_cross_entropy(p, P.round())
            + T.binary_cross_entropy_with_logits(x, P, weight=P, pos_weight=POSITIVE)
            + T.binary_cross_entropy(p, P, weight=P)
            + T.kl_div(x, P, reduction="batchmean")
        ),
        X,
        P,
    ),
    "other losses": (
        lambda x, y: (
            T.cosine_embedding_loss(x, y, torch.tensor([1, -1, 1]))
            + T.triplet_margin_loss(x, y, x.flip(0))
            + T.hinge_embedding_loss(x, SIGNS)
            + T.soft_margin_loss(x, SIGNS)
            + T.poisson_nll_loss(x, y)
            + T.margin_ranking_loss(x, y, SIGNS)
        ),
        X,
        Y,
    ),
    "stopped": (lambda x: x * x.detach() + x * no_grad(x), X),
    "comparisons": (
        lambda x, y: x * (x > y) + y * (x <= 0) + x * ((x > 0) & (y > 2)) + x * (~(x > 0)),
        X,
        Y,
    ),
    "new arrays": (
        lambda x: (
            x * torch.arange(4)
            + torch.ones_like(x) * torch.full((4,), 2.0).to(x.dtype)
            + torch.eye(4, dtype=x.dtype)[:3] * x
            + torch.linspace(0, 1, 4, dtype=x.dtype)
        ),
        X,
    ),
    "unfold": (lambda s: T.unfold(s, 3, stride=2), S),
    "cell": (
        lambda x, w, v: torch.lstm_cell(x, (STATE, STATE), w, v)[0],
        X,
        draw(8, 4),
        draw(8, 2),
    ),
}


def written(x):
    y = x.clone()
    y[0] = 2.0
    y[:, 1:3] *= 3
    y[1, 2] = y[2, 3] * 2
    y += 1
    return y.relu_()


def no_grad(x):
    with torch.no_grad():
        return x.exp() * 2


class Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *xs):
        return self.function(*xs)


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("name", CASES)
def test_an_operation_is_written_with_its_value_and_its_derivative(name):
    function, *xs = CASES[name]
    net = bp.torch.from_module(Function(function), *xs)
    own = [x.clone().requires_grad_() for x in xs]
    expected = function(*own)
    delta = torch.randn(expected.shape, dtype=torch.float64)
    expected.backward(delta)
    found, pullback = bp.vjp(lambda *arrays: net(*arrays), *(x.numpy() for x in xs))
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    # PyTorch's hardsigmoid and hardswish compute in single precision's 1/6
    tolerance = 1e-6 if "hardswish" in name else 1e-9
    for x, gradient in zip(own, pullback(delta.numpy()), strict=True):
        np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=tolerance, atol=1e-10)


def test_a_product_of_groups_is_that_of_each_group_alone():
    x, weights = draw(6, 3).numpy(), draw(4, 3, 2).numpy()
    ends = np.array([2, 2, 5, 5])  # the last row belongs to none
    expected = np.concatenate([x[:2] @ weights[0], x[2:5] @ weights[2], np.zeros((1, 2))])
    np.testing.assert_allclose(parts.grouped_product(x, weights, ends), expected)
