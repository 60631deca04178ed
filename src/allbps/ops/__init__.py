"""Every operation, one declaration each, by family. Importing this fills the op table."""

from allbps.ops import (
    activation,
    arithmetic,
    attention,
    comparison,
    conv,
    function,
    index,
    linalg,
    loss,
    norm,
    pool,
    reduce,
    shape,
)

__all__ = [
    "activation",
    "arithmetic",
    "attention",
    "comparison",
    "conv",
    "function",
    "index",
    "linalg",
    "loss",
    "norm",
    "pool",
    "reduce",
    "shape",
]
