"""How the arrays of a call reach a step without Python's help: looked at, then copied.

CPython keeps the arguments of a call as a row of addresses, and NumPy's arrays are records: type,
data, number of axes, lengths, strides, owner, dtype, flags (``PyArrayObject_fields`` in NumPy's
``ndarraytypes.h``). :mod:`allbps.machine.door` finds out whether that is so here, and makes the
table: a head, then for each argument a row, then the lengths of its axes.
"""

from __future__ import annotations

from allbps.machine.language.words import (
    Int,
    Ints,
    as_bytes,
    as_ints,
    call,
    kernel,
    pointer_at,
)

COUNT, CODE, TEAM, ARGUMENTS, KIND = 0, 1, 2, 3, 4
HEAD = 5
"""Rows; the step to run, 0 for none, its team and its arguments; the type of an array."""
AXES, LENGTHS, DTYPE, BYTES, TO, BELOW = 0, 1, 2, 3, 4, 5
ROW = 6
"""Axes, and where in the table their lengths stand; the dtype; size; where to copy it to; what its
int64 numbers must be below, 0 for anything."""
TYPE, DATA, NDIM, SHAPE, DTYPE_OF, FLAGS = 0, 1, 2, 3, 6, 7
"""Words of an array's record, the type first."""
DENSE = 0x101
"""NumPy's flags of an array in row-major order whose numbers lie at multiples of their size."""
HALF = 0xFFFFFFFF
"""A C int in a word."""


@kernel
def has_shape(array: Ints, table: Ints, row: Ints) -> Int:
    """1 for the lengths of axes that stand in the table."""
    lengths = as_ints(pointer_at(array, SHAPE))
    expected = table + row[LENGTHS]
    for k in range(row[AXES]):
        if lengths[k] != expected[k]:
            return 0
    return 1


@kernel
def is_inside(array: Ints, row: Ints) -> Int:
    """1 where every int64 number is from 0 to below the row's bound, or there is none."""
    if row[BELOW] > 0:
        numbers = as_ints(pointer_at(array, DATA))
        outside = 0
        for k in range(row[BYTES] // 8):
            if numbers[k] < 0:
                outside += 1
            if numbers[k] >= row[BELOW]:
                outside += 1
        if outside > 0:
            return 0
    return 1


@kernel
def is_expected(array: Ints, table: Ints, row: Ints) -> Int:
    """1 for an array with the type, the dtype, the shape and the numbers that a step takes."""
    kind = (array[TYPE] == table[KIND]) & (array[DTYPE_OF] == row[DTYPE])
    if kind & ((array[FLAGS] & DENSE) == DENSE) & ((array[NDIM] & HALF) == row[AXES]):
        return has_shape(array, table, row) * is_inside(array, row)
    return 0


@kernel
def enter(objects: Ints, table: Ints) -> Int:
    """Copy the arguments of a call to where the step reads them, and run it; 0 if one is unusual.

    Args:
        objects: addresses of the arguments.
        table: see above.

    """
    for k in range(table[COUNT]):
        row = table + HEAD + k * ROW
        if is_expected(as_ints(pointer_at(objects, k)) + 1, table, row) == 0:
            return 0
    for k in range(table[COUNT]):
        row = table + HEAD + k * ROW
        source = as_bytes(pointer_at(as_ints(pointer_at(objects, k)) + 1, DATA))
        target = as_bytes(pointer_at(row, TO))
        for i in range(row[BYTES]):
            target[i] = source[i]
    if table[CODE] != 0:
        call(table[CODE], 0, 1, table[TEAM], table[ARGUMENTS])
    return 1
