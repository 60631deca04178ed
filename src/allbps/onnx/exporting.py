"""``export``: a function with its backward pass as one ONNX graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import defs

from allbps.backward import Backward
from allbps.backward import backward as backward_pass
from allbps.files import write_bytes
from allbps.ir import CONST, INPUT, Node, constant, placed_at, values_on_demand
from allbps.onnx.lowering import Lowering
from allbps.onnx.model import model_of
from allbps.onnx.writer import Writer
from allbps.ops.comparison import equal, logical_and
from allbps.ops.questions import all_
from allbps.trace import Traced, trace


def export(
    f: Callable[..., Any], /, *examples: Any, path: Path | str | None = None,
    backward: bool = True, wrt: Iterable[str] | None = None, stored: Iterable[str] = (),
    opset: int | None = None, **named_examples: Any,
) -> onnx.ModelProto:  # fmt: skip
    """A function, forward and backward, as one ONNX model that any ONNX runtime can run.

    The model's inputs are the function's array arguments by their names; where a result is not a
    single number, its δ is an input as well, ``dY`` for the result ``Y``. Its outputs are the
    results, then the δ of the chosen arguments, ``dW`` for ``W``. Shapes are those of the
    examples. The same function and examples give the same bytes.

    A function that looked at values while it was traced (an ``if``, class numbers compared with
    the number of classes) took one way through them. The model then has one output more, ``guard``:
    true where the inputs at hand lead the same way, so that the other outputs are the function's.

    Args:
        f: the function, in NumPy's style; also what ``bp.torch.from_module`` gives.
        examples: its arguments, whose values only matter where they are ``stored``.
        path: where to write the model; nowhere if left out.
        backward: False for the forward pass alone.
        wrt: names of the arguments whose δ are outputs; every floating-point one if left out. A
            container's name stands for all arrays in it.
        stored: names of arguments whose example values are stored in the model as initialisers,
            such as weights. They remain inputs that may be given, with these as defaults.
        opset: version of ONNX's operators; the newest that the installed onnx knows if left out.
        named_examples: arguments by keyword.

    Raises:
        NoRuleError: operations that ONNX cannot say; all are named, with the reason and the line.
        ArgumentError: the numbers to store are more than a file holds.
        NameUnknownError: a name in ``wrt`` or ``stored`` is no argument.
        UserFileError: the file cannot be written.

    >>> import numpy as np, allbps as bp
    >>> def loss(x, w): return np.sum(np.tanh(x @ w) ** 2)
    >>> model = bp.onnx.export(loss, np.ones((2, 3)), np.ones((3, 1)), stored=["w"])
    >>> [x.name for x in model.graph.input], [y.name for y in model.graph.output]
    (['x', 'w'], ['L', 'dx', 'dw'])

    """
    with values_on_demand():
        traced = trace(f, *examples, **named_examples)
    return export_traced(traced, path=path, backward=backward, wrt=wrt, stored=stored, opset=opset)


def export_traced(
    traced: Traced, *, path: Path | str | None = None, backward: bool = True,
    wrt: Iterable[str] | None = None, stored: Iterable[str] = (), opset: int | None = None,
) -> onnx.ModelProto:  # fmt: skip
    """As ``export``, of a function that has been traced."""
    graph = backward_pass(traced, wrt, _ones(traced)) if backward else traced
    outputs = _outputs(graph)
    inputs = graph.graph.inputs
    writer = Writer(opset or defs.onnx_opset_version(), (x.name for x in inputs), outputs)
    Lowering(writer, inputs).write(outputs)
    model = model_of(writer, traced, inputs, outputs, _stored(traced, stored))
    if path is not None:
        write_bytes(path, model.SerializeToString(deterministic=True))
    return model


def _ones(traced: Traced) -> dict[str, Any]:
    """Stand-ins for the δ of results that are no loss: the δ itself is an input of the model."""
    floats = {y.name: y for y in traced.graph.outputs if y.is_float and y.op is not CONST}
    if len(floats) == 1 and next(iter(floats.values())).size == 1:
        return {}
    return {name: np.ones(y.shape, y.dtype) for name, y in floats.items()}


def _outputs(subject: Traced | Backward) -> dict[str, Node]:
    """Name -> node of each output; the δ of an argument that no result depends on is zeros."""
    traced = subject if isinstance(subject, Traced) else subject.traced
    found: dict[str, Node] = {}
    for k, y in enumerate(traced.graph.outputs):
        name = y.name or f"result/{k}"
        found[f"{name}/{k}" if name in found or y.op is INPUT else name] = y
    if isinstance(subject, Backward):
        for x in subject.wrt:
            delta = subject.deltas.get(x)
            own = traced.deltas[x.name]
            given = any(seed.name == own for seed in subject.given)
            found[f"{own}/total" if given else own] = (
                delta.node if delta else constant(np.zeros(x.shape, x.dtype))
            )
    if traced.guards:
        found["guard" if traced.find("guard") is None else "guard/holds"] = _holds(traced)
    return found


def _holds(traced: Traced) -> Node:
    """Is all that the function looked at as it was when it was traced?"""
    found = []
    for guard in traced.guards:
        with placed_at(guard.site):
            same = equal(guard.node, constant(guard.value))
            found.append(all_(same, axis=None, keepdims=False))
    return reduce(logical_and, found)


def _stored(traced: Traced, names: Iterable[str]) -> dict[str, Any]:
    """Argument -> the values that stand in the model."""
    found: dict[str, Any] = {}
    arguments = traced.graph.inputs
    for name in [names] if isinstance(names, str) else names:
        chosen = [x for x in arguments if x.name == name or x.name.startswith(f"{name}_")]
        chosen = [x for x in chosen if x.name == name] or chosen
        if not chosen:
            raise traced.unknown(name, [x.name for x in arguments], "argument")
        found.update({x.name: np.asarray(traced.values[x]) for x in chosen})
    return found
