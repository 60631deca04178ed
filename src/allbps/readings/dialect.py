"""What tells one target language of emitted source from another."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from allbps.errors import ArgumentError, NoRuleError
from allbps.ir import Node
from allbps.ir.op import IMPORTS, Op, Text


@dataclass(frozen=True)
class Dialect:
    """A target of emitted source.

    Attributes:
        name: what the user calls it.
        text: an op's text in this dialect, or None.
        imports: name used in texts -> the line that imports it.
        module: the name that its functions are called by.
        array: text of a literal array, from the nested lists and the text of the dtype.
        new: the same with the dtype and device of another array; empty where there is no such.
        device: text of an argument that puts a new array where another is.
        cast: an array in another dtype; empty where every operation promotes its operands.
        scalar: text of an argument that is a number, where its dtype is asked for; empty for never.
        respell: NumPy text, of an op or a helper function, in this dialect.
        why_not: why an op has no text in this dialect.
        weak: does a Python number take the dtype of the array it meets? Then numbers of the
            usual dtypes are written as such.

    """

    name: str
    text: Callable[[Op], Text | None]
    imports: Mapping[str, str]
    module: str
    array: str
    new: str = ""
    device: str = ""
    cast: str = ""
    scalar: str = ""
    respell: Callable[[str], str] = str
    weak: bool = True
    why_not: Callable[[Op], str] = lambda op: op.why_no_torch


def _jnp(text: str) -> str:
    text = re.sub(r"(?<![\w.])special\.", "jax.scipy.special.", text)
    return re.sub(r"(?<![\w.])np\.", "jnp.", text)


NUMPY = Dialect(
    "numpy",
    lambda op: op.numpy,
    {name: line for name, (_, line) in IMPORTS.items()},
    "np",
    "np.array({data}, dtype={dtype})",
)
TORCH = Dialect(
    "torch",
    lambda op: op.torch,
    {"itertools": "import itertools", "numpy": "import numpy", "torch": "import torch"},
    "torch",
    "torch.tensor({data}, dtype={dtype})",
    new="{like}.new_tensor({data})",
    device=", device={like}.device",
    cast="({x}).to({dtype})",
    scalar="torch.as_tensor({x})",
    weak=False,
)
JAX = Dialect(
    "jax",
    lambda op: None if op.why_no_jax else op.numpy if op.jax is None else op.jax,
    {"jnp": "import jax.numpy as jnp", "jax": "import jax", "numpy": "import numpy"},
    "jnp",
    "jnp.array({data}, dtype={dtype})",
    cast="({x}).astype({dtype})",
    respell=_jnp,
    why_not=lambda op: op.why_no_jax,
)
DIALECTS = {dialect.name: dialect for dialect in (NUMPY, TORCH, JAX)}


def dialect_named(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        ArgumentError: there is none.

    """
    if name not in DIALECTS:
        raise ArgumentError(
            f"unknown target {name!r}", expected=" or ".join(DIALECTS), got=repr(name)
        )
    return DIALECTS[name]


def expression(node: Node, operands: list[str], dialect: Dialect) -> str:
    """The op's text with its operands put in, and only the parentheses it needs.

    Raises:
        NoRuleError: the op has no text in this dialect.

    """
    template = dialect.text(node.op)
    if template is None:
        raise NoRuleError(
            f"{node.op.name} cannot be written in {dialect.name}: {dialect.why_not(node.op)}",
            where=str(node.site or ""),
        )
    if all(map(_PLAIN.fullmatch, operands)):
        return dialect.respell(node.op.text(template, operands, node.attrs))
    text = node.op.text(template, [f"({text})" for text in operands], node.attrs)
    return tidy(dialect.respell(text))


_PLAIN = re.compile(r"[A-Za-z_]\w*|\d+(\.\d+)?")  # a name or number needs no parentheses


@lru_cache(maxsize=4096)
def tidy(code: str) -> str:
    """``code`` with only the parentheses it needs.

    >>> tidy("np.exp((x)) * (a + b)")
    'np.exp(x) * (a + b)'
    """
    return ast.unparse(ast.parse(code))
