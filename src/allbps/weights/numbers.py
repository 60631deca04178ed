"""Numbers from one kind into another: rounded where that is all, refused where more is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""A kind of number as a file has it -> as NumPy calls it."""


def from_bits(data: bytes, kind: str) -> NDArray[Any]:
    """Numbers of a file, least byte first; bfloat16 as float32, which holds each of them.

    >>> from_bits(bytes([0xC0, 0x3F]), "bfloat16").tolist()
    [1.5]

    """
    if kind == "bfloat16":
        halves = np.frombuffer(data, "<u2")
        return (halves.astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(bytearray(data), np.dtype(kind).newbyteorder("<")).astype(kind, copy=False)


def bfloat16_bits(numbers: NDArray[Any]) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16 of each; of two equally near the even one, as elsewhere.

    >>> hex(bfloat16_bits(np.float32(1.5))[()])
    '0x3fc0'

    """
    bits = np.asarray(numbers, np.float32).view(np.uint32)
    with np.errstate(over="ignore"):  # of NaN
        rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return np.where(np.isnan(numbers), 0x7FC0, rounded).astype(np.uint16)


def as_kind(numbers: NDArray[Any], kind: str) -> tuple[NDArray[Any], str]:
    """(numbers of another kind, what would be lost); bfloat16 is given as float32.

    Floating-point numbers are rounded. Lost is what becomes infinite, an imaginary part, and what
    a whole number or a truth value cannot be.

    >>> as_kind(np.array([1.0, 2.5]), "int64")[1]
    'int64 cannot hold 2.5'

    """
    target = np.dtype("float32" if kind == "bfloat16" else kind)
    if numbers.dtype == kind:
        return numbers, ""
    with np.errstate(all="ignore"):
        if numbers.dtype.kind == "c" and target.kind != "c":
            made, lost = as_kind(numbers.real, kind)
            return made, f"{kind} has no imaginary part" if np.any(numbers.imag) else lost
        made = numbers.astype(target)
        if kind == "bfloat16":
            made = from_bits(bfloat16_bits(made).astype("<u2").tobytes(), kind).reshape(made.shape)
        if numbers.dtype.kind in "fc" and target.kind in "fc":
            bad = np.isfinite(numbers) & ~np.isfinite(made)
        else:
            bad = (made.astype(numbers.dtype) != numbers) | _beyond(numbers, made)
    if not bad.any():
        return made, ""
    return made, f"{kind} cannot hold {numbers[bad].ravel()[0]!s}"


def _beyond(numbers: NDArray[Any], made: NDArray[Any]) -> NDArray[np.bool_] | bool:
    """Where the way there and back hides that a whole number was too large, or below 0."""
    whole, other = (numbers, made) if numbers.dtype.kind in "iu" else (made, numbers)
    if whole.dtype.kind not in "iu":
        return False
    if other.dtype.kind in "iu":
        found: NDArray[np.bool_] = (numbers < 0) != (made < 0)
        return found
    kind = np.iinfo(whole.dtype)
    limit = 2.0 ** (kind.bits - (kind.min < 0))
    past: NDArray[np.bool_] = (other >= limit) | (other < -limit) | ~np.isfinite(other)
    return past
