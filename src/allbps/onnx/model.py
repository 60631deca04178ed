"""ONNX nodes as a model: inputs, outputs, stored values, checked as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import onnx
from onnx import helper, numpy_helper

from allbps import __version__
from allbps.errors import ArgumentError, CompilationError
from allbps.ir import Node
from allbps.onnx.writer import DOMAIN, Writer, element_type
from allbps.trace import Traced

LARGEST = 2**31 - 2**20
"""Bytes of numbers that a file can hold: protobuf ends at 2 GiB."""


def model_of(
    writer: Writer, traced: Traced, inputs: Iterable[Node], outputs: Mapping[str, Node],
    stored: Mapping[str, Any],
) -> onnx.ModelProto:  # fmt: skip
    """The model, which has passed ONNX's checker and its inference of shapes.

    Raises:
        ArgumentError: its numbers are more than a file holds.
        CompilationError: the checker refuses it, which is a fault of allbps.

    """
    kept = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    initializers = [*kept, *writer.initializers.values()]
    size = sum(len(tensor.raw_data) for tensor in initializers)
    if size > LARGEST:
        raise ArgumentError(
            "the numbers to store are more than an ONNX file holds",
            expected="less than 2 GiB",
            got=f"{size / 2**30:.1f} GiB",
            todo="leave them out of stored=, and give them as inputs",
        )
    graph = helper.make_graph(
        writer.nodes,
        traced.function,
        [_described(x.name, x) for x in inputs],
        [_described(name, y) for name, y in outputs.items()],
        initializer=initializers,
        doc_string=traced.doc or None,
    )
    opset = helper.make_opsetid(DOMAIN, writer.opset)
    model = helper.make_model_gen_version(
        graph, opset_imports=[opset], producer_name="allbps", producer_version=__version__
    )
    _check(model)
    return model


def _described(name: str, node: Node) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element_type(node.dtype), node.shape)


def _check(model: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CompilationError(
            f"ONNX refuses the model written for {model.graph.name}",
            got=str(error).splitlines()[0][:300],
            todo="this is a bug in allbps: please report it, with the function",
        ) from error
