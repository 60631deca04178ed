"""Emitted lines as a function: its text, and the text run with every line at its own place."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

import allbps
import allbps.functional as F
import allbps.numpy_api
from allbps.errors import AllBPsError, CompilationError
from allbps.ir import handed, new_input, placed_at, values_on_demand, within
from allbps.ir.site import place_at
from allbps.scipy import special
from allbps.torch import parts
from allbps.torch.emit import Line, Written
from allbps.torch.table.use import DTYPES, numpy_dtype
from allbps.torch.where import said

_numbers = count(1)


@dataclass(frozen=True)
class Source:
    """A function in NumPy's style.

    Attributes:
        function: its name.
        arguments: how its arguments are written.
        lines: its statements.
        returned: what it returns, as it is written.
        doc: the first line of its docstring.

    """

    function: str
    arguments: str
    lines: Sequence[Line]
    returned: str
    doc: str

    @property
    def text(self) -> str:
        """The function as a person would read it."""
        head = [f"def {self.function}({self.arguments}):", f'    """{self.doc}"""']
        body = [f"    {line.code}{_remark(line)}" for line in self.lines]
        return "\n".join([*head, *body, f"    return {self.returned}"]) + "\n"

    def built(self, constants: Mapping[str, Any], rng: Any) -> Callable[..., Any]:
        """The function itself.

        Every line runs as the module's own line that it comes from: errors and readings name that.

        Args:
            constants: arrays by the names in ``constants[…]``.
            rng: where random numbers come from.

        """
        file = f"<{self.function} {next(_numbers)} by allbps>"
        linecache.cache[file] = (len(self.text), None, self.text.splitlines(True), file)
        tree = ast.parse(self.text, file)
        (definition,) = tree.body
        assert isinstance(definition, ast.FunctionDef)
        doc, *statements = definition.body
        placed: list[ast.stmt] = [doc]
        for k, statement in enumerate(statements):
            (marker,) = ast.parse(f"_at({k})").body
            for node in ast.walk(marker):
                if hasattr(node, "lineno"):
                    ast.copy_location(node, statement)
            placed += [marker, statement]
        definition.body = placed
        sites = [line.site for line in self.lines]

        def at(k: int) -> None:
            place_at(sites[k] if k < len(sites) else None)

        scope = {**_scope(constants, rng), "_at": at, "__name__": "allbps.torch.emitted"}
        exec(compile(tree, file, "exec"), scope)
        made: Callable[..., Any] = scope[self.function]
        return parts.followed(made) if "parts.itself(" in self.text else made

    @property
    def names(self) -> set[str]:
        """All names that it reads."""
        return names_in(self.returned).union(*(names_in(line.text) for line in self.lines))

    def needed(self) -> Source:
        """The same without lines that nothing returned depends on."""
        wanted = names_in(self.returned)
        kept: list[Line] = []
        for line in reversed(self.lines):
            if line.name in wanted:
                kept.append(line)
                wanted |= names_in(line.text)
        return replace(self, lines=tuple(kept[::-1]))


def _remark(line: Line) -> str:
    return f"  # {line.site.file.rpartition('/')[2]}:{line.site.line}" if line.site else ""


def names_in(text: str) -> set[str]:
    """The names that an expression reads."""
    tree = ast.parse(text, mode="eval")
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _scope(constants: Mapping[str, Any], rng: Any) -> dict[str, Any]:
    return {
        "np": np, "F": F, "bp": allbps, "parts": parts, "special": special,
        "constants": constants, "rng": rng,
    }  # fmt: skip


def typed(written: Written, given: Mapping[str, Any], rng: Any) -> Written:
    """The same with each result in PyTorch's dtype, and its shape compared with PyTorch's.

    Every line runs once on traced arrays, which know shapes and dtypes and compute nothing.

    Args:
        written: the lines.
        given: what the source calls ``constants``, ``params``, …, and each input -> arrays.
        rng: where random numbers come from.

    Raises:
        CompilationError: a line makes another shape than PyTorch, which is a fault of ours.
        AllBPsError: a line refuses its arguments.

    """
    lines = []
    with within() as bit, values_on_demand(), np.errstate(all="ignore"), placed_at(None):
        scope = _scope(given.get("constants", {}), rng)
        for name, value in given.items():
            if name != "constants":
                scope[name] = _opened(value, bit, name)
        for line in written.lines:
            place_at(line.site)
            new, scope[line.name] = _typed(line, scope)
            lines.append(new)
    return replace(written, lines=tuple(lines))


def _opened(value: Any, bit: int, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _opened(part, bit, "x") for key, part in value.items()}
    return handed(new_input(np.asarray(value)[()], bit, name))


def _typed(line: Line, scope: Mapping[str, Any]) -> tuple[Line, Any]:
    try:
        value = eval(line.text, dict(scope))
    except AllBPsError as error:
        error.where = said(line.node)
        error.args = (error.what,)
        raise
    except Exception as error:
        raise CompilationError(
            f"{line.node.target} was written in a way that fails: {line.code}",
            where=said(line.node), got=f"{type(error).__name__}: {error}",
            todo="this is a bug in allbps: please report it, with the module",
        ) from error  # fmt: skip
    wanted = line.node.meta["val"]
    if isinstance(value, (tuple, list)) or isinstance(wanted, (tuple, list)):
        return line, value
    if tuple(value.shape) != tuple(wanted.shape):
        raise CompilationError(
            f"{line.node.target} was written in a way that gives another shape: {line.code}",
            where=said(line.node), expected=str(tuple(wanted.shape)), got=str(value.shape),
            todo="this is a bug in allbps: please report it, with the module",
        )  # fmt: skip
    if wanted.dtype in DTYPES and value.dtype != numpy_dtype(wanted.dtype):
        narrow = _narrow(line, scope, numpy_dtype(wanted.dtype), value)
        if narrow is not None:
            return narrow
        text = line.text if line.text.isidentifier() else f"({line.text})"
        line = replace(line, text=f"{text}.astype({DTYPES[wanted.dtype]})")
        value = value.astype(numpy_dtype(wanted.dtype))
    return line, value


def _narrow(
    line: Line, scope: Mapping[str, Any], dtype: np.dtype[Any], wide: Any
) -> tuple[Line, Any] | None:
    """The line with its whole numbers in single precision, where they alone made it double.

    PyTorch makes float32 of float32 and int64, NumPy float64, and a step has kernels of one
    precision only.
    """
    if (wide.dtype, dtype) != (np.dtype(np.float64), np.dtype(np.float32)):
        return None
    text = line.text.encode()
    for part in sorted(_arrays_in(line.text), key=lambda part: -part.col_offset):
        begin, end = part.col_offset, part.end_col_offset
        found = eval(text[begin:end], dict(scope))
        if getattr(getattr(found, "dtype", None), "kind", "") in "iu":
            text = text[:end] + b".astype(np.float32)" + text[end:]
    try:
        value = eval(text.decode(), dict(scope))
    except Exception:  # numbers that must stay whole, places for example
        return None
    if value.dtype != dtype or value.shape != wide.shape:
        return None
    return replace(line, text=text.decode()), value


def _arrays_in(text: str) -> list[ast.expr]:
    """Where an expression reads values: names, and entries of containers."""
    found: list[ast.expr] = []
    pending: list[ast.AST] = [ast.parse(text, mode="eval").body]
    while pending:
        part = pending.pop()
        whole = isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant)
        if isinstance(part, ast.Name) or (
            isinstance(part, ast.Subscript) and whole and isinstance(part.value, ast.Name)
        ):
            found.append(part)
        elif not isinstance(part, ast.Attribute):
            pending += ast.iter_child_nodes(part)
        elif not isinstance(part.value, ast.Name):  # x.T of an expression, no np.sum
            pending.append(part.value)
    return found
