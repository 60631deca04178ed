"""Matrix products as tasks: which axes are rows, columns and summed over, and in which order.

The kernels read A with any stride of rows and of k, and B with dense rows. An axis that was merged
from several (a flattened image) is walked in the order in which A holds it; a weight whose layout
is still open is laid out to match, and what does not fit is copied first.
"""

from __future__ import annotations

from dataclasses import dataclass

from allbps.machine.kernels.gemm import Cut, collides, cut_product, packed_scratch
from allbps.machine.planning.layout import Layout, Run, Shape, common_refinement, merged, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.masks import gate_of, masked
from allbps.machine.works.places import Places, memories
from allbps.machine.works.tasks import (
    Place,
    Program,
    Rows,
    Task,
    bounds,
    line_of,
    moved,
    pieces_for,
)

SMALL_PRODUCT = 4096
"""Up to this many multiplications plain loops beat the microkernel's overhead."""
BIAS, RELU = 2, 4


class NoProductError(Exception):
    """A product that no kernel here takes."""


@dataclass(frozen=True)
class Operand:
    """One side of a product: its memory, and the dims of its two axes in order of memory."""

    place: Place
    outer: tuple[int, ...]
    summed: tuple[int, ...]


def run_of(layout: Layout, dims: tuple[int, ...]) -> Run | None:
    """Dims in this order as one run, or None."""
    runs = merged([(layout.dims[d], layout.strides[d]) for d in dims])
    if len(runs) > 1:
        return None
    return runs[0] if runs else (1, 0)


def emit_matmul(program: Program, places: Places, work: Work) -> None:
    """A matmul, with bias and ReLU if asked, as tasks.

    Raises:
        NoProductError: operands with leading axes that are not the same.

    """
    a, b = work.inputs[:2]
    if b.size == 0 or a.size == 0:
        raise NoProductError
    if len(b.shape) > 2:
        _emit_batched(program, places, work)
        return
    left, right = _operands(program, places, a, b)
    _Product(program, places, work, left, right).emit()


def _axes(value: Value, side: str) -> tuple[tuple[int, ...], int]:
    """The axes that stay, and the one that is summed over."""
    ndim = len(value.shape)
    if side == "left" or ndim == 1:
        summed = ndim - 1 if side == "left" else 0
        return tuple(k for k in range(ndim) if k != summed), summed
    return (1,), 0


def _dims(layout: Layout, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(d for k in axes for d in layout.axes[k]))


def _operands(program: Program, places: Places, a: Value, b: Value) -> tuple[Place, Place]:
    """Both operands where the kernels can read them: A's axes are runs, B's rows are dense.

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
    cut = _refined(left.layout, k_a, right.layout, k_b)
    if cut is None:
        left = places.as_layout(a, row_major(a.shape))
        right = places.as_layout(b, row_major(b.shape))
        return left, right
    order = sorted(range(len(cut[0])), key=lambda piece: -cut[0][piece][1])
    run_a = merged([cut[0][piece] for piece in order])
    if len(run_a) > 1:
        left = places.as_layout(a, row_major(a.shape))
        return _operands_of_dense(places, left, a, b)
    run_b = merged([cut[1][piece] for piece in order])
    columns = run_of(right.layout, _dims(right.layout, outer_b))
    dense = columns is not None and columns[1] in (0, 1)
    if len(run_b) > 1 or not dense:
        lengths = tuple(cut[0][piece][0] for piece in range(len(order)))
        right = places.as_layout(b, _summed_first(lengths, order, right.layout, b.shape, k_b))
    return left, right


def _operands_of_dense(places: Places, left: Place, a: Value, b: Value) -> tuple[Place, Place]:
    return left, places.as_layout(b, row_major(b.shape))


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


class _Product:
    """One product on its way to tasks."""

    def __init__(
        self, program: Program, places: Places, work: Work, left: Place, right: Place
    ) -> None:
        self.program, self.places, self.work = program, places, work
        self.left, self.right = left, right
        a, b = work.inputs[:2]
        outer_a, k_a = _axes(a, "left")
        outer_b, k_b = _axes(b, "right")
        self.rows = _dims(left.layout, outer_a)
        self.columns = _dims(right.layout, outer_b)
        cut = _refined(left.layout, k_a, right.layout, k_b)
        row_run = run_of(left.layout, self.rows)
        assert cut is not None
        assert row_run is not None
        pairs = sorted(zip(*cut, strict=True), key=lambda pair: -pair[0][1])
        runs = [merged([pair[side] for pair in pairs]) or [(1, 0)] for side in (0, 1)]
        assert len(runs[0]) == len(runs[1]) == 1
        (self.K, self.sak), (_, self.ldb) = runs[0][0], runs[1][0]
        self.M, self.sar = row_run
        self.N = (run_of(right.layout, self.columns) or (1, 0))[0]
        self.ldb = self.ldb or self.N
        self.out = places.put(work.outputs[0], self._result(outer_a, outer_b))
        self.bias = places.of(work.inputs[2]) if work.attrs.get("bias") else None
        self.gate = gate_of(places, work, self.out)

    def _result(self, outer_a: tuple[int, ...], outer_b: tuple[int, ...]) -> Layout:
        """Rows as A holds them, then columns as B does."""
        left, right = self.left.layout, self.right.layout
        dims = tuple(left.dims[d] for d in self.rows) + tuple(right.dims[d] for d in self.columns)
        axes = [tuple(self.rows.index(d) for d in left.axes[k]) for k in outer_a]
        axes += [
            tuple(len(self.rows) + self.columns.index(d) for d in right.axes[k]) for k in outer_b
        ]
        return Layout(dims, tuple(axes))

    def emit(self) -> None:
        if self.M * self.N * self.K <= SMALL_PRODUCT and self.bias is None:
            self._small()
            return
        cut = cut_product(self.M, self.N, self.K)
        flags = BIAS * (self.bias is not None) + RELU * bool(self.work.attrs.get("relu"))
        if cut.depth == 1:
            itemsize = self.program.real.itemsize
            packed = collides(self.sar, self.sak, self.M, self.K, itemsize)
            piece = self._packed_piece if packed else self._piece
            rows = Rows(
                self.M,
                self.N,
                lambda target: (piece(target, cut, flags), *self._masked_piece(target, cut)),
            )
            self._task(cut.pieces, rows.into(self.out.memory.name), self.out, with_more=True)
            if cut.columns == 1:
                self.program.tasks[-1].rows = rows
            return
        parts = self.program.memory(f"{self.out.memory.name}_parts", cut.depth * self.M * self.N)
        whole = Place(parts, row_major((parts.size,)))
        self._task(cut.pieces, (self._piece(parts.name, cut, 0),), whole, with_more=False)
        self._finish(whole, cut.depth, flags, self._bias)

    @property
    def _bias(self) -> str:
        return (self.bias or self.left).memory.name  # not read without a bias

    def _piece(self, target: str, cut: Cut, flags: int) -> str:
        self.program.use("kernels.gemm", "product_piece")
        return (
            f"product_piece({target}, {self.N}, {self.left.memory.name}, {self.sar}, {self.sak}, "
            f"{self.right.memory.name}, {self.ldb}, {self.M}, {self.N}, {self.K}, {flags}, "
            f"{self._bias}, {cut.rows}, {cut.columns}, {cut.depth}, p)"
        )

    def _masked_piece(self, target: str, cut: Cut) -> tuple[str, ...]:
        if self.gate is None:
            return ()
        self.program.use("kernels.gemm", "mask_piece")
        sizes = f"{self.M}, {self.N}, {cut.rows}, {cut.columns}"
        return (f"mask_piece({target}, {self.gate.memory.name}, {sizes}, p)",)

    def _packed_piece(self, target: str, cut: Cut, flags: int) -> str:
        self.program.use("kernels.gemm", "packed_product_piece")
        self.program.scratch = max(self.program.scratch, packed_scratch(self.M, self.K, cut))
        return (
            f"packed_product_piece({target}, {self.N}, {self.left.memory.name}, {self.sak}, "
            f"{self.right.memory.name}, {self.ldb}, {self.M}, {self.N}, {self.K}, {flags}, "
            f"{self._bias}, {cut.rows}, {cut.columns}, scratch, p)"
        )

    def _finish(self, parts: Place, count: int, flags: int, bias: str) -> None:
        self.program.use("kernels.gemm", "finish_product")
        pieces = pieces_for(self.M, self.N * count * 4)

        def into(target: str) -> tuple[str, ...]:
            call = (
                f"finish_product({target}, {self.N}, {parts.memory.name}, {count}, "
                f"{self.M}, {self.N}, {flags}, {bias}, lo, hi)"
            )
            return (*bounds(self.M, pieces), call, *masked(self.program, target, self.gate, self.N))

        reads = memories([parts, *(x for x in (self.bias, self.gate) if x is not None)])
        self.program.tasks.append(
            Task(
                f"{self.out.memory.name}: sum of {count} partial products",
                pieces,
                into(self.out.memory.name),
                reads,
                (self.out.memory,),
                flops=self.M * self.N * count,
                traffic=self.M * self.N * count,
                rows=Rows(self.M, self.N, into),
            )
        )

    def _small(self) -> None:
        self.program.use("kernels.small", "small_product")
        operands = (
            f"{self.left.memory.name}, {self.sar}, {self.sak}, {self.right.memory.name}, "
            f"{self.ldb}, 1"
        )
        name = self.out.memory.name
        lines = [f"small_product({name}, {operands}, {self.M}, {self.N}, {self.K})"]
        if self.work.attrs.get("relu"):
            self.program.use("kernels.activation", "relu")
            lines.append(f"relu({name}, {name}, 0, {self.M * self.N})")
        lines += masked(self.program, name, self.gate, self.N, f"0, {self.M}")
        self._task(1, tuple(lines), self.out, with_more=True)

    def _task(self, pieces: int, lines: tuple[str, ...], out: Place, *, with_more: bool) -> None:
        """A task; ``with_more`` than both operands it reads the bias and the ReLU's result."""
        reads = [self.left, self.right]
        if with_more:
            reads += [x for x in (self.bias, self.gate) if x is not None]
        self.program.tasks.append(
            Task(label(self.work), pieces, lines, memories(reads), (out.memory,),
                 flops=2 * self.M * self.N * self.K,
                 traffic=moved((*self.work.inputs, *self.work.outputs)), site=line_of(self.work))
        )  # fmt: skip


def label(work: Work) -> str:
    """``Z = A @ B + b, ReLU`` for people."""
    names = [value.name or "…" for value in work.inputs]
    text = f"{work.outputs[0].name or '…'} = {names[0]} @ {names[1]}"
    text += f" + {names[2]}" if work.attrs.get("bias") else ""
    text += f" where {names[2]} > 0" if work.attrs.get("mask") else ""
    return text + (", ReLU" if work.attrs.get("relu") else "")


# -- many products at once -------------------------------------------------------------------------
def _emit_batched(program: Program, places: Places, work: Work) -> None:
    """(…, M, K) @ (…, K, N) with the same leading axes."""
    a, b = work.inputs[:2]
    if a.shape[:-2] != b.shape[:-2] or work.attrs.get("bias") or work.attrs.get("relu"):
        raise NoProductError
    program.use("kernels.gemm", "batched_gemm")
    left = places.as_layout(a, row_major(a.shape))
    right = places.as_layout(b, row_major(b.shape))
    out = places.put(work.outputs[0], row_major(work.outputs[0].shape))
    (M, K), N = a.shape[-2:], b.shape[-1]
    count = a.size // (M * K)
    pieces = pieces_for(count, M * N * K)
    call = (
        f"batched_gemm({out.memory.name}, {M * N}, {N}, {left.memory.name}, {M * K}, {K}, 1, "
        f"{right.memory.name}, {K * N}, {N}, {M}, {N}, {K}, 0, lo, hi)"
    )
    program.tasks.append(
        Task(label(work), pieces, (*bounds(count, pieces), call), memories([left, right]),
             (out.memory,), flops=2 * count * M * N * K,
             traffic=moved((*work.inputs, *work.outputs)), site=line_of(work))
    )  # fmt: skip
