"""Steps and scores in native code, for the estimators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from allbps.errors import DivergedError
from allbps.machine.compile import compile as compile_function
from allbps.optim import Optimizer
from allbps.sklearn.layers import Net, Params
from allbps.sklearn.rows import DENSE, dense, put, with_a_row_more
from allbps.sklearn.shelf import SHELF

AT_ONCE = 256
"""Rows that are scored at once: always so many, so that a row's scores depend on no other row."""
FILLED = 16
"""A mini-batch of all rows is filled up to a multiple of so many."""
Loss = Callable[[Any, Any], Any]
"""(scores (N, K), targets (N, …)) -> the loss of each row (N,)."""


class Fitting:
    """One call of ``fit`` or ``partial_fit``: rows with targets and weights, learnt by epochs.

    A row more, of weight 0, fills up the last mini-batch: one compiled step does for all. A batch
    of all rows is filled up too, so that folds that differ by some rows share compiled code.

    Args:
        net: what is fitted.
        loss: of each row.
        x: rows (N, features), an array or a sparse matrix.
        targets: (N, …).
        weights: (N,), not all 0.
        penalty: of the squares of all weights, by the whole weight of a mini-batch.
        batch: rows a step.
        dtype: what is computed in.

    """

    def __init__(
        self, net: Net, loss: Loss, x: Any, targets: NDArray[Any], weights: NDArray[Any],
        penalty: float, batch: int, dtype: np.dtype[Any],
    ) -> None:  # fmt: skip
        self.net, self.loss, self.count = net, loss, len(weights)
        self.batch = batch if batch < self.count else -(-self.count // FILLED) * FILLED
        self._x = with_a_row_more(x, dtype)
        if not issparse(x):
            self._x = self._x.reshape(-1, *net.shape)
        whole = targets.dtype.kind != "f"
        self.targets = with_a_row_more(targets, targets.dtype if whole else dtype)
        # by the largest, so that no sum of weights leaves the range of float32
        self.weights = with_a_row_more(weights / weights.max(), np.dtype(np.float64))
        self.shares = self.weights.astype(dtype, copy=False)
        self.penalty = np.full(len(self.weights), penalty / weights.max(), dtype)

    def step(
        self, params: Params, optimiser: Optimizer, threads: Any
    ) -> AbstractContextManager[Any]:
        """The compiled step, which nobody else has inside; its parameters are to be set."""
        data = self._data(np.arange(self.batch) % len(self.weights))
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

    def _data(self, rows: NDArray[np.int64]) -> list[NDArray[Any]]:
        """These rows, their targets, weights and penalty."""
        x = dense(self._x[rows]).reshape(-1, *self.net.shape)
        return [x, *(part[rows] for part in (self.targets, self.shares, self.penalty))]

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
        losses = self._losses(step, rows)
        if not np.isfinite(losses[-1]):
            raise DivergedError(
                f"the loss became {losses[-1]}",
                expected="finite numbers",
                todo="scale X, as StandardScaler does, or give a smaller learning_rate_init",
            )
        total = self.weights[rows].sum(axis=1)
        of_epochs = (total * losses).reshape(-1, steps).sum(axis=1)
        return [float(mean) for mean in of_epochs / total.reshape(-1, steps).sum(axis=1)]

    def _losses(self, step: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Take the steps, (steps, batch): the loss before each, to the first that is not finite."""
        if not issparse(self._x):
            whole = self._x, self.targets, self.shares, self.penalty
            return np.asarray(step.run_epoch(*whole, order=rows, allow_nonfinite=True))
        each = max(1, DENSE // (self.batch * self._x.shape[1] * self._x.dtype.itemsize))
        found: list[NDArray[Any]] = []
        for start in range(0, len(rows), each):
            part = rows[start : start + each]
            order = np.arange(part.size).reshape(part.shape)
            data = self._data(part.ravel())
            found.append(step.run_epoch(*data, order=order, allow_nonfinite=True))
            if not np.isfinite(found[-1][-1]):
                break
        return np.concatenate(found)


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


def scores(net: Net, params: Params, x: Any, threads: Any) -> NDArray[Any]:
    """The scores (N, K) of rows (N, features), an array or a sparse matrix."""
    dtype = next(iter(params.values())).dtype
    piece = np.zeros((AT_ONCE, *net.shape), dtype)
    found = []
    with SHELF.taken(
        (net, "forward", dtype, threads),
        lambda: compile_function(net, params, piece, threads=threads),
    ) as forward:
        for start in range(0, x.shape[0], AT_ONCE):
            part = dense(x[start : start + AT_ONCE])
            put(piece[: len(part)], part.reshape(-1, *net.shape))
            found.append(np.array(forward(params, piece))[: len(part)])
    return np.concatenate(found)
