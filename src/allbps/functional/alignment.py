"""Connectionist temporal classification: the loss of all ways to say a text in time."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.functional.common import array, misfit, misused, reduced, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.comparison import where
from allbps.ops.function import exp, logaddexp
from allbps.ops.index import getitem_by
from allbps.ops.reduce import sum_
from allbps.ops.shape import detach, reshape
from allbps.ops.shape import pad as pad_op

NEVER = -1e30
"""The logarithm of no probability: finite, so that it has a slope."""


@works_on_arrays
def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Node:
    """−log of the probability of a text, over all alignments (Graves et al., ICML 2006).

    The δ is PyTorch's, softmax less the share of the alignments: it counts on ``log_probs`` being
    a log-softmax, behind which it is the gradient.

    Args:
        log_probs: (T, N, C) logarithms of probabilities, or (T, C).
        targets: class numbers (N, S), or all in one row; not the blank. Plain numbers.
        input_lengths: how many of the T times count for each example; (N,) plain numbers.
        target_lengths: how long each text is; likewise.
        blank: the class that says nothing.
        reduction: "mean" (of the losses over the lengths of their texts), "sum" or "none".
        zero_infinity: count impossible texts as 0, with no δ, rather than as infinite?

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: a length or class that makes no sense, or another reduction.

    >>> uniform = np.log(np.full((2, 1, 2), 0.5))
    >>> loss = ctc_loss(uniform, np.array([[1]]), (2,), (1,))
    >>> float(np.exp(-loss).round(9))
    0.75

    """
    scores = lift(log_probs)
    single = scores.ndim == 2
    if single:
        scores = reshape(scores, shape=(scores.shape[0], 1, scores.shape[1]))
    if scores.ndim != 3:
        raise misfit("ctc_loss takes log_probs (T, N, C) or (T, C)", "", str(scores.shape))
    steps, batch, classes = scores.shape
    times = _lengths(input_lengths, batch, steps, "input_lengths")
    sizes = _lengths(target_lengths, batch, 2**31, "target_lengths")
    texts = _texts(np.asarray(array(targets).known("targets")), sizes, classes, blank)
    total = _alignments(scores, texts, sizes, times, blank)
    loss = -total
    impossible = detach(loss) > -NEVER / 2
    no_loss = where(impossible, 0.0, loss) if zero_infinity else None
    real = scores.dtype.type
    loss = loss * where(impossible, real(np.inf), real(1)) if no_loss is None else no_loss
    # as in PyTorch δ has the softmax in it, which counts nothing behind a log-softmax
    counted = (np.arange(steps)[:, None] < times)[..., None]
    whole = sum_(where(counted, exp(scores), 0.0), axis=(0, 2), keepdims=False)
    if zero_infinity:
        whole = where(impossible, 0.0, whole)
    loss = loss + (whole - detach(whole))
    if reduction == "mean":
        loss = loss / np.maximum(sizes, 1).astype(scores.dtype)
    each = reshape(loss, shape=()) if single and reduction == "none" else loss
    return reduced(each, reduction)


def _lengths(given: Any, batch: int, most: int, name: str) -> Any:
    lengths = np.atleast_1d(np.asarray(array(given).known(name)))
    if lengths.shape != (batch,) or np.any(lengths < 0) or np.any(lengths > most):
        raise misused(f"{name} must hold a length for each example", f"{batch} of them",
                      str(lengths.tolist()))  # fmt: skip
    return lengths.astype(np.int64)


def _texts(targets: Any, sizes: Any, classes: int, blank: int) -> Any:
    """(N, longest) class numbers, whichever way they were given; blanks behind the end."""
    if targets.ndim == 2:
        rows = list(targets)
    else:
        rows = np.split(targets, np.cumsum(sizes)[:-1]) if len(sizes) else []
    longest = int(np.max(sizes, initial=0))
    texts = np.full((len(sizes), longest), blank, np.int64)
    if len(rows) != len(sizes) or any(len(r) < n for r, n in zip(rows, sizes, strict=False)):
        raise misfit("ctc_loss: fewer targets than target_lengths say", str(sizes.tolist()),
                     str(targets.shape))  # fmt: skip
    for text, row, n in zip(texts, rows, sizes, strict=True):
        text[:n] = row[:n]
    if not 0 <= blank < classes or np.any((texts < 0) | (texts >= classes)):
        raise misused("class index out of range in targets", f"0 to {classes - 1}",
                      f"blank={blank}, targets {np.min(texts)} to {np.max(texts)}")  # fmt: skip
    return texts


def _alignments(scores: Node, texts: Any, sizes: Any, times: Any, blank: int) -> Node:
    """Log Σ over alignments, step by step: (N,)."""
    steps, batch, _ = scores.shape
    states = 2 * texts.shape[1] + 1  # a blank before, between and behind
    said = np.full((batch, states), blank)
    said[:, 1::2] = texts
    # a blank between two different letters may be left out
    skips = np.zeros((batch, states), bool)
    skips[:, 3::2] = texts[:, 1:] != texts[:, :-1]
    examples = np.arange(batch)[None, :, None]
    met = getitem_by(scores, (np.arange(steps)[:, None, None], examples, said[None]))
    start = np.broadcast_to(np.arange(states) < 1, (batch, states)).copy()
    start[:, 1:2] = sizes[:, None] > 0
    entered = np.where(start, 0.0, NEVER).astype(scores.dtype)
    alpha: Node = lift(entered)
    for t in range(steps):
        reached = alpha if t == 0 else _moved(alpha, skips)
        alive = (t < times)[:, None]
        at = getitem_by(met, t)
        alpha = where(alive, reached + at, alpha)
    rows, last = np.arange(batch), 2 * sizes
    at_blank = getitem_by(alpha, (rows, last))
    at_letter = getitem_by(alpha, (rows, np.maximum(last - 1, 0)))
    both = logaddexp(at_blank, where(sizes > 0, at_letter, NEVER))
    return where(times > 0, both, np.where(sizes == 0, 0.0, NEVER).astype(scores.dtype))


def _moved(alpha: Node, skips: Any) -> Node:
    """Each state from itself, from the one before, and where allowed from the one before that."""
    states = alpha.shape[1]
    one = where(np.arange(states) > 0, pad_op(alpha, width=((0, 0), (1, -1))), NEVER)
    stays = logaddexp(alpha, one)
    if states < 3:
        return stays
    two = where(skips, pad_op(alpha, width=((0, 0), (2, -2))), NEVER)
    return logaddexp(stays, two)
