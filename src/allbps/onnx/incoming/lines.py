"""One ONNX node as one line of source, or the reason why there is none."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from allbps.onnx.incoming import parts
from allbps.onnx.incoming.table import CHOICES, FUNCTIONS, JOINED, SOFT, TEMPLATES

NAMES = {value: name for name, value in vars(parts).items() if callable(value)}
"""Function -> what it is called in the source."""


class Unknown(Exception):  # noqa: N818  (an answer, which the import gathers)
    """A node that cannot be written; its text is the reason."""


KINDS = ("float32", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16",
         "uint32", "uint64")  # fmt: skip
"""dtypes that allbps computes with."""


def check_kind(number: int) -> None:
    """Refuse numbers that allbps does not compute with, by ONNX's number for their type.

    Raises:
        Unknown: they are halves, strings or other kinds.

    """
    word = onnx.TensorProto.DataType.Name(number)
    dtype = {"FLOAT": "float32", "DOUBLE": "float64"}.get(word, word.lower())
    if dtype not in KINDS:
        raise Unknown(f"allbps does not compute with numbers of type {word}")


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node as Python values.

    Raises:
        Unknown: one is a graph.

    """
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        elif isinstance(value, (onnx.GraphProto, onnx.SparseTensorProto)):
            raise Unknown(
                f"its attribute {attribute.name} is a {type(value).__name__[:-5].lower()}"
            )
        elif isinstance(value, bytes):
            value = value.decode()
        elif not isinstance(value, (int, float, str)):
            value = tuple(value)
        found[attribute.name] = value
    if found.get("auto_pad") == "NOTSET":
        del found["auto_pad"]
    return found


def expression(node: onnx.NodeProto, operands: Sequence[str], kept: Callable[[Any], str]) -> str:
    """What a node computes, of operands as they are written; ``kept`` names a constant array.

    Raises:
        Unknown: it cannot be written.

    """
    kind, given = node.op_type, attributes(node)
    if kind == "Cast":
        check_kind(given["to"])
    if kind in TEMPLATES:
        _known(given, ())
        return TEMPLATES[kind].format(*operands)
    if kind in FUNCTIONS:
        return _called(node, operands, given, kept)
    if kind in JOINED:
        return _joined(JOINED[kind], operands)
    return kept(constant(given)) if kind == "Constant" else _special(node, operands, given)


def _special(node: onnx.NodeProto, operands: Sequence[str], given: Mapping[str, Any]) -> str:
    kind = node.op_type
    if kind in SOFT:
        return f"{SOFT[kind]}({operands[0]}, dim={given.get('axis', -1)})"
    if kind == "Einsum":
        return f"np.einsum({given['equation']!r}, {', '.join(operands)})"
    if kind == "Dropout":
        if any(node.output[1:]) or len(operands) > 2:
            raise Unknown("it may draw a mask, and ONNX says no generator")
        return operands[0]
    raise Unknown("allbps does not know this operator")


def constant(given: Mapping[str, Any]) -> Any:
    """The array of a Constant node."""
    (name, value), *_ = given.items()
    if name in ("sparse_value", "value_string", "value_strings"):
        raise Unknown(f"a constant given by {name}")
    dtype = {"value_float": np.float32, "value_floats": np.float32}.get(name)
    return np.asarray(value, dtype)


def _joined(word: str, operands: Sequence[str]) -> str:
    if word.startswith("np."):
        return reduce(lambda a, b: f"{word}({a}, {b})", operands)
    return word.join(operands)


def _known(given: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in given:
        if name not in names:
            raise Unknown(f"its attribute {name}={given[name]!r} is not supported")


def _called(
    node: onnx.NodeProto, operands: Sequence[str], given: dict[str, Any],
    kept: Callable[[Any], str],
) -> str:  # fmt: skip
    """A call, the attributes as keywords; those at their usual value are not written."""
    function: Callable[..., Any] = FUNCTIONS[node.op_type]
    parameters = inspect.signature(function).parameters
    usual = {"ceil_mode": 0, "storage_order": 0, "select_last_index": 0, "training_mode": 0,
             "exclusive": 0, "reverse": 0, "layout": 0, "saturate": 1, "auto_pad": "NOTSET",
             "round_mode": "up"}  # fmt: skip
    rest = {k: v for k, v in given.items() if k in parameters or usual.get(k) != v}
    _known(rest, tuple(parameters))
    if node.op_type == "ScatterND" and rest.get("reduction", "none") not in CHOICES["reduction"]:
        raise Unknown(f"its reduction {rest['reduction']} is not supported")
    if "outputs" in parameters:
        rest["outputs"] = len(node.output)
    words = [
        f"{name}={kept(value) if isinstance(value, np.ndarray) else repr(value)}"
        for name, value in rest.items()
        if name == "outputs" or value != parameters[name].default
    ]
    written = [text or "None" for text in operands]
    if len(node.output) > 1 and node.op_type not in ("Split", "TopK") and any(node.output[1:]):
        raise Unknown(f"its output {node.output[1]} is not supported")
    return f"parts.{NAMES[function]}({', '.join([*written, *words])})"
