"""Matrix products on the microkernel: A@B, Aᵀ@B, and A@Bᵀ, whose panels are turned one by one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from allbps.machine.kernels.activation import mask
from allbps.machine.language.target import Target
from allbps.machine.language.words import (
    ADD_TO,
    BIAS,
    DEPTH,
    HALF_PAGE,
    LANES,
    LINE,
    PACKS,
    PANEL,
    RELU,
    TILE,
    Int,
    Reals,
    brgemm,
    fma,
    groups,
    inline,
    kernel,
    lanes,
    panels,
    select,
    transpose_square,
    unroll,
)

PANELS = 6
"""Panels of B that pay for grouping A's rows, each of which reads them once."""
TOGETHER = 16
"""Rows of an A that lies the other way round, of which all groups are made before the next ones."""
SHALLOW, SHALLOW_PACKED = 32, 12
"""Rows of B up to which writing C is most of the work: of wide panels, and of those of a line."""


@kernel
def gemm(
    C: Reals, ldc: Int, A: Reals, sar: Int, sak: Int, B: Reals, ldb: Int,
    N: Int, K: Int, flags: Int, bias: Reals, lo: Int, hi: Int, scratch: Reals,
) -> None:  # fmt: skip
    """Rows lo..hi of (M, K) · (K, N) -> (M, N); A[r, k] is at r*sar + k*sak.

    Aᵀ@B is sar = 1, sak = the row length of the array that holds A. ``flags`` are the
    microkernel's: accumulate into C, add bias[N], ReLU. ``scratch``: see gemm_scratch.
    """
    rows = hi - lo
    if rows == 1 and N >= LANES:
        _row_times(C + lo * ldc, A + lo * sar, sak, B, ldb, N, K, flags, bias)
    elif N == 1 and sak == 1 and ldb == 1:
        _times_column(C, ldc, A, sar, B, K, flags, bias, lo, hi)
    else:
        _blocks(C + lo * ldc, ldc, A + lo * sar, sar, sak, B, ldb, rows, N, K, flags, bias, scratch)


@inline
def depth_of(block: int, blocks: int, K: int, most: int) -> tuple[int, int]:
    """Where a block of K begins, and how deep it is: whole lines, at most so many."""
    even = (K + blocks - 1) // blocks
    each = min((even + LINE - 1) // LINE * LINE, most)
    return block * each, min(each, K - block * each)


@kernel
def _blocks(
    C: Reals, ldc: Int, A: Reals, sar: Int, sak: Int, B: Reals, ldb: Int,
    rows: Int, N: Int, K: Int, flags: Int, bias: Reals, scratch: Reals,
) -> None:  # fmt: skip
    """Blocks of K, one after the other; of few rows short ones, which B does not cross in leaps.

    Where K is small, a few rows of C at a time, each from its first number to its last: panel by
    panel, lines of C would be written half a page or more apart.
    """
    shallow = ldc >= HALF_PAGE and N > PANEL and (SHALLOW_PACKED if PACKS else SHALLOW) >= K
    height = TILE if shallow else max(1, rows)
    room, most = scratch + DEPTH * PANEL, DEPTH // 4 if PACKS and rows <= 3 * TILE else DEPTH
    blocks = max(1, (K + most - 1) // most)  # K = 0 still has to write C
    for block in range(blocks):
        k, depth = depth_of(block, blocks, K, most)
        first = flags & ADD_TO if block == 0 else 1
        last = flags & (BIAS | RELU) if block == blocks - 1 else 0
        a, b = A + k * sak, B + k * ldb
        r, s = sar, sak
        if PACKS and sar == 1 and not shallow and rows > 2 * TILE and N >= PANELS * PANEL:
            group_rows(room, a, sak, rows, depth)
            groups(C, ldc, room, b, ldb, rows, N, depth, first | last, bias, scratch)
            continue
        if sar == 1 and rows > 1 and K > 64 and sak % HALF_PAGE == 0:
            _gather_rows(room, a, sak, rows, depth)
            a, s = room, rows
        if PACKS and not shallow and (rows > 2 * TILE or N > 8 * PANEL):
            panels(C, ldc, a, r, s, b, ldb, rows, N, depth, first | last, bias, scratch)
            continue
        for top in range(0, rows, height):
            brgemm(
                C + top * ldc, ldc, a + top * r, r, s, 0, b, ldb, 0, min(height, rows - top), N,
                depth, 1, first | last, bias,
            )  # fmt: skip


@kernel
def gemm_across(
    C: Reals, ldc: Int, A: Reals, sar: Int, sak: Int, B: Reals, sbn: Int,
    rows: Int, N: Int, K: Int, flags: Int, bias: Reals, scratch: Reals,
) -> None:  # fmt: skip
    """(rows, K) · (K, N) -> (rows, N), B[k, n] at k + n*sbn: each panel of B is turned in scratch.

    A linear layer keeps its weight as (N, K). ``scratch``: see gemm_scratch.
    """
    blocks = max(1, (K + DEPTH - 1) // DEPTH)
    for block in range(blocks):
        k, depth = depth_of(block, blocks, K, DEPTH)
        first = flags & ADD_TO if block == 0 else 1
        last = flags & (BIAS | RELU) if block == blocks - 1 else 0
        for n in range(0, N, PANEL):
            width, a, b = min(PANEL, N - n), A + k * sak, B + (n * sbn + k)
            transpose(scratch, width, b, sbn, width, 0, depth)
            brgemm(
                C + n, ldc, a, sar, sak, 0, scratch, width, 0, rows, width, depth, 1,
                first | last, bias + n,
            )  # fmt: skip


@kernel
def _row_times(
    C: Reals, A: Reals, sak: Int, B: Reals, ldb: Int, N: Int, K: Int, flags: Int, bias: Reals
) -> None:
    """One row times B, whose rows are read one after the other: memory is all that counts."""
    if not flags & ADD_TO:
        for n in lanes(N):
            C[n] = 0.0
    whole = K // 4 * 4
    for k in range(0, whole, 4):
        a, b = A + k * sak, B + k * ldb
        a0, a1, a2, a3 = a[0], a[sak], a[2 * sak], a[3 * sak]
        for n in lanes(N):
            two = fma(a1, b[ldb + n], fma(a0, b[n], C[n]))
            C[n] = fma(a3, b[3 * ldb + n], fma(a2, b[2 * ldb + n], two))
    for k in range(whole, K):
        x, b = A[k * sak], B + k * ldb
        for n in lanes(N):
            C[n] = fma(x, b[n], C[n])
    if flags & BIAS:
        for n in lanes(N):
            C[n] += bias[n]
    if flags & RELU:
        for n in lanes(N):
            C[n] = max(C[n], 0.0)


@kernel(reorder=True)
def _times_column(
    C: Reals, ldc: Int, A: Reals, sar: Int, B: Reals, K: Int, flags: Int, bias: Reals,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Rows lo..hi of A times one column: rows lie dense, and lanes go along them."""
    for r in range(lo, hi):
        a, total = A + r * sar, 0.0
        for k in lanes(K, interleave=4):
            total += a[k] * B[k]
        if flags & ADD_TO:
            total += C[r * ldc]
        if flags & BIAS:
            total += bias[0]
        C[r * ldc] = max(total, 0.0) if flags & RELU else total


@kernel
def _gather_rows(T: Reals, A: Reals, sak: Int, rows: Int, depth: Int) -> None:
    """T (depth, rows) = A[k, r]: rows a multiple of half a page apart push each other out."""
    for k in range(depth):
        a = A + k * sak
        for i in lanes(rows):
            T[k * rows + i] = a[i]


@kernel
def group_rows(T: Reals, A: Reals, sak: Int, rows: Int, depth: Int) -> None:
    """Rows of A[k, r] in T by the tiles of ``groups``: T[g*depth + k*h + i] = A[k, g + i]."""
    tiles = (rows + TILE - 1) // TILE
    for top in range(0, depth, TOGETHER):
        end, row = min(top + TOGETHER, depth), 0
        for tile in range(tiles):
            height = (rows - row + tiles - tile - 1) // (tiles - tile)
            for less in unroll(TILE - TILE * 2 // 3 + 1):  # as low as a tile of three can be
                if height == TILE - less:
                    to, a = T + row * depth, A + row
                    for k in range(top, end):
                        for i in lanes(TILE - less):
                            to[k * (TILE - less) + i] = a[k * sak + i]
            row += height


def gemm_scratch(target: Target, itemsize: int, rows: int, K: int) -> int:
    """Numbers of scratch memory for so many rows at a time: a panel of B, and their part of A."""
    depth = target.depth(itemsize)
    return depth * target.panel * target.lanes(itemsize) + min(depth, K) * rows


@kernel
def batched_gemm(
    C: Reals, scb: Int, ldc: Int, A: Reals, sab: Int, sar: Int, sak: Int,
    B: Reals, sbb: Int, ldb: Int, M: Int, N: Int, K: Int, flags: Int, scratch: Reals,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Products lo..hi of (b, M, K) · (b, K, N) -> (b, M, N), each apart scb, sab and sbb."""
    for b in range(lo, hi):
        c, a, x = C + b * scb, A + b * sab, B + b * sbb
        gemm(c, ldc, a, sar, sak, x, ldb, N, K, flags, C, 0, M, scratch)


@kernel
def transpose(T: Reals, ldt: Int, A: Reals, lda: Int, rows: Int, lo: Int, hi: Int) -> None:
    """Rows lo..hi of T[j, i] = A[i, j], i < rows: the (K, N) operand that A@Bᵀ needs.

    In squares as wide as a vector, one beside the other until they fill whole lines of T; the last
    ones overlap those before them. One by one where no square fits.
    """
    fits = rows >= LANES and hi - lo >= LANES
    for line in range(0, rows, LINE):
        for j0 in range(lo, hi, LANES):
            for i0 in range(line, min(line + LINE, rows), LANES):
                if fits:
                    i, j = min(i0, rows - LANES), min(j0, hi - LANES)
                    transpose_square(T + (j * ldt + i), ldt, A + (i * lda + j), lda)
                else:
                    for j in range(j0, min(j0 + LANES, hi)):
                        for i in range(i0, min(i0 + LANES, rows)):
                            T[j * ldt + i] = A[i * lda + j]


@dataclass(frozen=True)
class Blocks:
    """Into how many pieces a product is cut, along M, N and K.

    With ``depth`` > 1 every piece along K writes an (M, N) partial result of its own, and
    ``finish_product`` adds them and applies the epilogue.
    """

    rows: int
    columns: int
    depth: int

    @property
    def pieces(self) -> int:
        """All pieces."""
        return self.rows * self.columns * self.depth


def cut_product(
    M: int, N: int, K: int, target: Target, itemsize: int, *, transposed: bool = False,
    across: bool = False,
) -> Blocks:  # fmt: skip
    """Pieces for (M, K) · (K, N): a function of shapes and CPU only, so no bit depends on threads.

    Where B is packed, rows are cut into blocks that leave room in the second cache; into half as
    many where B has no room there, since each reads all of it from afar. Some sixteen pieces are
    wanted, fewer of a small product. More blocks of columns make them where A lies row by row;
    where it is transposed more blocks of rows, since each transposes its own, and half as many
    pieces will do. Only where that leaves too few, a long K is cut as well, and where it is
    transposed and so long that pieces then read less. Few rows read B only once, which is best done
    in the order of its memory. Where B lies ``across``, every block of rows turns its own panels.
    """
    wanted = max(1, min(PIECES, M * N * K // WORTH_A_PIECE))
    low = 3 * target.tile_rows[target.panel] >= M and N <= K and target.packs
    if (M == 1 or low) and not across and wanted * 64 <= K:
        return Blocks(1, 1, wanted)  # so that each piece reads B from one end to the other
    if not target.packs:
        wide = min(K, target.depth(itemsize)) * N * itemsize > target.caches[1] // 2
        fewest = ROWS_ACROSS if across else 64 if transposed else 48
        least = 0 if transposed else wanted // 2
        return _cut_unpacked(M, N, K, wide=wide, fewest=fewest, least=least)
    blocks = max(1, -(-M // target.block_rows(itemsize)))
    rows = -(-blocks // 2) if K * N * itemsize > target.caches[1] else blocks
    panel = target.panel * target.lanes(itemsize)
    long = _cut_long(M, N, K, wanted, panel, blocks) if transposed and K >= 2 * LONG else []
    if long:
        return min(long, key=lambda cut: _touched(M, N, K, cut))
    if transposed:
        rows = max(rows, min(wanted, M // 32, max(wanted // 2, M // 64)))
        columns = max(1, min(-(-wanted // (2 * rows)), N // (2 * panel)))
    else:
        columns = max(1, min(wanted // rows, N // (2 * panel)))
        rows = max(rows, min(wanted // columns, M // 24))
    lacking = rows * columns < wanted // 2
    depth = max(1, min(K // LONG, -(-wanted // (rows * columns)))) if lacking else 1
    return Blocks(rows, columns, depth)


PIECES = 16
WORTH_A_PIECE = 1 << 17
"""Multiplications that pay for handing out a piece of a product."""


LONG = 512
"""Rows of B in a piece of K at least, where K is cut."""


def _cut_long(M: int, N: int, K: int, wanted: int, panel: int, fewest: int) -> list[Blocks]:
    """Ways to cut M, N and K so that each piece groups rows of A for PANELS panels or more.

    And has a block of rows that takes half of the second cache; ``fewest`` take a quarter each.
    """
    powers = [1 << k for k in range(wanted.bit_length())]
    return [
        Blocks(rows, columns, depth)
        for depth, columns, rows in itertools.product(powers, repeat=3)
        if wanted // 2 <= rows * columns * depth <= wanted and 2 * rows >= fewest
        and M // rows >= 32 and N // columns >= PANELS * panel and K // depth >= LONG
    ]  # fmt: skip


def _touched(M: int, N: int, K: int, blocks: Blocks) -> float:
    """Numbers that all pieces read, and those of partial results, which are written and read."""
    read = blocks.pieces * (M / blocks.rows + N / blocks.columns) * K / blocks.depth
    return read + (2 * blocks.depth * M * N if blocks.depth > 1 else 0)


ROWS_ACROSS = 128
"""Rows that pay for turning a panel of B."""


def _cut_unpacked(M: int, N: int, K: int, *, wide: bool, fewest: int, least: int) -> Blocks:
    """Blocks of rows; of a B too ``wide`` for the second cache 64 columns at a time.

    So, too, where there are not the ``least`` pieces that all threads can share.
    """
    panels = max(1, -(-N // 64))
    columns = panels if wide else 1
    rows = max(1, min(M // fewest, -(-24 // columns)))
    if rows * columns < least:
        columns = min(panels, 2 * least // rows)
    depth = max(1, min(K // LONG, -(-16 // (rows * columns)))) if rows * columns < 8 else 1
    return Blocks(rows, columns, depth)


@inline
def block_of(piece: int, rows: int, columns: int, M: int, N: int) -> tuple[int, int]:
    """Which block of rows and of columns a piece is.

    A thread does pieces that follow each other. They share columns where B is the larger operand,
    rows where A is, so that no thread reads all of that.
    """
    across = N > M
    r = select(across, piece % rows, piece // columns)
    return r, select(across, piece // rows, piece % columns)


@inline
def columns_of(c: int, columns: int, N: int) -> tuple[int, int]:
    """Where block c of so many begins and ends: whole panels."""
    count = (N + PANEL - 1) // PANEL
    return c * count // columns * PANEL, min(N, (c + 1) * count // columns * PANEL)


@kernel
def product_piece(
    C: Reals, ldc: Int, A: Reals, sar: Int, sak: Int, B: Reals, ldb: Int, M: Int, N: Int, K: Int,
    flags: Int, bias: Reals, rows: Int, columns: Int, depth: Int, scratch: Reals, piece: Int,
) -> None:  # fmt: skip
    """One piece of a product cut into rows × columns × depth.

    C is the result, or with depth > 1 the partial results (depth, M, N), ldc = N, flags = 0.
    ``scratch``: see gemm_scratch.
    """
    d, rest = piece // (rows * columns), piece % (rows * columns)
    r, c = block_of(rest, rows, columns, M, N)
    left, right = columns_of(c, columns, N)
    k, end = d * K // depth, (d + 1) * K // depth
    gemm(
        C + (d * M * N + left), ldc, A + k * sak, sar, sak, B + (k * ldb + left), ldb,
        right - left, end - k, flags, bias + left, r * M // rows, (r + 1) * M // rows, scratch,
    )  # fmt: skip


@kernel
def product_piece_across(
    C: Reals, ldc: Int, A: Reals, sar: Int, sak: Int, B: Reals, sbn: Int, M: Int, N: Int, K: Int,
    flags: Int, bias: Reals, rows: Int, columns: Int, depth: Int, scratch: Reals, piece: Int,
) -> None:  # fmt: skip
    """product_piece for a B[k, n] at k + n*sbn."""
    d, rest = piece // (rows * columns), piece % (rows * columns)
    r, c = block_of(rest, rows, columns, M, N)
    left, right = columns_of(c, columns, N)
    k, end = d * K // depth, (d + 1) * K // depth
    top = r * M // rows
    gemm_across(
        C + (d * M * N + top * ldc + left), ldc, A + (top * sar + k * sak), sar, sak,
        B + (left * sbn + k), sbn, (r + 1) * M // rows - top, right - left, end - k,
        flags, bias + left, scratch,
    )  # fmt: skip


@kernel
def mask_piece(
    D: Reals, Y: Reals, M: Int, N: Int, rows: Int, columns: Int, piece: Int
) -> None:  # fmt: skip
    """δ through a ReLU whose result is Y, for a piece that product_piece has just made; depth 1."""
    r, c = block_of(piece, rows, columns, M, N)
    left, right = columns_of(c, columns, N)
    mask(D, Y, N, r * M // rows, (r + 1) * M // rows, left, right)


@kernel
def finish_product(
    C: Reals, ldc: Int, partials: Reals, count: Int, M: Int, N: Int, flags: Int, bias: Reals,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Rows lo..hi of C (+)= Σ_d partials[d], d in order, then the microkernel's epilogue."""
    for r in range(lo, hi):
        if not flags & ADD_TO:
            for n in lanes(N):
                C[r * ldc + n] = 0.0
        for d in range(count):
            for n in lanes(N):
                C[r * ldc + n] += partials[(d * M + r) * N + n]
        if flags & BIAS:
            for n in lanes(N):
                C[r * ldc + n] += bias[n]
        if flags & RELU:
            for n in lanes(N):
                C[r * ldc + n] = max(C[r * ldc + n], 0.0)
