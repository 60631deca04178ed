"""ONNX nodes, written one call each, with their element types checked against ONNX's schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from allbps.errors import NoRuleError
from allbps.ir import Node

DOMAIN = ""
"""ONNX's own operators."""


class Refused(Exception):  # noqa: N818  (an answer, which the export gathers)
    """An operation that cannot be written in ONNX; its text is the reason."""


@dataclass(frozen=True)
class Value:
    """A tensor of the ONNX graph: its name and the dtype of its numbers."""

    name: str
    dtype: np.dtype[Any]


@lru_cache(maxsize=512)
def schema(name: str, opset: int) -> Any:
    """What ONNX says about an operator.

    Raises:
        NoRuleError: this version of ONNX has no such operator.

    """
    try:
        return defs.get_schema(name, opset, DOMAIN)
    except defs.SchemaError:
        raise NoRuleError(
            f"ONNX has no {name} in opset {opset}",
            got=f"onnx {onnx.__version__}",
            todo="leave opset out, or pip install --upgrade onnx",
        ) from None


def element_type(dtype: np.dtype[Any]) -> int:
    """ONNX's number for a NumPy dtype.

    Raises:
        Refused: it has none.

    """
    try:
        return int(helper.np_dtype_to_tensor_dtype(dtype))
    except (KeyError, ValueError):
        raise Refused(f"ONNX has no numbers of dtype {dtype}") from None


def _type_text(dtype: np.dtype[Any]) -> str:
    word = {"float32": "float", "float64": "double"}.get(dtype.name, dtype.name)
    return f"tensor({word})"


def _dtype_of(text: str) -> np.dtype[Any]:
    """The dtype of ``tensor(bool)``."""
    word = text.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(word, word))


class Writer:
    """The ONNX graph as it grows: ``o.Add(a, b)`` appends a node and gives its result.

    Numbers among the operands become constants in the dtype of the tensors beside them, arrays
    constants of their own dtype, lists of whole numbers int64; None is an operand left out.

    Attributes:
        opset: the version of ONNX's operators.
        node: the node of our graph that is being written.
        nodes: what has been written.
        initializers: constants, by name.

    """

    node: Node

    def __init__(self, opset: int, inputs: Iterable[str], outputs: Iterable[str]) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self._used = set(inputs)
        self._taken = self._used.union(outputs)  # names that no step on the way may have
        self._known: dict[Any, Value] = {}
        self._label, self._doc = "", ""

    def begin(self, node: Node, label: str, doc: str) -> None:
        """What follows writes ``node``; its steps are called ``label/1``, ``label/2``, …."""
        self.node, self._label, self._doc = node, label, doc

    def __getattr__(self, operator: str) -> Callable[..., Any]:
        if not operator[:1].isupper():
            raise AttributeError(operator)
        return partial(self.write, operator)

    def write(
        self, operator: str, /, *operands: Any, dtype: np.dtype[Any] | None = None,
        outputs: int = 1, **attrs: Any,
    ) -> Any:  # fmt: skip
        """Append a node.

        Args:
            operator: ONNX's name of the operator.
            operands: tensors, numbers, arrays or None.
            dtype: of the result, where no operand has it.
            outputs: how many results it gives; a tuple where there are several.
            attrs: its attributes.

        Raises:
            Refused: ONNX's operator does not take numbers of this dtype.

        """
        described = schema(operator, self.opset)
        values = self._values(described, operands, dtype)
        types = self._types(described, values)
        made = [
            Value(self.unused(), self._result(out, types) if dtype is None else dtype)
            for out in _outputs(described, outputs)
        ]
        node = helper.make_node(
            operator, [x.name if x else "" for x in values], [x.name for x in made],
            doc_string=self._doc or None, **attrs,
        )  # fmt: skip
        self.nodes.append(node)
        return made[0] if outputs == 1 else tuple(made)

    def _values(
        self, described: Any, operands: tuple[Any, ...], dtype: np.dtype[Any] | None
    ) -> list[Value | None]:
        """Operands as tensors: a number takes the dtype of a tensor of the same ONNX type."""
        given: dict[str, np.dtype[Any]] = {}
        for k, x in enumerate(operands):
            if isinstance(x, (Value, np.ndarray)):
                given.setdefault(_variable(described, k), x.dtype)
        first = next(iter(given.values()), dtype)
        return [
            None if x is None else self.value(x, given.get(_variable(described, k), first))
            for k, x in enumerate(operands)
        ]

    def _types(self, described: Any, values: list[Value | None]) -> dict[str, np.dtype[Any]]:
        """Type variable -> dtype, of the operands; each must be one that ONNX allows."""
        allowed = {c.type_param_str: c.allowed_type_strs for c in described.type_constraints}
        found: dict[str, np.dtype[Any]] = {}
        for k, value in enumerate(values):
            if value is None:
                continue
            variable = _variable(described, k)
            text = _type_text(value.dtype)
            if text not in allowed.get(variable, [variable]):
                raise Refused(f"ONNX's {described.name} takes no {value.dtype} numbers")
            found.setdefault(variable, value.dtype)
        return found

    @staticmethod
    def _result(output: Any, types: Mapping[str, np.dtype[Any]]) -> np.dtype[Any]:
        """That of an operand of the same type, or the only one that ONNX allows."""
        if output.type_str in types:
            return types[output.type_str]
        (only,) = output.types
        return _dtype_of(only)

    def value(self, x: Any, dtype: np.dtype[Any] | None = None) -> Value:
        """A tensor as it is; a number as a constant of this dtype, an array of its own."""
        if isinstance(x, Value):
            return x
        if isinstance(x, (bool, int, float)):
            return self.constant(np.asarray(x, dtype))
        return self.constant(np.asarray(x, np.int64) if isinstance(x, (list, tuple)) else x)

    def constant(self, array: Any, name: str = "") -> Value:
        """A tensor of numbers that stand in the file; the same numbers stand there once."""
        array = np.asarray(array, order="C")
        if array.dtype == np.intp:
            array = array.astype(np.int64)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            element_type(array.dtype)
            named = self.unused(name or f"constant/{len(self.initializers)}")
            self.initializers[named] = numpy_helper.from_array(array, named)
            self._known[key] = Value(named, array.dtype)
        return self._known[key]

    def cast(self, x: Value, dtype: Any) -> Value:
        """``x`` in another dtype."""
        dtype = np.dtype(dtype)
        if x.dtype == dtype:
            return x
        cast: Value = self.write("Cast", x, dtype=dtype, to=element_type(dtype))
        return cast

    def reshape(self, x: Value, shape: Iterable[int]) -> Value:
        """The same numbers under another shape."""
        made: Value = self.write("Reshape", x, list(shape), allowzero=1)
        return made

    def zeros(self, shape: Iterable[int], dtype: Any) -> Value:
        """Zeros that take no place in the file."""
        dtype = np.dtype(dtype)
        tensor = numpy_helper.from_array(np.zeros(1, dtype))
        made: Value = self.write("ConstantOfShape", list(shape), dtype=dtype, value=tensor)
        return made

    def renamed(self, made: Value, name: str, start: int) -> Value:
        """A result of one of the nodes from ``start`` on under ``name``, where it may have it."""
        new = self.nodes[start:]
        maker = next((node for node in new if made.name in node.output), None)
        if not name or maker is None or name in self._used:
            return made
        for node in new:
            for names in (node.input, node.output):
                names[:] = [name if x == made.name else x for x in names]
        self._used.add(name)
        return Value(name, made.dtype)

    def unused(self, name: str = "") -> str:
        """``name`` if it is free, else the next free ``label/1``, ``label/2``, ….

        A slash stands in no name of Python, so a user's names are never in the way.
        """
        chosen, k = name, 0
        while not chosen or chosen in self._taken:
            k += 1
            chosen = f"{name or self._label}/{k}"
        self._taken.add(chosen)
        return chosen


def _variable(described: Any, k: int) -> str:
    """The name of the type of operand ``k``, such as ``T``; the last operand may be repeated."""
    return str(described.inputs[min(k, len(described.inputs) - 1)].type_str)


def _outputs(described: Any, count: int) -> list[Any]:
    last = len(described.outputs) - 1
    return [described.outputs[min(k, last)] for k in range(count)]
