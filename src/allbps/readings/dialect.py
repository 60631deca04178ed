"""What tells one target language of emitted source from another."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
        array: text of a literal array, from the nested lists and the dtype name.
        helper: what to do to the source of a NumPy helper function.

    """

    name: str
    text: Callable[[Op], Text | None]
    imports: Mapping[str, str]
    array: str
    helper: Callable[[str], str] = str


def _jnp(text: str) -> str:
    text = re.sub(r"\bspecial\.", "jax.scipy.special.", text)
    return re.sub(r"\bnp\.", "jnp.", text)


def _jax_text(op: Op) -> Text | None:
    given = op.jax if op.jax is not None else op.numpy
    if callable(given):
        write = given
        return lambda operands, attrs: _jnp(write(operands, attrs))
    return _jnp(given)


NUMPY = Dialect(
    "numpy",
    lambda op: op.numpy,
    {name: line for name, (_, line) in IMPORTS.items()},
    "np.array({data}, dtype=np.{dtype})",
)
TORCH = Dialect(
    "torch",
    lambda op: op.torch,
    {"torch": "import torch"},
    "torch.tensor({data}, dtype=torch.{dtype})",
)
JAX = Dialect(
    "jax",
    _jax_text,
    {"jnp": "import jax.numpy as jnp", "jax": "import jax"},
    "jnp.array({data}, dtype=jnp.{dtype})",
    _jnp,
)
DIALECTS = {dialect.name: dialect for dialect in (NUMPY, TORCH, JAX)}


def dialect_named(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        ArgumentError: there is none.

    """
    if name not in DIALECTS:
        raise ArgumentError(
            f"there is no target {name!r}", expected=" or ".join(DIALECTS), got=repr(name)
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
            f"{node.op.name} cannot be written in {dialect.name}: {node.op.why_no_torch}",
            where=str(node.site or ""),
        )
    if all(map(_PLAIN.fullmatch, operands)):
        return node.op.text(template, operands, node.attrs)
    return tidy(node.op.text(template, [f"({text})" for text in operands], node.attrs))


_PLAIN = re.compile(r"[A-Za-z_]\w*|\d+(\.\d+)?")  # a name or number needs no parentheses


def tidy(code: str) -> str:
    """``code`` with only the parentheses it needs.

    >>> tidy("np.exp((x)) * (a + b)")
    'np.exp(x) * (a + b)'
    """
    return ast.unparse(ast.parse(code))
