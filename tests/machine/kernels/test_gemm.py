"""Matrix products against NumPy's, for every vector width and every kind of tail."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.gemm import (
    batched_gemm,
    cut_product,
    finish_product,
    gemm,
    gemm_across,
    gemm_scratch,
    product_piece,
    product_piece_across,
    transpose,
)
from allbps.machine.kernels.reduce import combine, sum_rows
from allbps.machine.language.target import host

# Rows and columns below, at and above a tile and a vector of every width.
SIZES = [
    (1, 1, 1),
    (1, 40, 11),
    (40, 1, 37),
    (3, 300, 9),
    (2, 3, 5),
    (5, 16, 7),
    (6, 64, 8),
    (7, 65, 3),
    (13, 31, 9),
    (25, 130, 4),
    (14, 530, 3),
]


@pytest.fixture
def room(dtype):
    """``room(M, K)``: scratch memory for M rows at a time, with nothing but NaN in it."""

    def make(M, K, target=None):
        size = gemm_scratch(target or host(), np.dtype(dtype).itemsize, M, K)
        return np.full(size, np.nan, dtype)

    return make


@pytest.mark.parametrize(("M", "N", "K"), SIZES)
def test_product_of_any_size_on_any_vector_width(M, N, K, target, native, near, draw, dtype, room):
    A, B, bias = draw(M, K), draw(K, N), draw(N)
    C = np.full((M, N + 3), 7, dtype)
    native(gemm, target)(C, N + 3, A, K, 1, B, N, N, K, 0, bias, 0, M, room(M, K, target))
    near(C[:, :N], A @ B)
    assert (C[:, N:] == 7).all(), "columns beyond N were written"


@pytest.mark.parametrize(("M", "N", "K"), [(17, 21, 5), (1, 21, 6), (9, 1, 5), (13, 515, 7)])
@pytest.mark.parametrize("flags", range(8))
def test_epilogue_accumulates_then_adds_bias_then_clips(
    flags, M, N, K, target, native, near, draw, room
):
    A, B, bias, C = draw(M, K), draw(K, N), draw(N), draw(M, N)
    want = A @ B + (C if flags & 1 else 0) + (bias if flags & 2 else 0)
    native(gemm, target)(C, N, A, K, 1, B, N, N, K, flags, bias, 0, M, room(M, K, target))
    near(C, np.maximum(want, 0) if flags & 4 else want)


def test_relu_in_the_epilogue_keeps_nan(native, dtype, room):
    A, B = np.array([[np.nan], [-1.0], [2.0]], dtype), np.ones((1, 2), dtype)
    C = np.zeros((3, 2), dtype)
    native(gemm)(C, 2, A, 1, 1, B, 2, 2, 1, 4, C, 0, 3, room(3, 1))
    np.testing.assert_array_equal(C[:, 0], [np.nan, 0, 2])


@pytest.mark.parametrize("M", [5, 27])
def test_long_sums_are_cut_without_changing_the_epilogue(M, native, near, draw, dtype, room):
    N, K = 20, 2 * host().depth(np.dtype(dtype).itemsize) + 3
    A, B, bias, C = draw(M, K), draw(K, N), draw(N), draw(M, N)
    want = np.maximum(A @ B + C + bias, 0)
    native(gemm)(C, N, A, K, 1, B, N, N, K, 7, bias, 0, M, room(M, K))
    near(C, want, factor=8)


def test_empty_sum_writes_zeros(native, draw, room):
    C = draw(30, 4)
    native(gemm)(C, 4, C, 0, 0, C, 4, 4, 0, 0, C, 0, 30, room(30, 0))
    assert not C.any()


@pytest.mark.parametrize(
    ("M", "N", "K"),
    [
        (14, 17, 9),
        (1, 40, 9),
        (21, 1, 9),
        (5, 33, 70),
        (40, 64, 70),
        (33, 130, 600),
        (512, 40, 70),
        (13, 130, 40),
        (19, 97, 37),
        (70, 112, 18),
    ],
    ids=lambda n: str(n),
)
def test_transposed_operands_by_strides(M, N, K, target, native, near, draw, dtype, room):
    X, G = draw(K, M), draw(K, N)  # δW = Xᵀ δZ
    D = np.zeros((M, N), dtype)
    native(gemm, target)(D, N, X, 1, M, G, N, N, K, 0, D, 0, M, room(M, K, target))
    near(D, X.T @ G, factor=4)


@pytest.mark.parametrize(("M", "N", "K"), [*SIZES, (3, 40, 0), (33, 130, 1100)])
@pytest.mark.parametrize("flags", [0, 7])
def test_a_right_operand_that_lies_column_by_column(
    flags, M, N, K, target, native, near, draw, dtype, room
):
    A, W, bias, C = draw(M, K), draw(N, K + 2), draw(N), draw(M, N + 1)
    want = A @ W[:, :K].T + (C[:, :N] + bias if flags else 0)
    beyond = C[:, N].copy()
    scratch = room(M, K, target)
    native(gemm_across, target)(C, N + 1, A, K, 1, W, K + 2, M, N, K, flags, bias, scratch)
    near(C[:, :N], np.maximum(want, 0) if flags else want, factor=8)
    np.testing.assert_array_equal(C[:, N], beyond)


def test_rows_can_be_computed_piece_by_piece(native, draw, dtype, room):
    A, B = draw(41, 6), draw(6, 18)
    whole, pieces = np.zeros((2, 41, 18), dtype)
    native(gemm)(whole, 18, A, 6, 1, B, 18, 18, 6, 0, B, 0, 41, room(41, 6))
    for lo, hi in ((0, 4), (4, 5), (5, 41)):
        native(gemm)(pieces, 18, A, 6, 1, B, 18, 18, 6, 0, B, lo, hi, room(41, 6))
    np.testing.assert_array_equal(pieces, whole)


def test_batched_product(native, near, draw, dtype, room):
    A, B = draw(4, 5, 6), draw(4, 6, 7)
    C = np.zeros((4, 5, 7), dtype)
    native(batched_gemm)(C, 35, 7, A, 30, 6, 1, B, 42, 7, 5, 7, 6, 0, room(5, 6), 1, 4)
    near(C[1:], A[1:] @ B[1:])
    assert not C[0].any()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (16, 16), (17, 35), (40, 3)])
def test_transpose(rows, columns, native, draw, dtype):
    A = draw(rows, columns)
    T = np.zeros((columns, rows), dtype)
    native(transpose)(T, rows, A, columns, rows, 0, columns)
    np.testing.assert_array_equal(T, A.T)


def test_sums_of_rows_and_of_partials(native, near, draw, dtype):
    X = draw(30, 19)
    parts, total = np.zeros((3, 19), dtype), np.zeros(19, dtype)
    for p in range(3):
        native(sum_rows)(parts[p], X, 19, 19, 10 * p, 10 * p + 10)
    native(combine)(total, parts, 19, 3, 0, 19)
    near(total, X.sum(axis=0))


@pytest.mark.parametrize("lies", ["plain", "transposed", "across"])
@pytest.mark.parametrize(
    ("M", "N", "K"), [(5, 7, 9), (200, 130, 600), (64, 128, 3000), (100, 65, 2000)]
)
def test_pieces_of_a_product_cover_it_once(
    M, N, K, lies, target, native, near, draw, dtype, room
):  # fmt: skip
    transposed, across = lies == "transposed", lies == "across"
    cut = cut_product(
        M, N, K, target, np.dtype(dtype).itemsize, transposed=transposed, across=across
    )
    A, B, bias = draw(M, K), draw(K, N), draw(N)
    memory, strides = (A.T.copy(), (1, M)) if transposed else (A, (K, 1))
    right, apart = (B.T.copy(), K) if across else (B, N)
    kernel = product_piece_across if across else product_piece
    partials = np.full((cut.depth, M, N), np.nan, dtype)
    for piece in range(cut.pieces):
        native(kernel, target)(
            partials, N, memory, *strides, right, apart, M, N, K, 0, bias, cut.rows, cut.columns,
            cut.depth, room(-(-M // cut.rows), K, target), piece,
        )  # fmt: skip
    C = draw(M, N)
    want = np.maximum(A @ B + C + bias, 0)
    native(finish_product)(C, N, partials, cut.depth, M, N, 7, bias, 0, M)
    near(C, want, factor=8)


def test_a_product_is_cut_along_k_only_where_rows_and_columns_are_few(target):
    assert cut_product(64, 32, 9216, target, 4).depth > 1
    assert cut_product(128, 512, 784, target, 4).depth == 1
    assert cut_product(3, 3, 3, target, 4).pieces == 1


def test_rows_of_a_transposed_product_stay_whole(target):
    """So that the piece that has made rows of δW can move the same rows of W."""
    assert cut_product(784, 512, 128, target, 4, transposed=True).columns == 1


def test_a_long_transposed_product_is_cut_where_its_pieces_read_least(target):
    """δW of 2048 examples: pieces of all three axes, where panels are packed."""
    cut = cut_product(128, 512, 2048, target, 4, transposed=True)
    assert (cut.depth > 1) == target.packs
    large = cut_product(4096, 512, 2048, target, 4, transposed=True)
    assert (large.rows if target.packs else large.pieces) >= 4


@pytest.mark.parametrize("across", [False, True])
def test_a_product_of_few_rows_is_cut_for_many_threads(across, target):
    """128 examples are one or two blocks of rows; the rest are columns."""
    assert cut_product(128, 512, 256, target, 4, across=across).pieces >= 8
