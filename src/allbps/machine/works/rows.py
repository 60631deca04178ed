"""Cross-entropy as a loss with its δ, and rows of a table by number."""

from __future__ import annotations

import numpy as np

from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import Work
from allbps.machine.planning.substitutes import is_argument
from allbps.machine.works.places import Places, memories
from allbps.machine.works.tasks import Place, Program, Task, bounds, line_of, moved, pieces_for


def emit_cross_entropy(program: Program, places: Places, work: Work) -> None:
    """The loss, added up from partial results, and δ of the logits."""
    program.use("kernels.loss", "cross_entropy")
    program.use("kernels.reduce", "combine")
    program.use("language.words", "real")
    logits, labels = work.inputs
    x = places.as_layout(logits, row_major(logits.shape))
    goal = places.as_layout(labels, row_major(labels.shape))
    loss, delta = (places.put(value, row_major(value.shape)) for value in work.outputs)
    classes = logits.shape[-1]
    rows = logits.size // classes
    pieces = pieces_for(rows, classes * 30)
    parts = program.memory(f"{loss.memory.name}_parts", pieces) if pieces > 1 else loss.memory
    place = f"{parts.name}[{'p' if pieces > 1 else 0}]"
    call = (
        f"{place} = real(cross_entropy({delta.memory.name}, {x.memory.name}, {goal.memory.name}, "
        f"{work.attrs['scale']!r}, {classes}, lo, hi))"
    )
    name = f"{loss.memory.name}, {delta.memory.name}"
    program.tasks.append(
        Task(f"{name}: cross-entropy of {logits.name or '…'}", pieces,
             (*bounds(rows, pieces), call), memories([x, goal]), (parts, delta.memory),
             flops=30 * logits.size, traffic=moved((*work.inputs, *work.outputs)),
             site=line_of(work))
    )  # fmt: skip
    if pieces > 1:
        combine(program, loss, Place(parts, row_major((pieces,))), pieces)


def emit_embedding(program: Program, places: Places, work: Work) -> bool:
    """Rows of a table by an index that is an argument; False for other ways to index."""
    if not is_lookup(work):
        return False
    program.use("kernels.embedding", "embedding")
    table, index = work.inputs
    rows, columns = places.as_layout(table, row_major(table.shape)), table.shape[1]
    which = places.as_layout(index, row_major(index.shape))
    out = places.put(work.outputs[0], row_major(work.outputs[0].shape))
    pieces = pieces_for(index.size, columns)
    call = (
        f"embedding({out.memory.name}, {rows.memory.name}, {which.memory.name}, {columns}, lo, hi)"
    )
    program.tasks.append(
        Task(f"{out.memory.name} = {rows.memory.name}[{which.memory.name}]", pieces,
             (*bounds(index.size, pieces), call), memories([rows, which]), (out.memory,),
             traffic=2 * work.outputs[0].size, site=line_of(work))
    )  # fmt: skip
    return True


def emit_embedding_delta(program: Program, places: Places, work: Work) -> bool:
    """δ of the table: rows added up where an index repeats, each piece some columns."""
    if not is_lookup(work):
        return False
    program.use("kernels.embedding", "embedding_delta")
    upstream, index = work.inputs
    V, C = work.outputs[0].shape
    delta = places.as_layout(upstream, row_major(upstream.shape))
    which = places.as_layout(index, row_major(index.shape))
    out = places.put(work.outputs[0], row_major((V, C)))
    pieces = max(1, min(pieces_for(C, index.size), C // 16))
    call = (
        f"embedding_delta({out.memory.name}, {delta.memory.name}, {which.memory.name}, {V}, "
        f"{index.size}, {C}, False, lo, hi)"
    )
    program.tasks.append(
        Task(f"{out.memory.name}: δ of the rows at {which.memory.name}", pieces,
             (*bounds(C, pieces), call), memories([delta, which]), (out.memory,),
             flops=upstream.size, traffic=upstream.size + V * C, site=line_of(work))
    )  # fmt: skip
    return True


def is_lookup(work: Work) -> bool:
    """Rows of a matrix at an index that can be looked at before a kernel trusts it."""
    if work.kind not in ("getitem", "put_add") or work.node is None or len(work.inputs) != 2:
        return False
    table = work.inputs[0].shape if work.kind == "getitem" else work.outputs[0].shape
    index = work.node.inputs[1]
    rows = work.attrs["parts"] == ("array",) and len(table) == 2
    return rows and index.dtype == np.int64 and is_argument(index)


def combine(program: Program, out: Place, parts: Place, count: int) -> None:
    """A task that adds partial results, each as large as ``out``, in order."""
    program.use("kernels.reduce", "combine")
    size = out.layout.size
    call = f"combine({out.memory.name}, {parts.memory.name}, {size}, {count}, 0, {size})"
    program.tasks.append(
        Task(
            f"{out.memory.name}: sum of {count} partial results",
            1,
            (call,),
            (parts.memory,),
            (out.memory,),
            flops=count * size,
            traffic=count * size,
        )
    )
