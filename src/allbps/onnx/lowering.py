"""From our graph to ONNX's nodes, all that cannot be written said at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from allbps.errors import NoRuleError
from allbps.ir import CONST, Node, ancestors, lift, placed_at
from allbps.ir.site import file_name
from allbps.onnx.table import TABLE
from allbps.onnx.writer import Refused, Value, Writer


class Lowering:
    """Writes nodes of our graph, oldest first.

    Attributes:
        writer: where they are written.
        values: what has been written: our node -> tensor.
        problems: nodes that cannot be written, and why.

    """

    def __init__(self, writer: Writer, inputs: Iterable[Node]) -> None:
        self.writer = writer
        self.values = {x: Value(x.name, x.dtype) for x in inputs}
        self.problems: list[tuple[Node, str]] = []
        self._broken: set[Node] = set()
        self._known: dict[Any, Value] = {}

    def write(self, outputs: Mapping[str, Node]) -> None:
        """Everything that the outputs need, each of them under its name.

        Raises:
            NoRuleError: some operations cannot be written.

        """
        names = {node: name for name, node in reversed(list(outputs.items()))}
        for node in ancestors(outputs.values()):
            self._reach(node, names.get(node, node.name))
        if self.problems:
            raise _cannot_be_written(self.problems)
        for name, node in outputs.items():
            value = self._operand(node, node.dtype)
            if value.name != name:
                start = len(self.writer.nodes)
                self.writer.renamed(self.writer.write("Identity", value), name, start)

    def _reach(self, node: Node, name: str) -> None:
        """Write a node unless it is there, or something that it needs cannot be written."""
        if node in self.values or node.op is CONST:
            return
        if not self._broken.isdisjoint(node.inputs):
            self._broken.add(node)
            return
        try:
            self.values[node] = self._one(node, name)
        except Refused as reason:
            self.problems.append((node, str(reason)))
            self._broken.add(node)

    def _one(self, node: Node, name: str) -> Value:
        entry = TABLE.get(node.op.name)
        if entry is None:
            return self._expanded(node, name)
        operands = [self._operand(x, entry.dtype(node, x)) for x in node.inputs]
        key = (node.op.name, *(x.name for x in operands), repr(node.attrs), node.dtype)
        if key not in self._known:
            self.writer.begin(node, name or node.op.name, _line(node))
            start = len(self.writer.nodes)
            made = self.writer.cast(entry.build(self.writer, *operands, **node.attrs), node.dtype)
            self._known[key] = self.writer.renamed(made, name, start)
        return self._known[key]

    def _operand(self, x: Node, dtype: np.dtype[Any]) -> Value:
        if x.op is CONST:
            return self.writer.constant(np.asarray(x.value).astype(dtype), x.name)
        known = self.values[x]
        key = ("cast", known.name, dtype)
        if known.dtype != dtype and key not in self._known:
            self.writer.begin(x, known.name, _line(x))
            self._known[key] = self.writer.cast(known, dtype)
        return known if known.dtype == dtype else self._known[key]

    def _expanded(self, node: Node, name: str) -> Value:
        """An operation without a row, as what its declaration says it is made of."""
        if node.op.expand is None:
            raise Refused("no ONNX nodes are declared for it")
        with placed_at(node.site):
            made = lift(node.op.expand(*node.inputs, **node.attrs))
        for part in ancestors([made]):
            self._reach(part, name if part is made else "")
        if made in self._broken:
            raise Refused("it is made of operations that cannot be written")
        return self._operand(made, node.dtype)


def _line(node: Node) -> str:
    """The user's line, as ONNX's viewers show it."""
    site = node.site
    return f"{file_name(site.file)}:{site.line}: {site.text}" if site else ""


def _cannot_be_written(problems: list[tuple[Node, str]]) -> NoRuleError:
    """One message for all of them, each operation once a line of the user's."""
    seen: dict[tuple[str, str], str] = {}
    for node, reason in problems:
        seen.setdefault((node.op.name, str(node.site or "")), reason)
    names = list(dict.fromkeys(name for name, _ in seen))
    lines = [f"{name}: {why}" + f"  ({at})" * bool(at) for (name, at), why in seen.items()]
    return NoRuleError(
        f"{', '.join(names)} cannot be written in ONNX",
        where=next((at for _, at in seen if at), ""),
        expected="operations that ONNX has, or that can be composed of them",
        got="\n            ".join(lines),
        todo="backward=False leaves the backward pass out, wrt= chooses whose δ is written",
    )
