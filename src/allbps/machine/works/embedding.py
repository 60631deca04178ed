"""Rows of a table by number, as tasks, and the δ of the table."""

from __future__ import annotations

from allbps.machine.kernels import embedding as kernels
from allbps.machine.language.operands import HI, LO
from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import Work
from allbps.machine.planning.reach import is_trusted
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import Cut, NoKernelError


def emit_embedding(places: Places, work: Work) -> None:
    """Rows of a table by an index that is an argument."""
    if not is_lookup(work):
        raise NoKernelError
    table, index = work.inputs
    rows, columns = places.as_layout(table, row_major(table.shape)).memory, table.shape[1]
    which = places.as_layout(index, row_major(index.shape)).memory
    out = places.put(work.outputs[0], row_major(work.outputs[0].shape)).memory
    call = kernels.embedding.on(Y=out, E=rows, index=which, C=columns, lo=LO, hi=HI)
    label = f"{out.name} = {rows.name}[{which.name}]"
    size = work.outputs[0].size
    places.program.add(label, Cut.of(index.size, columns), call, traffic=2 * size, work=work)


def emit_embedding_delta(places: Places, work: Work) -> None:
    """δ of the table: rows added up where an index repeats, each piece some columns."""
    if not is_lookup(work):
        raise NoKernelError
    upstream, index = work.inputs
    V, C = work.outputs[0].shape
    delta = places.as_layout(upstream, row_major(upstream.shape)).memory
    which = places.as_layout(index, row_major(index.shape)).memory
    out = places.put(work.outputs[0], row_major((V, C))).memory
    cut = Cut(C, max(1, min(Cut.of(C, index.size).pieces, C // 16)))
    call = kernels.embedding_delta.on(
        D=out, G=delta, index=which, V=V, M=index.size, C=C, add=False, lo=LO, hi=HI
    )
    label = f"{out.name}: δ of the rows at {which.name}"
    size = upstream.size
    places.program.add(label, cut, call, flops=size, traffic=size + V * C, work=work)


def is_lookup(work: Work) -> bool:
    """Rows of a matrix of real numbers at an index that can be looked at beforehand."""
    node = work.node
    return node is not None and node.op.name == work.kind and is_trusted(node)


KERNELS = {"getitem": emit_embedding, "put_add": emit_embedding_delta}
"""Kind of work -> what makes its tasks."""
