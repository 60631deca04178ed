"""Kernels in, callable functions out."""

from __future__ import annotations

import ast
import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from allbps.machine.language import native, words
from allbps.machine.language.frontend import Program
from allbps.machine.language.microkernel import block_module
from allbps.machine.language.syntax import kinds, result_kind
from allbps.machine.language.target import Target, host


@functools.cache
def microkernel_object(target: Target, *, single: bool) -> bytes:
    """The object code of the microkernel: the same for every program of a CPU and a dtype."""
    real = ir.FloatType() if single else ir.DoubleType()
    return native.object_code(block_module(target, real), target, optimised=True)


def build(
    kernels: Sequence[words.Kernel[Any, Any]], target: Target, *, single: bool, paste: bool = False
) -> list[bytes]:
    """The object files that hold the kernels."""
    program = Program(target, single=single, paste=paste)
    program.export(*kernels)
    objects = [native.object_code(program.text(), target)]
    if program.uses_brgemm:
        objects.append(microkernel_object(target, single=single))
    return objects


def kernels_of(text: str, file: str) -> dict[str, words.Kernel[Any, Any]]:
    """The kernels that a generated text defines, by name; ``file`` is what errors call it."""
    namespace: dict[str, Any] = {"__name__": file}
    exec(compile(text, file, "exec"), namespace)
    found: dict[str, words.Kernel[Any, Any]] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and isinstance(namespace[node.name], words.Kernel):
            found[node.name] = words.Kernel.of_text(namespace[node.name], node)
    return found


def prototype(kernel: words.Kernel[Any, Any], *, single: bool) -> Any:
    """The ctypes signature of a kernel."""
    real = ctypes.c_float if single else ctypes.c_double
    types: dict[str, Any] = dict.fromkeys(words.POINTEES, ctypes.c_void_p)
    types |= {"Int": ctypes.c_int64, "Real": real, "Double": ctypes.c_double}
    types |= {"Bool": ctypes.c_bool, "None": None}
    return ctypes.CFUNCTYPE(types[result_kind(kernel)], *(types[k] for k in kinds(kernel).values()))


def compiled(
    kernel: words.Kernel[Any, Any], dtype: Any = np.float32, target: Target | None = None
) -> Callable[..., Any]:
    """One kernel as a Python function of NumPy arrays and numbers; for tests and benchmarks.

    An array stands for the pointer to its first element; the caller answers for its dtype.
    """
    single = np.dtype(dtype) == np.float32
    objects = build([kernel], target or host(), single=single)
    loaded = native.Loaded(*objects)
    fn = prototype(kernel, single=single)(loaded.address(kernel.name))

    def run(*args: Any) -> Any:
        assert loaded  # keep the code in memory as long as this function
        return fn(*(a.ctypes.data if isinstance(a, np.ndarray) else a for a in args))

    return run
