"""A matrix product in memory as tasks: plain loops, or blocks of rows, columns and depth."""

from __future__ import annotations

from dataclasses import dataclass

from allbps.machine.kernels import gemm as kernels
from allbps.machine.kernels.activation import relu
from allbps.machine.kernels.gemm import Blocks, cut_product, gemm_scratch
from allbps.machine.kernels.small import small_product
from allbps.machine.language.calls import Call
from allbps.machine.language.operands import HI, LO, PIECE, Memory, Operand, Pointer, Scratch
from allbps.machine.language.target import host
from allbps.machine.language.words import ADD_TO, BIAS, RELU
from allbps.machine.planning.plan import Work
from allbps.machine.works.masks import Gate
from allbps.machine.works.tasks import ONCE, ByRow, Cut, Program, Rows, Stretch, owned, partial

SMALL_PRODUCT = 4096
"""Up to this many multiplications plain loops beat the microkernel's overhead."""


SMALL_ROWS = 1 << 22
"""Up to this many multiplications a product is over so soon that waiting for others shows."""


@dataclass(frozen=True)
class Walk:
    """How the operands of left (M, K) · right (K, N) are walked.

    left[r, k] is at r*sar + k*sak, right[k, n] at k*sbk + n*sbn; one of sbk and sbn is 1.
    """

    left: Memory
    sar: int
    sak: int
    right: Memory
    sbk: int
    sbn: int
    M: int
    N: int
    K: int

    def product(
        self, program: Program, work: Work, label: str, out: Memory, bias: Memory | None = None,
        mask: Memory | None = None, *, relu: bool = False,
    ) -> Product:  # fmt: skip
        """The product that is made so."""
        return Product(**vars(self), program=program, work=work, label=label, out=out, bias=bias,
                       mask=mask, relu=relu)  # fmt: skip


@dataclass(frozen=True)
class Product(Walk):
    """out (M, N) = left · right + bias, then ReLU or a ReLU's mask.

    Attributes:
        program: where the tasks go.
        work: what is computed.
        label: the same for people.
        mask: the result of the ReLU that the product is a δ behind, laid out as ``out``.

    """

    program: Program
    work: Work
    label: str
    out: Memory
    bias: Memory | None = None
    mask: Memory | None = None
    relu: bool = False

    @property
    def gate(self) -> Gate | None:
        """The mask by the rows of the product."""
        return None if self.mask is None else Gate(self.mask, self.N)

    @property
    def flags(self) -> int:
        """The microkernel's."""
        return BIAS * (self.bias is not None) + RELU * self.relu

    def emit(self) -> None:
        """Plain loops for a small one; else blocks of rows and columns, and of K if there are few.

        Where K is cut too, the blocks are partial products.
        """
        if self.M * self.N * self.K <= SMALL_PRODUCT and not self.flags & BIAS:
            self._small()
            return
        target, itemsize = host(), self.program.real.itemsize
        down = self.sar == 1  # A is read down its columns: δW
        blocks = cut_product(
            self.M, self.N, self.K, target, itemsize, transposed=down, across=self.across
        )
        cut = Cut(blocks.pieces, blocks.pieces)
        if blocks.depth > 1:
            self._by_depth(blocks, cut)
            return

        if blocks.columns == 1:
            rows = self._rows(blocks.rows)
            self._add(cut, rows.into(self.out), rows)
        else:
            self._add(cut, self._pieces(self.out, blocks))

    def _pieces(self, target: Pointer, blocks: Blocks) -> tuple[Call, ...]:
        return self.piece(target, blocks, self.flags), *self._masked_piece(target, blocks)

    def _rows(self, pieces: int) -> Rows:
        """Its rows in so many pieces."""
        blocks = Blocks(pieces, 1, 1)
        return Rows(self.M, pieces, self.N, lambda to: self._pieces(to, blocks), self._rows)

    @property
    def across(self) -> bool:
        """Does B lie column by column, as the weight of a linear layer in PyTorch?"""
        return self.sbn != 1

    @property
    def _sizes(self) -> dict[str, int]:
        return {"M": self.M, "N": self.N, "K": self.K}

    def piece(self, target: Pointer, blocks: Blocks, flags: int) -> Call:
        """The call that makes a piece of it."""
        operands: dict[str, Operand] = {
            "C": target, "ldc": self.N, "A": self.left, "sar": self.sar, "sak": self.sak,
            "B": self.right, **self._sizes, "flags": flags, "bias": self.bias or self.left,
            "rows": blocks.rows, "columns": blocks.columns, "depth": blocks.depth,
            "scratch": self._scratch(-(-self.M // blocks.rows)), "piece": PIECE,
        }  # fmt: skip
        if self.across:
            return kernels.product_piece_across.on(**operands, sbn=self.sbn)
        return kernels.product_piece.on(**operands, ldb=self.sbk)

    def _scratch(self, rows: int) -> Scratch:
        return Scratch(gemm_scratch(host(), self._itemsize, rows, self.K))

    @property
    def _itemsize(self) -> int:
        return self.program.real.itemsize

    def _masked_piece(self, target: Pointer, blocks: Blocks) -> tuple[Call, ...]:
        if self.mask is None:
            return ()
        return (
            kernels.mask_piece.on(
                D=target, Y=self.mask, M=self.M, N=self.N, rows=blocks.rows,
                columns=blocks.columns, piece=PIECE,
            ),
        )  # fmt: skip

    def _by_depth(self, blocks: Blocks, cut: Cut) -> None:
        """Partial products, then their sum with bias, ReLU and mask."""
        count, size = blocks.depth, self.M * self.N * blocks.depth
        parts = partial(self.program, self.out.name, self.M * self.N, Cut(count, count))
        flops = 2 * self.M * self.N * self.K  # a part of K in each piece: never row by row
        piece = self.piece(parts.memory, blocks, 0)
        self.program.add(self.label, cut, piece, flops=flops, work=self.work)

        def into(target: Pointer) -> tuple[Call, ...]:
            finish = kernels.finish_product.on(
                C=target, ldc=self.N, partials=parts.memory, count=count, M=self.M, N=self.N,
                flags=self.flags, bias=self.bias or self.left, lo=LO, hi=HI,
            )  # fmt: skip
            return (finish, *([self.gate.on(target)] if self.gate is not None else []))

        rows = Rows(self.M, Cut.of(self.M, self.N * count * 4).pieces, self.N, into)
        label = f"{self.out.name}: sum of {count} partial products"
        self.program.add(label, rows.cut, *into(self.out), flops=size, traffic=size, rows=rows)

    def _small(self) -> None:
        call = small_product.on(
            C=self.out, A=self.left, sar=self.sar, sak=self.sak, B=self.right,
            sbk=self.sbk, sbn=self.sbn, **self._sizes,
        )  # fmt: skip
        more = [relu.on(Y=self.out, X=self.out, lo=0, hi=self.M * self.N)] if self.relu else []
        if self.gate is not None:
            more.append(self.gate.on(self.out, 0, self.M))
        self._add(ONCE, (call, *more))

    def _add(self, cut: Cut, calls: tuple[Call, ...], rows: Rows | None = None) -> None:
        flops = 2 * self.M * self.N * self.K
        self.program.add(
            self.label, cut, *calls, flops=flops, work=self.work, rows=rows, by_row=self._by_row,
            small_rows=self.M if self._is_small else 0,
        )  # fmt: skip

    @property
    def _is_small(self) -> bool:
        """Would waiting for others behind it show, and can each thread hold all of B?"""
        room = host().caches[1] // 2
        return self.M * self.N * self.K <= SMALL_ROWS and self.K * self.N * self._itemsize <= room

    def _by_row(self, rows: int) -> ByRow | None:
        """It is cut along its rows, each of which reads all of B."""
        if rows != self.M or not self._is_small:
            return None
        operands: dict[str, Operand] = {
            "ldc": self.N, "sar": self.sar, "sak": self.sak, "B": self.right, "N": self.N,
            "K": self.K, "flags": self.flags, "bias": self.bias or self.left,
            "scratch": self._scratch(self.M),
        }  # fmt: skip
        if self.across:
            call = kernels.gemm_across.on(
                **operands, C=self.out + LO * self.N, A=self.left + LO * self.sar, sbn=self.sbn,
                rows=HI - LO,
            )  # fmt: skip
        else:
            call = kernels.gemm.on(
                **operands, C=self.out, A=self.left, ldb=self.sbk, lo=LO, hi=HI
            )  # fmt: skip
        made = Stretch(0, self.N)
        touched = [
            (self.out, made), (self.right, None),
            (self.left, Stretch.of(rows, (rows, self.K), (self.sar, self.sak))),
        ]  # fmt: skip
        if self.bias is not None:
            touched.append((self.bias, None))
        if self.gate is None:
            return ByRow((call,), owned(touched))
        touched.append((self.gate.memory, made))
        return ByRow((call, self.gate.on(self.out)), owned(touched))


@dataclass(frozen=True)
class ProductSum:
    """out (M, N) = Σₜ leftₜ (M, Kₜ) · rightₜ (Kₜ, N): products with one result."""

    terms: tuple[Product, ...]

    def emit(self) -> None:
        """One task, cut as a product over all of the sum; a piece makes its part term by term."""
        first, itemsize = self.terms[0], self.terms[0].program.real.itemsize
        K = sum(term.K for term in self.terms)
        blocks = cut_product(
            first.M, first.N, K, host(), itemsize, transposed=first.sar == 1, across=first.across
        )
        blocks = Blocks(blocks.rows, blocks.columns, 1)

        def into(target: Pointer) -> tuple[Call, ...]:
            return tuple(
                term.piece(target, blocks, ADD_TO if k else 0) for k, term in enumerate(self.terms)
            )

        rows = Rows(first.M, blocks.pieces, first.N, into)
        first.program.add(
            first.label, Cut(blocks.pieces, blocks.pieces), *into(first.out),
            flops=2 * first.M * first.N * K, work=first.work,
            rows=rows if blocks.columns == 1 else None,
        )  # fmt: skip
