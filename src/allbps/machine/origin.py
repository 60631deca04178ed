"""Where numbers that are not finite come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from allbps.errors import AllBPsError
from allbps.ir import Node
from allbps.machine.path import Path
from allbps.ops.random import key_op


def first_nonfinite(path: Path, step: int) -> tuple[str, str]:
    """The first node that is not finite or cannot be worked out, and its line.

    Args:
        path: with the arguments to look at.
        step: whose random numbers are drawn.

    """
    build = path.build
    known: dict[Node, Any] = {x: path.argument(x) for x in build.inputs}
    nodes = build.traced.graph.nodes
    known |= {x: np.array([x.attrs["seed"], step]) for x in nodes if x.op is key_op}
    for node in nodes:
        problem = ""
        if node not in known:
            try:
                known[node] = _worked_out(node, known)
            except (AllBPsError, IndexError, ValueError) as error:
                problem = f" ({str(error).splitlines()[0]})"
        if problem or (node.is_float and not np.isfinite(known[node]).all()):
            return f"{node.name or node.op.name}{problem}", str(node.site or "")
    return "", ""


def _worked_out(node: Node, known: Mapping[Node, Any]) -> Any:
    """A node's value, by its operation's own text and checks."""
    if not node.inputs:
        return node.value
    values = [known[x] for x in node.inputs]
    with np.errstate(all="ignore"):
        return node.op(*values, **node.attrs).value
