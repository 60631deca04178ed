"""Einstein sums, and products whose leading axes differ, as one matrix product after another.

Each axis has a letter. Of two operands, letters that both have and that are still needed number
the products of a batch, letters that both have and nobody needs are summed over, and the others
are rows on the left and columns on the right. Transposing and reshaping an operand to that is a
matter of names; only where its memory does not fit is it copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.gemm import emit_matmul, emit_sum_of_products
from allbps.machine.works.picks import pick
from allbps.machine.works.places import Places
from allbps.machine.works.sums import emit_sum
from allbps.machine.works.tasks import NoKernelError
from allbps.ops.einsum import LETTERS, sides

TINY = 64
"""Multiplications in each product of a batch below which NumPy is faster than many calls."""


@dataclass(frozen=True)
class Lettered:
    """An array, and a letter for each of its axes."""

    value: Value
    letters: str

    def length(self, letters: Iterable[str]) -> int:
        """How many numbers the axes of these letters have together."""
        return prod(self.value.shape[self.letters.index(c)] for c in letters)


def emit_einsum(places: Places, work: Work) -> None:
    """A sum of products; not of many that are too small."""
    terms, result = sides(work.attrs["subscripts"])
    _emit(places, work, terms, result)


def emit_product(places: Places, work: Work) -> None:
    """A matrix product, leading axes broadcast where they must be."""
    a, b = work.inputs[:2]
    if len(b.shape) <= 2 or a.shape[:-2] == b.shape[:-2] or work.steps or len(a.shape) < 2:
        emit_matmul(places, work)
        return
    leading = LETTERS[: len(work.outputs[0].shape) - 2]
    own = [leading[len(leading) - len(x.shape) + 2 :] for x in (a, b)]
    i, k, j = list(LETTERS[len(leading) : len(leading) + 3])
    _emit(places, work, [f"{own[0]}{i}{k}", f"{own[1]}{k}{j}"], f"{leading}{i}{j}")


def _emit(places: Places, work: Work, terms: Sequence[str], result: str) -> None:
    if any(x.size == 0 or x.dtype.kind != "f" for x in work.inputs):
        raise NoKernelError
    maker = _Contraction(places, work)
    lengths = {c: n for x, t in zip(work.inputs, terms, strict=True)
               for c, n in zip(t, x.shape, strict=True) if n != 1}  # fmt: skip
    operands = [
        maker.without_ones(maker.diagonal(Lettered(x, term)), lengths)
        for x, term in zip(work.inputs, terms, strict=True)
    ]
    total = operands[0]
    for k, operand in enumerate(operands[1:], 1):
        needed = set(result).union(*(x.letters for x in operands[k + 1 :]))
        total = maker.product(total, operand, needed)
    total = maker.summed(total, set(result))
    kept = "".join(c for c in result if c in lengths)
    order = tuple(total.letters.index(c) for c in kept)
    turned = maker.transposed(total, order)
    places.view(Work("reshape", (turned.value,), work.outputs))


class _Contraction:
    """The works between the operands of a contraction and its result."""

    def __init__(self, places: Places, work: Work) -> None:
        self.places, self.work = places, work

    def diagonal(self, x: Lettered) -> Lettered:
        """An operand without letters that it has twice: their axes are walked together."""
        letters = "".join(dict.fromkeys(x.letters))
        if letters == x.letters:
            return x
        shape = tuple(x.length(c) for c in letters)
        counts = dict(zip(letters, np.indices(shape), strict=True))
        at = np.ravel_multi_index(tuple(counts[c] for c in x.letters), x.value.shape)
        made = Value(shape, x.value.dtype, x.value.name)
        pick(self.places, self.work, x.value, at, made)
        return Lettered(made, letters)

    def without_ones(self, x: Lettered, lengths: dict[str, int]) -> Lettered:
        """An operand without its axes of length 1, which are broadcast by being left out."""
        letters = "".join(c for c, n in zip(x.letters, x.value.shape, strict=True) if n != 1)
        return self._reshaped(x, tuple(lengths[c] for c in letters), letters)

    def product(self, a: Lettered, b: Lettered, needed: set[str]) -> Lettered:
        """The product of two operands, summed over what nobody needs.

        Raises:
            NoKernelError: there are many products, and each is too small to pay.

        """
        a = self.summed(a, needed | set(b.letters))
        b = self.summed(b, needed | set(a.letters))
        both = [c for c in a.letters if c in b.letters]
        batch, gone = [c for c in both if c in needed], [c for c in both if c not in needed]
        rows, columns = ([c for c in x.letters if c not in both] for x in (a, b))
        count, M, K, N = a.length(batch), a.length(rows), a.length(gone), b.length(columns)
        if count > TINY and M * N * K < TINY:
            raise NoKernelError
        front = (count,) if batch else ()
        left = self._arranged(a, [*batch, *rows, *gone], (*front, M, K))
        right = self._arranged(b, [*batch, *gone, *columns], (*front, K, N))
        made = Value((*front, M, N), a.value.dtype, self.work.outputs[0].name)
        emit_matmul(self.places, Work("matmul", (left, right), (made,), {}, self.work.node))
        letters = "".join([*batch, *rows, *columns])
        shape = tuple((a if c in a.letters else b).length(c) for c in letters)
        return self._reshaped(Lettered(made, letters), shape, letters)

    def summed(self, x: Lettered, needed: set[str]) -> Lettered:
        """An operand summed over the letters that nobody needs."""
        axes = tuple(k for k, c in enumerate(x.letters) if c not in needed)
        if not axes:
            return x
        letters = "".join(c for c in x.letters if c in needed)
        made = Value(tuple(x.length(c) for c in letters), x.value.dtype, x.value.name)
        attrs = {"axis": axes, "keepdims": False}
        emit_sum(self.places, Work("sum", (x.value,), (made,), attrs, self.work.node))
        return Lettered(made, letters)

    def transposed(self, x: Lettered, order: tuple[int, ...]) -> Lettered:
        """An operand with its axes in another order."""
        if order == tuple(range(len(order))):
            return x
        shape = tuple(x.value.shape[k] for k in order)
        made = Value(shape, x.value.dtype, x.value.name)
        self.places.view(Work("transpose", (x.value,), (made,), {"axes": order}))
        return Lettered(made, "".join(x.letters[k] for k in order))

    def _arranged(self, x: Lettered, letters: Sequence[str], shape: tuple[int, ...]) -> Value:
        order = tuple(x.letters.index(c) for c in letters)
        return self._reshaped(self.transposed(x, order), shape, "").value

    def _reshaped(self, x: Lettered, shape: tuple[int, ...], letters: str) -> Lettered:
        if x.value.shape == shape:
            return Lettered(x.value, letters)
        made = Value(shape, x.value.dtype, x.value.name)
        self.places.view(Work("reshape", (x.value,), (made,)))
        return Lettered(made, letters)


KERNELS = {"einsum": emit_einsum, "matmul": emit_product, "matmul_sum": emit_sum_of_products}
"""Kind of work -> what makes its tasks."""
