"""The door of ``bp.check``: to PyTorch's functions, and to those of arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from allbps.verify import Report
from allbps.verify import check as check_arrays


@wraps(check_arrays)
def check(
    f: Callable[..., Any], /, *xs: Any, gradients: Any = None, cotangent: Any = None,
    decimals: int | None = None, judges: Sequence[str] | None = None, seed: int = 0, **kwargs: Any,
) -> Report:  # fmt: skip
    """See ``verify.check``, and ``torch.check`` for what PyTorch differentiates."""
    if "torch" in sys.modules and _concerns_torch(f, xs, gradients):
        from allbps.torch.check import check_torch

        options = {"decimals": decimals, "judges": judges, "seed": seed}
        return check_torch(f, xs, gradients, options)
    return check_arrays(
        f, *xs, gradients=gradients, cotangent=cotangent, decimals=decimals, judges=judges,
        seed=seed, **kwargs,
    )  # fmt: skip


def _concerns_torch(f: Any, xs: Sequence[Any], gradients: Any) -> bool:
    from allbps.verify.torchs import concerns_torch

    return concerns_torch(f, xs, gradients)
