"""``function``: an allbps function as a ``torch.autograd.Function`` with the emitted backward."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from itertools import count
from operator import index
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from allbps.errors import DtypeError, ValuesNeededError
from allbps.outgoing import Array, Found, Outgoing, described
from allbps.readings.autograd_function import autograd_function, class_name
from allbps.readings.dialect import TORCH
from allbps.readings.source import Program
from allbps.readings.split import Split, differentiable, guards_of, split
from allbps.trace import Traced
from allbps.tree import leaves, rebuild, tree_map


def function(f: Callable[..., Any], /) -> Function:
    """``f``, written for NumPy's arrays, as a function of PyTorch's tensors with its own backward.

    Backward it runs the statements that ``to_source("torch")`` shows, in a
    ``torch.autograd.Function``: ``loss.backward()``, second derivatives, ``torch.compile``,
    ``torch.func`` and data-parallel training take it; it computes in the dtype and on the device of
    its arguments. Each arrangement of shapes, dtypes and options is traced once. Where ``f`` looks
    at numbers (``if x.max() > 1:``) every path is traced once; where there are none to look at,
    under ``torch.compile`` and ``vmap``, that is refused.

    Args:
        f: any function of arrays, or containers of them, to arrays. Arguments that are no tensors
            are options. Arrays that it captures are constants.

    Raises:
        ArgumentError: ``f`` draws random numbers.
        NoRuleError: an operation has no derivative, or cannot be written in PyTorch.
        DtypeError: an argument is complex, or quantised, or bfloat16 beside float32.
        ValuesNeededError: ``f`` looks at numbers where there are only shapes.

    >>> import torch, allbps as bp, numpy as np
    >>> swish = bp.torch.function(lambda x: x / (1 + np.exp(-x)))
    >>> x = torch.tensor([0.0, 2.0], requires_grad=True)
    >>> swish(x).sum().backward()
    >>> x.grad
    tensor([0.5000, 1.0908])

    """
    return Function(f)


class Function:
    """What ``function`` returns: called as the function itself, with tensors."""

    def __init__(self, f: Callable[..., Any]) -> None:
        update_wrapper(self, f)
        self._outgoing: Outgoing[_Applied] = Outgoing(f, _built)
        self._applied: dict[str, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What ``f`` returns, as tensors in its containers."""
        if torch.compiler.is_compiling():
            name, places, order, returns = self._for_shapes(
                described((args, kwargs), _shown),
                [[index(n) for n in x.shape] for x in leaves((args, kwargs))
                 if isinstance(x, torch.Tensor)],
            )  # fmt: skip
            applied = self._applied[name]
        else:
            found = self._for_tensors(args, kwargs)
            places, order, returns = found.places, found.path.order, found.path.returns
            applied = found.path.applied if found.looked else found.path.asserted
        flat = leaves((args, kwargs))
        results = applied.apply(*[torch.as_tensor(flat[place]) for place in places])
        return rebuild(returns, iter([results[k] for k in order]))

    def source(self, *args: Any, **kwargs: Any) -> str:
        """The class and the function that applies it, as a file that stands alone."""
        return self._for_tensors(args, kwargs).path.text

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def _for_shapes(
        self, arguments: Any, shapes: list[list[int]]
    ) -> tuple[str, tuple[int, ...], tuple[int, ...], Any]:
        """For torch.compile, which takes the result for a constant: words and whole numbers."""
        left = iter(shapes)

        def read(leaf: Any, place: int) -> Any:
            if not isinstance(leaf, str) or not leaf.startswith(MARK):
                return leaf
            return Array(place, tuple(next(left)), _numpy_dtype(leaf.removeprefix(MARK)))

        args, kwargs = described(arguments, read)
        found = self._outgoing.find(args, kwargs, None, _numbers)
        name = found.path.asserted.__module__
        self._applied[name] = found.path.asserted
        return name, found.places, found.path.order, found.path.returns

    def _for_tensors(self, args: Any, kwargs: Any) -> Found[_Applied]:
        given = [_unwrapped(x) for x in leaves((args, kwargs))]
        empty = any(isinstance(x, torch.Tensor) and _is_empty(x) for x in given)
        args, kwargs = described((args, kwargs), _array)
        return self._outgoing.find(args, kwargs, None if empty else lambda: given, _numbers)

    def __repr__(self) -> str:
        return f"<{getattr(self._outgoing.f, '__name__', 'function')} for PyTorch>"


@dataclass(frozen=True, eq=False)
class _Applied:
    """One path of a function, as PyTorch runs it.

    Attributes:
        cut: its source in two.
        guards: gives the values that the trace took for granted.
        returns: the container that it returns.
        order: which of the class's results are its leaves.

    """

    cut: Split
    guards: Program | None
    returns: Any
    order: tuple[int, ...]

    @property
    def traced(self) -> Traced:
        """It as a graph."""
        return self.cut.traced

    @property
    def text(self) -> str:
        """The file that stands alone."""
        return autograd_function(self.cut, self.guards)

    @cached_property
    def applied(self) -> Any:
        """The class, for arguments that are known to take this path."""
        return self._class(None)

    @cached_property
    def asserted(self) -> Any:
        """The class that looks whether they do."""
        return self._class(self.guards) if self.guards else self.applied

    def _class(self, guards: Program | None) -> Any:
        text = autograd_function(self.cut, guards, packed=False)
        constants = {**self.cut.program.constants, **(guards.constants if guards else {})}
        module = run_as_module(self.cut.program.function, text, constants)
        return getattr(module, class_name(self.cut))

    def holds(self, arrays: Sequence[Any]) -> bool:
        """Would the function look at the same values?"""
        if self.guards is None:
            return True
        given = {x.name: a for x, a in zip(self.traced.graph.inputs, arrays, strict=True)}
        with torch.no_grad():
            scope = self.guards.run(given)
        pairs = zip(self.traced.guards, map(scope.get, self.guards.results), strict=True)
        return all(_is_all(torch.as_tensor(value), guard.value) for guard, value in pairs)


def _is_all(tensor: torch.Tensor, value: Any) -> bool:
    """Is it this, in every example of a batch under ``vmap``?"""
    functorch = torch._C._functorch
    axes = []
    while functorch.is_functorch_wrapped_tensor(tensor):
        if functorch.is_batchedtensor(tensor):
            axes.append(functorch.maybe_get_bdim(tensor))
        tensor = functorch.get_unwrapped(tensor)
    with temporarily_clear_interpreter_stack():
        found = tensor.detach().cpu().numpy()
    for axis in reversed(axes):
        found = np.moveaxis(found, axis, 0)
    seen = np.asarray(value)
    same = found == seen
    if seen.dtype.kind == "f":
        same |= np.isnan(found) & np.isnan(seen)
    return bool(np.all(same))


def _built(traced: Traced) -> _Applied:
    cut = split(differentiable(traced), TORCH)
    place = {name: k for k, name in enumerate(cut.results)}
    order = tuple(place[name] for name in cut.program.results)
    return _Applied(cut, guards_of(traced, TORCH), tree_map(lambda _: 0, traced.outputs), order)


_numbers_of_modules = count(1)


def run_as_module(function: str, text: str, given: Mapping[str, Any]) -> ModuleType:
    """Run emitted source as a module, which torch.compile looks for by its name."""
    module = ModuleType(f"allbps_wrote_{function}_{next(_numbers_of_modules)}")
    vars(module).update(given)
    sys.modules[module.__name__] = module
    exec(compile(text, f"<{function} by allbps>", "exec"), vars(module))
    return module


# -- arguments -------------------------------------------------------------------------------------
MARK = "\0tensor "


def _array(leaf: Any, place: int) -> Any:
    """What is known of an argument that is an array; an option as it is."""
    if isinstance(leaf, np.ndarray):
        return Array(place, leaf.shape, leaf.dtype)
    if not isinstance(leaf, torch.Tensor):
        return leaf
    return Array(place, tuple(leaf.shape), _numpy_dtype(str(leaf.dtype)))


def _shown(leaf: Any, place: int) -> Any:
    """The dtype in a word, which torch.compile takes for a constant."""
    return f"{MARK}{leaf.dtype}" if isinstance(leaf, torch.Tensor) else leaf


def _numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's word for a dtype; of bfloat16, which it lacks, a wider one to trace with."""
    name = name.removeprefix("torch.")
    try:
        dtype = np.dtype({"bfloat16": "float16"}.get(name, name))
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise DtypeError(
            f"a tensor of {name} is not an array of real numbers",
            expected="floating-point or whole numbers, or truth values", got=f"torch.{name}",
        )  # fmt: skip
    return dtype


def _unwrapped(leaf: Any) -> Any:
    """A tensor out of ``torch.func.grad``'s wrappers; anything else as it is."""
    functorch = torch._C._functorch
    while isinstance(leaf, torch.Tensor) and functorch.is_gradtrackingtensor(leaf):
        leaf = functorch.get_unwrapped(leaf)
    return leaf.detach() if isinstance(leaf, torch.Tensor) else leaf


def _is_empty(tensor: torch.Tensor) -> bool:
    """Has it a shape and no numbers?"""
    return tensor.is_meta or isinstance(tensor, torch._subclasses.FakeTensor)


def _numbers(tensor: Any) -> Any:
    """A tensor's numbers as an array of NumPy's."""
    tensor = torch.as_tensor(tensor)
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        raise ValuesNeededError(
            "the function looks at a number, which may differ between the examples of vmap",
            expected="one path for all examples",
            todo="np.where(condition, a, b) in place of if",
        )
    tensor = tensor.detach().cpu()
    return (tensor.half() if tensor.dtype == torch.bfloat16 else tensor).numpy()
