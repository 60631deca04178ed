"""Where NaN and infinity come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.ir import CONST, INPUT, Node, ancestors
from allbps.readings.source import Line, emit
from allbps.verify.finding import Index, Origin, place


def origin_of(backward: Backward, values: Mapping[str, Any]) -> Origin | None:
    """The first value that is not finite, if a result or a δ is not finite; else None.

    An infinity that does no harm (a mask of −∞ before a softmax) is not an origin.
    """
    program = emit(backward)
    lines = {line.node: line for line in (*program.forward, *program.backward)}
    results = {
        *backward.traced.graph.outputs,
        *(delta.node for delta in backward.deltas.values()),
    }
    spoilt = [x for x in results if x in lines and _bad(values.get(x.name)) is not None]
    if not spoilt:
        return None
    first = min(spoilt, key=lambda node: node.born)
    for node in ancestors([first]):
        if node.op not in (INPUT, CONST) and node in lines and _bad(values.get(node.name)):
            return _origin(lines[node], values)
    return _origin(lines[first], values)


def _bad(value: Any) -> tuple[Index] | None:
    """The first element that is not finite, wrapped so that a scalar's () counts as one."""
    array = np.asarray(value) if value is not None else np.zeros(())
    if array.dtype.kind != "f":
        return None
    places = np.argwhere(~np.isfinite(array))
    return (tuple(int(k) for k in places[0]),) if len(places) else None


def _origin(line: Line, values: Mapping[str, Any]) -> Origin:
    node = line.node
    found = _bad(values[node.name])
    assert found is not None
    (index,) = found
    return Origin(
        name=node.name,
        index=index,
        value=float(np.asarray(values[node.name])[index]),
        where=str(node.site or ""),
        code=line.code,
        operands=_operands(node, index, values),
    )


def _operands(node: Node, index: Index, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The named values that went in, at the same element where shapes allow."""
    shown = {}
    pending = list(node.inputs)
    while pending:
        x = pending.pop(0)
        if not x.name or x.name not in values:
            pending.extend(x.inputs)
        elif x.size == 1:
            shown[x.name] = float(np.asarray(values[x.name]).reshape(()))
        elif x.shape == node.shape:
            shown[place(x.name, index)] = float(np.asarray(values[x.name])[index])
    return tuple(f"{name} = {value:g}" for name, value in shown.items())
