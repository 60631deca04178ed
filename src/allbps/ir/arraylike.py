"""What makes a node usable as a NumPy array: operators, methods and NumPy's two protocols."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np

from allbps.errors import (
    AllBPsError,
    ArgumentError,
    DtypeError,
    InPlaceError,
    NoRuleError,
    ShapeError,
    TraceError,
)
from allbps.ir.callee import frame_outside, reads_attribute
from allbps.ir.site import name_in_user_code, user_site
from allbps.ir.traces import carries_gradient, observe, written_out
from allbps.ir.wording import in_user_terms
from allbps.tree import leaves

if TYPE_CHECKING:
    from allbps.ir.node import Node
    from allbps.ir.op import Op

OPERATORS: dict[str, Callable[..., Node]] = {}
"""Python operator -> the operation that declared it."""

NUMPY: dict[Any, Callable[..., Any]] = {}
"""NumPy function -> what it means for traced arrays; filled by the declarations."""

HARMLESS = 0.5
"""Where a function has a value and slopes, unless its operation declares another number."""


class ArrayLike:
    """The array side of a node; the record itself is ``Node``."""

    __slots__ = ("__weakref__",)

    if TYPE_CHECKING:
        shape: tuple[int, ...]
        dtype: np.dtype[Any]
        value: Any
        name: str
        traces: int
        op: Op
        inputs: tuple[Node, ...]
        attrs: Mapping[str, Any]

    def __setattr__(self, key: str, value: object) -> None:
        raise in_place(self, f"set the attribute .{key}")

    # -- what an array has ------------------------------------------------------------------
    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.itemsize

    @property
    def T(self) -> Node:
        """All axes reversed."""
        return self.transpose()

    @property
    def mT(self) -> Node:
        """The last two axes exchanged."""
        return cast("Node", NUMPY[np.swapaxes](self, -1, -2))

    @property
    def is_inexact(self) -> bool:
        """Does it hold real or complex numbers, so that it has a δ?"""
        return self.dtype.kind in "fc"

    @property
    def is_complex(self) -> bool:
        """Does it hold complex numbers?"""
        return self.dtype.kind == "c"

    @property
    def is_float(self) -> bool:
        """Does it hold real numbers, so that derivatives make sense?"""
        return self.dtype.kind == "f"

    def __len__(self) -> int:
        if not self.shape:
            raise ArgumentError("a scalar has no length", where=str(user_site() or ""))
        return self.shape[0]

    def __iter__(self) -> Iterator[Node]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Node:
        return cast("Node", call(OPERATORS["[]"], "x[…]", (self, index), {}))

    def __setitem__(self, index: object, value: object) -> None:
        raise in_place(self, "write into a part")

    def __delitem__(self, index: object) -> None:
        raise in_place(self, "delete a part")

    def __contains__(self, value: object) -> bool:
        return bool(NUMPY[np.any](self == value))

    def reshape(self, *shape: Any, order: str = "C") -> Node:
        """As ``numpy.ndarray.reshape``: one tuple or separate lengths."""
        lengths = shape[0] if len(shape) == 1 else shape
        return cast("Node", call(NUMPY[np.reshape], "x.reshape", (self, lengths, order), {}))

    def transpose(self, *axes: Any) -> Node:
        """As ``numpy.ndarray.transpose``: one tuple, separate axes, or none to reverse them."""
        order = axes[0] if len(axes) == 1 else axes or None
        return cast("Node", call(NUMPY[np.transpose], "x.transpose", (self, order), {}))

    def flatten(self, order: str = "C") -> Node:
        """One axis, in row-major order or, with ``"F"``, in column-major order."""
        return self.reshape(-1, order=order)

    @property
    def real(self) -> Node:
        """The real part: the array itself where the numbers are real."""
        return cast("Node", NUMPY[np.real](self))

    @property
    def imag(self) -> Any:
        """The imaginary part: zeros where the numbers are real."""
        return NUMPY[np.imag](self)

    @property
    def flat(self) -> Iterator[Node]:
        """The elements one by one, in row-major order."""
        return iter(self.flatten())

    def __getattr__(self, name: str) -> Any:
        """Any other array method is the NumPy function of its name, if allbps knows that.

        So is a ufunc: ``np.sin`` of an array of objects calls ``.sin()`` of each of them. What an
        array of NumPy's has besides is refused, not missing: ``hasattr`` is to decide as it does
        for that.
        """
        if name in IN_PLACE_METHODS:
            raise in_place(self, f".{name}()")
        function = getattr(np, name, None)
        method = hasattr(np.ndarray, name) or isinstance(function, np.ufunc)
        if name.startswith("_") or not method or function not in NUMPY:
            raise self._lacking(name)
        known = NUMPY[function]
        return lambda *args, **kwargs: call(known, f"x.{name}", (self, *args), kwargs)

    def _lacking(self, name: str) -> Exception:
        numbers = not self.shape and hasattr(self.dtype.type, name)
        hidden = name.startswith("_") and name != "__dlpack__"
        hidden = hidden and not reads_attribute(frame_outside())  # but NumPy, which looks for hooks
        if hidden or not (numbers or hasattr(np.ndarray, name)):
            return AttributeError(f"a traced array has no attribute {name!r}")
        return self.without_rule(name)

    def without_rule(self, name: str) -> TraceError:
        """The error for an attribute that only a plain array has."""
        return TraceError(
            f"allbps has no rule for .{name} of a traced array",
            where=str(user_site() or ""),
            got=f"{label_of(self)}.{name}",
            todo="write it with functions that have a rule",
        )

    def __copy__(self) -> ArrayLike:
        return self  # nothing can change it

    def __deepcopy__(self, memo: object) -> ArrayLike:
        return self

    # -- plain numbers: reading them is allowed where nothing is forgotten ---------------------
    def known(self, purpose: str) -> Any:
        """The value seen while tracing, which a compiled function checks in every call.

        Raises:
            TraceError: in an abstract graph, where there is no value.

        """
        if self.value is None:
            raise TraceError(
                f"{purpose} needs a number, but {label_of(self)} has none here",
                where=str(user_site() or ""),
                todo="call the function on concrete arrays",
            )
        return observe(cast("Node", self), purpose)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(
                f"an if or while cannot decide on {label_of(self)}, which is not a single number",
                where=str(user_site() or ""),
                expected="one condition",
                got=f"{label_of(self)} of shape {self.shape}",
                todo="np.where(…) chooses element by element; .any() or .all() make one of many",
            )
        return bool(self.known("an if or while"))

    def __int__(self) -> int:
        """What is left without the places behind the point, whose slope is 0 as that of a floor."""
        whole = NUMPY[np.trunc](self) if self.loses_gradient else self
        return int(whole._plain("int"))

    def __index__(self) -> int:
        return int(self._plain("operator.index").__index__())

    def __float__(self) -> float:
        return float(self._plain("float"))

    def item(self) -> Any:
        """As ``numpy.ndarray.item``, for integers and constants only."""
        return np.asarray(self._plain("item")).item()

    def tolist(self) -> Any:
        """As ``numpy.ndarray.tolist``, for integers and constants only."""
        return np.asarray(self._plain("tolist")).tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """What ``np.array([a, b])`` makes of its parts, which NumPy asks for one by one.

        It offers no other hook there. So that nothing is forgotten the answer is an array of
        objects, the elements, each a traced number; where it meets a traced array again, or is
        returned, ``lift`` puts it together as one. Large arrays are refused: every element would
        become a node.
        """
        apart = self.size <= MOST_ELEMENTS and self.loses_gradient
        if not apart or dtype not in (None, object):
            return np.asarray(self._plain("numpy.asarray"), dtype=dtype)
        elements = np.empty(self.shape, object)
        for place in np.ndindex(self.shape):
            elements[place] = self[place] if place else self
        return elements

    @property
    def loses_gradient(self) -> bool:
        """Would plain numbers instead of this array cut a gradient?"""
        return bool(self.traces) and self.is_inexact and carries_gradient(cast("Node", self))

    def _plain(self, purpose: str) -> Any:
        if self.loses_gradient:
            raise TraceError(
                f"{purpose}() of {label_of(self)} would cut its gradient",
                where=str(user_site() or ""),
                expected="an operation that works on traced arrays",
                got=f"a conversion of {label_of(self)} to plain numbers",
                todo="use it as it is: NumPy functions instead of math's, np.stack instead of"
                " np.array, np.zeros_like(x) or np.zeros(n, like=x) instead of np.zeros(n) to write"
                " into; or allbps.stop_gradient to cut it on purpose",
            )
        return self.known(purpose)

    def __format__(self, spec: str) -> str:
        if self.value is None:
            return repr(self)
        return format(written_out(cast("Node", self)), spec)

    # -- NumPy's protocols ---------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        if out is not None or method == "at":
            raise cannot_write(ufunc, method, inputs, out, self)
        if method == "__call__":
            return _dispatch(ufunc, numpy_name(ufunc), *_plain_call(ufunc, inputs, kwargs))
        return _dispatch((ufunc, method), f"{numpy_name(ufunc)}.{method}", inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if kwargs.get("out") is not None:
            raise cannot_write(function, "__call__", args, kwargs["out"], self)
        return _dispatch(function, numpy_name(function), args, kwargs)

    # -- operators ----------------------------------------------------------------------------
    def __add__(self, other: Any) -> Node:
        return OPERATORS["+"](self, other)

    def __radd__(self, other: Any) -> Node:
        return OPERATORS["+"](other, self)

    def __sub__(self, other: Any) -> Node:
        return OPERATORS["-"](self, other)

    def __rsub__(self, other: Any) -> Node:
        return OPERATORS["-"](other, self)

    def __mul__(self, other: Any) -> Node:
        return OPERATORS["*"](self, other)

    def __rmul__(self, other: Any) -> Node:
        return OPERATORS["*"](other, self)

    def __truediv__(self, other: Any) -> Node:
        return OPERATORS["/"](self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return OPERATORS["/"](other, self)

    def __floordiv__(self, other: Any) -> Node:
        return OPERATORS["//"](self, other)

    def __rfloordiv__(self, other: Any) -> Node:
        return OPERATORS["//"](other, self)

    def __mod__(self, other: Any) -> Node:
        return OPERATORS["%"](self, other)

    def __rmod__(self, other: Any) -> Node:
        return OPERATORS["%"](other, self)

    def __pow__(self, other: Any) -> Node:
        return OPERATORS["**"](self, other)

    def __rpow__(self, other: Any) -> Node:
        return OPERATORS["**"](other, self)

    def __matmul__(self, other: Any) -> Node:
        return OPERATORS["@"](self, other)

    def __rmatmul__(self, other: Any) -> Node:
        return OPERATORS["@"](other, self)

    def __lt__(self, other: Any) -> Node:
        return OPERATORS["<"](self, other)

    def __le__(self, other: Any) -> Node:
        return OPERATORS["<="](self, other)

    def __gt__(self, other: Any) -> Node:
        return OPERATORS[">"](self, other)

    def __ge__(self, other: Any) -> Node:
        return OPERATORS[">="](self, other)

    def __eq__(self, other: Any) -> Node:  # type: ignore[override]
        return OPERATORS["=="](self, other)

    def __ne__(self, other: Any) -> Node:  # type: ignore[override]
        return OPERATORS["!="](self, other)

    def __neg__(self) -> Node:
        return OPERATORS["neg"](self)

    def __pos__(self) -> Node:
        return cast("Node", self)

    def __abs__(self) -> Node:
        return OPERATORS["abs"](self)

    def __divmod__(self, other: Any) -> tuple[Node, Node]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Node, Node]:
        return other // self, other % self

    def __floor__(self) -> Node:
        return self._whole(np.floor)

    def __ceil__(self) -> Node:
        return self._whole(np.ceil)

    def __trunc__(self) -> Node:
        return self._whole(np.trunc)

    def __round__(self, digits: int | None = None) -> Node:
        if digits is None:
            return self._whole(np.round)
        return cast("Node", NUMPY[np.round](self, digits))

    def _whole(self, function: Any) -> Node:
        """A whole number, as ``math.floor`` and ``round`` give one; it has no δ.

        Raises:
            ArgumentError: it is NaN or infinite.

        """
        if self.value is not None and not np.all(np.isfinite(self.value)):
            raise ArgumentError(
                f"{label_of(self)} is {self.value}, which is near no whole number",
                where=str(user_site() or ""),
            )
        return cast("Node", NUMPY[np.astype](NUMPY[function](self), np.dtype(int)))

    def __and__(self, other: Any) -> Node:
        return cast("Node", NUMPY[np.bitwise_and](self, other))

    def __rand__(self, other: Any) -> Node:
        return cast("Node", NUMPY[np.bitwise_and](other, self))

    def __or__(self, other: Any) -> Node:
        return cast("Node", NUMPY[np.bitwise_or](self, other))

    def __ror__(self, other: Any) -> Node:
        return cast("Node", NUMPY[np.bitwise_or](other, self))

    def __xor__(self, other: Any) -> Node:
        return cast("Node", NUMPY[np.bitwise_xor](self, other))

    def __rxor__(self, other: Any) -> Node:
        return cast("Node", NUMPY[np.bitwise_xor](other, self))

    def __invert__(self) -> Node:
        return cast("Node", NUMPY[np.invert](self))

    __hash__ = object.__hash__


MOST_ELEMENTS = 1000
"""The largest traced array that ``np.array`` takes apart."""

IN_PLACE_METHODS = frozenset(
    ("byteswap", "fill", "itemset", "partition", "put", "resize", "setfield", "setflags", "sort")
)
"""Array methods that would change the array itself."""


def numpy_name(function: Any) -> str:
    """What a user writes for a NumPy function: ``np.sum``, ``np.linalg.inv``."""
    if _of_scipy(function):
        return _of_scipy(function)
    module = getattr(function, "__module__", None) or "numpy"
    name = getattr(function, "__name__", str(function))
    return f"{module.replace('numpy', 'np', 1)}.{name}"


def _of_scipy(function: Any) -> str:
    """``scipy.special.erf`` for a ufunc of SciPy's, or an empty string."""
    name = getattr(function, "__name__", "")
    special = sys.modules.get("scipy.special")  # whoever calls it has imported it
    known = special is not None and getattr(special, name, None) is function
    return f"scipy.special.{name}" if known else ""


def _plain_call(
    ufunc: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A call of a ufunc without its options: ``dtype=`` casts the operands, others are refused.

    Raises:
        ArgumentError: an option that has no meaning here.

    """
    dtype = kwargs.pop("dtype", None)
    if dtype is not None:
        inputs = tuple(NUMPY[np.astype](x, dtype) for x in inputs)
    usual = {"where": True, "casting": "same_kind", "order": "K", "subok": True}
    for key, value in kwargs.items():
        if key not in usual or value is not usual[key]:
            name = numpy_name(ufunc)
            raise ArgumentError(
                f"{name} of a traced array does not take {key}=",
                where=str(user_site() or ""),
                got=f"{key}={label(value)}",
                todo=f"np.where(mask, {name}(…), …)" if key == "where" else f"leave {key} out",
            )
    return inputs, {}


def _dispatch(key: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    known = NUMPY.get(key) or NUMPY.get(_of_scipy(key))
    if known is None:
        raise NoRuleError(
            f"allbps has no rule for {name}",
            where=str(user_site() or ""),
            got=f"{name} of {traced_among(args, kwargs)}",
            todo="write it with functions that have one, or declare an op (docs/adding-an-op.md)",
        )
    return call(known, name, args, kwargs)


def holds_complex(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Is an array of complex numbers among the arguments?"""
    return any(
        isinstance(x, complex) or getattr(getattr(x, "dtype", None), "kind", "") == "c"
        for part in (*args, *kwargs.values())
        for x in (part if isinstance(part, (list, tuple)) else (part,))
    )


def traced_among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The names of the traced arrays in a call."""
    found = [leaf for leaf in leaves([list(args), kwargs]) if isinstance(leaf, ArrayLike)]
    return " and ".join(dict.fromkeys(map(label_of, found)))


COMPLEX: set[Any] = set()
"""What functions composed from operations mean the same of complex numbers as NumPy does."""


def refuse_complex(name: str) -> NoReturn:
    """Raise: complex numbers came to what knows only real ones."""
    raise DtypeError(
        f"{name} of complex numbers has no rule here",
        where=str(user_site() or ""),
        expected="real numbers",
        todo="np.real(z), np.imag(z), np.abs(z) and np.angle(z) are real",
    )


def call(known: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if type(known) is FunctionType and known not in COMPLEX and holds_complex(args, kwargs):
        refuse_complex(name)
    try:
        return known(*args, **kwargs)
    except AllBPsError as error:
        raise in_user_terms(error, args) from None
    except TypeError as error:
        raise ArgumentError(
            f"{name} of a traced array cannot take these arguments: {_complaint(error)}",
            where=str(user_site() or ""),
        ) from error


def _complaint(error: TypeError) -> str:
    """What Python says about the arguments of a function of ours, without that function's name."""
    return re.sub(r"^[\w.<>]+\(\) ", "", str(error))


def label_of(node: ArrayLike) -> str:
    """What to call a node in a message: the user's variable if there is one."""
    made = "an argument" if node.op.name == "input" else f"the result of {node.op.name}"
    return node.name or name_in_user_code(node) or _element(node) or made


def _element(node: ArrayLike) -> str:
    """``x[0]`` for a part of the user's variable ``x``, or an empty string."""
    if node.op.name != "getitem" or len(node.inputs) > 1:
        return ""
    name = node.inputs[0].name or name_in_user_code(node.inputs[0])
    return node.op.text(node.op.numpy, [name], node.attrs) if name else ""


def label(value: object) -> str:
    """What to call an operand in a message."""
    if isinstance(value, ArrayLike):
        return label_of(value)
    return name_in_user_code(value) or repr(value)


def cannot_write(
    function: Any, method: str, inputs: tuple[Any, ...], out: Any, node: ArrayLike
) -> InPlaceError:
    """The error for a result that was to be written into an array: ``out=`` or ``A += x``."""
    target = out[0] if isinstance(out, tuple) else inputs[0] if out is None else out
    if isinstance(target, ArrayLike):
        return in_place(target, f"{numpy_name(function)}(…, out=…)")
    source, name = label_of(node), name_in_user_code(target)
    shown = f"the plain array {name}" if name else f"a plain array of shape {np.shape(target)}"
    return InPlaceError(
        f"{source} is traced and cannot be written into {shown}",
        where=str(user_site() or ""),
        expected=f"a new array: {name or 'a'} = {name or 'a'} + …",
        got=f"{numpy_name(function)}{'.at' if method == 'at' else ''} with {shown} as its output",
        todo="a = a + x instead of a += x; or make it with np.zeros_like(x), np.zeros(n, like=x)",
    )


def in_place(node: ArrayLike, action: str) -> InPlaceError:
    name = label_of(node)
    return InPlaceError(
        f"{name} is traced and cannot be changed in place ({action})",
        where=str(user_site() or ""),
        expected=f"a new array: {name} = np.where(…), np.concatenate(…), {name} + …",
        got=f"a write into {name}",
        todo=f"build the changed array and bind it to {name} again",
    )
