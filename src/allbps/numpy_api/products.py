"""Products of vectors, matrices and tensors."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Node, lift, numpy_function, user_site
from allbps.numpy_api.arguments import refuse
from allbps.numpy_api.choosing import diagonal
from allbps.numpy_api.elementwise import conjugate
from allbps.numpy_api.shapes import moveaxis, squeeze
from allbps.ops.arithmetic import mul
from allbps.ops.einsum import LETTERS, contracted
from allbps.ops.function import astype
from allbps.ops.index import getitem_by
from allbps.ops.linalg import matmul
from allbps.ops.reduce import sum_
from allbps.ops.shape import reshape, reshape_to, swapaxes, transpose
from allbps.ops.shapes import normal_axis


# -- dot and its relatives -------------------------------------------------------------------------
def strong(x: Any) -> Node:
    """A node; Python's numbers decide the dtype as arrays do, which they do in no operator."""
    return lift(np.asarray(x) if isinstance(x, (int, float, complex)) else x)


@numpy_function(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Node:
    """``numpy.dot``: the last axis of a with the last but one of b."""
    refuse("dot", out=out)
    a, b = strong(a), strong(b)
    if not a.ndim or not b.ndim:
        return mul(a, b)
    if b.ndim <= 2:
        return matmul(a, b) if a.ndim <= 2 or b.ndim == 2 else tensordot(a, b, (-1, 0))
    return tensordot(a, b, (-1, -2))


@numpy_function(np.vdot)
def vdot(a: Any, b: Any) -> Node:
    """``numpy.vdot``: as vectors, in row-major order."""
    return matmul(conjugate(reshape_to(a, -1)), reshape_to(b, -1))


@numpy_function(np.inner)
def inner(a: Any, b: Any) -> Node:
    """``numpy.inner``: the last axes with each other."""
    a, b = strong(a), strong(b)
    return tensordot(a, b, (-1, -1)) if a.ndim and b.ndim else mul(a, b)


@numpy_function(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Node:
    """``numpy.outer``: every element of a with every element of b."""
    refuse("outer", out=out)
    return reshape_to(a, (-1, 1)) * reshape_to(b, (1, -1))


@numpy_function(np.linalg.outer)
def outer_of_vectors(x1: Any, x2: Any, /) -> Node:
    """``numpy.linalg.outer``, which takes vectors alone."""
    a, b = lift(x1), lift(x2)
    if a.ndim != 1 or b.ndim != 1:
        raise _axes("np.linalg.outer takes two vectors", a, b)
    return outer(a, b)


def _axes(what: str, a: Node, b: Node) -> ShapeError:
    return ShapeError(
        what, where=str(user_site() or ""), got=f"a is {a.shape} and b is {b.shape}"
    )  # fmt: skip


@numpy_function(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Node:
    """``numpy.tensordot``, by one matrix product."""
    a, b = lift(a), lift(b)
    from_a, from_b = _contracted(a, b, axes)
    free_a = [k for k in range(a.ndim) if k not in from_a]
    free_b = [k for k in range(b.ndim) if k not in from_b]
    for p, q in zip(from_a, from_b, strict=True):
        if a.shape[p] != b.shape[q]:
            raise ShapeError(
                "the axes of a tensordot have different lengths",
                where=str(user_site() or ""),
                expected=f"axis {q} of b of length {a.shape[p]}",
                got=f"a is {a.shape} and b is {b.shape}",
            )
    shape_a = tuple(a.shape[k] for k in free_a)
    shape_b = tuple(b.shape[k] for k in free_b)
    summed = int(np.prod([a.shape[k] for k in from_a], dtype=np.int64))
    rows = reshape(transpose(a, axes=(*free_a, *from_a)), shape=(_size(shape_a), summed))
    columns = reshape(transpose(b, axes=(*from_b, *free_b)), shape=(summed, _size(shape_b)))
    return reshape(matmul(rows, columns), shape=shape_a + shape_b)  # (free a, k) · (k, free b)


def _contracted(a: Node, b: Node, axes: Any) -> tuple[list[int], list[int]]:
    if isinstance(axes, (int, np.integer)):
        return list(range(a.ndim - axes, a.ndim)), list(range(axes))
    first, second = ([int(k) for k in np.atleast_1d(part)] for part in axes)
    if len(first) != len(second):
        raise ArgumentError(
            "tensordot needs as many axes of b as of a",
            where=str(user_site() or ""),
            got=f"axes={axes}",
        )
    return [normal_axis(k, a.ndim) for k in first], [normal_axis(k, b.ndim) for k in second]


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


@numpy_function(np.vecdot, np.linalg.vecdot)
def vecdot(a: Any, b: Any, *, axis: int = -1) -> Node:
    """``numpy.vecdot``: products summed along one axis of each, the first one conjugated."""
    a, b = lift(a), lift(b)
    if not a.ndim or not b.ndim:
        raise _axes("np.vecdot takes arrays of one axis or more", a, b)
    axis = int(operator.index(axis))
    a, b = moveaxis(a, axis, -1), moveaxis(b, axis, -1)
    if a.shape[-1] != b.shape[-1]:
        raise _axes("np.vecdot takes vectors of one length", a, b)
    row = reshape(conjugate(a), shape=(*a.shape[:-1], 1, a.shape[-1]))
    made = matmul(row, reshape(b, shape=(*b.shape, 1)))  # (…, 1, k) · (…, k, 1)
    return reshape(made, shape=made.shape[:-2])


def matvec(a: Any, b: Any) -> Node:
    """``numpy.matvec``: matrices times vectors."""
    a, b = lift(a), lift(b)
    if a.ndim < 2 or not b.ndim:
        raise _axes("np.matvec takes matrices and vectors", a, b)
    return squeeze(matmul(a, reshape(b, shape=(*b.shape, 1))), -1)  # (…, m, k) · (…, k, 1)


def vecmat(a: Any, b: Any) -> Node:
    """``numpy.vecmat``: vectors, conjugated, times matrices."""
    a, b = lift(a), lift(b)
    if b.ndim < 2 or not a.ndim:
        raise _axes("np.vecmat takes vectors and matrices", a, b)
    row = reshape(conjugate(a), shape=(*a.shape[:-1], 1, a.shape[-1]))
    return squeeze(matmul(row, b), -2)  # (…, 1, k) · (…, k, n)


for _function in (matvec, vecmat):  # since NumPy 2.2
    if hasattr(np, _function.__name__):
        numpy_function(getattr(np, _function.__name__))(_function)


@numpy_function(np.kron)
def kron(a: Any, b: Any) -> Node:
    """``numpy.kron``: every element of a times the whole of b."""
    a, b = lift(a), lift(b)
    ndim = max(a.ndim, b.ndim)
    shape_a = (1,) * (ndim - a.ndim) + a.shape
    shape_b = (1,) * (ndim - b.ndim) + b.shape
    wide_a = reshape(a, shape=tuple(m for n in shape_a for m in (n, 1)))
    wide_b = reshape(b, shape=tuple(m for n in shape_b for m in (1, n)))
    joint = tuple(n * m for n, m in zip(shape_a, shape_b, strict=True))
    return reshape(wide_a * wide_b, shape=joint)


@numpy_function(np.linalg.cross)
def cross_along(x1: Any, x2: Any, /, *, axis: int = -1) -> Node:
    """``numpy.linalg.cross``: of vectors along one axis."""
    return cross(x1, x2, axis=int(operator.index(axis)))


@numpy_function(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Node:
    """``numpy.cross`` of vectors with three components."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if a.shape[-1:] != (3,) or b.shape[-1:] != (3,):
        raise ShapeError(
            "np.cross takes vectors with three components",
            where=str(user_site() or ""),
            got=f"a is {a.shape} and b is {b.shape}",
        )
    ahead, behind = np.array([1, 2, 0]), np.array([2, 0, 1])
    one = getitem_by(a, (..., ahead)) * getitem_by(b, (..., behind))
    other = getitem_by(a, (..., behind)) * getitem_by(b, (..., ahead))
    return moveaxis(one - other, -1, axisc)


@numpy_function(np.trace)
def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Node:
    """``numpy.trace``: the sum of a diagonal."""
    refuse("trace", out=out)
    made = sum_(diagonal(a, offset, axis1, axis2), axis=-1, keepdims=False)
    return made if dtype is None else astype(made, dtype=np.dtype(dtype))


@numpy_function(np.linalg.trace)
def matrix_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Node:
    """``numpy.linalg.trace``: of the last two axes."""
    return trace(x, offset, -2, -1, dtype)


# -- einsum ----------------------------------------------------------------------------------------
@numpy_function(np.einsum)
def einsum_by(*operands: Any, out: Any = None, optimize: Any = False, **options: Any) -> Node:
    """``numpy.einsum``: letters as a string, or operands and lists of numbers in turn."""
    refuse("einsum", out=out, dtype=options.get("dtype"))
    if isinstance(operands[0], str):
        subscripts, arrays = operands[0], operands[1:]
    else:
        subscripts, arrays = _spelled(operands)
    nodes = [lift(np.asarray(x) if isinstance(x, (int, float)) else x) for x in arrays]
    return contracted(*nodes, subscripts=_explicit(subscripts.replace(" ", ""), nodes))


def _spelled(operands: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Lists of numbers as letters."""
    arrays, lists = operands[0::2], list(operands[1::2])
    if len(operands) % 2:
        arrays, result = arrays[:-1], operands[-1]
    else:
        result = None

    def word(numbers: Any) -> str:
        return "".join("..." if k is Ellipsis else LETTERS[k] for k in numbers)

    left = ",".join(map(word, lists))
    return (left if result is None else f"{left}->{word(result)}"), arrays


def _explicit(subscripts: str, nodes: list[Node]) -> str:
    """Subscripts with letters in the place of dots, and with a result."""
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(nodes):
        raise ArgumentError(
            "einsum needs one group of letters for each operand",
            where=str(user_site() or ""),
            expected=f"{len(terms)} operands for {subscripts!r}",
            got=str(len(nodes)),
        )
    unused = "".join(letter for letter in reversed(LETTERS) if letter not in subscripts)
    dots = [x.ndim - len(term) + 3 for x, term in zip(nodes, terms, strict=True) if "..." in term]
    most = max(dots, default=0)
    shared = unused[:most][::-1]
    terms = [
        term.replace("...", shared[most - (x.ndim - len(term) + 3) :]) if "..." in term else term
        for x, term in zip(nodes, terms, strict=True)
    ]
    if arrow:
        result = right.replace("...", shared)
    else:
        written = left.replace("...", "").replace(",", "")
        result = shared + "".join(sorted(c for c in set(written) if written.count(c) == 1))
    return ",".join(terms) + "->" + result


# -- numpy 2 names ---------------------------------------------------------------------------------
numpy_function(np.linalg.matmul)(matmul)
numpy_function(np.linalg.matrix_transpose)(lambda x: swapaxes(x, -1, -2))
