"""What holds numbers and is not a NumPy array: refused by name, with what to pass instead.

Nothing is imported for it: a class is known by the module that it comes from.
"""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from allbps.errors import DtypeError
from allbps.ir.arraylike import ArrayLike
from allbps.ir.site import name_in_user_code, user_site

KINDS: dict[tuple[str, str], tuple[str, str]] = {
    ("torch", "Module"): (
        "a torch module, whose parameters allbps does not see",
        "write the forward pass in NumPy, and pass"
        " {{n: p.detach().numpy() for n, p in {x}.named_parameters()}}",
    ),
    ("torch", "Tensor"): ("a torch tensor", "pass {x}.numpy()"),
    ("jax", "Array"): ("a JAX array", "pass np.asarray({x})"),
    ("jax", "Tracer"): ("an array that JAX is tracing", "call allbps outside of jax.jit and grad"),
    ("jaxlib", "ArrayImpl"): ("a JAX array", "pass np.asarray({x})"),
    ("tensorflow", "Tensor"): ("a TensorFlow tensor", "pass {x}.numpy()"),
    ("tensorflow", "Variable"): ("a TensorFlow variable", "pass {x}.numpy()"),
    ("pandas", "DataFrame"): ("a pandas DataFrame", "pass {x}.to_numpy()"),
    ("pandas", "Series"): ("a pandas Series", "pass {x}.to_numpy()"),
    ("pandas", "Index"): ("a pandas Index", "pass {x}.to_numpy()"),
    ("polars", "DataFrame"): ("a polars DataFrame", "pass {x}.to_numpy()"),
    ("polars", "Series"): ("a polars Series", "pass {x}.to_numpy()"),
    ("xarray", "DataArray"): ("an xarray DataArray", "pass {x}.to_numpy()"),
    ("cupy", "ndarray"): ("a CuPy array", "pass {x}.get()"),
    ("pyarrow", "Array"): ("a pyarrow array", "pass {x}.to_numpy()"),
    ("pyarrow", "ChunkedArray"): ("a pyarrow array", "pass {x}.to_numpy()"),
}
"""(package, class) -> what it is, and what to do."""

MEANT: dict[str, tuple[str, str]] = {
    "MaskedArray": ("a masked array, and its mask would be lost", "{x}.filled(0), or np.where"),
    "matrix": ("an np.matrix, whose * is a matrix product", "np.asarray({x}), and @ for products"),
}
"""Class of NumPy's whose arrays are more than their numbers -> what it is, and what to do."""

ARITHMETIC = frozenset(
    f"__{side}{name}__"
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "divmod")
    for side in ("", "r", "i")
) | {"__neg__", "__abs__", "__array_ufunc__", "__array_function__", "__getitem__", "__setitem__"}
"""What a class of arrays may give a meaning of its own."""
IN_A_GRAPH = "pass {x}.detach().numpy()"
SHOWN = 4
"""Attributes that a message lists."""


def refuse_foreign(value: Any, name: str = "") -> None:
    """Raise where ``value`` holds numbers in a way that allbps does not take.

    Options of a function pass: strings, functions, types, plain objects without arrays.

    Args:
        value: an argument, a part of one, or an operand.
        name: what to call it; else its variable in the user's code.

    Raises:
        DtypeError: it is another library's array, a dataclass, an object that hides arrays, or an
            array that is more than its numbers.

    """
    if issubclass(type(value), np.ndarray):  # isinstance says so of traced arrays too
        _refuse_meaning(value, name)
        return
    found = _known(value) or _held(value)
    if found is None:
        return
    variable = name_in_user_code(value) or "x"
    what, instead = found
    raise DtypeError(
        f"{name or name_in_user_code(value) or 'an operand'} is {what}",
        where=str(user_site() or ""),
        expected="a NumPy array, a number, or a tuple, list or dict of them",
        got=type(value).__name__,
        todo=instead.format(x=variable),
    )


def _refuse_meaning(array: np.ndarray[Any, Any], name: str) -> None:
    """Raise for an array that is more than its numbers: here it would be computed with as if not.

    Raises:
        DtypeError: its class gives arithmetic another meaning.

    """
    found = next(filter(None, map(_meaning, type(array).__mro__)), None)
    if found is None:
        return
    what, instead = found
    raise DtypeError(
        f"{name or 'an operand'} is {what}",
        where=str(user_site() or ""),
        expected="a plain array",
        got=f"{type(array).__name__} of shape {array.shape}",
        todo=instead.format(x=name_in_user_code(array) or "x"),
    )


def _meaning(kind: type) -> tuple[str, str] | None:
    """(what it is, what to do) of a class of arrays with arithmetic of its own."""
    if kind.__module__.partition(".")[0] in ("numpy", "builtins"):
        return MEANT.get(kind.__name__)
    own = [name for name in vars(kind) if name in ARITHMETIC]
    if not own:
        return None
    return (
        f"an array of the class {kind.__name__}, which has a {own[0]} of its own",
        "pass np.asarray({x})",
    )


def _known(value: Any) -> tuple[str, str] | None:
    """(what it is, what to do) of another library's array."""
    for kind in type(value).__mro__:
        package = kind.__module__.partition(".")[0]
        if kind.__module__.startswith("scipy.sparse"):
            return "a sparse matrix", "pass {x}.toarray()"
        if found := KINDS.get((package, kind.__name__)):
            what, instead = found
            return what, IN_A_GRAPH if getattr(value, "requires_grad", False) is True else instead
    return None


def _held(value: Any) -> tuple[str, str] | None:
    """(what it is, what to do) of something else that holds numbers."""
    plain = isinstance(value, (np.ndarray, np.generic, ArrayLike, str, bytes, type))
    if plain or (callable(value) and not attributes_with_arrays(value)):
        return None
    if dataclasses.is_dataclass(value):
        return (
            f"a dataclass ({type(value).__name__})",
            "pass a dict, or make the class a typing.NamedTuple, which is read in the same way",
        )
    if isinstance(value, Mapping) and not isinstance(value, dict):
        return "a mapping that is not a dict", "pass dict({x})"
    if isinstance(value, (memoryview, array)) or hasattr(type(value), "__array__"):
        return "no NumPy array, though it can be made one", "pass np.asarray({x})"
    if hidden := attributes_with_arrays(value):
        listed = ", ".join(hidden[:SHOWN]) + (", …" if len(hidden) > SHOWN else "")
        return (
            f"an object that hides arrays in its attributes ({listed}), for which no δ can be made",
            f"give the function an argument for them, as in def net(params, …), and pass"
            f" {{{{{', '.join(f'{n!r}: {{x}}.{n}' for n in hidden[:SHOWN])}}}}}",
        )
    return None


def hidden_in(f: Any) -> tuple[str, ...]:
    """Arrays that a method keeps in its object, and those in objects that a function reads.

    In the words of a message: ``W of the object``, ``W, b of cell``.
    """
    found = {"the object": attributes_with_arrays(getattr(f, "__self__", f))}
    for name, value in _outside(f):
        found[name] = [x for x in attributes_with_arrays(value) if not x.startswith("_")]
    return tuple(f"{', '.join(arrays)} of {name}" for name, arrays in found.items() if arrays)


def _outside(f: Any) -> Iterator[tuple[str, Any]]:
    """The variables of a function's file, and of functions around it, that it reads."""
    f = f.__func__ if isinstance(f, MethodType) else f
    if not isinstance(f, FunctionType):
        return
    code = f.__code__
    for name, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
        with suppress(ValueError):  # nothing in it yet
            yield name, cell.cell_contents
    yield from ((name, f.__globals__[name]) for name in code.co_names if name in f.__globals__)


def attributes_with_arrays(value: Any) -> list[str]:
    """Names of the attributes of an object that hold arrays of real numbers."""
    if isinstance(value, (type, Iterator)) or type(value).__module__.partition(".")[0] in (
        "builtins",
        "numpy",
        "allbps",
    ):
        return []
    try:
        held = vars(value)
    except TypeError:
        return []
    return [name for name, part in held.items() if _is_floats(part)]


def _is_floats(part: Any) -> bool:
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else [part]
    return any(
        (isinstance(one, np.ndarray) and one.dtype.kind == "f") or _known(one) is not None
        for one in parts
    )
