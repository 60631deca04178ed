"""RNN, LSTM and GRU over whole sequences, in PyTorch's layout of weights and under its names.

A layer is a description; ``init`` draws its parameters, and calling it computes. The names are
those of ``torch.nn.LSTM(…).state_dict()``, so that a state dict of PyTorch's is a dict of
parameters here.

>>> import numpy as np
>>> layer = LSTM(3, 4, num_layers=2, bidirectional=True)
>>> params = layer.init(np.random.default_rng(0))
>>> params["weight_ih_l1_reverse"].shape
(16, 8)
>>> output, (h, c) = layer(params, np.zeros((5, 2, 3)))
>>> output.shape, h.shape, c.shape
((5, 2, 8), (4, 2, 4), (4, 2, 4))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import allbps.functional as F
from allbps.errors import ArgumentError
from allbps.nn.cells import (
    Recurrent,
    State,
    activation_of,
    fits,
    gru_cell,
    lstm_cell,
    rnn_cell,
)
from allbps.nn.model import Params


@dataclass(frozen=True)
class _Layers(Recurrent):
    """Layers over time; called with (params, x, state), see ``LSTM``."""

    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False
    proj_size: int = 0

    def __post_init__(self) -> None:
        right = self.num_layers >= 1 and 0 <= self.dropout <= 1
        projects = self.states == 2 and 0 <= self.proj_size < self.hidden_size
        if not right or (self.proj_size and not projects):
            raise ArgumentError(
                f"{type(self).__name__}: an option makes no sense",
                expected="num_layers from 1, dropout a probability, and of an LSTM alone a"
                " proj_size below hidden_size",
                got=f"num_layers={self.num_layers}, dropout={self.dropout},"
                f" proj_size={self.proj_size}",
            )

    @property
    def directions(self) -> tuple[str, ...]:
        """How the names of parameters end."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def shown_size(self) -> int:
        """How wide h is."""
        return self.proj_size or self.hidden_size

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name of a parameter -> its shape, in PyTorch's order."""
        made: dict[str, tuple[int, ...]] = {}
        wide = self.gates * self.hidden_size
        for layer in range(self.num_layers):
            width = self.shown_size * len(self.directions) if layer else self.input_size
            for end in (f"_l{layer}{direction}" for direction in self.directions):
                made |= {f"weight_ih{end}": (wide, width),
                         f"weight_hh{end}": (wide, self.shown_size)}  # fmt: skip
                if self.bias:
                    made |= {f"bias_ih{end}": (wide,), f"bias_hh{end}": (wide,)}
                if self.proj_size:
                    made[f"weight_hr{end}"] = (self.proj_size, self.hidden_size)
        return made

    def init(self, rng: np.random.Generator) -> Params:
        """Parameters as PyTorch draws them: uniform between ±1/√hidden."""
        return self.drawn(rng, self.shapes())

    def __call__(
        self,
        params: Mapping[str, Any],
        x: Any,
        state: Any = None,
        *,
        training: bool = False,
        rng: Any = None,
    ) -> Any:
        fits(type(self).__name__, x, self.input_size, (2, 3))
        single = np.ndim(x) == 2
        steps = x[:, None] if single else np.swapaxes(x, 0, 1) if self.batch_first else x
        batch, n = steps.shape[1], self.num_layers * len(self.directions)
        widths = (self.shown_size, self.hidden_size)[: self.states]
        shapes = tuple((n, w) if single else (n, batch, w) for w in widths)
        start = self.started(state, shapes, x)
        start = tuple(s[:, None] for s in start) if single else start
        ends: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for k, direction in enumerate(self.directions):
                place = layer * len(self.directions) + k
                first = tuple(s[place] for s in start)
                output, end = self._run(params, f"_l{layer}{direction}", steps, first, bool(k))
                outputs.append(output)
                ends.append(end)
            steps = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
            if training and self.dropout and layer < self.num_layers - 1:
                steps = F.dropout(steps, self.dropout, rng=rng)
        last = tuple(np.stack([end[j] for end in ends]) for j in range(self.states))
        if single:
            steps, last = steps[:, 0], tuple(s[:, 0] for s in last)
        elif self.batch_first:
            steps = np.swapaxes(steps, 0, 1)
        return steps, last if self.states > 1 else last[0]

    def _run(
        self, params: Mapping[str, Any], end: str, steps: Any, state: State, backwards: bool
    ) -> tuple[Any, State]:
        """One layer in one direction: (T, N, width) -> (T, N, shown), and the last state."""
        recurrent, shift = params[f"weight_hh{end}"], params.get(f"bias_hh{end}")
        # all times at once: (T, N, in) · (in, gates)
        gates = F.linear(steps, params[f"weight_ih{end}"], params.get(f"bias_ih{end}"))
        outputs: list[Any] = []
        times = range(len(steps))
        for t in reversed(times) if backwards else times:
            state = self.step(gates[t], F.linear(state[0], recurrent, shift), state)
            if self.proj_size:
                state = (F.linear(state[0], params[f"weight_hr{end}"]), *state[1:])
            outputs.append(state[0])
        return np.stack(outputs[::-1] if backwards else outputs), state


@dataclass(frozen=True)
class RNN(_Layers):
    """``torch.nn.RNN``; see ``LSTM``, with one state, h.

    >>> layer = RNN(2, 3, nonlinearity="relu")
    >>> output, h = layer(layer.init(np.random.default_rng(0)), np.zeros((4, 1, 2)))
    >>> output.shape, h.shape
    ((4, 1, 3), (1, 1, 3))
    """

    nonlinearity: str = "tanh"

    def step(self, gates_x: Any, gates_h: Any, state: State) -> State:
        """See ``rnn_cell``."""
        return rnn_cell(gates_x, gates_h, state, activation_of(self.nonlinearity))


@dataclass(frozen=True)
class LSTM(_Layers):
    """``torch.nn.LSTM``: called with (params, x, (h, c)), gives (output, (h, c)).

    Attributes:
        input_size: how wide x is: (T, N, input), (N, T, input) with ``batch_first``, or (T, input).
        hidden_size: how wide a state is.
        num_layers: layers on top of each other.
        bias: have the gates shifts?
        batch_first: are examples the first axis of x and of the output?
        dropout: the share of each output but the last layer's that is left out in training;
            called with ``training=True, rng=…``.
        bidirectional: also run from the end to the beginning?
        proj_size: where positive, how wide h is made by a further matrix (arXiv:1402.1128).

    States are (layers · directions, N, width), zeros where they are left out.

    """

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def step(self, gates_x: Any, gates_h: Any, state: State) -> State:
        """See ``lstm_cell``."""
        return lstm_cell(gates_x, gates_h, state)


@dataclass(frozen=True)
class GRU(_Layers):
    """``torch.nn.GRU``; see ``LSTM``, with one state, h."""

    gates: ClassVar[int] = 3

    def step(self, gates_x: Any, gates_h: Any, state: State) -> State:
        """See ``gru_cell``."""
        return gru_cell(gates_x, gates_h, state)
