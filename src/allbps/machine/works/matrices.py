"""Solutions, inverses, determinants and Cholesky's factors of small square matrices."""

from __future__ import annotations

from math import prod

from allbps.machine.kernels import matrices as kernels
from allbps.machine.language.operands import HI, LO, Memory, Scratch
from allbps.machine.language.words import Routine
from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.regular import LARGE
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import NoKernelError

LARGEST = {"cofactor": 6}
"""Kind of work -> rows of the largest matrix, where it is not LARGE: n² determinants take n⁵."""


def _matrices(places: Places, work: Work, x: Value) -> tuple[Memory, int, int]:
    """Where matrices lie, how many there are, and how many rows each has.

    Raises:
        NoKernelError: there are none, they are large, or LAPACK is to say whether they are regular.

    """
    n = x.shape[-1]
    if (
        not places.guarded
        or x.size == 0
        or x.dtype.kind != "f"
        or n > LARGEST.get(work.kind, LARGE)
    ):
        raise NoKernelError
    return places.as_layout(x, row_major(x.shape)).memory, x.size // (n * n), n


def emit_solve(places: Places, work: Work) -> None:
    """X with A X = B: each of several right-hand sides, or all of them with one matrix."""
    a, b = work.inputs
    stack = work.outputs[0].shape[:-2]
    if b.size == 0 or any(prod(x.shape[:-2]) not in (1, prod(stack)) for x in (a, b)):
        raise NoKernelError
    here, _, n = _matrices(places, work, a)
    right = places.as_layout(b, row_major(b.shape)).memory
    out = places.put(work.outputs[0], row_major(work.outputs[0].shape)).memory
    r, count = b.shape[-1], prod(stack)
    each_a, each_b = (0 if prod(x.shape[:-2]) == 1 else prod(x.shape[-2:]) for x in (a, b))
    call = kernels.solve.on(
        X=out, A=here, each_a=each_a, B=right, each_b=each_b, n=n, r=r, scratch=Scratch(n * n),
        lo=LO, hi=HI,
    )  # fmt: skip
    places.program.add_each(work, out, count, 2 * n * n * (n // 3 + r), call)


def emit_matrix(places: Places, work: Work) -> None:
    """A matrix or a number from each matrix."""
    here, count, n = _matrices(places, work, work.inputs[0])
    out = places.put(work.outputs[0], row_major(work.outputs[0].shape)).memory
    kernel, first, each = KINDS[work.kind]
    call = kernel.on(**{first: out}, A=here, n=n, scratch=Scratch(n * n), lo=LO, hi=HI)
    flops = each * n**3 // 3 * (n * n if work.kind == "cofactor" else 1)
    places.program.add_each(work, out, count, flops, call)


KINDS: dict[str, tuple[Routine, str, int]] = {
    "inv": (kernels.inverse, "X", 6),
    "det": (kernels.determinant, "Y", 2),
    "cofactor": (kernels.cofactors, "Y", 2),
    "signdet": (kernels.determinant_sign, "Y", 2),
    "logabsdet": (kernels.determinant_log, "Y", 2),
    "cholesky": (kernels.cholesky, "L", 1),
}
"""Kind of work -> its kernel, the name of what that writes, and operations for n³/3."""

KERNELS = {"solve": emit_solve, **dict.fromkeys(KINDS, emit_matrix)}
"""Kind of work -> what makes its tasks."""
