"""Twins of functions: the same code, with globals of their own in which a few names mean more.

NumPy asks a traced number for a float before it stands in a plain array, and that would cut its
gradient. Where a function ends so, a twin runs in which ``np`` makes arrays that follow what is
written into them. Nothing outside of the function changes, for nobody else.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from functools import lru_cache, partial, wraps
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar

import numpy as np

from allbps.errors import AllBPsError, InPlaceError, TraceError
from allbps.ir.arraylike import NUMPY
from allbps.ir.asked import answered
from allbps.ir.captured import captured
from allbps.ir.handle import TracedArray, handed, is_traced, resolved
from allbps.ir.layout import as_laid
from allbps.ir.op import lift
from allbps.ir.site import is_own

T = TypeVar("T")
MAKERS: tuple[Any, ...] = (
    np.zeros, np.ones, np.empty, np.full, np.zeros_like, np.ones_like, np.empty_like, np.full_like,
    np.array, np.copy, np.eye, np.identity, np.linspace,
)  # fmt: skip
"""What programs make the arrays with that they write into."""

CONVERTERS: tuple[Any, ...] = (np.asarray, np.asanyarray, np.ascontiguousarray)
"""What gives an array back as it is, where it is one already, as np.array(x, copy=None) does."""


def or_its_twin(f: Callable[..., Any], run: Callable[[Callable[..., Any]], T]) -> T:
    """``run(f)``; where ``f`` writes traced numbers into arrays of its own, ``run`` of its twin.

    Raises:
        TraceError, InPlaceError: as ``f`` does, where it has no twin or that fails too.

    """
    with answered(f):
        try:
            return run(f)
        except (TraceError, InPlaceError) as error:
            twin = twin_of(f)
            if twin is None:
                raise
            try:
                return run(twin)
            except AllBPsError:
                raise error from None


def twin_of(f: Any) -> Callable[..., Any] | None:
    """The same function, for which arrays of its own making follow what is written into them.

    None for what is not the user's code, writes global variables, or reads traced arrays of a
    function around it, into which it may have written already.
    """
    if isinstance(f, partial):
        inner = twin_of(f.func)
        return None if inner is None else partial(inner, *f.args, **f.keywords)
    if isinstance(f, MethodType):
        inner = twin_of(f.__func__)
        return None if inner is None else MethodType(inner, f.__self__)
    if not isinstance(f, FunctionType) or not is_own(f.__code__.co_filename):
        return None
    if _writes_globals(f.__code__) or _reads_traced(f):
        return None
    return _Names().function(f)


@lru_cache(4096)
def _writes_globals(code: CodeType) -> bool:
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    own = any(
        step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") for step in dis.get_instructions(code)
    )
    return own or any(map(_writes_globals, inner))


class _Names:
    """Global names of the user's files in which some are replaced, and functions that see them."""

    def __init__(self) -> None:
        self._known: dict[int, dict[str, Any]] = {}
        self._twins: dict[int, FunctionType] = {}
        self._cells: dict[int, CellType] = {}

    def function(self, f: FunctionType) -> FunctionType:
        """The function for which these names mean what they mean here, in its closure too."""
        names = self.following(f.__globals__)
        closure = f.__closure__ and tuple(map(self._cell, f.__closure__))
        if id(f) not in self._twins:  # maybe it reads itself
            twin = FunctionType(f.__code__, names, f.__name__, f.__defaults__, closure)
            twin.__kwdefaults__ = f.__kwdefaults__
            twin.__dict__.update(f.__dict__)
            for name in ("__doc__", "__module__", "__qualname__"):
                setattr(twin, name, getattr(f, name))
            self._twins[id(f)] = twin
        return self._twins[id(f)]

    def _cell(self, cell: CellType) -> CellType:
        """A variable around a function: the same, unless it holds what is replaced."""
        try:
            value = cell.cell_contents
        except ValueError:  # a name that has no value yet
            return cell
        if not isinstance(value, (FunctionType, ModuleType)) or _reads_traced(value):
            return cell
        if id(cell) not in self._cells:
            new = self._cells[id(cell)] = CellType()
            new.cell_contents = self._replaced(value)
        return self._cells[id(cell)]

    def following(self, names: dict[str, Any]) -> dict[str, Any]:
        """The names of a file, of which those that stand for something else do so."""
        if id(names) in self._known:
            return self._known[id(names)]
        new = self._known[id(names)] = dict(names)
        for name, value in names.items():
            new[name] = self._replaced(value)
        return new

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, FunctionType) and is_own(value.__code__.co_filename):
            return self.function(value)
        if isinstance(value, ModuleType) and is_own(getattr(value, "__file__", None) or ""):
            twin = ModuleType(value.__name__)
            twin.__dict__.update(self.following(value.__dict__))
            return twin
        if value is np:
            return _NumPy()
        return _maker(value) if any(value is maker for maker in (*MAKERS, *CONVERTERS)) else value


def _reads_traced(f: Any) -> bool:
    """Does it read traced arrays of a function around it, into which it may have written?"""
    return any(isinstance(x, TracedArray) for x in captured(f).values())


def _maker(function: Any) -> Callable[..., Any]:
    @wraps(function)
    def make(*args: Any, **kwargs: Any) -> Any:
        if is_traced(*args[:1]):
            return _of_traced(function, *args, **kwargs)
        array = function(*args, **kwargs)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fc":
            return array
        if function in (np.empty, np.empty_like):
            array[...] = 0  # what nobody wrote is the same in every run
        return handed(lift(array))

    return make


def _of_traced(function: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """What a maker gives for a traced array: a copy, or the array itself where NumPy gives it."""
    if function in (np.array, *CONVERTERS) and isinstance(x, TracedArray):
        plain = function(x.memory, *args, **kwargs)
        if plain is x.memory:
            return x
        if np.may_share_memory(plain, x.memory):  # np.array(x, copy=None, ndmin=2)
            return x.reshape(plain.shape)
    made = NUMPY[function](*map(resolved, (x, *args)), **resolved(kwargs))
    return handed(as_laid(made, function, (x, *args), kwargs))


class _NumPy(ModuleType):
    """NumPy, whose makers give arrays that follow."""

    def __init__(self) -> None:
        super().__init__("numpy")
        made = {maker.__name__: _maker(maker) for maker in (*MAKERS, *CONVERTERS)}
        self.__dict__.update(made)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def __dir__(self) -> list[str]:
        return dir(np)
