"""What ``compile`` returns for functions and gradients: call it, or look inside."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from allbps.errors import AllBPsError, ArgumentError, PlainValueError
from allbps.ir import values_on_demand
from allbps.ir.draws import Draws, drawing
from allbps.machine.building import Build, build
from allbps.machine.door import Door
from allbps.machine.execution.timing import peak
from allbps.machine.limits import LimitError
from allbps.machine.options import Options
from allbps.machine.path import Decisions, Path, first_difference, way_of
from allbps.machine.stages import Stages, stage_rows
from allbps.ops.sides import KinkWarning
from allbps.trace import TIES, Traced, trace_bound
from allbps.verify.plain import Witness

POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
HANDFUL = 5
"""Paths after which a word is said."""
MOST = 32
"""Paths that are kept; beyond them the one that was not taken for longest is compiled again."""


class PathsWarning(UserWarning):
    """A compiled function goes many ways, and each is compiled by itself."""


def require(witness: Witness, traced: Traced, options: Options) -> None:
    """Refuse a graph that is not its function's, as where a derivative of a derivative is none.

    Of the gradients that are taken of the graph the function itself says nothing: a tie at a kink
    of a derivative is a warning there.

    Raises:
        PlainValueError: the function itself gives another value.

    """
    tied = any(guard.purpose == TIES and guard.value for guard in traced.guards)
    try:
        witness.require(traced)
    except PlainValueError as error:
        if tied:
            error.todo = (
                "there is a tie at a kink of a derivative, and compiled code takes one of the"
                " slopes; call the function itself, which says NaN where they disagree"
            )
        raise
    if tied and options.ties:
        warnings.warn(
            f"{traced.function} holds a derivative, and its gradients here go through a tie at a"
            " kink of it: compiled code takes one of the slopes, and they may depend on which;"
            " allbps.grad says NaN where they do",
            KinkWarning,
            stacklevel=4,
        )


@dataclass(frozen=True)
class Recipe:
    """How to compile a function for any way through it.

    Attributes:
        f: the function.
        signature: its signature, without annotations and defaults.
        options: those of ``compile``.
        draws: the generators that it drew from, and the seeds that they gave.

    """

    f: Callable[..., Any]
    signature: inspect.Signature
    options: Options
    draws: Draws

    def traced(self, arguments: Mapping[str, Any], step: int) -> Traced:
        """The way that these arguments take, with the random numbers of a step.

        Raises:
            PlainValueError: the function itself gives another value.

        """
        witness = Witness(self.f, arguments)
        with values_on_demand(), drawing(self.draws.again(step)):
            traced = trace_bound(self.f, arguments, self.options.ties)
        require(witness, traced, self.options)
        return traced

    def build(self, traced: Traced, *, guarded: bool = True) -> Build:
        """That way, compiled."""
        return build(self.signature, traced, self.options, guarded=guarded)


class Called:
    """What the compiled forms share: arguments in, results out, and looking inside.

    Values that tracing looked at are looked at again in every call. Where one is another, the
    function is traced again on these arguments, and what it does there is compiled and kept beside
    what was compiled before: each of them is a path.

    Attributes:
        taken: how many calls have been made; the random numbers of a call follow from it.

    """

    def __init__(self, recipe: Recipe, traced: Traced, skipped: Sequence[str] = ()) -> None:
        self._recipe, self._skipped = recipe, tuple(skipped)
        self.taken = 0
        self._lock = threading.RLock()  # a call puts arguments, runs and reads results
        self._path = Path(recipe.build(traced), self._skipped)
        self._paths = {way_of(traced): self._path}
        self._unguarded: dict[Any, Path] = {}
        self._said_many = False
        names = self._path.trees
        self.signature = recipe.signature.replace(
            parameters=[p for n, p in recipe.signature.parameters.items() if n in names]
        )
        kinds = {p.kind for p in self.signature.parameters.values()}
        self._all_positional = kinds <= POSITIONAL and len(self.signature.parameters) == len(names)

    @property
    def threads(self) -> int:
        """How many threads run a step."""
        return self._path.executable.threads

    def paths(self) -> Decisions:
        """The ways through the function that were compiled, with the lines that decided."""
        return Decisions(list(self._paths.values()), self._path)

    def source(self) -> str:
        """The generated source: what is compiled, in the language of the machine's kernels.

        Of the path that was taken last, as ``stages`` and ``profile``.
        """
        return self._path.executable.source.text

    def stages(self) -> Stages:
        """What is done, in order, with estimated operations and numbers moved."""
        itemsize = self._path.build.program.real.itemsize
        return Stages(tuple(stage_rows(self._path.executable.regions)), itemsize)

    def profile(self, repeats: int = 20) -> Stages:
        """The stages with the time each takes, and the share of the CPU's peak that it reaches.

        The peak is that of multiply-adds in registers, of all threads. Shares are left out, with a
        word, where another program took the CPU during more than half of the runs.

        Args:
            repeats: medians are over so many runs, on the arguments of the last call.

        """
        timing = self._path.executable.profile(repeats)
        fastest = peak(str(self._path.build.program.real), self.threads)
        return replace(self.stages(), timing=timing, peak=fastest)

    def _in_order(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[Any]:
        """One for each parameter of the function, in its order."""
        names = self._path.trees
        if not kwargs and len(args) == len(names) and self._all_positional:
            return args
        try:
            bound = self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentError(
                "the arguments do not match the compiled function",
                expected=f"{self._path.build.traced.function}{self.signature}",
                got=str(error),
            ) from None
        return [bound[name] for name in names]

    # -- the path that arguments take --------------------------------------------------------------
    def _go(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Run on the arguments of a call: the short way where they allow it."""
        path = self._path
        plain = not kwargs and self._all_positional and len(args) == len(path.trees)
        if not plain or path.door is None or not self._short(path, path.door, args):
            self._run(self._in_order(args, kwargs))

    def _short(self, path: Path, door: Door, args: tuple[Any, ...]) -> bool:
        """Has the path run on these arguments, as they are?"""
        self._prepare(path)
        return door.enter(args) and path.holds

    def _run(self, given: Sequence[Any]) -> None:
        """Run the path that these arguments take, which is then the current one."""
        path = self._path
        problem = self._tried(path, given)
        if path.holds and problem is None:
            return
        for other in list(self._paths.values())[::-1]:
            if other is not path:
                self._enter(other)
                if self._tried(other, given) is None and other.holds:
                    self._taken(other)
                    return
        self._enter(path)
        self._find(path, given, problem)

    def _tried(self, path: Path, given: Sequence[Any]) -> Exception | None:
        """Run a path; what went wrong where that may be because the arguments go another way."""
        try:
            path.put(given)
            self._execute(path)
        except LimitError as error:
            return error
        except AllBPsError:
            raise
        except Exception as error:
            if not path.guards:
                raise
            return error
        return None

    def _find(self, path: Path, given: Sequence[Any], problem: Exception | None) -> None:
        """Trace the function on arguments that go no known way, and run that.

        Raises:
            Exception: what ``f`` raises on these arguments; or the problem, if the way is known.

        """
        try:
            traced = self._recipe.traced(path.as_traced(given), self.taken)
        except AllBPsError:
            if isinstance(problem, LimitError):
                raise problem from None
            raise
        way = way_of(traced)
        if way in self._paths and problem is not None:
            raise problem
        if way not in self._paths:
            self._add(way, Path(self._recipe.build(traced), self._skipped))
            found = self._paths[way]
            self._enter(found)
            problem = self._tried(found, given)
            if problem is not None:
                raise problem
            if found.holds:
                return
        # The function itself goes this way, and rounding in native code says otherwise.
        if way not in self._unguarded:
            unguarded = self._recipe.build(traced, guarded=False)
            self._unguarded[way] = Path(unguarded, self._skipped)
        self._enter(self._unguarded[way])
        self._path.put(given)
        self._execute(self._path)
        if not self._path.holds:
            raise ArgumentError(
                f"{traced.title}: an index that is rounded from real numbers lies outside in native"
                " code, and inside in NumPy",
                todo="keep it away from the ends of its axis, by np.clip for example",
            )

    def _add(self, way: Any, path: Path) -> None:
        while len(self._paths) >= MOST:
            self._paths.pop(next(iter(self._paths)))
        self._paths[way] = path
        if len(self._paths) > HANDFUL and not self._said_many:
            self._said_many = True
            decided = first_difference(path, self._path)
            warnings.warn(
                f"{path.build.traced.function} has taken {len(self._paths)} paths, each compiled"
                f" separately; the last one was decided by {decided.purpose}"
                f" at {decided.site}: {_one_path(decided.purpose)} would keep it to one",
                PathsWarning,
                stacklevel=2,
            )

    def _taken(self, path: Path) -> None:
        """Say that a path was taken last."""
        for way, other in list(self._paths.items()):
            if other is path:
                self._paths[way] = self._paths.pop(way)
                return

    def _enter(self, path: Path) -> None:
        """Make it the current path."""
        self._path = path

    def _execute(self, path: Path) -> None:
        self._prepare(path)
        path.executable()

    def _prepare(self, path: Path) -> None:
        """What the next run needs beside its arguments."""
        path.begin(self.taken)


def _one_path(purpose: str) -> str:
    """What asks for no number: where a plain array was read at a traced index, and elsewhere."""
    if purpose == "operator.index":
        return "allbps.functional.index_select(array, 0, index)"
    return "np.where"


class Compiled(Called):
    """A compiled function: call it as the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns."""
        with self._lock:
            self._go(args, kwargs)
            self.taken += 1
            return self._path.results()


class Gradients(Called):
    """A compiled loss with its gradients: ``(result, gradients)`` of a call."""

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """What the function returns, and the gradients of its (first) result.

        One parameter gives its container of gradients, several a dict by name.
        """
        with self._lock:
            self._go(args, kwargs)
            self.taken += 1
            return self._path.results(), self._path.gradients()
