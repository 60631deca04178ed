"""The vocabulary of kernels, and what each word means to CPython and to LLVM.

A kernel is a Python function over numbers and pointers: ``for``, ``while``, ``if``, arithmetic,
``p[i]``, calls of other kernels, and the words of this module. ``@kernel`` leaves it an ordinary
function, so that CPython can run it on small arrays, and lets :mod:`.frontend` compile it.

Types of arguments: ``Int`` (64 bits), ``Real`` (float32 or float64, one choice for a whole
program), ``Double``, and pointers to them: ``Reals``, ``Doubles``, ``Ints``, ``Bytes``.
"""

from __future__ import annotations

import ast
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeAlias, TypeVar, overload

from allbps.machine.language.syntax import meaning, tree_of

if TYPE_CHECKING:
    from allbps.machine.language.calls import Call
    from allbps.machine.language.operands import Operand

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", int, float)

Int: TypeAlias = int
Real: TypeAlias = float
Double: TypeAlias = float


class Pointer(Generic[T]):
    """CPython's stand-in for a pointer: a flat array and a place in it."""

    def __init__(self, array: Any, offset: int = 0) -> None:
        self.array, self.offset = array, offset

    def __getitem__(self, i: int) -> T:
        value: T = self.array[self.offset + i].item()
        return value

    def __setitem__(self, i: int, value: T) -> None:
        self.array[self.offset + i] = value

    def __add__(self, i: int) -> Pointer[T]:
        return Pointer(self.array, self.offset + i)


Reals: TypeAlias = Pointer[float]
Ints: TypeAlias = Pointer[int]
Bytes: TypeAlias = Pointer[int]
Doubles: TypeAlias = Pointer[float]


POINTEES = {"Reals": "Real", "Ints": "Int", "Bytes": "Byte", "Doubles": "Double"}
"""Kind of pointer -> kind of what it points to."""

#: Bits of the argument ``flags`` of kernels with an epilogue: C += …, + bias, ReLU, + skip.
ADD_TO, BIAS, RELU, SKIP = 1, 2, 4, 8


class Routine(ABC):
    """What a kernel may call, and what may be asked of it without compiling it."""

    name: str

    @property
    @abstractmethod
    def tree(self) -> ast.FunctionDef:
        """Its syntax tree."""

    @abstractmethod
    def lookup(self, name: str) -> Any:
        """What a name that it does not assign to stands for."""

    def on(self, **arguments: Operand) -> Call:
        """A call of it, by the names of its arguments.

        Raises:
            KernelError: an argument is missing, unknown or of another kind.

        """
        from allbps.machine.language.calls import call_of

        return call_of(self, arguments)


class Kernel(Routine, Generic[P, R]):
    """A Python function that can be compiled.

    Args:
        function: the function.
        expand: paste the body at every call instead of calling; such a function may return a tuple.
        reorder: let sums be added in vector lanes. The order is then another one, but a fixed one.
        small: let LLVM paste it into its callers, with their constants.
        plain: it only calls others, and LLVM need not think about it.

    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        expand: bool = False,
        reorder: bool = False,
        small: bool = False,
        plain: bool = False,
    ) -> None:
        self.function, self.expand, self.reorder = function, expand, reorder
        self.small, self.plain = small, plain
        self.name = function.__name__
        self._tree: ast.FunctionDef | None = None
        self.__doc__ = function.__doc__

    @classmethod
    def of_text(cls, kernel: Kernel[P, R], tree: ast.FunctionDef) -> Kernel[P, R]:
        """A kernel that was made of a text that is in no file, with the tree of that text."""
        kernel._tree = tree
        return kernel

    @property
    def tree(self) -> ast.FunctionDef:
        """Its syntax tree."""
        return self._tree or tree_of(self.function)

    def lookup(self, name: str) -> Any:
        """What a name that it does not assign to stands for."""
        return meaning(self.function, name)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"


@overload
def kernel(function: Callable[P, R]) -> Kernel[P, R]: ...
@overload
def kernel(
    *, reorder: bool = False, small: bool = False, plain: bool = False
) -> Callable[[Callable[P, R]], Kernel[P, R]]: ...
def kernel(function: Callable[P, R] | None = None, **options: bool) -> Any:
    """Mark a function as a kernel: one native function."""
    return Kernel(function) if function is not None else lambda f: Kernel(f, **options)


def inline(function: Callable[P, R]) -> Kernel[P, R]:
    """Mark a function as a formula: its body is pasted where it is used."""
    return Kernel(function, expand=True, small=True)


class Word(Routine, Generic[P, R]):
    """A word that the compiler knows: Python's meaning, and how to emit LLVM code for it."""

    def __init__(self, function: Callable[P, R], emit: Callable[..., Any]) -> None:
        self.function, self.emit = function, emit
        self.name = function.__name__
        self.__doc__ = function.__doc__

    @property
    def tree(self) -> ast.FunctionDef:
        """The syntax tree of its meaning."""
        return tree_of(self.function)

    def lookup(self, name: str) -> Any:
        """What a name in its meaning stands for."""
        return meaning(self.function, name)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


def word(emit: Callable[..., Any]) -> Callable[[Callable[P, R]], Word[P, R]]:
    """Declare a word: the function below is its meaning in CPython, ``emit`` its LLVM code."""
    return lambda function: Word(function, emit)


class Static(int):
    """A number to CPython that the compiler replaces by one of the program being built."""

    of_program: Callable[[Any], int]

    @classmethod
    def of(cls, plain: int, of_program: Callable[[Any], int]) -> Static:
        """A static number, given CPython's and the compiler's."""
        made = cls(plain)
        made.of_program = of_program
        return made


#: Whether Real is float32.
SINGLE = Static.of(False, lambda program: program.single)
#: Numbers of type Real in one vector register.
LANES = Static.of(4, lambda program: program.lanes)
#: Numbers of type Real in one line of the caches.
LINE = Static.of(8, lambda program: 64 // program.itemsize)
#: Numbers in half a page: rows a multiple of it apart compete for a few sets of the first cache.
HALF_PAGE = Static.of(256, lambda program: 2048 // program.itemsize)
#: Columns of the widest panel of the microkernel.
PANEL = Static.of(8, lambda program: program.lanes * program.target.panel)
#: Rows of its widest tile.
TILE = Static.of(2, lambda program: program.target.tile_rows[program.target.panel])
#: Whether products pack what they read of B; see :mod:`.target`, as for the next.
PACKS = Static.of(True, lambda program: program.target.packs)
#: Rows of B multiplied at a time.
DEPTH = Static.of(8, lambda program: program.target.depth(program.itemsize))


# ---- loops


def lanes(start: int, stop: int | None = None, *, interleave: int = 1) -> Iterator[int]:
    """``range`` whose turns are independent of each other: the compiler makes vectors of them.

    ``interleave`` such vectors are worked on at a time, which hides the latency of long sums.
    """
    return iter(range(start) if stop is None else range(start, stop))


def unroll(stop: int) -> Iterator[int]:
    """``range`` over a constant, written out turn by turn; its variable is a constant."""
    return iter(range(stop))


# ---- numbers


@word(lambda e, x: e.to_real(x))
def real(x: float) -> Real:
    """A number as a Real."""
    return float(x)


@word(lambda e, x: e.to_double(x))
def double(x: float) -> Double:
    """A number as a float64."""
    return float(x)


@word(lambda e, x: e.to_int(x))
def integer(x: float) -> Int:
    """A Real cut to an integer, toward zero."""
    return int(x)


@word(lambda e, c, x, y: e.select(c, x, y))
def select(condition: bool, x: T, y: T) -> T:
    """``x if condition else y`` with both sides worked out: what a vector can do."""
    return x if condition else y


@word(lambda e, x, y, z: e.intrinsic("fmuladd", x, y, z))
def fma(x: Real, y: Real, z: Real) -> Real:
    """x*y + z, rounded once where the CPU can."""
    return x * y + z


@word(lambda e, x, y, z: e.intrinsic("fma", x, y, z))
def exact_fma(x: T, y: T, z: T) -> T:
    """x*y + z, rounded once on every CPU, for sums whose rounding errors are worked with."""
    if not all(map(math.isfinite, (x, y, z))):
        return x * y + z
    total = Fraction(x) * Fraction(y) + Fraction(z)
    return float(total)  # type: ignore[return-value]


@word(lambda e, x: e.intrinsic("sqrt", x))
def sqrt(x: float) -> float:
    """The square root."""
    return math.sqrt(x) if x >= 0 else math.nan


@word(lambda e, x: e.is_nan(x))
def is_nan(x: float) -> bool:
    """Whether x is not a number."""
    return math.isnan(x)


@word(lambda e, x: e.intrinsic("fabs", x))
def absolute(x: float) -> float:
    """The absolute value."""
    return abs(x)


@word(lambda e, x, y: e.intrinsic("copysign", x, y))
def copysign(x: float, y: float) -> float:
    """|x| with the sign of y."""
    return math.copysign(x, y)


@word(lambda e, x, y: e.intrinsic("maximum", x, y))
def maximum(x: Real, y: Real) -> Real:
    """The larger one; NaN if either is NaN, unlike ``max``."""
    return math.nan if math.isnan(x) or math.isnan(y) else max(x, y)


@word(lambda e, x: e.intrinsic("rint", x))
def nearest(x: Real) -> Real:
    """The integer nearest to x, ties to even, as a Real."""
    return float(round(x)) if math.isfinite(x) else x


@word(lambda e, x: e.intrinsic("floor", x))
def floor(x: T) -> T:
    """The largest whole number that is not larger, in the type of x."""
    return type(x)(math.floor(x)) if math.isfinite(x) else x


@word(lambda e, x: e.intrinsic("ceil", x))
def ceil(x: Real) -> Real:
    """The smallest whole number that is not smaller, as a Real."""
    return float(math.ceil(x)) if math.isfinite(x) else x


@word(lambda e, x: e.intrinsic("trunc", x))
def trunc(x: Real) -> Real:
    """The whole part, as a Real."""
    return float(math.trunc(x)) if math.isfinite(x) else x


@word(lambda e, x, y: e.remainder(x, y))
def remainder(x: Real, y: Real) -> Real:
    """What is left of x after whole y, exactly, with the sign of x: C's fmod."""
    return math.fmod(x, y) if math.isfinite(x) and y != 0 else math.nan


@word(lambda e, n: e.power_of_two(n))
def power_of_two(n: Real) -> Real:
    """2ⁿ for a whole n in the range of normal numbers, made from bits."""
    return math.ldexp(1.0, int(n))


@word(lambda e, x: e.exponent(x))
def exponent(x: Real) -> Real:
    """The whole n with x = m·2ⁿ and ½√2 <= m < √2, for a positive normal x, from bits."""
    m, n = math.frexp(x)
    return float(n - 1 if m < math.sqrt(0.5) else n)


@word(lambda e, n: e.stack(n))
def stack(n: int) -> Reals:
    """Scratch memory for n Reals, gone when the kernel returns."""
    import numpy as np

    return Pointer(np.full(n, np.nan))


# ---- pointers of other types


@word(lambda e, p: e.retype(p, "Ints"))
def as_ints(p: Reals) -> Ints:
    """The same address, read as integers."""
    import numpy as np

    return Pointer(p.array[p.offset :].view(np.int64))


@word(lambda e, p: e.retype(p, "Bytes"))
def as_bytes(p: Reals) -> Bytes:
    """The same address, read as bytes."""
    import numpy as np

    return Pointer(p.array[p.offset :].view(np.uint8))


@word(lambda e, p: e.retype(p, "Doubles"))
def as_doubles(p: Reals) -> Doubles:
    """The same address, read as float64 numbers."""
    import numpy as np

    return Pointer(p.array[p.offset :].view(np.float64))


@word(lambda e, table, i: e.pointer_at(table, i))
def pointer_at(table: Ints, i: int) -> Reals:
    """The Reals whose address is entry i of a table of addresses."""
    raise NotImplementedError("CPython has no addresses")


@word(lambda e, T, ldt, A, lda: e.transpose_square(T, ldt, A, lda))
def transpose_square(T: Reals, ldt: Int, A: Reals, lda: Int) -> None:
    """T[j, i] = A[i, j] for a square of LANES × LANES numbers, in vector registers."""
    for j in range(LANES):
        for i in range(LANES):
            T[j * ldt + i] = A[i * lda + j]


# ---- threads


@word(lambda e, p, n: e.atomic_add(p, n))
def atomic_add(p: Ints, n: int) -> Int:
    """Add n to p[0] in one indivisible step; the value before."""
    old = p[0]
    p[0] = old + n
    return old


@word(lambda e, p: e.atomic_load(p))
def atomic_load(p: Ints) -> Int:
    """p[0], and everything its writer wrote before it."""
    return p[0]


@word(lambda e, p, n: e.atomic_store(p, n))
def atomic_store(p: Ints, n: int) -> None:
    """Write p[0] after everything written before."""
    p[0] = n


@word(lambda e, p, old, new: e.compare_and_swap(p, old, new))
def compare_and_swap(p: Ints, old: int, new: int) -> bool:
    """If p[0] is old, make it new; whether it was, in one indivisible step."""
    if p[0] != old:
        return False
    p[0] = new
    return True


@word(lambda e: e.pause())
def pause() -> None:
    """Tell the CPU that this thread is waiting."""


@word(lambda e: e.yield_thread())
def yield_thread() -> None:
    """Let other threads run."""


@word(lambda e: e.nanoseconds())
def nanoseconds() -> Int:
    """A clock that never goes back, for profiles of steps."""
    return time.perf_counter_ns()


@word(lambda e, code, tid, threads, team, arguments: e.call(code, tid, threads, team, arguments))
def call(code: Int, tid: Int, threads: Int, team: Int, arguments: Int) -> None:
    """Call the step at the address ``code``; ``team`` and ``arguments`` are addresses too."""
    raise NotImplementedError("CPython has no addresses")


# ---- the microkernel


@word(lambda e, *arguments: e.brgemm(*arguments))
def brgemm(
    C: Reals, ldc: Int, A: Reals, sar: Int, sak: Int, sab: Int,
    B: Reals, sbk: Int, sbb: Int, M: Int, N: Int, K: Int, batch: Int, flags: Int, bias: Reals,
) -> None:  # fmt: skip
    """C[r, n] (+)= Σ_b Σ_k A[b, r, k]·B[b, k, n], then bias and ReLU; see :mod:`.microkernel`."""
    for r in range(M):
        for n in range(N):
            total = C[r * ldc + n] if flags & ADD_TO else 0.0
            for b in range(batch):
                for k in range(K):
                    total += A[b * sab + r * sar + k * sak] * B[b * sbb + k * sbk + n]
            if flags & BIAS:
                total += bias[n]
            C[r * ldc + n] = 0.0 if flags & RELU and total < 0 else total


@word(lambda e, *arguments: e.panels(*arguments))
def panels(
    C: Reals, ldc: Int, A: Reals, sar: Int, sak: Int, B: Reals, sbk: Int,
    M: Int, N: Int, K: Int, flags: Int, bias: Reals, P: Reals,
) -> None:  # fmt: skip
    """``brgemm`` for a batch of one, panel by panel of B, each packed into P when it is first read.

    P has room for K · PANEL numbers.
    """
    for n in range(min(K * PANEL, K * N)):
        P[n] = math.nan  # nobody may count on what is left there
    brgemm(C, ldc, A, sar, sak, 0, B, sbk, 0, M, N, K, 1, flags, bias)


@word(lambda e, *arguments: e.groups(*arguments))
def groups(
    C: Reals, ldc: Int, A: Reals, B: Reals, sbk: Int, M: Int, N: Int, K: Int, flags: Int,
    bias: Reals, P: Reals,
) -> None:  # fmt: skip
    """``panels`` where A's rows are grouped: those of a tile side by side, k by k.

    Only where products pack, for N of a vector or more and M > 2 · TILE. There are ⌈M / TILE⌉
    tiles, each a share of the rows that are left, rounded up.
    """
    row, tiles = 0, -(-M // TILE)
    for left in range(tiles, 0, -1):
        height = -(-(M - row) // left)
        c, a = C + row * ldc, A + row * K
        panels(c, ldc, a, 1, height, B, sbk, height, N, K, flags, bias, P)
        row += height
