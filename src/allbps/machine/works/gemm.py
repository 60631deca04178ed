"""Matrix products as tasks: which axes are rows, columns and summed over, and in which order.

The kernels read A with any stride of rows and of k, and B with dense rows or dense columns. An axis
that was merged from several (a flattened image) is walked in the order in which A holds it; a
weight whose layout is still open is laid out to match, and of two that do not fit the smaller is
copied first.
"""

from __future__ import annotations

from allbps.machine.kernels.gemm import ROWS_ACROSS, batched_gemm, gemm_scratch
from allbps.machine.language.operands import HI, LO, Scratch
from allbps.machine.language.target import host
from allbps.machine.planning.layout import Layout, Run, Shape, common_refinement, merged, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.terms import pairs_of
from allbps.machine.works.masks import mask_of
from allbps.machine.works.places import Places
from allbps.machine.works.products import ProductSum, Walk
from allbps.machine.works.tasks import Cut, NoKernelError, Place


def run_of(layout: Layout, dims: tuple[int, ...]) -> Run | None:
    """Dims in this order as one run, or None."""
    runs = merged([(layout.dims[d], layout.strides[d]) for d in dims])
    if len(runs) > 1:
        return None
    return runs[0] if runs else (1, 0)


def emit_matmul(places: Places, work: Work) -> None:
    """A matmul, with bias and ReLU if asked, as tasks.

    Raises:
        NoKernelError: operands with leading axes that are not the same, or of whole numbers.

    """
    a, b = work.inputs[:2]
    if b.size == 0 or a.size == 0 or a.dtype.kind != "f" or b.dtype.kind != "f":
        raise NoKernelError
    if len(b.shape) > 2:
        _emit_batched(places, work)
        return
    walk, layout = _walk(places, a, b)
    made = places.put(work.outputs[0], layout)
    bias = places.of(work.inputs[2]).memory if work.attrs.get("bias") else None
    relu, mask = bool(work.attrs.get("relu")), mask_of(places, work, made)
    walk.product(places.program, work, label(work), made.memory, bias, mask, relu=relu).emit()


def emit_sum_of_products(places: Places, work: Work) -> None:
    """Σₜ Aₜ Bₜ as one task: each piece adds the terms up where they belong."""
    walks = [_walk(places, a, b) for a, b in pairs_of(work)]
    if any(layout != walks[0][1] for _, layout in walks):
        walks = [_walk(places, a, b, plain=True) for a, b in pairs_of(work)]
    made = places.put(work.outputs[0], walks[0][1])
    terms = [walk.product(places.program, work, label(work), made.memory) for walk, _ in walks]
    ProductSum(tuple(terms)).emit()


def _axes(value: Value, side: str) -> tuple[tuple[int, ...], int]:
    """The axes that stay, and the one that is summed over."""
    ndim = len(value.shape)
    if side == "left" or ndim == 1:
        summed = ndim - 1 if side == "left" else 0
        return tuple(k for k in range(ndim) if k != summed), summed
    return (1,), 0


def _dims(layout: Layout, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(d for k in axes for d in layout.axes[k]))


def _operands(places: Places, a: Value, b: Value) -> tuple[Place, Place]:
    """Both operands where the kernels can read them: A's axes are runs, B is dense along one.

    What is summed over is walked in the order of A's memory.
    """
    outer_a, k_a = _axes(a, "left")
    outer_b, k_b = _axes(b, "right")
    left = places.of(a)
    if run_of(left.layout, _dims(left.layout, outer_a)) is None:
        left = places.as_layout(a, row_major(a.shape))
    if places.is_open(b):
        places.decide(b, _matching(left.layout, k_a, b.shape, k_b))
    right = places.of(b)
    if a.size < b.size and not _walks_alike(left.layout, k_a, right.layout, k_b):
        left = places.settled(a, row_major(a.shape)) or left
    cut = _refined(left.layout, k_a, right.layout, k_b)
    if cut is None:
        return places.as_layout(a, row_major(a.shape)), places.as_layout(b, row_major(b.shape))
    order = sorted(range(len(cut[0])), key=lambda piece: -cut[0][piece][1])
    run_a = merged([cut[0][piece] for piece in order])
    if len(run_a) > 1:
        return places.as_layout(a, row_major(a.shape)), places.as_layout(b, row_major(b.shape))
    run_b = merged([cut[1][piece] for piece in order])
    columns = run_of(right.layout, _dims(right.layout, outer_b))
    dense = columns is not None and columns[1] in (0, 1)
    across = columns is not None and len(run_b) == 1 and run_b[0][1] == 1
    if len(run_b) > 1 or not (
        dense or (across and _turns_panels(places, b, a.size // run_a[0][0]))
    ):
        lengths = tuple(cut[0][piece][0] for piece in range(len(order)))
        right = places.as_layout(b, _summed_first(lengths, order, right.layout, b.shape, k_b))
    return left, right


def _turns_panels(places: Places, b: Value, rows: int) -> bool:
    """Does a product of so many rows turn the panels of B itself, rather than have all of B turned?

    Not where several products read it so; and where it is read the other way round as well, only
    if no panel is turned twice.
    """
    few = rows < 2 * ROWS_ACROSS
    return rows > 1 and places.products_of(b) < 2 and (few or not places.is_turned(b))


def _walks_alike(left: Layout, k_a: int, right: Layout, k_b: int) -> bool:
    """Is what is summed over a run in B too, in the order of A's memory?"""
    cut = _refined(left, k_a, right, k_b)
    if cut is None:
        return False
    pairs = sorted(zip(*cut, strict=True), key=lambda pair: -pair[0][1])
    return len(merged([of_b for _, of_b in pairs])) <= 1


def _refined(left: Layout, k_a: int, right: Layout, k_b: int) -> list[list[Run]] | None:
    runs = [
        [(layout.dims[d], layout.strides[d]) for d in layout.axes[k]]
        for layout, k in ((left, k_a), (right, k_b))
    ]
    return common_refinement(runs)


def _matching(left: Layout, k_a: int, shape: Shape, k_b: int) -> Layout:
    """A layout for B: the summed axis outside, as A holds it, its columns dense."""
    own = left.axes[k_a]
    order = sorted(range(len(own)), key=lambda piece: own[piece])
    lengths = tuple(left.dims[d] for d in own)
    plain = row_major(shape)
    return _summed_first(lengths, order, plain, shape, k_b)


def _summed_first(
    lengths: tuple[int, ...], order: list[int], like: Layout, shape: Shape, k_b: int
) -> Layout:
    """A layout of B whose summed axis is cut into ``lengths``, held in ``order``, and outermost."""
    others = [k for k in range(len(shape)) if k != k_b]
    columns = sorted(d for k in others for d in like.axes[k])
    dims = tuple(lengths[piece] for piece in order) + tuple(like.dims[d] for d in columns)
    axes: list[tuple[int, ...]] = [()] * len(shape)
    axes[k_b] = tuple(order.index(piece) for piece in range(len(lengths)))
    for k in others:
        axes[k] = tuple(len(lengths) + columns.index(d) for d in like.axes[k])
    return Layout(dims, tuple(axes))


def _walk(places: Places, a: Value, b: Value, *, plain: bool = False) -> tuple[Walk, Layout]:
    """How two operands are walked where they lie, or, ``plain``, each in row-major order.

    And how the result lies: rows as A holds them.
    """
    if plain:
        left, right = (places.as_layout(x, row_major(x.shape)) for x in (a, b))
    else:
        left, right = _operands(places, a, b)
    outer_a, k_a = _axes(a, "left")
    outer_b, k_b = _axes(b, "right")
    rows, columns = _dims(left.layout, outer_a), _dims(right.layout, outer_b)
    cut = _refined(left.layout, k_a, right.layout, k_b)
    row_run = run_of(left.layout, rows)
    assert cut is not None
    assert row_run is not None
    pairs = sorted(zip(*cut, strict=True), key=lambda pair: -pair[0][1])
    runs = [merged([pair[side] for pair in pairs]) or [(1, 0)] for side in (0, 1)]
    assert len(runs[0]) == len(runs[1]) == 1
    (K, sak), (_, sbk) = runs[0][0], runs[1][0]
    (M, sar), (N, sbn) = row_run, run_of(right.layout, columns) or (1, 0)
    layouts = left.layout, right.layout
    made = _result(layouts, (rows, columns), (outer_a, outer_b))
    return Walk(left.memory, sar, sak, right.memory, sbk or N, sbn or 1, M, N, K), made


def _result(
    layouts: tuple[Layout, Layout], dims: tuple[Shape, Shape], axes: tuple[Shape, Shape]
) -> Layout:
    """Rows as A holds them, then columns as B does."""
    lengths, made = list[int](), list[Shape]()
    for layout, own, outer in zip(layouts, dims, axes, strict=True):
        made += [tuple(len(lengths) + own.index(d) for d in layout.axes[k]) for k in outer]
        lengths += [layout.dims[d] for d in own]
    return Layout(tuple(lengths), tuple(made))


def label(work: Work) -> str:
    """``Z = A @ B + b, ReLU`` for people."""
    names = [value.name or "…" for value in work.inputs]
    if work.kind == "matmul_sum":
        count = len(names) // 2
        return f"{work.outputs[0].name or '…'} = {names[0]} @ {names[1]} + …, {count} terms"
    text = f"{work.outputs[0].name or '…'} = {names[0]} @ {names[1]}"
    text += f" + {names[2]}" if work.attrs.get("bias") else ""
    text += f" where {names[2]} > 0" if work.attrs.get("mask") else ""
    return text + (", ReLU" if work.attrs.get("relu") else "")


# -- many products at once -------------------------------------------------------------------------
def _emit_batched(places: Places, work: Work) -> None:
    """(…, M, K) @ (…, K, N) with the same leading axes."""
    a, b = work.inputs[:2]
    if a.shape[:-2] != b.shape[:-2] or work.attrs.get("bias") or work.attrs.get("relu"):
        raise NoKernelError
    left = places.as_layout(a, row_major(a.shape)).memory
    right = places.as_layout(b, row_major(b.shape)).memory
    out = places.put(work.outputs[0], row_major(work.outputs[0].shape)).memory
    (M, K), N = a.shape[-2:], b.shape[-1]
    count = a.size // (M * K)
    scratch = Scratch(gemm_scratch(host(), places.program.real.itemsize, M, K))
    call = batched_gemm.on(
        C=out, scb=M * N, ldc=N, A=left, sab=M * K, sar=K, sak=1, B=right, sbb=K * N, ldb=N,
        M=M, N=N, K=K, flags=0, scratch=scratch, lo=LO, hi=HI,
    )  # fmt: skip
    flops = 2 * count * M * N * K
    places.program.add(label(work), Cut.of(count, M * N * K), call, flops=flops, work=work)
