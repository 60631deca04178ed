"""Steps and scores in native code, for the estimators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError, DivergedError
from allbps.machine.compile import compile as compile_function
from allbps.optim import Optimizer
from allbps.sklearn.layers import Net, Params
from allbps.sklearn.shelf import SHELF

AT_ONCE = 256
"""Rows that are scored at once: always so many, so that a row's scores depend on no other row."""
Loss = Callable[[Any, Any], Any]
"""(scores (N, K), targets (N, …)) -> the loss of each row (N,)."""


class Fitting:
    """One call of ``fit`` or ``partial_fit``: rows with targets and weights, learnt by epochs.

    A row more, of weight 0, fills up the last mini-batch: one compiled step does for all.

    Args:
        net: what is fitted.
        loss: of each row.
        x: rows (N, …).
        targets: (N, …).
        weights: (N,), not all 0.
        penalty: of the squares of all weights, by the whole weight of a mini-batch.
        batch: rows a step.
        dtype: what is computed in.

    """

    def __init__(
        self, net: Net, loss: Loss, x: NDArray[Any], targets: NDArray[Any], weights: NDArray[Any],
        penalty: float, batch: int, dtype: np.dtype[Any],
    ) -> None:  # fmt: skip
        self.net, self.loss, self.batch, self.count = net, loss, batch, len(x)
        self.x = _with_a_row_more(x, dtype).reshape(-1, *net.shape)
        whole = targets.dtype.kind != "f"
        self.targets = _with_a_row_more(targets, targets.dtype if whole else dtype)
        # by the largest, so that no sum of weights leaves the range of float32
        self.weights = _with_a_row_more(weights / weights.max(), np.dtype(np.float64))
        self.shares = self.weights.astype(dtype, copy=False)
        self.penalty = np.full(len(self.x), penalty / weights.max(), dtype)

    def step(
        self, params: Params, optimiser: Optimizer, threads: Any
    ) -> AbstractContextManager[Any]:
        """The compiled step, which nobody else has inside; its parameters are to be set."""
        rows = np.arange(self.batch) % len(self.x)
        data = [part[rows] for part in (self.x, self.targets, self.shares, self.penalty)]
        penalised = bool(self.penalty[0])
        x = data[0]
        key = (self.net, self.loss, optimiser, penalised, x.shape, x.dtype, threads)
        objective = _objective(self.net, self.loss, penalised)
        return SHELF.taken(
            key,
            lambda: compile_function(
                objective, params, *data, params="params", optimizer=optimiser, threads=threads
            ),
        )

    def epochs(self, step: Any, orders: Sequence[NDArray[np.int64]]) -> list[float]:
        """Take the steps of some epochs; for each the mean loss before each step, by weight.

        Args:
            step: the compiled step.
            orders: for each epoch, the rows in the order in which they are visited.

        Raises:
            DivergedError: a loss is not a finite number.

        """
        steps = -(-self.count // self.batch)
        rows = np.full((len(orders), steps * self.batch), self.count)
        rows[:, : self.count] = orders
        rows = rows.reshape(-1, self.batch)
        losses = step.run_epoch(
            self.x, self.targets, self.shares, self.penalty, order=rows, allow_nonfinite=True
        )
        if not np.isfinite(losses[-1]):
            raise DivergedError(
                f"the loss became {losses[-1]}",
                expected="finite numbers",
                todo="scale X, as StandardScaler does, or give a smaller learning_rate_init",
            )
        total = self.weights[rows].sum(axis=1)
        of_epochs = (total * losses).reshape(-1, steps).sum(axis=1)
        return [float(mean) for mean in of_epochs / total.reshape(-1, steps).sum(axis=1)]


def _with_a_row_more(rows: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A copy in the dtype, with a row of zeros at the end."""
    found: NDArray[Any] = np.empty((len(rows) + 1, *rows.shape[1:]), dtype)
    _put(found[:-1], rows)
    found[-1] = 0
    return found


def _put(to: NDArray[Any], rows: NDArray[Any]) -> None:
    """Write rows where they are computed with.

    Raises:
        ArgumentError: they are too large for that kind of number.

    """
    try:
        with np.errstate(over="raise"):
            to[...] = rows
    except FloatingPointError as error:
        raise ArgumentError(
            f"a number is too large for {to.dtype}",
            expected=f"numbers up to {np.finfo(to.dtype).max:.3g}",
            got=f"{np.abs(rows).max():.3g}",
            todo='scale X and y, as StandardScaler does, or precision="float64"',
        ) from error


def _objective(net: Net, loss: Loss, penalised: bool) -> Callable[..., Any]:
    """The loss of a mini-batch; it holds no data, since compiled steps outlive a fit."""

    def objective(params: Any, x: Any, targets: Any, weights: Any, penalty: Any) -> Any:
        total = np.sum(weights)
        whole = np.sum(weights * loss(net(params, x), targets))
        if penalised:
            squares = sum(np.sum(params[name] ** 2) for name in params if name[0] == "W")
            whole = whole + np.where(total > 0, 0.5 * penalty[0], 0.0) * squares
        return whole / np.where(total > 0, total, 1.0)  # rows of no weight teach nothing

    return objective


def scores(net: Net, params: Params, x: NDArray[Any], threads: Any) -> NDArray[Any]:
    """The scores (N, K) of rows (N, …)."""
    dtype = next(iter(params.values())).dtype
    piece = np.zeros((AT_ONCE, *net.shape), dtype)
    found = []
    with SHELF.taken(
        (net, "forward", dtype, threads),
        lambda: compile_function(net, params, piece, threads=threads),
    ) as forward:
        for start in range(0, len(x), AT_ONCE):
            part = x[start : start + AT_ONCE]
            _put(piece[: len(part)], part.reshape(-1, *net.shape))
            found.append(np.array(forward(params, piece))[: len(part)])
    return np.concatenate(found)
