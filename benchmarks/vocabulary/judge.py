"""One OpInfo entry, sample by sample: PyTorch's values and gradients, and ours."""

from __future__ import annotations

import unittest
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch

import allbps as bp
import allbps.functional as F
from allbps.errors import AllBPsError
from vocabulary.determined import Determined
from vocabulary.names import resolve

RTOL = 1e-9
"""Of the largest number of a result."""
COARSER = {"nn.functional.hardsigmoid": 1e-7}
"""Where PyTorch itself is not as exact: it multiplies δ by 1/6 in single precision."""


@dataclass
class Verdict:
    """What came out of one entry."""

    entry: str
    right: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    missing: bool = False
    random: int = 0

    @property
    def whole(self) -> bool:
        """Is every sample right?"""
        return bool(self.right) and not (self.refused or self.wrong or self.crashed)


def entries() -> list[Any]:
    """The OpInfo entries that have a derivative in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return [
        Determined(op)
        for op in op_db
        if op.supports_autograd and torch.float64 in op.supported_dtypes("cpu")
    ]


def label(op: Any) -> str:
    """Name and variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def judge(op: Any, most: int | None = None, tell: bool = False) -> Verdict:
    """Every sample of an entry, or ``most`` of them spread evenly; no random ones."""
    verdict = Verdict(label(op))
    ours = resolve(op.name, op.variant_test_name)
    if ours is None:
        verdict.missing = True
        return verdict
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for sample in samples(op, most):
            try:
                told = difference(op, ours, sample)
            except AllBPsError as error:
                if "random generator" in error.what:  # other numbers than PyTorch's by their nature
                    verdict.random += 1
                    continue
                verdict.refused[error.what] += 1
                told = str(error)
            except Exception as error:
                told = f"{type(error).__name__}: {error}"
                verdict.crashed.append(f"{shown(sample)}: {told}")
            else:
                verdict.right += not told
                if told:
                    verdict.wrong.append(f"{shown(sample)}: {told}")
            if tell and told and len(verdict.wrong + verdict.crashed) + verdict.refused.total() < 5:
                print("   ", shown(sample), "\n       ", told.replace("\n", "\n        "))
    return verdict


def samples(op: Any, most: int | None) -> Iterator[Any]:
    """PyTorch's samples, the same in every run."""
    torch.manual_seed(0)
    made = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))
    step = max(1, len(made) // most) if most else 1
    return islice(iter(made[::step]), most)


def shown(sample: Any) -> str:
    """A sample in one line: shapes for tensors."""

    def one(x: Any) -> str:
        if isinstance(x, torch.Tensor):
            kind = "" if x.dtype == torch.float64 else str(x.dtype).removeprefix("torch.")
            return f"{kind}{tuple(x.shape)}"
        if isinstance(x, (list, tuple)):
            return "[" + ", ".join(map(one, x)) + "]"
        return repr(x)

    parts = [one(sample.input), *map(one, sample.args)]
    return ", ".join(parts + [f"{key}={one(x)}" for key, x in sample.kwargs.items()])


# -- from PyTorch to NumPy -------------------------------------------------------------------------
class Leaves:
    """The tensors of a call that want a gradient, in order."""

    def __init__(self, sample: Any) -> None:
        self.tensors: list[torch.Tensor] = []
        self._call = (sample.input, tuple(sample.args), dict(sample.kwargs))
        self._collect(self._call)

    def _collect(self, tree: Any) -> None:
        if isinstance(tree, torch.Tensor):
            if tree.requires_grad and all(tree is not x for x in self.tensors):
                self.tensors.append(tree)
        elif isinstance(tree, (list, tuple)):
            for part in tree:
                self._collect(part)
        elif isinstance(tree, dict):
            self._collect(list(tree.values()))

    def call(self, function: Callable[..., Any], arrays: list[Any] | None) -> Any:
        """The function with PyTorch's arguments as NumPy's; the leaves are ``arrays``."""
        of = {id(x): a for x, a in zip(self.tensors, arrays or (), strict=False)}

        def one(x: Any) -> Any:
            if id(x) in of:
                return of[id(x)]
            if isinstance(x, torch.Tensor):
                return plain_array(x)[()]
            if isinstance(x, torch.dtype):
                return np.dtype(str(x).removeprefix("torch."))
            if isinstance(x, (list, tuple)):
                return tuple(x) if isinstance(x, torch.Size) else type(x)(map(one, x))
            if isinstance(x, torch.nn.PairwiseDistance):
                return partial(F.pairwise_distance, p=x.norm, eps=x.eps, keepdim=x.keepdim)
            return x

        first, args, kwargs = self._call
        return function(one(first), *map(one, args), **{k: one(x) for k, x in kwargs.items()})


def tensors_of(result: Any) -> list[torch.Tensor]:
    """The tensors of a result in order."""
    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, (list, tuple)):
        return [x for part in result for x in tensors_of(part)]
    return []


def arrays_of(result: Any) -> list[Any]:
    """The arrays of a result in order."""
    if isinstance(result, (list, tuple)):
        return [x for part in result for x in arrays_of(part)]
    return [] if result is None else [result]


def difference(op: Any, ours: Callable[..., Any], sample: Any) -> str:
    """Where our values or gradients are not PyTorch's; empty if nowhere."""
    leaves, rtol = Leaves(sample), COARSER.get(op.name, RTOL)
    theirs = tensors_of(op(sample.input, *sample.args, **sample.kwargs))
    plain = [plain_array(x)[()] for x in leaves.tensors]
    values = arrays_of(leaves.call(ours, [plain_array(x)[()] for x in leaves.tensors]))
    if len(values) != len(theirs):
        return f"{len(values)} results, PyTorch has {len(theirs)}"
    for k, (got, want) in enumerate(zip(values, theirs, strict=True)):
        told = unequal(got, want.detach().resolve_conj().numpy(), rtol)
        if told:
            return f"result {k}: {told}"
    chosen = [k for k, y in enumerate(theirs) if y.requires_grad]
    if not chosen or not leaves.tensors:
        return ""
    rng = np.random.default_rng(0)
    cotangents = [_cotangent(rng, theirs[k]) for k in chosen]
    found = torch.autograd.grad(
        [theirs[k] for k in chosen],
        leaves.tensors,
        [
            torch.tensor(np.conj(g), dtype=theirs[k].dtype)
            for k, g in zip(chosen, cotangents, strict=True)
        ],
        allow_unused=True,
    )

    def chosen_results(*xs: Any) -> Any:
        made = arrays_of(leaves.call(ours, list(xs)))
        return [made[k] for k in chosen]

    _, pullback = bp.vjp(chosen_results, *plain)
    fitting = [g.astype(values[k].dtype) for k, g in zip(chosen, cotangents, strict=True)]
    for k, (got, want, x) in enumerate(zip(pullback(fitting), found, plain, strict=True)):
        told = unequal(got, np.zeros(x.shape) if want is None else (0 + want).numpy(), rtol)
        if told and fails_its_own_test(op):
            told = unequal(got, _by_differences(op, sample, leaves.tensors[k], chosen, cotangents))
        if told:
            return f"δ of tensor {k}: {told}"
    return ""


def fails_its_own_test(op: Any) -> bool:
    """Does PyTorch expect its gradient of this entry to be another than that of its values?"""
    return any(
        unittest.expectedFailure in getattr(mark, "decorators", ())
        and (mark.cls_name, mark.test_name) == ("TestBwdGradients", "test_fn_grad")
        for mark in op.decorators
    )


def _by_differences(
    op: Any, sample: Any, leaf: torch.Tensor, chosen: list[int], cotangents: list[Any]
) -> Any:
    """δ of a tensor by central differences of PyTorch's values; h is a power of 2."""
    found, h = np.zeros(tuple(leaf.shape)), 2.0**-10

    def loss() -> float:
        made = tensors_of(op(sample.input, *sample.args, **sample.kwargs))
        pairs = zip((made[k].numpy() for k in chosen), cotangents, strict=True)
        return float(sum(np.sum(y * g) for y, g in pairs))

    with torch.no_grad():
        for place in np.ndindex(found.shape):
            kept = leaf[place].clone()
            leaf[place] = kept + h
            above = loss()
            leaf[place] = kept - h
            found[place] = (above - loss()) / (2 * h)
            leaf[place] = kept
    return found


def plain_array(x: torch.Tensor) -> Any:
    """A copy; a part of a larger memory is a part of a copy of that."""
    x = x.detach().resolve_conj().resolve_neg()
    size = x.untyped_storage().size() // x.element_size()
    if x.layout != torch.strided or x.numel() == size or not x.is_contiguous():
        return x.numpy().copy()
    whole = x.as_strided((size,), (1,), 0).numpy().copy()
    first = x.storage_offset()
    return whole[first : first + x.numel()].reshape(tuple(x.shape))


def _cotangent(rng: np.random.Generator, y: torch.Tensor) -> Any:
    """Random numbers; PyTorch's are the conjugates of ours."""
    drawn = rng.normal(size=tuple(y.shape))
    return drawn + 1j * rng.normal(size=drawn.shape) if y.dtype.is_complex else drawn


def unequal(got: Any, want: Any, rtol: float = RTOL) -> str:
    """How two arrays differ; empty if they do not."""
    got = np.asarray(got)
    if got.shape != want.shape:
        return f"shape {got.shape}, PyTorch has {want.shape}"
    if not want.size:
        return ""
    real = want if want.dtype.kind in "fc" else want.astype(float)
    scale = max(1.0, float(np.max(np.abs(real[np.isfinite(real)]), initial=0.0)))
    rtol = 1e-5 if want.dtype in (np.float32, np.complex64) else rtol
    if np.allclose(got, want, rtol=rtol, atol=rtol * scale, equal_nan=True):
        return ""
    place = np.unravel_index(
        int(np.argmax(~np.isclose(got, want, rtol=rtol, atol=rtol * scale, equal_nan=True))),
        want.shape,
    )
    return f"{got[place]!r} at {tuple(map(int, place))}, PyTorch has {want[place]!r}"
