"""What nets are made of runs in native code in a training step, without NumPy, and is right."""

import warnings

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F

LABELS = np.array([1, 0, 2])
CALLS = {
    "conv1d": (lambda x, w: F.conv1d(x, w, stride=2, padding=1), (2, 3, 9), (4, 3, 3)),
    "conv3d": (lambda x, w: F.conv3d(x, w, padding=1), (2, 2, 4, 4, 4), (3, 2, 3, 3, 3)),
    "conv_transpose1d": (lambda x, w: F.conv_transpose1d(x, w, stride=2), (2, 3, 5), (3, 4, 2)),
    "conv_transpose2d": (
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1),
        (2, 3, 4, 4),
        (3, 2, 3, 3),
    ),
    "max_pool1d": (lambda x: F.max_pool1d(x, 3, 2), (2, 3, 9)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), (2, 3, 8, 8)),
    "max_pool3d": (lambda x: F.max_pool3d(x, 2), (2, 2, 4, 4, 4)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 2), (2, 3, 8)),
    "avg_pool2d": (
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        (2, 3, 8, 8),
    ),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), (2, 2, 4, 4, 4)),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (2, 3)), (2, 3, 5, 6)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, (2, 3)), (2, 3, 5, 6)),
    "interpolate nearest": (lambda x: F.interpolate(x, scale_factor=2), (2, 3, 4, 4)),
    "interpolate bilinear": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
        (2, 3, 4, 5),
    ),
    "pad reflect": (lambda x: F.pad(x, (1, 2, 2, 1), "reflect"), (2, 3, 4, 4)),
    "unfold": (lambda x: F.unfold(x, 3, padding=1), (2, 3, 4, 4)),
    "fold": (lambda x: F.fold(x, (4, 4), 3, padding=1), (2, 18, 16)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (2, 8, 3, 3)),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), (2, 4, 3, 3)),
    "instance_norm": (lambda x, w: F.instance_norm(x, None, None, w), (2, 3, 4, 4), (3,)),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3), (2, 4, 3, 3)),
    "normalize": (lambda x: F.normalize(x, dim=-1), (4, 5)),
    "cosine_similarity": (lambda x, y: F.cosine_similarity(x, y), (4, 5), (4, 5)),
    "bilinear": (lambda x, y, w: F.bilinear(x, y, w), (4, 3), (4, 2), (5, 3, 2)),
    "embedding": (lambda w: F.embedding(LABELS, w, padding_idx=0), (4, 3)),
    "embedding_bag": (lambda w: F.embedding_bag(LABELS, w, np.array([0, 2])), (4, 3)),
    "glu": (lambda x: F.glu(x), (3, 6)),
    "prelu": (lambda x, w: F.prelu(x, w), (2, 3, 4), (3,)),
    "attention with a mask": (
        lambda q, k: F.scaled_dot_product_attention(q, k, k, np.tri(4) > 0),
        (2, 4, 3),
        (2, 4, 3),
    ),
    "grouped attention": (
        lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True),
        (1, 4, 3, 2),
        (1, 2, 3, 2),
    ),
    "cross_entropy": (lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.1), (3, 4)),
    "nll_loss": (lambda x: F.nll_loss(F.log_softmax(x, 1), LABELS), (3, 4)),
    "pos_weight": (
        lambda x: F.binary_cross_entropy_with_logits(
            x, np.float32([[0, 1, 0, 1]] * 3), pos_weight=np.float32(2.0)
        ),
        (3, 4),
    ),
    "smooth_l1_loss": (lambda x, y: F.smooth_l1_loss(x, y), (3, 4), (3, 4)),
    "triplet_margin_loss": (F.triplet_margin_loss, (3, 4), (3, 4), (3, 4)),
    "multi_margin_loss": (lambda x: F.multi_margin_loss(x, LABELS), (3, 4)),
    "ctc_loss": (
        lambda x: F.ctc_loss(F.log_softmax(x, -1), np.array([[1, 2]]), (5,), (2,)),
        (5, 1, 4),
    ),
    **{
        name: (lambda x, name=name: getattr(F, name)(x), (3, 5))
        for name in (
            "relu6", "hardtanh", "hardswish", "hardsigmoid", "mish", "selu", "celu", "logsigmoid",
            "softsign", "softshrink", "hardshrink", "tanhshrink", "softmin", "softplus",
        )
    },
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CALLS)
def test_a_training_step_needs_no_numpy(name, rng):
    function, *shapes = CALLS[name]
    operands = [rng.uniform(0.1, 1.5, shape).astype(np.float32) for shape in shapes]
    y = function(*operands)
    weights = rng.normal(size=np.shape(y)).astype(np.float32)

    def loss(xs):
        return np.sum(function(*xs) * weights)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = bp.compile(loss, operands, params="xs")
    value, gradients = step(operands)
    want, exact = bp.value_and_grad(loss)(operands)
    np.testing.assert_allclose(value, want, rtol=1e-4, atol=1e-5)
    for got, g in zip(gradients, exact, strict=True):
        np.testing.assert_allclose(got, g, rtol=1e-4, atol=1e-4)
