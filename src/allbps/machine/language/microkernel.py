"""The one building block, as LLVM vector code: a batch-reduce GEMM with strided operands.

    C[r, :] (+)= Σ_b Σ_k A[b, r, k] · B[b, k, :]          (then + bias, then ReLU, if asked)

Convolution, δK, δI and every matrix product are calls of it with other strides (Georganas et al.,
"High-Performance Deep Learning via a Single Building Block", arXiv:1906.06440).

Where A lies the other way round (k outside, as in δW), a third function takes its rows *grouped*:
those of each tile side by side, k by k, so that a tile reads one stream of numbers.

Two layers are emitted. A *tile* keeps r rows × v vectors of C in registers while it walks over b
and k. The *block* function cuts an M × N result into tiles of nearly equal height. Where masks cost
nothing, the last vector of a tile is masked. Elsewhere it overlaps the one before it, so that it
ends with the last column; a single vector that is not full is masked where the CPU can, and made of
one-lane tiles where it cannot. No operand is ever read outside its M, N and K.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from allbps.machine.language.target import Target
from allbps.machine.language.words import ADD_TO, BIAS, RELU

I1, I32, I64, PTR = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.PointerType()

#: Arguments of the block function, in order. Strides count numbers, not bytes.
#: C[r, n] is at C + r*ldc + n, A[b, r, k] at A + b*sab + r*sar + k*sak, B[b, k, n] at
#: B + b*sbb + k*sbk + n, and bias[n] at bias + n.
BLOCK_ARGUMENTS = {
    "C": PTR,
    "ldc": I64,
    "A": PTR,
    "sar": I64,
    "sak": I64,
    "sab": I64,
    "B": PTR,
    "sbk": I64,
    "sbb": I64,
    "M": I64,
    "N": I64,
    "K": I64,
    "batch": I64,
    "flags": I64,
    "bias": PTR,
}

#: Arguments of the panel function: the same for one b, and P, room for K × a panel's width numbers.
PANEL_ARGUMENTS = {
    **{name: kind for name, kind in BLOCK_ARGUMENTS.items() if name not in ("sab", "sbb", "batch")},
    "P": PTR,
}

#: Arguments of the function for grouped rows: the same, but A[r, k] is at A + g*K + k*h + r - g for
#: a tile of h rows that begins with row g; tiles are those of the widest panel. Of more than two
#: tiles the lowest has two thirds of a whole one; N is a vector or more.
GROUP_ARGUMENTS = {
    name: kind for name, kind in PANEL_ARGUMENTS.items() if name not in ("sar", "sak")
}

AHEAD = 8
"""Rows of B between the one that is packed and the one that is asked for."""


TURN = 4
"""k in a turn of a tile's loop, where there are general registers for the rows of A."""


def const(n: int) -> ir.Constant:
    """A 64-bit integer constant."""
    return ir.Constant(I64, n)


@dataclass(frozen=True)
class Shape:
    """A register tile: ``rows`` × ``vectors`` of ``lanes`` numbers, and what the last one is.

    ``tail`` is "masked" where only columns below N belong to it, "overlapping" where it ends with
    column N and may share columns with the vector before it, "" where it is full. ``packs``: it
    copies what it reads of B. ``grouped``: its rows of A lie side by side.
    """

    rows: int
    vectors: int
    lanes: int
    tail: str
    packs: bool = False
    grouped: bool = False

    def name(self, real: str) -> str:
        """The tile's LLVM name."""
        kind = self.tail[:1] + "p" * self.packs + "g" * self.grouped
        return f"tile_{real}_{self.rows}x{self.vectors}x{self.lanes}{kind}"

    @property
    def arguments(self) -> dict[str, ir.Type]:
        """What its function takes: a block's without M, and where a packed B goes."""
        strides = ("sar", "sak") if self.grouped else ()
        own = {name: kind for name, kind in BLOCK_ARGUMENTS.items() if name not in ("M", *strides)}
        return own | ({"P": PTR} if self.packs else {})


def block_name(real: ir.Type) -> str:
    """The name of the block function in object code."""
    return f"brgemm_{'f32' if isinstance(real, ir.FloatType) else 'f64'}"


def panel_name(real: ir.Type) -> str:
    """The name of the panel function in object code."""
    return f"panels_{'f32' if isinstance(real, ir.FloatType) else 'f64'}"


def group_name(real: ir.Type) -> str:
    """The name of the function for grouped rows in object code."""
    return f"groups_{'f32' if isinstance(real, ir.FloatType) else 'f64'}"


def block_module(target: Target, real: ir.Type) -> str:
    """LLVM text of these functions for numbers of type ``real``, with all their tiles.

    That for grouped rows is there where B is packed.

    It is already in the form the code generator wants: LLVM's optimiser changes nothing but the
    time it takes.
    """
    module = ir.Module(block_name(real))
    functions = {block_name(real): BLOCK_ARGUMENTS, panel_name(real): PANEL_ARGUMENTS}
    functions |= {group_name(real): GROUP_ARGUMENTS} if target.packs else {}
    for name, arguments in functions.items():
        signature = ir.FunctionType(ir.VoidType(), list(arguments.values()))
        fn = ir.Function(module, signature, name)
        _Block(module, target, real, fn, list(arguments)).emit()
    return str(module)


class _Block:
    """Cuts M × N into tiles: columns outside, rows inside, so that B's panel stays in cache.

    Where there is room P for it and that pays, the first tile of a panel copies there what it reads
    of B, row behind row, and the others read it there: the multiply-adds leave time for the stores.
    """

    def __init__(
        self, module: ir.Module, target: Target, real: ir.Type, fn: ir.Function, names: list[str]
    ) -> None:
        self.module, self.target, self.real, self.fn = module, target, real, fn
        self.lanes = target.lanes(4 if isinstance(real, ir.FloatType) else 8)
        once = {"sab": const(0), "sbb": const(0), "batch": const(1)}
        self.arg = once | dict(zip(names, fn.args, strict=True))
        self.packs = "P" in self.arg and target.packs
        self.grouped = "sar" not in self.arg
        self.b = ir.IRBuilder(fn.append_basic_block("entry"))

    def emit(self) -> None:
        b = self.b
        if self.target.free_masks:
            self._columns(self.arg["N"], self.lanes, "masked")
            b.ret_void()
            return
        if self.grouped:
            self._columns(self.arg["N"], self.lanes, "overlapping")
            b.ret_void()
            return
        narrow, wide = b.append_basic_block("narrow"), b.append_basic_block("wide")
        b.cbranch(b.icmp_signed("<", self.arg["N"], const(self.lanes)), narrow, wide)
        b.position_at_end(narrow)
        lanes, tail = (self.lanes, "masked") if self.target.masks else (1, "")
        self._columns(self.arg["N"], lanes, tail)
        b.ret_void()
        b.position_at_end(wide)
        self._columns(self.arg["N"], self.lanes, "overlapping")
        b.ret_void()

    def _columns(self, stop: ir.Value, lanes: int, tail: str) -> None:
        """Columns 0..stop in as few tile widths as possible, as equal as possible.

        Masked ones the widest first; overlapping ones last, so that a last vector that is not full
        has one before it.
        """
        b, widest = self.b, max(self.target.tile_rows)
        vectors = b.udiv(b.add(stop, const(lanes - 1)), const(lanes))
        panels = b.udiv(b.add(vectors, const(widest - 1)), const(widest))

        def panel(column: ir.Value, p: ir.Value) -> ir.Value:
            left = b.sub(panels, p)
            rest = b.sub(vectors, b.udiv(column, const(lanes)))
            if tail != "overlapping":
                rest = b.add(rest, b.sub(left, const(1)))
            count = b.udiv(rest, left)
            end = b.add(column, b.mul(count, const(lanes)))
            over = b.icmp_signed(">", end, stop)
            end = b.select(over, stop, end)
            self._panel(column, b.sub(end, column), count, lanes, tail)
            return end

        self._loop(panels, const(0), panel)

    def _panel(self, column: ir.Value, n: ir.Value, count: ir.Value, lanes: int, tail: str) -> None:
        """All rows of one panel of ``count`` vectors, by the tile height that width allows."""
        b = self.b
        done = b.append_basic_block("panel.done")
        switch = b.switch(count, done)
        for vectors in self.target.tile_rows:
            block = b.append_basic_block(f"panel.{vectors}")
            switch.add_case(const(vectors), block)
            b.position_at_end(block)
            full = tail == "overlapping" and vectors == 1
            self._rows(column, n, vectors, lanes, "" if full else tail)
            b.branch(done)
        b.position_at_end(done)

    def _rows(self, column: ir.Value, n: ir.Value, vectors: int, lanes: int, tail: str) -> None:
        """Rows 0..M in tiles whose heights differ by at most one."""
        b, most = self.b, self.target.tile_rows[self.target.panel if self.grouped else vectors]
        tiles = b.udiv(b.add(self.arg["M"], const(most - 1)), const(most))
        first, done = const(0), const(0)

        def tile(row: ir.Value, left: ir.Value, *, packs: bool) -> ir.Value:
            height = b.udiv(b.add(b.sub(self.arg["M"], row), b.sub(left, const(1))), left)
            done = b.append_basic_block("tile.done")
            switch = b.switch(height, done)
            for rows in range(most * 2 // 3 if self.grouped else 1, most + 1):
                block = b.append_basic_block(f"tile.{rows}")
                switch.add_case(const(rows), block)
                b.position_at_end(block)
                shape = Shape(rows, vectors, lanes, tail, packs, self.grouped)
                self._call(shape, row, column, n)
                b.branch(done)
            b.position_at_end(done)
            return b.add(row, height)

        if self.packs:
            first, done = tile(const(0), tiles, packs=True), const(1)
        self._loop(
            b.sub(tiles, done),
            first,
            lambda row, t: tile(row, b.sub(b.sub(tiles, done), t), packs=False),
        )

    def _call(self, shape: Shape, row: ir.Value, column: ir.Value, n: ir.Value) -> None:
        b, a = self.b, self.arg
        here = b.add(b.mul(row, a["ldc"]), column)
        first = b.mul(row, a["K"] if self.grouped else a["sar"])
        given = a | {
            "C": b.gep(a["C"], [here], source_etype=self.real),
            "A": b.gep(a["A"], [first], source_etype=self.real),
            "B": b.gep(a["B"], [column], source_etype=self.real),
            "N": n,
            "bias": b.gep(a["bias"], [column], source_etype=self.real),
        }
        if self.packs and not shape.packs:
            given |= {"B": a["P"], "sbk": n}
        function = emit_tile(self.module, self.real, shape, asks=not self.target.free_masks)
        b.call(function, [given[name] for name in shape.arguments])

    def _loop(
        self, count: ir.Value, first: ir.Value, body: Callable[[ir.Value, ir.Value], ir.Value]
    ) -> None:
        """Emit ``carried = first; for i in range(count): carried = body(carried, i)``."""
        b = self.b
        before, head = b.block, b.append_basic_block("head")
        inside, after = b.append_basic_block("body"), b.append_basic_block("after")
        b.branch(head)
        b.position_at_end(head)
        i, carried = b.phi(I64), b.phi(I64)
        i.add_incoming(const(0), before)
        carried.add_incoming(first, before)
        b.cbranch(b.icmp_signed("<", i, count), inside, after)
        b.position_at_end(inside)
        carried.add_incoming(body(carried, i), b.block)
        i.add_incoming(b.add(i, const(1)), b.block)
        b.branch(head)
        b.position_at_end(after)


def emit_tile(module: ir.Module, real: ir.Type, shape: Shape, *, asks: bool) -> ir.Function:
    """The function for one register tile; emitted once.

    ``asks``: it asks for its part of C before it begins.
    """
    name = shape.name("f32" if isinstance(real, ir.FloatType) else "f64")
    if name in module.globals:
        return module.globals[name]
    fn = ir.Function(module, ir.FunctionType(ir.VoidType(), list(shape.arguments.values())), name)
    fn.linkage = "internal"
    fn.attributes.add("noinline")
    _Tile(module, real, shape, fn, asks=asks).emit()
    return fn


class _Tile:
    """One register tile: zero the sums, walk b and k, then write C."""

    def __init__(
        self, module: ir.Module, real: ir.Type, shape: Shape, fn: ir.Function, *, asks: bool
    ) -> None:
        self.module, self.real, self.shape, self.fn, self.asks = module, real, shape, fn, asks
        close = {"sar": const(1), "sak": const(shape.rows)} if shape.grouped else {}
        self.arg = close | dict(zip(shape.arguments, fn.args, strict=True))
        self.vector = ir.VectorType(real, shape.lanes)
        self.suffix = f"v{shape.lanes}{'f32' if isinstance(real, ir.FloatType) else 'f64'}"
        self.itemsize = 4 if isinstance(real, ir.FloatType) else 8
        self.b = ir.IRBuilder(fn.append_basic_block("entry"))

    @property
    def unrolls(self) -> bool:
        """Are there registers for a pointer to each row, and is B not packed meanwhile?"""
        return self.asks and self.shape.rows <= 6 and not self.shape.packs

    def emit(self) -> None:
        a = self.arg
        self.mask = self._mask() if self.shape.tail == "masked" else None
        self.last = self.b.sub(a["N"], const(self.shape.lanes))
        if self.asks:
            for r in range(self.shape.rows):
                self._prefetch(self._gep(a["C"], self._c_index(r, 0)))
        zeros = [ir.Constant(self.vector, None)] * (self.shape.rows * self.shape.vectors)
        sums = self._over_batch(zeros)
        sums = self._epilogue(ADD_TO, sums, lambda r, v: (a["C"], self._c_index(r, v)))
        sums = self._epilogue(BIAS, sums, lambda r, v: (a["bias"], self._column(v)))
        self._store(self._relu(sums))
        self.b.ret_void()

    def _mask(self) -> ir.Value:
        """Which lanes of the last vector are columns of C: lane < n - lanes before it."""
        b, lanes = self.b, self.shape.lanes
        left = b.sub(self.arg["N"], self._column(self.shape.vectors - 1))
        index = ir.Constant(ir.VectorType(I32, lanes), [ir.Constant(I32, i) for i in range(lanes)])
        return b.icmp_signed("<", index, self._splat(b.trunc(left, I32), lanes))

    # ---- the sum over b and k

    def _over_batch(self, sums: list[ir.Value]) -> list[ir.Value]:
        """Advance A by sab and B by sbb for each b; return the sums after the last."""
        a = self.arg

        def body(pointers: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
            return self._over_k(pointers, sums)

        return self._walk(a["batch"], [a["A"], a["B"]], [a["sab"], a["sbb"]], sums, body)[1]

    def _over_k(self, start: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
        """Advance A by sak and B by sbk for each k; add a rows × vectors tile of products."""
        if self.unrolls:
            return self._over_four(start, sums)
        return self._over_one(start, sums)

    def _over_four(self, start: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
        """Four k a turn, then those that are left: a pointer for each row, moved once a turn.

        One for all rows where they are grouped. Beside the multiply-adds and their loads there is
        little left to decode, which counts where two threads share a core.
        """
        b, a, rows = self.b, self.arg, self.shape.rows
        grouped, streams = self.shape.grouped, 1 if self.shape.grouped else rows
        columns = [self._gep(start[1], self._column(v)) for v in self._apart]
        pointers = [self._gep(start[0], b.mul(a["sar"], const(r))) for r in range(streams)]
        pointers += columns

        def turn(count: int) -> Callable[[list[ir.Value], list[ir.Value]], list[ir.Value]]:
            steps = [b.mul(a["sbk"], const(k)) for k in range(count)]
            places = [
                [const(k * rows + r) for r in range(rows)]
                if grouped
                else [b.mul(a["sak"], const(k))] * rows
                for k in range(count)
            ]

            def body(pointers: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
                at = pointers[:1] * rows if grouped else pointers[:rows]
                for place, sbk in zip(places, steps, strict=True):
                    here = [self._gep(p, k) for p, k in zip(at, place, strict=True)]
                    sums = self._multiplied(here, self._row_of_b(pointers[streams:], sbk), sums)
                return sums

            return body

        whole, rest = b.udiv(a["K"], const(TURN)), b.urem(a["K"], const(TURN))
        for count, turns in ((TURN, whole), (1, rest)):
            moves = [b.mul(a["sak"], const(count))] * streams
            moves += [b.mul(a["sbk"], const(count))] * len(columns)
            pointers, sums = self._walk(turns, pointers, moves, sums, turn(count))
        return sums

    @property
    def _apart(self) -> list[int]:
        """Vectors of B that need a pointer of their own: the first, and an overlapping last one."""
        return [0, self._nv - 1] if self.shape.tail == "overlapping" and self._nv > 1 else [0]

    def _row_of_b(self, columns: list[ir.Value], sbk: ir.Value) -> list[ir.Value]:
        """The vectors of a row of B, from pointers to those that are ``_apart``."""
        last = len(columns) > 1
        found = [
            self._load(self._gep(columns[0], sbk), const(v * self.shape.lanes), v)
            for v in range(self._nv - last)
        ]
        return found + [self._load(self._gep(p, sbk), const(0), self._nv - 1) for p in columns[1:]]

    def _multiplied(
        self, rows: list[ir.Value], columns: list[ir.Value], sums: list[ir.Value]
    ) -> list[ir.Value]:
        """The sums with one number of each row of A times a row of B."""
        out: list[ir.Value] = []
        for r, p in enumerate(rows):
            x = self._splat(self.b.load(p, typ=self.real, align=self.itemsize))
            out += [
                self.b.call(self._intrinsic("fmuladd", 3), [x, c, sums[r * self._nv + v]])
                for v, c in enumerate(columns)
            ]
        return out

    def _over_one(self, start: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
        """One k a turn.

        A's rows are reached from one pointer per three rows, so that base + stride and
        base + 2*stride fit the CPU's addressing and the row offsets do not fill the registers.
        """
        b, a, rows = self.b, self.arg, self.shape.rows
        bases = [self._gep(start[0], b.mul(a["sar"], const(r))) for r in range(0, rows, 3)]
        two = b.shl(a["sar"], const(1))
        offsets = [const(0), a["sar"], two]

        def body(pointers: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
            columns = [self._load(pointers[last], self._column(v), v) for v in range(self._nv)]
            if self.shape.packs:
                self._prefetch(self._gep(pointers[last], ahead))
                self._prefetch(self._gep(pointers[last], a["N"]))
                for v, c in enumerate(columns):
                    self._write(c, self._gep(pointers[-1], self._column(v)), v)
            here = [self._gep(pointers[r // 3], offsets[r % 3]) for r in range(rows)]
            return self._multiplied(here, columns, sums)

        last, ahead = len(bases), b.mul(a["sbk"], const(AHEAD))
        steps = [a["sak"]] * len(bases) + [a["sbk"]]
        pointers = [*bases, start[1]]
        if self.shape.packs:
            steps, pointers = [*steps, a["N"]], [*pointers, a["P"]]
        return self._walk(a["K"], pointers, steps, sums, body)[1]

    def _walk(
        self,
        count: ir.Value,
        pointers: list[ir.Value],
        steps: list[ir.Value],
        sums: list[ir.Value],
        body: Callable[[list[ir.Value], list[ir.Value]], list[ir.Value]],
    ) -> tuple[list[ir.Value], list[ir.Value]]:
        """Emit ``for _ in range(count): sums = body(pointers, sums); pointers += steps``.

        What pointers and sums are behind it.
        """
        b = self.b
        before, head = b.block, b.append_basic_block("head")
        inside, after = b.append_basic_block("body"), b.append_basic_block("after")
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(I64)
        ps, ss = [b.phi(PTR) for _ in pointers], [b.phi(self.vector) for _ in sums]
        i.add_incoming(count, before)
        for phi, value in zip([*ps, *ss], [*pointers, *sums], strict=True):
            phi.add_incoming(value, before)
        b.cbranch(b.icmp_signed(">", i, const(0)), inside, after)
        b.position_at_end(inside)
        new = body(ps, ss)
        i.add_incoming(b.sub(i, const(1)), b.block)
        moved = [self._hidden(self._gep(p, s)) for p, s in zip(ps, steps, strict=True)]
        for phi, value in zip([*ps, *ss], [*moved, *new], strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(after)
        return list(ps), list(ss)

    # ---- what happens to the sums

    def _epilogue(
        self,
        flag: int,
        sums: list[ir.Value],
        where: Callable[[int, int], tuple[ir.Value, ir.Value]],
    ) -> list[ir.Value]:
        """If ``flag`` is set, add to each sum the vector that ``where`` points at."""

        def added() -> list[ir.Value]:
            out = []
            for r in range(self.shape.rows):
                for v in range(self._nv):
                    pointer, index = where(r, v)
                    out.append(self.b.fadd(sums[r * self._nv + v], self._load(pointer, index, v)))
            return out

        return self._if(flag, sums, added)

    def _relu(self, sums: list[ir.Value]) -> list[ir.Value]:
        """If asked, x where not x < 0, else 0: a NaN stays a NaN."""
        zero = ir.Constant(self.vector, None)

        def clipped() -> list[ir.Value]:
            return [self.b.select(self.b.fcmp_ordered("<", s, zero), zero, s) for s in sums]

        return self._if(RELU, sums, clipped)

    def _if(
        self, flag: int, sums: list[ir.Value], then: Callable[[], list[ir.Value]]
    ) -> list[ir.Value]:
        b = self.b
        before, yes, after = b.block, b.append_basic_block("yes"), b.append_basic_block("go")
        asked = b.icmp_signed("!=", b.and_(self.arg["flags"], const(flag)), const(0))
        b.cbranch(asked, yes, after)
        b.position_at_end(yes)
        changed = then()
        last = b.block
        b.branch(after)
        b.position_at_end(after)
        out = []
        for old, new in zip(sums, changed, strict=True):
            phi = b.phi(self.vector)
            phi.add_incoming(old, before)
            phi.add_incoming(new, last)
            out.append(phi)
        return out

    def _store(self, sums: list[ir.Value]) -> None:
        for r in range(self.shape.rows):
            for v in range(self._nv):
                p = self._gep(self.arg["C"], self._c_index(r, v))
                self._write(sums[r * self._nv + v], p, v)

    def _write(self, value: ir.Value, p: ir.Value, v: int) -> None:
        """A vector to memory; the last one only where the mask says so."""
        if self.mask is None or v < self._nv - 1:
            self.b.store(value, p, align=self.itemsize)
            return
        mask_type = ir.VectorType(I1, self.shape.lanes)
        fn = self._declare(
            f"llvm.masked.store.{self.suffix}.p0",
            ir.FunctionType(ir.VoidType(), [self.vector, PTR, I32, mask_type]),
        )
        self.b.call(fn, [value, p, ir.Constant(I32, self.itemsize), self.mask])

    def _prefetch(self, p: ir.Value) -> None:
        """Ask for a line that will be read soon; nothing happens if there is none."""
        fn = self._declare("llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), [PTR, I32, I32, I32]))
        self.b.call(fn, [p, *(ir.Constant(I32, n) for n in (0, 3, 1))])

    # ---- small words

    @property
    def _nv(self) -> int:
        return self.shape.vectors

    def _column(self, v: int) -> ir.Value:
        """The first column of a vector."""
        if self.shape.tail == "overlapping" and v == self._nv - 1:
            return self.last
        return const(v * self.shape.lanes)

    def _hidden(self, pointer: ir.Value) -> ir.Value:
        """The same pointer, of which LLVM does not know where it came from.

        It would reach row r + 1 of A by adding to the pointer of row r, and a turn of twelve rows
        would then wait for twelve additions.
        """
        same = ir.InlineAsm(ir.FunctionType(PTR, [PTR]), "", "=r,0", side_effect=False)
        return self.b.call(same, [pointer])

    def _c_index(self, r: int, v: int) -> ir.Value:
        return self.b.add(self.b.mul(self.arg["ldc"], const(r)), self._column(v))

    def _gep(self, pointer: ir.Value, index: ir.Value) -> ir.Value:
        return self.b.gep(pointer, [index], source_etype=self.real)

    def _load(self, pointer: ir.Value, index: ir.Value, v: int) -> ir.Value:
        """A vector from memory; the last one only where the mask says so."""
        p = self._gep(pointer, index)
        if self.mask is None or v < self._nv - 1:
            return self.b.load(p, typ=self.vector, align=self.itemsize)
        mask_type = ir.VectorType(I1, self.shape.lanes)
        fn = self._declare(
            f"llvm.masked.load.{self.suffix}.p0",
            ir.FunctionType(self.vector, [PTR, I32, mask_type, self.vector]),
        )
        zeros = ir.Constant(self.vector, None)
        return self.b.call(fn, [p, ir.Constant(I32, self.itemsize), self.mask, zeros])

    def _splat(self, x: ir.Value, lanes: int | None = None) -> ir.Value:
        n = lanes or self.shape.lanes
        undefined = ir.Constant(ir.VectorType(x.type, n), ir.Undefined)
        first = self.b.insert_element(undefined, x, ir.Constant(I32, 0))
        return self.b.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, n), None))

    def _intrinsic(self, name: str, arguments: int) -> ir.Function:
        signature = ir.FunctionType(self.vector, [self.vector] * arguments)
        return self._declare(f"llvm.{name}.{self.suffix}", signature)

    def _declare(self, name: str, signature: ir.FunctionType) -> ir.Function:
        found = self.module.globals.get(name)
        return found or ir.Function(self.module, signature, name)
