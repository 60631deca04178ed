"""What user code holds while it is traced: a name for a node, which writing in place rebinds.

A ``Node`` is a record and never changes. A ``TracedArray`` says which node stands for the array
now. ``h += b`` builds the node h + b and lets the name h stand for it, and so does every other name
of the same array, because it is the same object. A ``TracedView`` reads its numbers out of the
array that it is a part of, and what is written into it is put back there; this is how PyTorch's
functionalisation follows NumPy's memory without having any.

Every operation goes through one gate: ``resolved`` gives the nodes that stand for the operands
now, the operation builds nodes, ``handed`` gives them names. BP rules and whatever else works on
nodes never sees a name.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import FunctionType, MethodType
from typing import Any, cast

import numpy as np

from allbps.errors import DtypeError, InPlaceError, NoRuleError, ShapeError, TraceError
from allbps.ir.arraylike import (
    HARMLESS,
    MOST_ELEMENTS,
    NUMPY,
    OPERATORS,
    ArrayLike,
    call,
    cannot_write,
    in_place,
    label_of,
    numpy_name,
)
from allbps.ir.layout import as_laid, laid_over, memory_for
from allbps.ir.meanings import ARRAYS, COMPUTING, IN_PLACE, SAME, VIEWS
from allbps.ir.node import Node
from allbps.ir.site import user_site
from allbps.ir.snapshots import snapshot
from allbps.ir.traces import depth_here, taken_apart, written_out
from allbps.ir.viewing import Read, Write, indexing, is_basic, putting, reading, writing
from allbps.ir.writes import Place, Writes, as_written, place_of

LOOKS_INTO_MEMORY = inspect.unwrap(np.lib.stride_tricks.as_strided).__code__
"""NumPy's own code that takes the elements of an array by their distance in memory."""

NUMBER = np.float64(0)
"""Stands for the memory of a number, which nothing can be written into."""


class TracedArray(ArrayLike):
    """A name for a node.

    Attributes:
        node: what the array holds now.
        version: how often it has been written into.
        is_shared: it was passed for several arguments of the function, or parts of it were; which
            of them a write would have to reach is not followed.

    """

    __slots__ = ("_memory", "_node", "_writes", "is_shared", "version")
    _node: Node
    _memory: Any
    _writes: Writes | None
    version: int
    is_shared: bool

    def __init__(self, node: Node, memory: Any = None) -> None:
        _set_node(self, node)
        _set_memory(self, memory)
        _set_writes(self, None)
        _set_version(self, 0)
        _set_shared(self, False)

    @property
    def node(self) -> Node:
        """What the array holds now."""
        if self._writes is not None:
            made = self._writes.together()
            _set_node(self, laid_over(made, self.memory) if made.shape[1:] else made)
            _set_writes(self, None)
        return self._node

    @property
    def seen_node(self) -> Node | None:
        """``node`` where it need not be built first."""
        return self._node if self._writes is None else None

    def stands_for(self, node: object) -> bool:
        """Is this a name for ``node``?"""
        return self._node is node and self._writes is None

    @property
    def memory(self) -> Any:
        """The plain array of the first value, or a number: says what shares memory with what."""
        if self._memory is None:
            _set_memory(self, memory_for(self._node, NUMBER))
        return self._memory

    # -- what a node knows -----------------------------------------------------------------------
    shape = property(lambda self: self.node.shape)
    dtype = property(lambda self: self.node.dtype)
    value = property(lambda self: self.node.value)
    name = property(lambda self: self.node.name)
    traces = property(lambda self: self.node.traces)
    op = property(lambda self: self.node.op)
    inputs = property(lambda self: self.node.inputs)
    attrs = property(lambda self: self.node.attrs)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What ``isinstance`` is told: an array, or a number as NumPy's functions give it."""
        node = self._node
        if self._memory is None and (node.shape or not node.is_worked_out):
            return np.ndarray if node.shape else node.dtype.type
        return np.ndarray if isinstance(self.memory, np.ndarray) else node.dtype.type

    def __repr__(self) -> str:
        return self._written(repr)

    def __str__(self) -> str:
        return self._written(str)

    def _written(self, as_text: Callable[[Any], str]) -> str:
        """The text that the plain array or number has, as a program may decide by it."""
        node = self.node
        if not node.has_value:
            return repr(node).replace("Node", "TracedArray", 1)
        plain = np.asarray(written_out(node))
        text = as_text(plain if isinstance(self.memory, np.ndarray) else plain[()])
        return WrittenOut(text, self) if node.loses_gradient and depth_here() else text

    # -- writing ---------------------------------------------------------------------------------
    def bind(self, node: Node) -> None:
        """Let the array hold what ``node`` says from now on."""
        assert isinstance(node, Node), "a name stands for a node, never for another name"
        self._may_be_written()
        memory = self.memory  # kept, before its node goes
        _set_node(self, laid_over(node, memory) if node.shape[1:] else node)
        _set_writes(self, None)
        _set_version(self, self.version + 1)

    def assign(self, new: Node, casting: Any = "same_kind", where: Any = True) -> None:
        """Write ``new`` over the whole array, in its shape and dtype, as NumPy does.

        Raises:
            InPlaceError: it is a number.
            ShapeError: it does not fit.
            DtypeError: NumPy's casting rules forbid it.

        """
        old = self.node
        if not isinstance(self.memory, np.ndarray):
            raise in_place(old, "it is a number, not an array")
        if not np.can_cast(new.dtype, old.dtype, casting):
            raise DtypeError(
                f"{label_of(old)} cannot take these numbers in place",
                where=str(user_site() or ""),
                expected=f"{old.dtype}, as {label_of(old)} holds",
                got=str(new.dtype),
                todo=f"{label_of(old)} = {label_of(old)}.astype({new.dtype}), or a new array",
            )
        if where is not True:
            chosen = NUMPY[np.broadcast_to](where, old.shape)
            new = NUMPY[np.where](chosen, _cast(new, old.dtype), old)
        if new.shape != old.shape:
            if not _broadcasts(new.shape, old.shape):
                raise ShapeError(
                    f"{label_of(old)} cannot take this in place",
                    where=str(user_site() or ""),
                    expected=f"what can be broadcast to {old.shape}",
                    got=f"shape {new.shape}",
                )
            new = NUMPY[np.broadcast_to](new, old.shape)
        self.bind(_cast(new, old.dtype))

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, TracedView) and value.is_part(self, index):
            return  # x[:2] += 1 has written into x already, and now says x[:2] = x[:2]
        if not isinstance(self.memory, np.ndarray):
            raise in_place(self.node, "it is a number, not an array")
        value = resolved(value)
        if self._note(index, value):
            return
        operands = (self.node, resolved(index), value)
        self.bind(call(OPERATORS["[]="], "x[…] = …", operands, {}))

    def _place(self, index: Any) -> Place | None:
        """The single place that ``index`` names, where a write into it is noted."""
        return place_of(index, self._node.shape)

    def _note(self, index: Any, value: Any) -> bool:
        """Note a write into one place; False where it is none, or the value must be fitted."""
        place = self._place(index)
        new = None if place is None else as_written(value, self._node, place)
        if place is None or new is None:
            return False
        self._may_be_written()
        self.memory  # noqa: B018  (kept, before its node goes)
        writes = self._writes
        if writes is None or not writes.takes(place):
            writes = Writes(self.node, len(place))
            _set_writes(self, writes)
        writes.write(place, new)
        _set_version(self, self.version + 1)
        return True

    def _may_be_written(self) -> None:
        if self.is_shared:
            raise in_place(self._node, "another argument shares its memory; pass a copy for one")

    def __setattr__(self, key: str, value: Any) -> None:
        if value is self:
            return  # x.real += 1 of real numbers has written into x already
        if key == "flat":
            self.flat[:] = value
        elif key == "real" or (key == "imag" and self.is_complex):
            getattr(self, key)[...] = value
        else:
            raise in_place(self.node, f"set the attribute .{key}")

    def fill(self, value: Any) -> None:
        """As ``numpy.ndarray.fill``."""
        self[...] = value

    def sort(self, axis: int = -1, **options: Any) -> None:
        """As ``numpy.ndarray.sort``: in place."""
        self.assign(call(NUMPY[np.sort], "x.sort", (self.node, axis), options))

    def partition(self, kth: Any, axis: int = -1, **options: Any) -> None:
        """As ``numpy.ndarray.partition``: in place."""
        self.assign(call(NUMPY[np.partition], "x.partition", (self.node, kth, axis), options))

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        """As ``numpy.ndarray.put``."""
        IN_PLACE[np.put](self, indices, values, mode)

    # -- views -----------------------------------------------------------------------------------
    def __getitem__(self, index: Any) -> TracedArray:  # type: ignore[override]
        noted = self._noted(index)
        made = noted
        if made is None:
            made = call(OPERATORS["[]"], "x[…]", (self.node, resolved(index)), {})
        if not is_basic(index):
            return TracedArray(made)
        memory = self.memory[index]
        if not isinstance(memory, np.ndarray) or not isinstance(self.memory, np.ndarray):
            return TracedArray(made, memory)
        if noted is not None:
            return TracedView(made, memory, self, indexing(index), putting(index), index)
        return _view(self, made, memory, index, indexing(index))

    def _noted(self, index: Any) -> Node | None:
        """What stands in a place beside which others have been written and noted."""
        if self._writes is None:
            return None
        place = self._place(index)
        if place is None or not self._writes.takes(place):
            return None
        return self._writes.read(place)

    def __iter__(self) -> Iterator[TracedArray]:  # type: ignore[override]
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> Any:
        """All axes reversed."""
        return self.transpose()

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return _viewed(np.matrix_transpose, "x.mT", NUMPY[np.matrix_transpose], (self,), {})

    @property
    def real(self) -> Any:
        """The array itself where it holds real numbers."""
        return _viewed(np.real, "x.real", NUMPY[np.real], (self,), {}) if self.is_complex else self

    @property
    def imag(self) -> Any:
        """The imaginary part: zeros where the numbers are real."""
        if not self.is_complex:
            return NUMPY[np.imag](self.node)
        return _viewed(np.imag, "x.imag", NUMPY[np.imag], (self,), {})

    def conj(self) -> Any:
        """As ``numpy.ndarray.conj``: the array itself where it holds real numbers."""
        return handed(NUMPY[np.conj](self.node), number=True) if self.is_complex else self

    conjugate = conj

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        """As ``numpy.ndarray.reshape``: one tuple or separate lengths."""
        lengths = shape[0] if len(shape) == 1 else shape
        order = self.order_of("C" if order == "K" else order)
        made = _viewed(np.reshape, "x.reshape", NUMPY[np.reshape], (self, lengths, order), {})
        return made.copy() if copy else made

    def ravel(self, order: str = "C") -> Any:
        """As ``numpy.ndarray.ravel``: a view where the numbers lie in this order."""
        if order == "K":
            return self.transpose(self._nesting()).ravel()
        arguments = (self, self.order_of(order))
        return _viewed(np.ravel, "x.ravel", NUMPY[np.ravel], arguments, {})

    def order_of(self, order: str) -> str:
        """``"A"`` as what it means for this array."""
        if order != "A" or not isinstance(self.memory, np.ndarray):
            return order
        return "F" if self.memory.flags.fnc else "C"

    def _nesting(self) -> tuple[int, ...]:
        """The axes as they lie in memory, the outermost first."""
        strides = [abs(n) for n in getattr(self.memory, "strides", ())]
        return tuple(sorted(range(self.ndim), key=lambda k: -strides[k] if strides else 0))

    def transpose(self, *axes: Any) -> Any:
        """As ``numpy.ndarray.transpose``: one tuple, separate axes, or none to reverse them."""
        order = axes[0] if len(axes) == 1 else axes or None
        return _viewed(np.transpose, "x.transpose", NUMPY[np.transpose], (self, order), {})

    def compress(self, condition: Any, axis: int | None = None) -> TracedArray:
        """As ``numpy.ndarray.compress``."""
        arguments = (resolved(condition), self.node, axis)
        return TracedArray(call(NUMPY[np.compress], "x.compress", arguments, {}))

    def flatten(self, order: str = "C") -> Any:
        """As ``numpy.ndarray.flatten``: a copy."""
        return self.ravel(order).copy()

    def view(self, *kind: Any) -> Any:
        """As ``numpy.ndarray.view``, with the same dtype."""
        if any(k is not np.ndarray and np.dtype(k) != self.dtype for k in kind):
            raise in_place(self.node, ".view() of its memory with another dtype")
        return self[...]

    def astype(self, dtype: Any, copy: bool = True, **options: Any) -> Any:
        """As ``numpy.ndarray.astype``."""
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        made = as_laid(
            NUMPY[np.astype](self.node, dtype), np.ndarray.astype, (self, dtype), options
        )
        return TracedArray(made, None if isinstance(self.memory, np.ndarray) else NUMBER)

    @property
    def flat(self) -> Any:
        """The elements in row-major order, to read and to write."""
        return Flat(self)

    # -- everything else passes the gate ---------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        method = getattr(self.node, name)
        function = getattr(np, name, None)

        def run(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            args, out = _without_out(_place_of_out(function) - 1, args, out)
            if function in VIEWS:
                return _viewed(function, f"x.{name}", NUMPY[function], (self, *args), kwargs)
            if out is not None:
                _refuse_plain(function or method, out, self)
            made = method(*map(resolved, args), **resolved(kwargs))
            made = as_laid(made, getattr(np.ndarray, name, None), (self, *args), kwargs)
            if out is None:
                return handed(made)
            return _into(out, (made,), function or method)[0]

        return run

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """The elements one by one, each a traced number; see ``ArrayLike.__array__``.

        ``np.asarray(x)`` is x itself for NumPy. Here it cannot be, so nothing can be written
        into it.
        """
        node = self.node
        apart = node.traces and node.is_inexact and node.size <= MOST_ELEMENTS
        if not apart or dtype not in (None, object):
            return node.__array__(dtype, copy)
        if sys._getframe(1).f_code is LOOKS_INTO_MEMORY:
            raise NoRuleError(
                "allbps has no rule for np.lib.stride_tricks.as_strided, which looks into memory",
                where=str(user_site() or ""),
                todo="np.lib.stride_tricks.sliding_window_view, or allbps.functional.as_strided",
            )
        taken_apart()
        elements = np.empty_like(self.memory if node.shape else NUMBER, object)
        for place in np.ndindex(node.shape):
            elements[place] = TracedElement(node[place] if place else node, self, bool(copy))
        elements.flags.writeable = bool(copy)
        return elements

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "at":
            if not isinstance(inputs[0], TracedArray):
                raise cannot_write(ufunc, method, inputs, None, self)
            return IN_PLACE[np.ufunc.at](ufunc, *inputs)
        out = kwargs.pop("out", None)
        how = {"where": True, "casting": "same_kind"}
        if out is not None:
            _refuse_plain(ufunc, out, self)
            how.update({key: kwargs.pop(key) for key in how if key in kwargs})
        operands = [resolved(x) for x in inputs]
        if how["where"] is not True:
            operands = _harmless(ufunc, operands, resolved(how["where"]))
        made = ArrayLike.__array_ufunc__(self.node, ufunc, method, *operands, **resolved(kwargs))
        if out is None:
            return handed(made, number=True)
        many = isinstance(made, tuple)
        written = _into(out, made if many else (made,), ufunc, **how)
        return written if many else written[0]

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if function in IN_PLACE:
            return IN_PLACE[function](*args, **kwargs)
        if _is_the_array_itself(function, args, kwargs):
            return args[0]
        name = numpy_name(function)
        if function in VIEWS:
            return _viewed(function, name, NUMPY[function], args, kwargs)
        args, out = _without_out(_place_of_out(function), args, kwargs.pop("out", None))
        if out is not None:
            _refuse_plain(function, out, self)
        operands = tuple(resolved(x) for x in args)
        made = self.node.__array_function__(function, types, operands, resolved(kwargs))
        if out is not None:
            return _into(out, (made,), function)[0]
        made = as_laid(made, function, args, kwargs)
        return handed(made, number=function not in ARRAYS)

    def __copy__(self) -> TracedArray:
        number = not isinstance(self.memory, np.ndarray)
        made = as_laid(self.node, np.copy, (self,), {})
        return TracedArray(made, NUMBER if number else None)

    def __deepcopy__(self, memo: object) -> TracedArray:
        return self.__copy__()

    def copy(self, order: str = "C") -> TracedArray:
        """As ``numpy.ndarray.copy``: row by row, whatever lay otherwise."""
        if not isinstance(self.memory, np.ndarray):
            return self.__copy__()
        return TracedArray(as_laid(self.node, np.ndarray.copy, (self, order), {}))

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TraceError(
            f"{label_of(self.node)} is traced and cannot be pickled",
            where=str(user_site() or ""),
            todo="pickle what the function returns, or allbps.stop_gradient(x) of it",
        )

    __hash__ = object.__hash__


class WrittenOut(str):
    """The text of a traced number, which is no way around the refusal to make a float of it.

    Only while the function runs: a report of an error that shows it later wants a plain text.
    """

    __slots__ = ("_of",)
    _of: TracedArray

    def __new__(cls, text: str, of: TracedArray) -> WrittenOut:
        made = super().__new__(cls, text)
        made._of = of
        return made

    def __float__(self) -> float:
        return float(self._of)

    def __copy__(self) -> WrittenOut:
        return self  # texts do not change

    def __deepcopy__(self, memo: object) -> WrittenOut:
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self[:],)  # in a file, and in another process, it is a text and no more


_set_node = vars(TracedArray)["_node"].__set__  # past __setattr__, which refuses
_set_memory = vars(TracedArray)["_memory"].__set__
_set_version = vars(TracedArray)["version"].__set__
_set_writes = vars(TracedArray)["_writes"].__set__
_set_shared = vars(TracedArray)["is_shared"].__set__


class TracedView(TracedArray):
    """A name for a part of another array: read out of it, and put back into it when written.

    Attributes:
        parent: the array it was taken of, maybe a view itself.
        root: the array at the end of that chain, which has numbers of its own.
        read: the node of the parent -> the node of this view.
        write: (node of the parent, new node of this view) -> the new node of the parent; None
            where NumPy's view is read-only.
        index: the index it was taken with, if it was.

    """

    __slots__ = ("index", "parent", "read", "root", "write")
    parent: TracedArray
    root: TracedArray
    read: Read
    write: Write | None
    index: Any

    def __init__(
        self,
        node: Node,
        memory: Any,
        parent: TracedArray,
        read: Read,
        write: Write | None,
        index: Any = None,
    ) -> None:
        root = parent.root if isinstance(parent, TracedView) else parent
        put = object.__setattr__
        super().__init__(node, memory)
        _set_version(self, root.version)
        put(self, "parent", parent)
        put(self, "root", root)
        put(self, "read", read)
        put(self, "write", write)
        put(self, "index", index)

    @property
    def is_fresh(self) -> bool:
        """Has nothing been written since its node was built?"""
        return self.version == self.root.version

    @property
    def node(self) -> Node:
        """What this part of the array holds now."""
        if self.version == self.root.version:
            return self._node
        stale: list[TracedView] = []
        view: TracedArray = self
        while isinstance(view, TracedView) and not view.is_fresh:
            stale.append(view)
            view = view.parent
        node = view.node
        for part in reversed(stale):
            node = part.read(node)
            _set_node(part, node)
            _set_version(part, self.root.version)
        return node

    @property
    def seen_node(self) -> Node | None:
        """``node`` where it need not be built first."""
        return self._node if self.is_fresh else None

    def bind(self, node: Node) -> None:
        """Put ``node`` into the array that this is a part of."""
        path: list[tuple[TracedView, Node]] = []
        view: TracedArray = self
        while isinstance(view, TracedView):
            write = view.write
            if write is None:
                raise in_place(self.node, _not_put_back(view))
            path.append((view, node))
            index, view = view.index, view.parent
            if view._note(index, node):
                break
            node = write(view.node, node)
        else:
            view.bind(node)
        for part, written in path:
            _set_node(part, written)
            _set_version(part, view.version)

    def _place(self, index: Any) -> Place | None:
        return None  # what is written into a view goes into the array that it is a part of

    def is_part(self, array: TracedArray, index: Any) -> bool:
        """Is this what ``array[index]`` is now?"""
        same = self.parent is array and is_basic(index) and self.index == index
        return same and self.is_fresh


class TracedElement(TracedArray):
    """One number of what ``np.asarray`` and ``np.array`` make of a traced array.

    The two cannot be told apart here, and what is written into the array later is seen by the first
    alone. So the number is refused from then on.
    """

    __slots__ = ("source",)
    source: TracedArray | None

    def __init__(self, node: Node, source: TracedArray, copied: bool) -> None:
        super().__init__(node, NUMBER)
        root = source.root if isinstance(source, TracedView) else source
        object.__setattr__(self, "source", None if copied else root)
        _set_version(self, root.version)

    @property
    def node(self) -> Node:
        """What the number was.

        Raises:
            InPlaceError: the array that it was taken of has been written into.

        """
        source = self.source
        if source is not None and source.version != self.version:
            raise InPlaceError(
                f"{label_of(source.node)} has been written into since np.asarray or np.array took"
                " its numbers, and only the first would follow",
                where=str(user_site() or ""),
                todo="leave np.asarray out, or write np.copy(x) for an array of its own",
            )
        return self._node

    @property
    def seen_node(self) -> Node | None:
        """The number itself."""
        return self._node


class Flat:
    """The elements of an array in row-major order: ``x.flat``."""

    def __init__(self, array: TracedArray) -> None:
        self._array = array

    def __len__(self) -> int:
        return self._array.size

    def __iter__(self) -> Iterator[TracedArray]:
        return (self[k] for k in range(len(self)))

    def _row(self) -> Node:
        return cast("Node", NUMPY[np.reshape](self._array.node, -1))

    def __getitem__(self, index: Any) -> TracedArray:
        made = call(OPERATORS["[]"], "x.flat[…]", (self._row(), resolved(index)), {})
        return handed(made, number=True)  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: Any) -> None:
        places = np.arange(len(self))[index]
        values = NUMPY[np.resize](resolved(value), np.shape(places))
        row = call(OPERATORS["[]="], "x.flat[…] = …", (self._row(), places, values), {})
        self._array.assign(NUMPY[np.reshape](row, self._array.shape), "unsafe")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return TracedArray(self._row()).__array__(dtype, copy)


# -- the gate --------------------------------------------------------------------------------------
def resolved(x: Any) -> Any:
    """The node that a name stands for now, plain arrays as they are now; containers part by part.

    A function of the user's that NumPy is to call gets names for the nodes it is called with.
    """
    if isinstance(x, TracedArray):
        return x.node
    resolve = _RESOLVED.get(type(x))
    if resolve is None:
        return snapshot(x) if isinstance(x, np.ndarray) else x  # of a class of its own: np.memmap
    return resolve(x)


def _of_names(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        made = function(*map(handed, args), **{key: handed(x) for key, x in kwargs.items()})
        return resolved(made)

    return run


_RESOLVED: dict[type, Callable[[Any], Any]] = {
    np.ndarray: snapshot,
    list: lambda x: [resolved(part) for part in x],
    tuple: lambda x: tuple([resolved(part) for part in x]),
    dict: lambda x: {key: resolved(part) for key, part in x.items()},
    FunctionType: _of_names,
    MethodType: _of_names,
}


def handed(made: Any, number: bool = False) -> Any:
    """Names for the nodes that an operation made.

    Args:
        made: a node, a container of nodes, or anything else.
        number: is what has no axes a number, which cannot be written into?

    """
    if isinstance(made, Node):
        return TracedArray(made, NUMBER if number and not made.shape else None)
    if isinstance(made, (list, tuple)):
        parts = [handed(part, number) for part in made]
        return type(made)(*parts) if hasattr(made, "_fields") else type(made)(parts)
    return made


def is_traced(*operands: Any) -> bool:
    """Is a name among the operands, or in a list among them?"""
    return any(
        isinstance(x, TracedArray)
        or (isinstance(x, (list, tuple)) and is_traced(*x))
        or (isinstance(x, dict) and is_traced(*x.values()))
        for x in operands
    )


def _harmless(ufunc: Any, operands: list[Any], where: Any) -> list[Any]:
    """Operands that are numbers of no consequence where ``where`` does not hold.

    A quotient by 0 that is not wanted would make NaN of the δ that is not wanted either.
    """
    harmless = getattr(NUMPY.get(ufunc), "harmless", HARMLESS)
    return [
        NUMPY[np.where](where, x, harmless) if isinstance(x, Node) and x.is_inexact else x
        for x in operands
    ]


def _is_the_array_itself(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    itself = SAME.get(function)
    return itself is not None and isinstance(args[0], TracedArray) and itself(*args, **kwargs)


def _into(
    out: tuple[Any, ...],
    made: tuple[Any, ...],
    function: Any,
    where: Any = True,
    casting: Any = "same_kind",
) -> tuple[Any, ...]:
    """The results written into ``out``, where there is one."""
    results = []
    for target, node in zip(out, made, strict=True):
        if target is None:
            results.append(handed(node, number=True))
            continue
        if isinstance(node, Node) and node.shape != target.shape and len(node.shape):
            raise ShapeError(
                f"{numpy_name(function)}(…, out={label_of(target.node)}) does not fit",
                where=str(user_site() or ""),
                expected=f"an out of shape {node.shape}",
                got=f"shape {target.shape}",
            )
        target.assign(node, casting, resolved(where))
        results.append(target)
    return tuple(results)


@lru_cache(256)
def _place_of_out(function: Any) -> int:
    """Where a function of NumPy's takes ``out`` without its name; -1 where it does not."""
    try:
        return list(inspect.signature(function).parameters).index("out")
    except (TypeError, ValueError):  # not every function says what it takes
        return -1


def _without_out(place: int, args: tuple[Any, ...], out: Any) -> tuple[tuple[Any, ...], Any]:
    """Arguments without an ``out`` that stands among them, and ``out`` as ufuncs get it: a tuple.

    None where there is none.
    """
    if 0 <= place < len(args):
        behind = args[place + 1 :]
        args, out = (*args[:place], *([None, *behind] if behind else ())), args[place]
    return args, out if out is None or isinstance(out, tuple) else (out,)


def _refuse_plain(function: Any, out: tuple[Any, ...], node: ArrayLike) -> None:
    """A traced result cannot be written into a plain array."""
    for target in out:
        if target is not None and not isinstance(target, TracedArray):
            raise cannot_write(function, "__call__", (), target, node)


# -- views -----------------------------------------------------------------------------------------
def _viewed(
    function: Any, name: str, known: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
) -> Any:
    """What a function gives that may return views: NumPy itself says which results are."""
    made = call(known, name, tuple(map(resolved, args)), resolved(kwargs))
    made = as_laid(made, function, args, kwargs) if function in COMPUTING else made
    plain = function(*map(_memory_of, args), **{k: _memory_of(x) for k, x in kwargs.items()})
    sources = [x for x in _spread([*args, *kwargs.values()]) if isinstance(x, TracedArray)]
    if isinstance(made, (list, tuple)):
        pairs = zip(made, plain, range(len(made)), strict=True)
        return type(made)(
            [_result(m, p, sources, _again(known, args, kwargs, k)) for m, p, k in pairs]
        )
    return _result(made, plain, sources, _again(known, args, kwargs, None))


def _spread(parts: Any) -> Iterator[Any]:
    for x in parts:
        if isinstance(x, (list, tuple)):
            yield from _spread(x)
        else:
            yield x


def _memory_of(x: Any) -> Any:
    if isinstance(x, TracedArray):
        return x.memory
    if type(x) in (list, tuple):
        return type(x)([_memory_of(part) for part in x])
    return x


Again = Callable[[TracedArray], Read]


def _again(known: Callable[..., Any], args: Any, kwargs: Any, which: int | None) -> Again:
    """The same call on another node in the place of one of its arguments."""

    def reader(source: TracedArray) -> Read:
        def read(node: Node) -> Node:
            def at(x: Any) -> Any:
                return node if x is source else resolved(x)

            made = known(*map(at, args), **{key: at(x) for key, x in kwargs.items()})
            return cast("Node", made if which is None else made[which])

        return read

    return reader


def _result(made: Any, memory: Any, sources: list[TracedArray], again: Again) -> Any:
    if not isinstance(made, Node):
        return made
    if not isinstance(memory, np.ndarray):
        return TracedArray(made, NUMBER)
    for source in sources:
        if isinstance(source.memory, np.ndarray) and np.may_share_memory(source.memory, memory):
            if made is source.node and memory.flags.writeable:
                return source
            return _view(source, made, memory, None, again(source))
    return TracedArray(made, memory)


def _view(source: TracedArray, made: Node, memory: Any, index: Any, read: Read) -> TracedArray:
    """A view of ``source`` that a chain of operations made, each of which can be gone back."""
    chain: list[Node] = []
    node = made
    while node is not source.node and node.op.written is not None and len(node.inputs) == 1:
        chain.append(node)
        node = node.inputs[0]
    if node is not source.node or not memory.flags.writeable:
        return TracedView(made, memory, source, read, None)
    steps = [(step.op, step.attrs) for step in reversed(chain)]
    return TracedView(made, memory, source, reading(steps), writing(steps), index)


def _not_put_back(view: TracedArray) -> str:
    if isinstance(view.memory, np.ndarray) and view.memory.flags.writeable:
        return "it is a view whose places cannot be followed; write into the array by an index"
    return "it is a read-only view, for NumPy too"


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    padded = (1,) * (len(to) - len(shape)) + shape
    return len(padded) == len(to) and all(n in (1, m) for n, m in zip(padded, to, strict=True))


def _cast(node: Node, dtype: np.dtype[Any]) -> Node:
    return node if node.dtype == dtype else cast("Node", NUMPY[np.astype](node, dtype))
