"""Cells: one step of an RNN, an LSTM or a GRU, in PyTorch's layout of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import allbps.functional as F
from allbps.errors import ArgumentError, ShapeError
from allbps.nn.model import Params

State = tuple[Any, ...]
"""(h,), and of an LSTM (h, c)."""


def rnn_cell(gates_x: Any, gates_h: Any, state: State, activation: Callable[[Any], Any]) -> State:
    """h′ = tanh(W x + b + U h + b′), or another function (Elman, "Finding structure in time").

    Args:
        gates_x: W x + b, (N, hidden).
        gates_h: U h + b′, (N, hidden).
        state: (h,).
        activation: the function.

    """
    return (activation(gates_x + gates_h),)


def lstm_cell(gates_x: Any, gates_h: Any, state: State) -> State:
    """c′ = σ(f) c + σ(i) tanh(g), h′ = σ(o) tanh(c′) (Hochreiter & Schmidhuber 1997; Gers 2000).

    Args:
        gates_x: W x + b, (N, 4 hidden): i, f, g and o.
        gates_h: U h + b′ likewise.
        state: (h, c).

    """
    i, f, g, o = np.split(gates_x + gates_h, 4, axis=-1)
    c = F.sigmoid(f) * state[1] + F.sigmoid(i) * np.tanh(g)
    return F.sigmoid(o) * np.tanh(c), c


def gru_cell(gates_x: Any, gates_h: Any, state: State) -> State:
    """h′ = (1 − z) n + z h, n = tanh(W x + b + r (U h + b′)) (Cho et al., arXiv:1406.1078).

    Args:
        gates_x: W x + b, (N, 3 hidden): r, z and n.
        gates_h: U h + b′ likewise.
        state: (h,).

    """
    (rx, zx, nx), (rh, zh, nh) = (np.split(gates, 3, axis=-1) for gates in (gates_x, gates_h))
    z = F.sigmoid(zx + zh)
    n = np.tanh(nx + F.sigmoid(rx + rh) * nh)
    return ((1.0 - z) * n + z * state[0],)


@dataclass(frozen=True)
class Recurrent:
    """What layers and cells share."""

    input_size: int
    hidden_size: int
    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    def step(self, gates_x: Any, gates_h: Any, state: State) -> State:
        """The next state."""
        raise NotImplementedError

    def drawn(self, rng: np.random.Generator, shapes: Mapping[str, tuple[int, ...]]) -> Params:
        """Parameters of these shapes, uniform between ±1/√hidden."""
        bound = 1 / np.sqrt(self.hidden_size) if self.hidden_size else 0.0
        return {
            name: np.asarray(rng.uniform(-bound, bound, shape), np.float32)
            for name, shape in shapes.items()
        }

    def started(self, state: Any, shapes: tuple[tuple[int, ...], ...], like: Any) -> State:
        """The state given, or zeros."""
        if state is None:
            return tuple(np.zeros(shape, like.dtype) for shape in shapes)
        given = state if isinstance(state, tuple) else (state,)
        got = tuple(np.shape(x) for x in given)
        if got != shapes:
            raise ShapeError("the state does not fit the layer", expected=str(shapes), got=str(got))
        return given


@dataclass(frozen=True)
class _Cell(Recurrent):
    """One step of one layer; called with (params, x (N, input) or (input,), state)."""

    bias: bool = True

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name of a parameter -> its shape."""
        wide = self.gates * self.hidden_size
        made: dict[str, tuple[int, ...]] = {
            "weight_ih": (wide, self.input_size),
            "weight_hh": (wide, self.hidden_size),
        }
        return made | ({"bias_ih": (wide,), "bias_hh": (wide,)} if self.bias else {})

    def init(self, rng: np.random.Generator) -> Params:
        """Parameters as PyTorch draws them: uniform between ±1/√hidden."""
        return self.drawn(rng, self.shapes())

    def __call__(self, params: Mapping[str, Any], x: Any, state: Any = None) -> Any:
        fits(type(self).__name__, x, self.input_size, (1, 2))
        shape = (*x.shape[:-1], self.hidden_size)
        h = self.started(state, (shape,) * self.states, x)
        gates_x = F.linear(x, params["weight_ih"], params.get("bias_ih"))
        gates_h = F.linear(h[0], params["weight_hh"], params.get("bias_hh"))
        new = self.step(gates_x, gates_h, h)
        return new if self.states > 1 else new[0]


@dataclass(frozen=True)
class RNNCell(_Cell):
    """``torch.nn.RNNCell``: h′ of (params, x, h).

    >>> cell = RNNCell(2, 3)
    >>> cell(cell.init(np.random.default_rng(0)), np.zeros((1, 2))).shape
    (1, 3)
    """

    nonlinearity: str = "tanh"

    def step(self, gates_x: Any, gates_h: Any, state: State) -> State:
        """See ``rnn_cell``."""
        return rnn_cell(gates_x, gates_h, state, activation_of(self.nonlinearity))


@dataclass(frozen=True)
class LSTMCell(_Cell):
    """``torch.nn.LSTMCell``: (h′, c′) of (params, x, (h, c))."""

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def step(self, gates_x: Any, gates_h: Any, state: State) -> State:
        """See ``lstm_cell``."""
        return lstm_cell(gates_x, gates_h, state)


@dataclass(frozen=True)
class GRUCell(_Cell):
    """``torch.nn.GRUCell``: h′ of (params, x, h)."""

    gates: ClassVar[int] = 3

    def step(self, gates_x: Any, gates_h: Any, state: State) -> State:
        """See ``gru_cell``."""
        return gru_cell(gates_x, gates_h, state)


def activation_of(name: str) -> Callable[[Any], Any]:
    """The function of that name.

    Raises:
        ArgumentError: it is neither.

    """
    if name not in ("tanh", "relu"):
        raise ArgumentError("unknown nonlinearity", expected="'tanh' or 'relu'", got=repr(name))
    return np.tanh if name == "tanh" else F.relu


def fits(name: str, x: Any, width: int, ndims: tuple[int, ...]) -> None:
    """Has x one of these numbers of axes, and the width?

    Raises:
        ShapeError: it has not.

    """
    if np.ndim(x) not in ndims or np.shape(x)[-1] != width:
        raise ShapeError(
            f"{name}: the input does not fit",
            expected=f"{' or '.join(map(str, ndims))} axes, the last of length {width}",
            got=str(np.shape(x)),
        )
