"""Rules that know rows and columns: Adafactor and Muon, as PyTorch has them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.optim.optimizer import Array, Optimizer, Slots, require
from allbps.optim.schedules import Schedule


@dataclass(frozen=True)
class Adafactor(Optimizer):
    """Adam's mean square as rows times columns (Shazeer & Stern, arXiv:1804.04235).

    As ``torch.optim.Adafactor``: of a matrix a mean square for each row and each column is
    remembered, of a vector that of each number; the step is relative to the size of the parameter.

    >>> adafactor, K = Adafactor(lr=0.1), np.ones((2, 3))
    >>> K, state = adafactor.update(K, 7 * K, adafactor.init(K))
    >>> float(K[0, 0].round(6)), state["row_var"].shape, state["col_var"].shape
    (0.9, (2, 1), (1, 3))
    """

    slots: ClassVar[tuple[str, ...]] = ("row_var", "col_var", "variance")
    usual_lr: ClassVar[float | None] = 1e-2

    lr: float | Schedule = 1e-2
    _: KW_ONLY
    beta2_decay: float = -0.8
    eps: tuple[float | None, float] = (None, 1e-3)
    d: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require("-beta2_decay", -self.beta2_decay, at_least=0.0)
        require("eps[0]", self.eps[0] or 0.0, at_least=0.0)
        require("eps[1]", self.eps[1], at_least=0.0)
        require("d", self.d, at_least=1.0)

    def slot_shape(self, slot: str, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        if len(shape) < 2:
            return shape if slot == "variance" else None
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}.get(slot)

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        eps = np.finfo(p.dtype).eps if self.eps[0] is None else self.eps[0]
        new = t**self.beta2_decay
        step = np.maximum(self.eps[1], _rms(p)) * np.minimum(lr, 1 / np.sqrt(t))
        if self.weight_decay:
            p = p * (1 - lr * self.weight_decay)
        if p.ndim < 2:
            variance = slots["variance"] + new * (g * g - slots["variance"])
            kept = {"variance": variance}
        else:
            rows = slots["row_var"] + new * (np.mean(g * g, -1, keepdims=True) - slots["row_var"])
            cols = slots["col_var"] + new * (np.mean(g * g, -2, keepdims=True) - slots["col_var"])
            # (…, m, 1) · (…, 1, n) over their common mean: (…, m, n)
            variance = rows * cols / np.maximum(np.mean(rows, -2, keepdims=True), eps)
            kept = {"row_var": rows, "col_var": cols}
        update = g / np.sqrt(np.maximum(variance, eps * eps))
        return p - step / np.maximum(1.0, _rms(update) / self.d) * update, kept


def _rms(x: Array) -> Any:
    """The root of the mean square."""
    return np.sqrt(np.mean(x * x))


@dataclass(frozen=True)
class Muon(Optimizer):
    """Momentum, made nearly orthogonal (Jordan, kellerjordan.github.io/posts/muon, 2024).

    As ``torch.optim.Muon``, for matrices alone, in the parameter's own precision: PyTorch rounds
    the products of ``ns_steps`` Newton–Schulz steps to bfloat16, which moves a step by 1 % to 3 %.
    ``adjust_lr_fn`` "match_rms_adamw" is that of arXiv:2502.16982.

    >>> muon, K = Muon(lr=0.1, weight_decay=0.0), np.zeros((2, 2))
    >>> moved = K - muon.update(K, np.diag([7.0, 0.3]), muon.init(K))[0]
    >>> bool(0.06 < moved[1, 1] < 0.13), bool(0.06 < moved[0, 0] < 0.13)  # 0.1, roughly
    (True, True)
    """

    slots: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    usual_lr: ClassVar[float | None] = 1e-3
    any_shape: ClassVar[bool] = False

    lr: float | Schedule = 1e-3
    _: KW_ONLY
    weight_decay: float = 0.1
    momentum: float = 0.95
    nesterov: bool = True
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315)
    eps: float = 1e-7
    ns_steps: int = 5
    adjust_lr_fn: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require("momentum", self.momentum, at_least=0.0)
        require("ns_steps", self.ns_steps, at_least=0, below=100)
        if self.adjust_lr_fn not in _ADJUSTED:
            raise ArgumentError(
                "adjust_lr_fn is not known", expected=" or ".join(map(repr, _ADJUSTED)),
                got=repr(self.adjust_lr_fn),
            )  # fmt: skip

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        if p.ndim != 2:
            raise ShapeError(
                "Muon moves matrices", expected="parameters of 2 axes", got=f"one of {p.ndim}",
                todo="AdamW for biases, norms and embeddings",
            )  # fmt: skip
        m = slots["momentum_buffer"]
        m = m + (1 - self.momentum) * (g - m)
        direction = self._orthogonal(g + self.momentum * (m - g) if self.nesterov else m)
        if self.weight_decay:
            p = p * (1 - lr * self.weight_decay)
        return p - lr * _ADJUSTED[self.adjust_lr_fn](*p.shape) * direction, {"momentum_buffer": m}

    def _orthogonal(self, x: Array) -> Array:
        """U Vᵀ of x = U S Vᵀ, roughly, by products alone: (m, n) -> (m, n)."""
        a, b, c = self.ns_coefficients
        turned = x.shape[0] > x.shape[1]
        x = x.T if turned else x
        x = x / np.maximum(np.sqrt(np.sum(x * x)), self.eps)
        for _ in range(self.ns_steps):
            gram = x @ x.T
            x = a * x + (b * gram + c * (gram @ gram)) @ x
        return x.T if turned else x


_ADJUSTED: dict[str | None, Callable[[int, int], float]] = {
    None: lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}
"""What a rate is multiplied by for a matrix of this many rows and columns."""
