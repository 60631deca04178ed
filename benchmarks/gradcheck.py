"""How fast and how right gradcheck is, beside PyTorch's: python benchmarks/gradcheck.py [--size N]

A small convolutional net of N inputs (100,000 by default). PyTorch's slow mode takes two runs of
the function for each of them; here it is timed on ``--columns`` of them, and its time for all is
that times N / columns. Then the cases on which PyTorch's check is known to err, and planted
mistakes.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

import allbps as bp

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.torch import _backwards as backwards

CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], bool]] = {
    "relu at 0": (torch.relu, (torch.zeros(5).double(),), True),
    "max_pool2d with ties": (
        lambda x: F.max_pool2d(x, 2),
        (torch.ones(1, 1, 4, 4).double(),),
        True,
    ),
    "float32": (lambda x: torch.tanh(x).sum(), (torch.randn(50),), True),
    "dropout": (lambda x: F.dropout(x, 0.5) * x, (torch.randn(20).double(),), True),
    "expanded input": (lambda x: (x**3).sum(), (torch.ones(1).double().expand(5),), True),
    **{
        f"planted: {function.__name__}": (
            function.apply,
            (torch.randn(4, 3).double(), torch.randn(3, 3).double())[:count],
            False,
        )
        for function, count in backwards.WRONG.items()
    },
}


def net(x: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(B, 3, n, n), (4, 3, 3, 3), (4, 4, 3, 3) → ()."""
    return F.conv2d(F.max_pool2d(F.conv2d(x, first).relu(), 2), second).square().sum()


def says(check: Callable[..., bool], f: Callable[..., Any], inputs: tuple[Any, ...]) -> bool:
    """What a check says; an error is a no."""
    given = tuple(x.detach().requires_grad_() for x in inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return check(f, given, raise_exception=False)
        except Exception:
            return False


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=100_000)
    options.add_argument("--columns", type=int, default=300)
    chosen = options.parse_args()
    torch.manual_seed(0)
    side = round((chosen.size / 3) ** 0.5)
    x = torch.randn(1, 3, side, side, dtype=torch.double, requires_grad=True)
    weights = [torch.randn(4, n, 3, 3, dtype=torch.double) / 5 for n in (3, 4)]

    def whole(x: torch.Tensor) -> torch.Tensor:
        return net(x, *weights)

    part = x.detach().reshape(-1)[: chosen.columns].clone().requires_grad_()
    rest = x.detach().reshape(-1)[chosen.columns :]
    start = time.perf_counter()
    right = bp.torch.gradcheck(whole, x)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    torch.autograd.gradcheck(lambda p: whole(torch.cat([p, rest]).reshape(x.shape)), part)
    theirs = (time.perf_counter() - start) * x.numel() / chosen.columns
    verdict = "right" if right else "WRONG"
    print(f"conv net of {x.numel():,} inputs: {verdict} in {ours:.1f} s")
    print(f"PyTorch's columns take {theirs:.0f} s, {theirs / ours:.0f} times as long")
    print(f"\n{'case':34} {'right is':9} {'allbps':9} {'PyTorch':9} PyTorch, fast_mode")
    for name, (f, inputs, wanted) in CASES.items():
        said = [
            says(bp.torch.gradcheck, f, inputs),
            says(torch.autograd.gradcheck, f, inputs),
            says(lambda *a, **k: torch.autograd.gradcheck(*a, fast_mode=True, **k), f, inputs),
        ]
        words = [("pass" if one else "fail") + "!" * (one != wanted) for one in said]
        print(f"{name:34} {'pass' if wanted else 'fail':9} {words[0]:9} {words[1]:9} {words[2]}")


if __name__ == "__main__":
    main()
