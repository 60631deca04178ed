"""What both estimators do."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from allbps.errors import ArgumentError, DivergedError, unknown_name
from allbps.optim import SGD, Adam, Optimizer
from allbps.sklearn.fitting import AT_ONCE, Fitting, Loss, scores
from allbps.sklearn.layers import Dense, Layer, Net, Params, checked, hidden

SOLVERS = ("adam", "sgd")
PRECISIONS = ("auto", "float32", "float64")
FLOATS = (np.float64, np.float32)
LARGEST_BATCH = 200
ROWS_AT_ONCE = 1 << 14
WORTH_THREADS = 1 << 22
"""Products of a forward pass above which several threads pay, also beside other programs."""


class BPEstimator(BaseEstimator):  # type: ignore[misc]
    """Fitting by mini-batches in native code; the loss and the targets are a subclass's."""

    @property
    def _loss(self) -> Loss:
        """Of each row."""
        raise NotImplementedError

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        layers: Any = None,
        image_shape: Any = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        precision: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.layers = layers
        self.image_shape = image_shape
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.precision = precision
        self.n_jobs = n_jobs

    def _targets(self, y: Any) -> NDArray[Any]:
        """Targets as the loss takes them."""
        raise NotImplementedError

    def _outputs(self) -> int:
        raise NotImplementedError

    # ---- fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, epochs: int, fresh: bool) -> Any:
        self._check_options()
        X, y, weights = self._checked(X, y, sample_weight, fresh)
        rng = self._generator(fresh)
        targets = self._targets(y)
        held = None
        if self.early_stopping and epochs > 1:
            X, targets, weights, held = self._held_out(X, y, targets, weights, rng)
        if not weights.any():
            raise ArgumentError(
                "every row has weight 0",
                expected="a row to learn from",
                todo="look at sample_weight and class_weight",
            )
        batch = self._batch(X.shape[0])
        if fresh:
            self._start(X, batch, rng)
        else:
            self._check_same(X)
        fitting = Fitting(
            self._net, self._loss, X, targets, weights, self.alpha, batch, self._dtype
        )
        self._epochs(fitting, epochs, rng, held)
        return self

    def _chosen(self, X: Any) -> Net:
        """The net that the options describe."""
        return Net((*self._hidden(), Dense(self._outputs())), self._shape(X.shape[1]))

    def _check_same(self, X: Any) -> None:
        """Refuse to go on with another net, or another rule, than the last call left.

        Raises:
            ArgumentError: an option was changed since.

        """
        new = self._optimiser().init({"params": self._params})
        for what, before, now in (
            ("net", self._net, self._chosen(X)),
            ("solver", sorted(self._memory), sorted(new)),
        ):
            if before != now:
                raise ArgumentError(
                    f"the {what} is not that of the last fit, and fitting cannot go on with it",
                    expected=f"{before}, as before",
                    got=f"{now}",
                    todo="a new estimator, or warm_start=False",
                )

    def _start(self, X: Any, batch: int, rng: np.random.Generator) -> None:
        """Initialize the net."""
        self._net = self._chosen(X)
        small = X.dtype == np.float64 and X.shape[0] <= batch
        wanted = ("float64" if small else "float32") if self.precision == "auto" else self.precision
        self._dtype = np.dtype(wanted)
        self._params = self._net.init(rng, self._dtype)
        self._memory = self._optimiser().init({"params": self._params})
        self.loss_curve_: list[float] = []
        self.n_iter_, self.t_ = 0, 0
        if self.early_stopping:
            self.validation_scores_: list[float] = []

    def _epochs(self, fitting: Fitting, epochs: int, rng: np.random.Generator, held: Any) -> None:
        """Learn until the loss, or the score of what is held out, no longer gets better."""
        threads = self._threads(fitting.batch)
        with fitting.step(self._params, self._optimiser(), threads) as step:
            step.params = {"params": self._params}
            step.optimizer_state = self._memory
            kept = self._learn(fitting, step, epochs, rng, held)
            self._params = kept or step.params["params"]
            self._memory = step.optimizer_state
        if not all(np.isfinite(array).all() for array in self._params.values()):
            raise DivergedError(
                "the parameters are no longer finite",
                todo="scale X, as StandardScaler does, or give a smaller learning_rate_init",
            )
        self.loss_ = self.loss_curve_[-1]
        if held is not None:
            self.best_validation_score_ = max(self.validation_scores_)

    def _learn(
        self, fitting: Fitting, step: Any, epochs: int, rng: np.random.Generator, held: Any
    ) -> Params | None:
        """The parameters with the best score, where something is held out."""
        best, stale, kept, left = -math.inf, 0, None, epochs
        while left:
            at_once = 1 if held or self.verbose else self._at_once(fitting.count)
            at_once = min(left, self.n_iter_no_change - stale, at_once)
            orders = [self._order(fitting.count, rng) for _ in range(at_once)]
            for loss in fitting.epochs(step, orders):
                self._note(loss, fitting.count)
                now = -loss
                if held is not None:
                    self._params = step.params["params"]
                    now = self._score(*held)
                    self.validation_scores_.append(now)
                    if now > max(self.validation_scores_[:-1], default=-math.inf):
                        kept = self._params
                stale = 0 if now > best + self.tol else stale + 1
                best = max(best, now)
            left -= at_once
            if stale >= self.n_iter_no_change and epochs > 1:
                return kept
        self._not_converged(epochs)
        return kept

    def _at_once(self, count: int) -> int:
        """Epochs that are learnt without coming back to Python: short ones."""
        return max(1, ROWS_AT_ONCE // count)

    def _order(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.permutation(count) if self.shuffle else np.arange(count)

    def _note(self, loss: float, count: int) -> None:
        self.loss_curve_.append(loss)
        self.n_iter_ += 1
        self.t_ += count
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")

    def _not_converged(self, epochs: int) -> None:
        if epochs > 1:
            warnings.warn(
                f"the loss was still falling after {epochs} epochs (max_iter)",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _held_out(
        self, X: Any, y: Any, targets: Any, weights: Any, rng: np.random.Generator
    ) -> tuple[Any, Any, Any, Any]:
        """(what is learnt: X, targets, weights; what decides when to stop: X, y, weights)."""
        split = train_test_split(
            X, y, targets, weights,
            test_size=self.validation_fraction,
            random_state=int(rng.integers(2**31)),
            stratify=y if hasattr(self, "classes_") and y.ndim == 1 else None,
        )  # fmt: skip
        X, held_x, _, held_y, targets, _, weights, held_weights = split
        return X, targets, weights, (held_x, held_y, held_weights)

    def _score(self, X: Any, y: Any, weights: Any) -> float:
        raise NotImplementedError

    def _scores(self, X: Any) -> NDArray[Any]:
        return scores(self._net, self._params, X, self._threads(AT_ONCE))

    def _scores_of(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=FLOATS, accept_sparse="csr")
        return self._scores(X)

    def _threads(self, rows: int) -> int | None:
        """How many compute; None leaves it to the machine."""
        if self.n_jobs is not None:
            return None if self.n_jobs < 0 else int(self.n_jobs)
        products = rows * sum(array.size for array in self._params.values())
        return None if products > WORTH_THREADS else 1

    # ---- options

    def _check_options(self) -> None:
        """Refuse options out of range.

        Raises:
            ArgumentError, NameUnknownError: one is.

        """
        if self.solver not in SOLVERS:
            raise unknown_name(self.solver, list(SOLVERS), "solver")
        if self.precision not in PRECISIONS:
            raise unknown_name(self.precision, list(PRECISIONS), "precision")
        for name, least, whole in (
            ("max_iter", 1, True), ("n_iter_no_change", 1, True), ("alpha", 0, False),
            ("learning_rate_init", 0, False), ("tol", 0, False),
        ):  # fmt: skip
            value = getattr(self, name)
            kind = numbers.Integral if whole else numbers.Real
            if not isinstance(value, kind) or not least <= float(value) < math.inf:
                raise ArgumentError(
                    f"{name} is out of range",
                    expected=f"a {'whole ' if whole else ''}number from {least}",
                    got=repr(value),
                )
        if self.n_jobs is not None and (
            not isinstance(self.n_jobs, numbers.Integral) or self.n_jobs == 0
        ):
            raise ArgumentError(
                "n_jobs is out of range",
                expected="a whole number from 1; -1 or None for as many as pay",
                got=repr(self.n_jobs),
            )
        if not 0 < self.validation_fraction < 1:
            raise ArgumentError(
                "validation_fraction is out of range",
                expected="a number between 0 and 1",
                got=repr(self.validation_fraction),
            )

    def _checked(self, X: Any, y: Any, sample_weight: Any, fresh: bool) -> tuple[Any, Any, Any]:
        X, y = validate_data(
            self, X, y, reset=fresh, dtype=FLOATS, multi_output=True, accept_sparse="csr"
        )
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        return X, y, weights

    def _generator(self, fresh: bool) -> np.random.Generator:
        """Random numbers of this call; those of ``partial_fit`` go on where the last call ended."""
        if fresh or not hasattr(self, "_random"):
            seed = check_random_state(self.random_state).randint(2**31)
            self._random = np.random.default_rng(seed)
        return self._random

    def _batch(self, count: int) -> int:
        if self.batch_size == "auto":
            return min(LARGEST_BATCH, count)
        if not isinstance(self.batch_size, numbers.Integral) or self.batch_size < 1:
            raise ArgumentError(
                "batch_size is out of range",
                expected="'auto', or a whole number of at least 1",
                got=repr(self.batch_size),
            )
        return min(int(self.batch_size), count)

    def _hidden(self) -> tuple[Layer, ...]:
        if self.layers is not None:
            return checked(self.layers)
        sizes = self.hidden_layer_sizes
        return hidden(
            [int(sizes)] if isinstance(sizes, numbers.Integral) else sizes, self.activation
        )

    def _shape(self, features: int) -> tuple[int, ...]:
        """The shape of one example."""
        if self.image_shape is not None:
            sizes = np.ravel(self.image_shape).tolist()
            if not all(isinstance(n, int) for n in sizes) or math.prod(sizes) != features:
                raise ArgumentError(
                    "image_shape does not fit X",
                    expected=f"(channels, height, width) of {features} numbers together",
                    got=repr(self.image_shape),
                )
            return tuple(sizes)
        if self.layers is None or all(isinstance(layer, (Dense, str)) for layer in self.layers):
            return (features,)
        side = math.isqrt(features)
        return (1, side, side) if side * side == features else (features,)

    def _optimiser(self) -> Optimizer:
        if self.solver == "adam":
            return Adam(self.learning_rate_init, betas=(self.beta_1, self.beta_2), eps=self.epsilon)
        nesterov = bool(self.nesterovs_momentum and self.momentum > 0)
        return SGD(self.learning_rate_init, momentum=self.momentum, nesterov=nesterov)

    # ---- what was learnt

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """The weights, layer by layer: (inputs, outputs), or (out, in, h, w) of a convolution."""
        found = [array for name, array in self._params.items() if name[0] == "W"]
        return [array.T if array.ndim == 2 else array for array in found]

    @property
    def intercepts_(self) -> list[NDArray[Any]]:
        """The biases, layer by layer."""
        return [array for name, array in self._params.items() if name[0] == "b"]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_params")
