"""Recurrent layers, written out step by step: LSTM, GRU and Elman's, as ``torch.nn`` has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.errors import ArgumentError

Cell = Callable[[Any, tuple[Any, ...], Any, Any], tuple[Any, ...]]
"""(what the input adds, state, weights from the state, their bias) -> the new state."""


def lstm(
    x: Any, state: Sequence[Any], weights: Sequence[Any], *, has_biases: bool, num_layers: int,
    bidirectional: bool, batch_first: bool, dropout: float = 0.0, rng: Any = None, mask: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Long short-term memory (Hochreiter & Schmidhuber, 1997): outputs, last h, last c."""
    out, last = _layers(
        _lstm_cell, x, tuple(state), weights, has_biases, num_layers, bidirectional, batch_first,
        dropout, rng, mask,
    )  # fmt: skip
    return (out, *last)


def gru(x: Any, state: Any, weights: Sequence[Any], **options: Any) -> tuple[Any, ...]:
    """Gated recurrent unit (arXiv:1406.1078), in PyTorch's variant: outputs, last h."""
    return _simple(_gru_cell, x, state, weights, **options)


def rnn_tanh(x: Any, state: Any, weights: Sequence[Any], **options: Any) -> tuple[Any, ...]:
    """H = tanh(W x + b + U h + c): outputs, last h."""
    return _simple(_tanh_cell, x, state, weights, **options)


def rnn_relu(x: Any, state: Any, weights: Sequence[Any], **options: Any) -> tuple[Any, ...]:
    """H = relu(W x + b + U h + c): outputs, last h."""
    return _simple(_relu_cell, x, state, weights, **options)


def _simple(
    cell: Cell, x: Any, state: Any, weights: Sequence[Any], *, has_biases: bool, num_layers: int,
    bidirectional: bool, batch_first: bool, dropout: float = 0.0, rng: Any = None, mask: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    out, last = _layers(
        cell, x, (state,), weights, has_biases, num_layers, bidirectional, batch_first, dropout,
        rng, mask,
    )  # fmt: skip
    return (out, *last)


def _layers(
    cell: Cell, x: Any, states: tuple[Any, ...], weights: Sequence[Any], has_biases: bool,
    num_layers: int, bidirectional: bool, batch_first: bool, dropout: float, rng: Any, mask: Any,
) -> tuple[Any, tuple[Any, ...]]:  # fmt: skip
    """Outputs, and each state of the last step, (layers · directions, N, width).

    Where a mask (T, N) is False there is no step: the state stays what it was.
    """
    single = x.ndim == 2  # one sequence without a batch axis
    if single:
        x, states = np.expand_dims(x, 1), tuple(np.expand_dims(s, 1) for s in states)
    elif batch_first:
        x = np.swapaxes(x, 0, 1)
    directions = 2 if bidirectional else 1
    each = len(weights) // (num_layers * directions)
    last: list[tuple[Any, ...]] = []
    for layer in range(num_layers):
        if layer and dropout:
            x = F.dropout(x, dropout, rng=rng)
        ways = []
        for way in range(directions):
            k = layer * directions + way
            own = weights[k * each : (k + 1) * each]
            begin = tuple(s[k] for s in states)
            outputs, end = _one_way(cell, x, begin, own, has_biases, mask, backwards=way == 1)
            ways.append(outputs)
            last.append(end)
        x = ways[0] if directions == 1 else np.concatenate(ways, axis=-1)
    ends = tuple(np.stack([end[k] for end in last]) for k in range(len(states)))
    if single:
        return x[:, 0], tuple(end[:, 0] for end in ends)
    return (np.swapaxes(x, 0, 1) if batch_first else x), ends


def _one_way(
    cell: Cell, x: Any, state: tuple[Any, ...], weights: Sequence[Any], has_biases: bool,
    mask: Any, *, backwards: bool,
) -> tuple[Any, tuple[Any, ...]]:  # fmt: skip
    """One layer in one direction: (T, N, in) -> (T, N, width); the last state.

    What the inputs of all steps add is one product. Where h is projected (``proj_size``), the
    projection is the last of the weights.
    """
    into, over, *more = weights
    biases, projections = (more[:2], more[2:]) if has_biases else ([], more)
    added = F.linear(x, into, biases[0] if biases else None)  # (T, N, gates)
    outputs: list[Any] = []
    steps = range(x.shape[0])
    for t in reversed(steps) if backwards else steps:
        new = cell(added[t], state, over, biases[1] if biases else None)
        if projections:
            new = (F.linear(new[0], projections[0]), *new[1:])
        if mask is not None:
            there = np.expand_dims(mask[t], 1)  # (N, 1)
            new = tuple(np.where(there, one, old) for one, old in zip(new, state, strict=True))
        state = new
        outputs.append(state[0])
    return np.stack(outputs[::-1] if backwards else outputs), state


def _lstm_cell(added: Any, state: tuple[Any, ...], over: Any, bias: Any) -> tuple[Any, ...]:
    h, c = state
    i, f, g, o = np.split(added + F.linear(h, over, bias), 4, axis=-1)
    c = F.sigmoid(f) * c + F.sigmoid(i) * np.tanh(g)
    return F.sigmoid(o) * np.tanh(c), c


def _gru_cell(added: Any, state: tuple[Any, ...], over: Any, bias: Any) -> tuple[Any, ...]:
    (h,) = state
    r, z, n = np.split(added, 3, axis=-1)
    hr, hz, hn = np.split(F.linear(h, over, bias), 3, axis=-1)
    z = F.sigmoid(z + hz)
    n = np.tanh(n + F.sigmoid(r + hr) * hn)
    return (n + z * (h - n),)


def _tanh_cell(added: Any, state: tuple[Any, ...], over: Any, bias: Any) -> tuple[Any, ...]:
    return (np.tanh(added + F.linear(state[0], over, bias)),)


def _relu_cell(added: Any, state: tuple[Any, ...], over: Any, bias: Any) -> tuple[Any, ...]:
    return (F.relu(added + F.linear(state[0], over, bias)),)


def padded(x: Any, mask: Any, length: int, *, exact: bool) -> Any:
    """The first ``length`` of T steps, (T, N, …), where no sequence of the mask (T, N) is longer.

    Raises:
        ArgumentError: one is; or, if it must be ``exact``, none is as long.

    """
    there = np.any(mask, axis=1)  # (T,)
    if exact and not np.all(there):
        raise ArgumentError(
            "the longest of packed sequences is shorter than what they were padded to",
            expected=f"a sequence of {length} steps: PyTorch pads to the longest, and a graph has"
            " one shape",
            got=f"{int(np.sum(there))} steps at most",
            todo=f"pad_packed_sequence(…, total_length={length}), or batches padded to their"
            " longest sequence",
        )  # fmt: skip
    if not exact and np.any(there[length:]):
        raise ArgumentError(
            "a packed sequence is longer than total_length", expected=f"{length} steps at most",
            got=f"{int(np.sum(there))} steps",
        )  # fmt: skip
    return x[:length]
