"""Matrix products as tasks: which axes are rows, columns and summed over, and in which order.

The kernels read A with any stride of rows and of k, and B with dense rows. An axis that was merged
from several (a flattened image) is walked in the order in which A holds it; a weight whose layout
is still open is laid out to match, and what does not fit is copied first.
"""

from __future__ import annotations

from allbps.machine.kernels import gemm as kernels
from allbps.machine.kernels.activation import relu
from allbps.machine.kernels.gemm import Blocks, cut_product, gemm_scratch, pays_to_transpose
from allbps.machine.kernels.small import small_product
from allbps.machine.language.calls import Call
from allbps.machine.language.operands import HI, LO, PIECE, Pointer, Scratch
from allbps.machine.language.target import host
from allbps.machine.language.words import BIAS, RELU
from allbps.machine.planning.layout import Layout, Run, Shape, common_refinement, merged, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.loops import transposition
from allbps.machine.works.masks import gate_of
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import ONCE, Cut, NoKernelError, Place, Rows, partial

SMALL_PRODUCT = 4096
"""Up to this many multiplications plain loops beat the microkernel's overhead."""


def run_of(layout: Layout, dims: tuple[int, ...]) -> Run | None:
    """Dims in this order as one run, or None."""
    runs = merged([(layout.dims[d], layout.strides[d]) for d in dims])
    if len(runs) > 1:
        return None
    return runs[0] if runs else (1, 0)


def emit_matmul(places: Places, work: Work) -> None:
    """A matmul, with bias and ReLU if asked, as tasks.

    Raises:
        NoKernelError: operands with leading axes that are not the same.

    """
    a, b = work.inputs[:2]
    if b.size == 0 or a.size == 0:
        raise NoKernelError
    if len(b.shape) > 2:
        _emit_batched(places, work)
        return
    left, right = _operands(places, a, b)
    _Product(places, work, left, right).emit()


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
        return places.as_layout(a, row_major(a.shape)), places.as_layout(b, row_major(b.shape))
    order = sorted(range(len(cut[0])), key=lambda piece: -cut[0][piece][1])
    run_a = merged([cut[0][piece] for piece in order])
    if len(run_a) > 1:
        return places.as_layout(a, row_major(a.shape)), places.as_layout(b, row_major(b.shape))
    run_b = merged([cut[1][piece] for piece in order])
    columns = run_of(right.layout, _dims(right.layout, outer_b))
    dense = columns is not None and columns[1] in (0, 1)
    if len(run_b) > 1 or not dense:
        lengths = tuple(cut[0][piece][0] for piece in range(len(order)))
        right = places.as_layout(b, _summed_first(lengths, order, right.layout, b.shape, k_b))
    return left, right


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
    """One product on its way to tasks: M×K numbers of A, K×N of B, and how both are walked."""

    def __init__(self, places: Places, work: Work, left: Place, right: Place) -> None:
        self.program, self.work = places.program, work
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
        (self.K, self.sak), (_, ldb) = runs[0][0], runs[1][0]
        self.M, self.sar = row_run
        self.N = (run_of(right.layout, self.columns) or (1, 0))[0]
        self.ldb = ldb or self.N
        self.A: Pointer = left.memory
        made = places.put(work.outputs[0], self._result(outer_a, outer_b))
        self.out = made.memory
        self.gate = gate_of(places, work, made, self.N)
        bias = places.of(work.inputs[2]).memory if work.attrs.get("bias") else None
        self.relu = bool(work.attrs.get("relu"))
        self.flags = BIAS * (bias is not None) + RELU * self.relu
        self.bias = bias or left.memory  # not read without the flag

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
        """Plain loops for a small one; else blocks of rows and columns, and of K if there are few.

        Where K is cut too, the blocks are partial products.
        """
        if self.M * self.N * self.K <= SMALL_PRODUCT and not self.flags & BIAS:
            self._small()
            return
        target, itemsize = host(), self.program.real.itemsize
        down = self.sar == 1  # A is read down its columns: δW
        blocks = cut_product(self.M, self.N, self.K, target, itemsize, transposed=down)
        again = blocks.columns > 1 or blocks.depth > 1 or target.depth(itemsize) < self.K
        if down and again and pays_to_transpose(self.M, self.N, target, itemsize):
            self._transpose_left()
        cut = Cut(blocks.pieces, blocks.pieces)
        if blocks.depth > 1:
            self._by_depth(blocks, cut)
            return

        def into(target: Pointer) -> tuple[Call, ...]:
            return self._piece(target, blocks, self.flags), *self._masked_piece(target, blocks)

        rows = Rows(self.M, blocks.pieces, self.N, into)
        self._add(cut, into(self.out), rows if blocks.columns == 1 else None)

    def _transpose_left(self) -> None:
        """A task that transposes A once, where pieces would each do so with parts of its rows."""
        turned = self.program.memory(f"{self.left.memory.name}_turned", self.M * self.K)
        label = f"{self.left.memory.name} transposed"
        cut, call = transposition(turned, self.A, self.sak, self.M, self.K)
        self.program.add(label, cut, call, traffic=2 * self.M * self.K)
        self.A, self.sar, self.sak = turned, self.K, 1

    @property
    def _sizes(self) -> dict[str, int]:
        return {"M": self.M, "N": self.N, "K": self.K}

    def _piece(self, target: Pointer, blocks: Blocks, flags: int) -> Call:
        return kernels.product_piece.on(
            C=target, ldc=self.N, A=self.A, sar=self.sar, sak=self.sak,
            B=self.right.memory, ldb=self.ldb, **self._sizes, flags=flags, bias=self.bias,
            rows=blocks.rows, columns=blocks.columns, depth=blocks.depth,
            scratch=self._scratch(-(-self.M // blocks.rows)), piece=PIECE,
        )  # fmt: skip

    def _scratch(self, rows: int) -> Scratch:
        return Scratch(gemm_scratch(host(), self.program.real.itemsize, rows, self.K))

    def _masked_piece(self, target: Pointer, blocks: Blocks) -> tuple[Call, ...]:
        if self.gate is None:
            return ()
        return (
            kernels.mask_piece.on(
                D=target, Y=self.gate.memory, M=self.M, N=self.N, rows=blocks.rows,
                columns=blocks.columns, piece=PIECE,
            ),
        )  # fmt: skip

    def _by_depth(self, blocks: Blocks, cut: Cut) -> None:
        """Partial products, then their sum with bias, ReLU and mask."""
        count, size = blocks.depth, self.M * self.N * blocks.depth
        parts = partial(self.program, self.out.name, self.M * self.N, Cut(count, count))
        self._add(cut, (self._piece(parts.memory, blocks, 0),))

        def into(target: Pointer) -> tuple[Call, ...]:
            finish = kernels.finish_product.on(
                C=target, ldc=self.N, partials=parts.memory, count=count, M=self.M, N=self.N,
                flags=self.flags, bias=self.bias, lo=LO, hi=HI,
            )  # fmt: skip
            return (finish, *([self.gate.on(target)] if self.gate is not None else []))

        rows = Rows(self.M, Cut.of(self.M, self.N * count * 4).pieces, self.N, into)
        label = f"{self.out.name}: sum of {count} partial products"
        self.program.add(label, rows.cut, *into(self.out), flops=size, traffic=size, rows=rows)

    def _small(self) -> None:
        call = small_product.on(
            C=self.out, A=self.A, sar=self.sar, sak=self.sak, B=self.right.memory,
            sbk=self.ldb, sbn=1, **self._sizes,
        )  # fmt: skip
        more = [relu.on(Y=self.out, X=self.out, lo=0, hi=self.M * self.N)] if self.relu else []
        if self.gate is not None:
            more.append(self.gate.on(self.out, 0, self.M))
        self._add(ONCE, (call, *more))

    def _add(self, cut: Cut, calls: tuple[Call, ...], rows: Rows | None = None) -> None:
        flops = 2 * self.M * self.N * self.K
        self.program.add(label(self.work), cut, *calls, flops=flops, work=self.work, rows=rows)


def label(work: Work) -> str:
    """``Z = A @ B + b, ReLU`` for people."""
    names = [value.name or "…" for value in work.inputs]
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
    call = kernels.batched_gemm.on(
        C=out, scb=M * N, ldc=N, A=left, sab=M * K, sar=K, sak=1, B=right, sbb=K * N, ldb=N,
        M=M, N=N, K=K, flags=0, scratch=scratch, lo=LO, hi=HI,
    )  # fmt: skip
    flops = 2 * count * M * N * K
    places.program.add(label(work), Cut.of(count, M * N * K), call, flops=flops, work=work)
