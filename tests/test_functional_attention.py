"""Attention of several heads, grids and alignments against PyTorch, in all their options."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import AllBPsError

torch = pytest.importorskip("torch")
T = torch.nn.functional
WIDTH, HEADS = 4, 2


def heads(rng, query=(3, 2), keys=5, separate=False, bias=True, more=False):
    """Operands of multi_head_attention_forward by name."""
    made = {
        "query": rng.normal(size=(*query, WIDTH)),
        "key": rng.normal(size=(keys, *query[1:], 3 if separate else WIDTH)),
        "value": rng.normal(size=(keys, *query[1:], 3 if separate else WIDTH)),
        "out_proj_weight": rng.normal(size=(WIDTH, WIDTH)),
        "in_proj_weight": None if separate else rng.normal(size=(3 * WIDTH, WIDTH)),
    }
    if separate:
        sizes = {"q": WIDTH, "k": 3, "v": 3}
        made |= {f"{x}_proj_weight": rng.normal(size=(WIDTH, n)) for x, n in sizes.items()}
    made |= {"in_proj_bias": rng.normal(size=3 * WIDTH) if bias else None}
    made |= {"out_proj_bias": rng.normal(size=WIDTH) if bias else None}
    for name in ("bias_k", "bias_v"):
        made[name] = rng.normal(size=(1, 1, WIDTH)) if more else None
    return made


MASK = np.array([[0, 1, 0, 0, 1], [0, 0, 0, 1, 0], [1, 0, 0, 0, 0]], bool)
PADDING = np.array([[0, 0, 0, 0, 1], [0, 0, 1, 1, 0]], bool)
CALLS = [
    ({}, {}),
    ({"bias": False}, {"need_weights": False}),
    ({"separate": True}, {"use_separate_proj_weight": True}),
    ({"more": True}, {"attn_mask": MASK, "key_padding_mask": PADDING}),
    ({"query": (3,)}, {"average_attn_weights": False}),
    ({"query": (3,)}, {"key_padding_mask": PADDING[0], "need_weights": False}),
    ({}, {"attn_mask": np.linspace(-1, 1, 60).reshape(4, 3, 5), "key_padding_mask": PADDING}),
    ({}, {"attn_mask": MASK, "add_zero_attn": True, "need_weights": False}),
    ({}, {"attn_mask": MASK, "key_padding_mask": PADDING, "average_attn_weights": False}),
]


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize(("shapes", "options"), CALLS)
def test_several_heads(shapes, options, rng):
    operands = heads(rng, **shapes)
    given = {"add_zero_attn": False, "dropout_p": 0.5, "training": False, **options}
    given |= {"embed_dim_to_check": WIDTH, "num_heads": HEADS}
    floats = {name: x for name, x in operands.items() if x is not None}
    tensors = {name: torch.tensor(x, requires_grad=True) for name, x in floats.items()}
    plain = {k: torch.tensor(x) if isinstance(x, np.ndarray) else x for k, x in given.items()}
    want = [y for y in T.multi_head_attention_forward(**{**operands, **tensors, **plain})
            if y is not None]  # fmt: skip
    weights = [rng.normal(size=tuple(y.shape)) for y in want]
    sum((y * torch.tensor(w)).sum() for y, w in zip(want, weights, strict=True)).backward()

    def results(floats):
        made = F.multi_head_attention_forward(**{**operands, **floats, **given})
        return [y for y in made if y is not None]

    for got, y in zip(results(floats), want, strict=True):
        np.testing.assert_allclose(got, y.detach().numpy(), rtol=1e-10, atol=1e-12)
    (found,) = bp.vjp(results, floats)[1](weights)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(found[name], tensor.grad.numpy(), rtol=1e-9, atol=1e-11)


def test_attention_whose_heads_do_not_divide_the_width_is_refused(rng):
    operands = {**heads(rng), "embed_dim_to_check": WIDTH, "num_heads": 3}
    with pytest.raises(AllBPsError, match="does not divide into heads"):
        F.multi_head_attention_forward(**operands, add_zero_attn=False, dropout_p=0.0)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid")
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 3, 1), (2, 3, 2, 4, 3)])
def test_affine_grid(size, aligned, rng, same_as_torch):
    n = len(size) - 2
    same_as_torch(
        lambda theta: F.affine_grid(theta, size, aligned),
        lambda theta: T.affine_grid(theta, size, aligned),
        rng.normal(size=(2, n, n + 1)),
    )


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_points_far_outside_of_an_image(mode, padding, rng, same_as_torch):
    for aligned in (True, False):
        same_as_torch(
            lambda x, grid, a=aligned: F.grid_sample(x, grid, mode, padding, a),
            lambda x, grid, a=aligned: T.grid_sample(x, grid, mode, padding, a),
            rng.normal(size=(2, 2, 3, 4)),
            rng.uniform(-4, 4, (2, 5, 3, 2)),
            second=False,
        )


# -- alignments ------------------------------------------------------------------------------------
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("zero_infinity", [True, False])
def test_alignments_of_texts_of_all_lengths(reduction, zero_infinity, rng):
    texts = np.array([[1, 1, 2], [3, 1, 3], [2, 0, 0], [0, 0, 0]])
    times, sizes = np.array([6, 5, 2, 4]), np.array([3, 2, 1, 0])
    scores = rng.normal(size=(6, 4, 4))
    tensor = torch.tensor(scores, requires_grad=True)
    options = {"reduction": reduction, "zero_infinity": zero_infinity}

    def theirs(x):
        lengths = torch.tensor(times), torch.tensor(sizes)
        return T.ctc_loss(x.log_softmax(-1), torch.tensor(texts), *lengths, **options)

    def ours(x):
        return F.ctc_loss(F.log_softmax(x, -1), texts, times, sizes, **options)

    want = theirs(tensor)
    g = rng.normal(size=tuple(want.shape))
    want.backward(torch.tensor(g))
    got, pullback = bp.vjp(ours, scores)
    np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(pullback(g)[0], tensor.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_a_text_longer_than_its_time_has_an_infinite_loss_or_none():
    uniform = np.log(np.full((2, 1, 3), 1 / 3))
    call = (uniform, np.array([[1, 1]]), (2,), (2,))
    assert F.ctc_loss(*call) == np.inf
    loss, pullback = bp.vjp(lambda x: F.ctc_loss(x, *call[1:], zero_infinity=True), uniform)
    assert loss == 0
    np.testing.assert_array_equal(pullback(1.0)[0], np.zeros_like(uniform))


def test_behind_a_log_softmax_the_delta_of_alignments_is_the_gradient(rng):
    x, step = rng.normal(size=(5, 2, 3)), 1e-5

    def loss(x):
        return F.ctc_loss(F.log_softmax(x, -1), np.array([[1, 2], [2, 2]]), (5, 5), (2, 2))

    direction = rng.normal(size=x.shape)
    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    np.testing.assert_allclose(np.sum(bp.grad(loss)(x) * direction), slope, rtol=1e-8)
