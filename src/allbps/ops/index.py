"""Picking elements out, and adding them back in."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, OutOfRangeError, ShapeError
from allbps.ir import (
    CONST,
    NUMPY,
    OPERATORS,
    Aval,
    Bad,
    Node,
    Notation,
    Op,
    Rule,
    Sample,
    lift,
    line_site,
    user_site,
)
from allbps.ir.node import ON_DEMAND
from allbps.mathematics import Formula, Math
from allbps.mathematics.tree import Applied, Cases, Fence, Number, Row, Script, Sign, Text
from allbps.ops.arithmetic import is_numeral
from allbps.ops.function import astype
from allbps.ops.reduce import sum_
from allbps.ops.shape import broadcast_to, reshape

Parts = tuple[Any, ...]
"""An index with its arrays taken out: ints, (start, stop, step), None, ..., and "array" for each
integer or boolean array, which is an operand of its own."""


EVERYTHING: tuple[Parts, ...] = ((), (Ellipsis,), ((None, None, None),))
"""The indices x[()], x[...] and x[:] of all elements; the last needs an axis."""


def static_part(part: Any) -> Any:
    """One part of an index as an attribute."""
    if isinstance(part, slice):
        ends = (part.start, part.stop, part.step)
        return tuple(None if end is None else _whole(end) for end in ends)
    if part is None or part is Ellipsis:
        return part
    return _whole(part)


def _whole(part: Any) -> int:
    """A whole number; 1.0 is none, for NumPy neither."""
    try:
        return operator.index(part)
    except TypeError:
        raise ArgumentError(
            "an index is not a whole number",
            where=str(user_site() or ""),
            expected="whole numbers, slices of them, None, …, or arrays of whole numbers or bools",
            got=repr(part),
        ) from None


def is_array(part: Any) -> bool:
    """Is this part of an index an array, rather than a number, a slice, None or …?"""
    if isinstance(part, Node):
        return True
    return isinstance(part, (np.ndarray, list, tuple, range, bool, np.bool_))


def part_text(part: Any, arrays: list[str]) -> str:
    if part == "array":
        return arrays.pop(0)
    if isinstance(part, tuple):
        start, stop, step = ("" if end is None else str(end) for end in part)
        return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
    return "..." if part is Ellipsis else str(part)


def index_text(parts: Parts, arrays: list[str]) -> str:
    """``1:, None, i`` — what stands between the brackets."""
    arrays = list(arrays)
    texts = [part_text(part, arrays) for part in parts]
    return ", ".join(texts) if texts else "()"


def torch_picked(x: str, parts: Parts, arrays: list[str]) -> str:
    """``x[parts]`` for PyTorch, which takes no negative step: x[5:1:-2] is flip(x)[~5:~1:2].

    >>> torch_picked("x", (0, (None, None, -1)), [])
    'torch.flip(x, (1,))[0, :]'
    """
    turned = [k for k, part in enumerate(parts) if isinstance(part, tuple) and (part[2] or 1) < 0]
    if not turned:
        return f"{x}[{index_text(parts, arrays)}]"
    axes = ", ".join(str(_axis(parts, k)) for k in turned)
    ahead = tuple(_turned(part) if k in turned else part for k, part in enumerate(parts))
    whole = all(part == (None, None, None) for part in ahead)
    return f"torch.flip({x}, ({axes},))" + ("" if whole else f"[{index_text(ahead, arrays)}]")


def _turned(part: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """A slice with a negative step as one of the flipped axis, where x[i] stands at ~i."""
    start, stop, step = part
    assert step is not None, "it is negative"
    return (
        None if start is None else ~start,
        None if stop is None else ~stop,
        -step if step < -1 else None,
    )


def _axis(parts: Parts, k: int) -> int:
    """The axis that part ``k`` is about, from the end where it stands after an ellipsis."""
    if Ellipsis in parts[:k]:
        return -sum(part is not None for part in parts[k:])
    return sum(part is not None for part in parts[:k])


def numpy_index(parts: Parts, arrays: list[Any]) -> tuple[Any, ...]:
    """The index as NumPy takes it."""
    arrays = list(arrays)

    def one(part: Any) -> Any:
        if part == "array":
            return arrays.pop(0)
        return slice(*part) if isinstance(part, tuple) else part

    return tuple(one(part) for part in parts)


def getitem_shape(*xs: Node, parts: Parts) -> Aval:
    x, arrays = xs[0], xs[1:]
    for array in arrays:
        if _is_unknown_mask(array):
            raise ShapeError("a mask needs its values: how many it picks is part of the shape")
    stand_ins = [a.value if a.value is not None else np.zeros(a.shape, a.dtype) for a in arrays]
    probe = np.broadcast_to(np.zeros((), x.dtype), x.shape)  # no memory: strides are 0
    try:
        picked = probe[numpy_index(parts, stand_ins)]
    except IndexError as error:
        raise OutOfRangeError(
            "the index does not fit {0}", expected=f"an index into {x.shape}", got=str(error)
        ) from None
    return picked.shape, x.dtype


def d_getitem(g: Node, y: Node, *xs: Node, index: int, parts: Parts) -> Node:
    if not _is_place(parts) or not g.has_value:
        return put_add_op(g, *xs[1:], shape=xs[0].shape, parts=parts)
    # its zeros are laid out when somebody reads them: of x[0], x[1], … see ``gathered``
    attrs = {"shape": xs[0].shape, "parts": parts}
    return Node(
        put_add_op, (g,), xs[0].shape, g.dtype,
        attrs=attrs, value=ON_DEMAND, site=line_site(), traces=g.traces,
    )  # fmt: skip


def getitem_written(x: Node, new: Node, parts: Parts) -> Node:
    return new if parts in EVERYTHING else put_op(x, new, parts=parts)


# -- how places are written ------------------------------------------------------------------------
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscript(shape: tuple[int, ...], parts: Parts) -> str:
    """``₁,:`` for the first row, counted from 1 as in mathematics; empty where it is no such place.

    >>> subscript((4, 3), (0,)), subscript((4, 3), (-1, 1)), subscript((4,), ((1, 3, None),))
    ('₁,:', '₄,₂', '')
    """
    whole = (None, None, None)
    if not all(type(part) is int or part == whole for part in parts) or whole == parts[0:1]:
        return ""
    if len(parts) > len(shape) or not any(type(part) is int for part in parts):
        return ""
    places = [*parts, *(whole for _ in shape[len(parts) :])]
    counted = (
        ":" if part == whole else str(part % length + 1).translate(LOWERED)
        for part, length in zip(places, shape, strict=True)
    )
    return ",".join(counted)


def element(xs: list[Formula], parts: Parts) -> Math:
    """``x₁`` for an element or a row, ``x[1:3]`` as in the code for what is more."""
    low = subscript(xs[0].shape, parts)
    if low:
        return Script(xs[0].math, (low,))
    return Applied(xs[0].math, _between_brackets(parts, xs[1:]), "[")


def at(shape: tuple[int, ...], parts: Parts, arrays: list[Formula]) -> Math:
    """``at 1``, ``at [1:3]``: the places that an index names."""
    low = subscript(shape, parts)
    if low:
        plain = low.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
        return Text(f"at {plain if ',' not in plain else f'({plain})'}")
    if parts == ("array",):
        return Row((Text("at "), arrays[0].math))
    return Row((Text("at "), Fence(_between_brackets(parts, arrays), "[")))


def spread_notation(xs: list[Formula], shape: tuple[int, ...], parts: Parts) -> Math:
    return Cases(((xs[0].math, at(shape, parts, xs[1:])),), Number("0"))


def _between_brackets(parts: Parts, arrays: list[Formula]) -> Math:
    waiting = list(arrays)
    found: list[Math] = []
    for part in parts:
        found.append(waiting.pop(0).math if part == "array" else Sign(part_text(part, [])))
        found.append(Sign(", "))
    return Row(tuple(found[:-1])) if found else Sign("()")


getitem = Op(
    name="getitem",
    complex=True,
    doc="x[index] with NumPy's basic and advanced indexing.",
    operands="*xs",
    shape=getitem_shape,
    numpy=lambda operands, attrs: (
        f"{operands['xs'][0]}[{index_text(attrs['parts'], operands['xs'][1:])}]"
    ),
    torch=lambda operands, attrs: torch_picked(
        operands["xs"][0], attrs["parts"], operands["xs"][1:]
    ),
    written=getitem_written,
    rules=(Rule(d_getitem, '{y} "is a copy of some elements; the others get" 0'),),
    notation=Notation(element),
    samples=(
        Sample(((4, 3),), {"parts": (1,)}),
        Sample(((4, 3),), {"parts": ((1, None, 2), None, -1)}),
        Sample(((4, 3),), {"parts": ((None, None, -1),)}),
        Sample(((4, 5, 3),), {"parts": (-1, Ellipsis, (3, 0, -2), (None, None, -1))}),
        Sample(((4, 3), np.array([0, 2, 2])), {"parts": ("array",)}),
        Sample(((4, 3), np.array([0, 2]), np.array([1, 1])), {"parts": ("array", "array")}),
        Sample(((4, 3), np.array([True, False, True, True])), {"parts": ("array",)}),
    ),
    bad=(
        Bad(
            ((2, 3),),
            "the index does not fit xs\n"
            "  expected: an index into (2, 3)\n"
            "  got:      index 5 is out of bounds for axis 0 with size 2",
            {"parts": (5,)},
        ),
    ),
)


# -- the adjoint: add into zeros -------------------------------------------------------------------
def put_add(values: Any, shape: Any, index: Any) -> Any:
    """Zeros with ``values`` added at ``index``; what is named twice is added twice."""
    out = np.zeros(shape, np.result_type(values))
    np.add.at(out, index, values)
    return out


def put_add_shape(*xs: Node, shape: tuple[int, ...], parts: Parts) -> Aval:
    return shape, xs[0].dtype


def d_put_add(
    g: Node, y: Node, *xs: Node, index: int, shape: tuple[int, ...], parts: Parts
) -> Node:
    return picked_from(g, xs[1:], parts, xs[0].shape)


def put_add_code(operands: Any, attrs: Any) -> str:
    values, *arrays = operands["xs"]
    index = index_text(attrs["parts"], arrays)
    return f"put_add({values}, {attrs['shape']}, np.index_exp[{index}])"


def put_add_torch(operands: Any, attrs: Any) -> str:
    values, *arrays = operands["xs"]
    shape, size = attrs["shape"], int(np.prod(attrs["shape"]))
    numbers = f"torch.arange({size}, device={values}.device).reshape({shape})"
    places = torch_picked(numbers, attrs["parts"], arrays)
    flat = f"{places}.reshape(-1)"
    zeros = f"{values}.new_zeros({size})"
    return f"{zeros}.index_add(0, {flat}, {values}.reshape(-1)).reshape({attrs['shape']})"


def put_add_jax(operands: Any, attrs: Any) -> str:
    values, *arrays = operands["xs"]
    index = index_text(attrs["parts"], arrays)
    return f"jnp.zeros({attrs['shape']}, jnp.result_type({values})).at[{index}].add({values})"


put_add_op = Op(
    name="put_add",
    complex=True,
    doc="Zeros of a shape, with values added at an index: the adjoint of getitem.",
    operands="*xs",
    shape=put_add_shape,
    numpy=put_add_code,
    torch=put_add_torch,
    jax=put_add_jax,
    helpers=(put_add,),
    rules=(Rule(d_put_add, '"each value is added at one place"'),),
    notation=Notation(spread_notation),
    samples=(
        Sample(((3,),), {"parts": (1,), "shape": (4, 3)}),
        Sample(((2, 3),), {"parts": ((-1, 0, -2),), "shape": (4, 3)}),
        Sample(((3, 3), np.array([0, 2, 2])), {"parts": ("array",), "shape": (4, 3)}),
    ),
)


A_FEW = 64
"""So many picks of one array are added up one by one."""


def gathered(parts: list[Node]) -> list[Node]:
    """Addends of which all that are zeros but in one place, as for x[0] and x[1], are one.

    Each would be an array of its own, which for a loop over n elements costs n². A few stay as they
    are: compiled code writes them side by side, where they lie.
    """
    alone = [node for node in parts if node.op is put_add_op and _is_place(node.attrs["parts"])]
    if len(alone) <= A_FEW:
        return parts
    groups: dict[tuple[Any, ...], list[Node]] = {}
    for node in alone:
        first = node.inputs[0]
        groups.setdefault((len(node.attrs["parts"]), first.shape, first.dtype), []).append(node)
    together = {group[0]: _added_together(group) for group in groups.values()}
    taken = set(alone) - set(together)
    return [together.get(node, node) for node in parts if node not in taken]


def _is_place(parts: Parts) -> bool:
    """Is this index made of whole numbers alone?"""
    return bool(parts) and all(type(part) is int for part in parts)


def _added_together(group: list[Node]) -> Node:
    if len(group) == 1:
        return group[0]
    places = np.array([node.attrs["parts"] for node in group]).T  # (indices, group)
    values: Node = NUMPY[np.stack]([node.inputs[0] for node in group])
    return put_add_op(
        values, *map(lift, places), shape=group[0].shape, parts=("array",) * len(places)
    )


# -- other numbers in some places ------------------------------------------------------------------
def put(x: Any, values: Any, index: Any) -> Any:
    """A copy of x with ``values`` at ``index``; of what is named twice the last one counts."""
    out = np.array(x)
    out[index] = values
    return out


def put_shape(*xs: Node, parts: Parts) -> Aval:
    x, values, arrays = xs[0], xs[1], xs[2:]
    if any(map(_is_unknown_mask, arrays)):
        return x.shape, x.dtype  # how many it picks was seen when it was traced
    picked, _ = getitem_shape(x, *arrays, parts=parts)
    wanted = values.shape
    while len(wanted) > len(picked) and wanted[0] == 1:  # as NumPy does
        wanted = wanted[1:]
    try:
        fits = np.broadcast_shapes(wanted, picked) == picked
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            "{1} does not fit into this part of {0}",
            expected=f"what can be broadcast to {picked}",
            got=f"shape {values.shape}",
        )
    return x.shape, x.dtype


def d_put(g: Node, y: Node, *xs: Node, index: int, parts: Parts) -> Node:
    values, arrays = xs[1], xs[2:]
    if index == 0:
        return put_op(g, 0.0, *arrays, parts=parts)
    if values.shape == ():
        ones = put_op(np.zeros(g.shape, g.dtype), 1.0, *arrays, parts=parts)
        return sum_(g * ones, axis=None, keepdims=False)
    picked = picked_from(g, arrays, parts, values.shape)
    if any(array.dtype.kind != "b" for array in arrays) and picked.size > 1:
        picked = picked * _last(picked.shape, g, arrays, parts)
    extra = values.ndim - picked.ndim
    return reshape(picked, shape=(1,) * extra + picked.shape) if extra > 0 else picked


def picked_from(x: Node, arrays: Sequence[Node], parts: Parts, shape: tuple[int, ...]) -> Node:
    """``x[index]``; its shape is known where the graph does not say how many a mask picks."""
    if not any(map(_is_unknown_mask, arrays)):
        return getitem(x, *arrays, parts=parts)
    inputs = (x, *arrays)
    return Node(getitem, inputs, shape, x.dtype, attrs={"parts": parts}, site=line_site())


def _is_unknown_mask(array: Node) -> bool:
    return array.value is None and array.dtype.kind == "b"


def _last(shape: tuple[int, ...], x: Node, arrays: tuple[Node, ...], parts: Parts) -> Any:
    """True for the values that stay, False for those that later ones overwrite."""
    order = np.arange(int(np.prod(shape))).reshape(shape)
    known = [array.value for array in arrays]
    if all(array is not None for array in known):
        index = numpy_index(parts, known)
        stays = put(np.zeros(x.shape, np.int64), order, index)[index] == order
        return 1.0 if stays.all() else stays
    places = put_op(np.zeros(x.shape, np.int64), order, *arrays, parts=parts)
    return getitem(places, *arrays, parts=parts) == order


def put_code(operands: Any, attrs: Any) -> str:
    x, values, *arrays = operands["xs"]
    return f"put({x}, {values}, np.index_exp[{index_text(attrs['parts'], arrays)}])"


def put_torch(operands: Any, attrs: Any) -> str:
    x, values, *arrays = operands["xs"]
    places = torch_picked(
        f"torch.arange({x}.numel(), device={x}.device).reshape({x}.shape)", attrs["parts"], arrays
    )
    values = f"{x}.new_tensor({values})" if is_numeral(values) else values
    return f"torch.index_put({x}.reshape(-1), ({places},), {values}).reshape({x}.shape)"


def put_jax(operands: Any, attrs: Any) -> str:
    x, values, *arrays = operands["xs"]
    return f"jnp.asarray({x}).at[{index_text(attrs['parts'], arrays)}].set({values})"


put_op = Op(
    name="put",
    complex=True,
    doc="x with other numbers at an index, as x[index] = values leaves it.",
    operands="*xs",
    shape=put_shape,
    numpy=put_code,
    torch=put_torch,
    jax=put_jax,
    helpers=(put,),
    rules=(Rule(d_put, '{y} "holds what was put at its place, and the old numbers elsewhere"'),),
    notation=Notation(
        lambda xs, parts: Cases(((xs[1].math, at(xs[0].shape, parts, xs[2:])),), xs[0].math)
    ),
    samples=(
        Sample(((4, 3), (3,)), {"parts": (1,)}),
        Sample(((4, 3), (2, 3)), {"parts": ((-1, 0, -2),)}),
        Sample(((4, 3), (3, 3), np.array([0, 3, 2])), {"parts": ("array",)}),
        Sample(((4, 3), (), np.array([True, False, True, True])), {"parts": ("array",)}),
    ),
    bad=(
        Bad(
            ((2, 3), (2,)),
            "xs does not fit into this part of xs\n"
            "  expected: what can be broadcast to (3,)\n"
            "  got:      shape (2,)",
            {"parts": (0,)},
        ),
    ),
)


def _index_array(part: Any) -> Any:
    array = np.asarray(part)
    return array if array.size or array.dtype.kind in "bi" else array.astype(np.intp)  # x[[]]


def getitem_by(x: Any, index: Any) -> Node:
    """``x[index]`` as NumPy reads it."""
    arrays, parts = _taken_apart(index)
    return getitem(x, *arrays, parts=parts)


def put_by(x: Any, index: Any, values: Any) -> Node:
    """``x`` after ``x[index] = values``."""
    x, values = lift(x), lift(values)
    arrays, parts = _taken_apart(index, counted=values.shape != ())
    if parts in EVERYTHING and values.shape == x.shape:
        return in_dtype(values, x.dtype)
    if values.shape and any(array.dtype.kind == "b" for array in arrays):  # see picked_from
        picked, _ = getitem_shape(x, *arrays, parts=parts)
        fits = values.ndim <= len(picked) and values.shape != picked
        values = broadcast_to(values, shape=picked) if fits else values
    values = in_dtype(values, x.dtype)
    last = _put_last(x, values, arrays, parts)
    return put_op(x, values, *arrays, parts=parts) if last is None else last


def _put_last(x: Node, values: Node, arrays: list[Node], parts: Parts) -> Node | None:
    """The same where constants name a place twice: only what is written last is written."""
    if not values.shape or not arrays or any(a.traces or a.dtype.kind == "b" for a in arrays):
        return None
    places = np.arange(x.size).reshape(x.shape)[numpy_index(parts, [a.value for a in arrays])]
    backwards = places.ravel()[::-1]
    distinct, first = np.unique(backwards, return_index=True)
    if distinct.size == places.size:
        return None
    last = places.size - 1 - first
    spread = reshape(broadcast_to(values, shape=places.shape), shape=(places.size,))
    row = put_op(reshape(x, shape=(x.size,)), getitem_by(spread, last), distinct, parts=("array",))
    return reshape(row, shape=x.shape)


def in_dtype(values: Node, dtype: np.dtype[Any]) -> Node:
    """The same numbers in ``dtype``; a Python float stays one."""
    weak = values.op is CONST and type(values.value) is float and dtype.kind == "f"
    return values if weak or values.dtype == dtype else astype(values, dtype=dtype)


def _taken_apart(index: Any, *, counted: bool = True) -> tuple[list[Node], Parts]:
    """An index as its arrays and what stands between them.

    Args:
        index: as the user wrote it.
        counted: is how many places a mask names part of a shape?

    """
    parts = _in_one_kind(index if isinstance(index, tuple) else (index,))
    arrays = [
        part if isinstance(part, Node) else lift(_index_array(part))
        for part in parts
        if is_array(part)
    ]
    for array in arrays:
        if array.dtype.kind not in "biu":
            raise ArgumentError(
                "an index must be made of integers or truth values", got=f"dtype {array.dtype}"
            )
        if counted and array.dtype.kind == "b" and array.traces:  # looked at: it is a length
            int(sum_(array, axis=None, keepdims=False))
    return arrays, tuple("array" if is_array(p) else static_part(p) for p in parts)


def _in_one_kind(parts: Parts) -> Parts:
    """The same index, with arrays for the numbers that stand apart from arrays, as x[0, :, i].

    NumPy puts the axis of such an index first, with the numbers counted among the arrays; PyTorch
    takes the numbers first, and what is left is an index of arrays alone.
    """
    chosen = [k for k, part in enumerate(parts) if is_array(part) or _is_number(part)]
    together = not chosen or chosen[-1] - chosen[0] == len(chosen) - 1
    if together or all(_is_number(parts[k]) for k in chosen):
        return parts
    return tuple(reshape(lift(part), shape=(1,)) if _is_number(part) else part for part in parts)


def _is_number(part: Any) -> bool:
    if isinstance(part, (Node, np.ndarray, np.integer)):
        return not part.ndim and part.dtype.kind in "iu"
    return type(part) is int


OPERATORS["[]"] = getitem_by
OPERATORS["[]="] = put_by
