"""What emitted source calls ``parts``: PyTorch's functions composed from NumPy's and ours."""

from allbps.torch.parts.activations import (
    amax,
    amin,
    elu,
    hardsigmoid,
    hardtanh,
    maximum,
    minimum,
    prelu,
    softplus,
    vector_norm,
)
from allbps.torch.parts.attention import attention
from allbps.torch.parts.checks import passed
from allbps.torch.parts.halves import mirrored
from allbps.torch.parts.inside import followed, gradients, itself, transposed
from allbps.torch.parts.losses import binary_cross_entropy, binary_cross_entropy_with_logits
from allbps.torch.parts.places import (
    added_at,
    embedding,
    gather,
    grouped_product,
    histc,
    index_add,
    pad,
    pad_by,
    picked,
    pixel_shuffle,
    put_at,
    scatter,
    scatter_add,
    searched,
)
from allbps.torch.parts.recurrent import gru, lstm, padded, rnn_relu, rnn_tanh
from allbps.torch.parts.resampling import (
    adaptive_avg_pool1d,
    avg_pool1d,
    upsample_linear,
    upsample_nearest,
)

__all__ = [
    "adaptive_avg_pool1d",
    "added_at",
    "amax",
    "amin",
    "attention",
    "avg_pool1d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "elu",
    "embedding",
    "followed",
    "gather",
    "gradients",
    "grouped_product",
    "gru",
    "hardsigmoid",
    "hardtanh",
    "histc",
    "index_add",
    "itself",
    "lstm",
    "maximum",
    "minimum",
    "mirrored",
    "pad",
    "pad_by",
    "padded",
    "passed",
    "picked",
    "pixel_shuffle",
    "prelu",
    "put_at",
    "rnn_relu",
    "rnn_tanh",
    "scatter",
    "scatter_add",
    "searched",
    "softplus",
    "transposed",
    "upsample_linear",
    "upsample_nearest",
    "vector_norm",
]
