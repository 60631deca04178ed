"""What can be asked of ``compile`` beside the function and its arguments, and what is refused."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from allbps.errors import ArgumentError
from allbps.names import as_python_reads
from allbps.optim import Optimizer
from allbps.trace import Traced

Params = str | int | Sequence[str | int]
Convolution = Literal["auto", "direct", "winograd"]
CONVOLUTIONS = get_args(Convolution)

MOST = 4096
"""Threads that one step may have."""


@dataclass(frozen=True)
class Options:
    """The options of :func:`.compile.compile`, which describes them.

    Raises:
        ArgumentError: one is of the wrong kind, or needs another that is not there.

    """

    params: Params | None = None
    optimizer: Optimizer | None = None
    max_norm: float | None = None
    carry: str | int | None = None
    threads: int | None = None
    convolution: Convolution = "auto"
    group: Any = None
    parts: int | None = None
    in_place: bool = False
    """Do parameters lie in row-major order, so that they may be the caller's own memory?"""

    @property
    def ties(self) -> int | None:
        """As ``trace_bound`` takes it: how often the traced graph will be differentiated.

        None for a training step, whose losses are to stay one path.
        """
        return None if self.optimizer is not None else int(self.params is not None)

    def __post_init__(self) -> None:
        self._kinds()
        self._together()

    def _kinds(self) -> None:
        """Each by itself."""
        if self.params is not None and not _names(self.params):
            raise _wrong("params", "names or positions of arguments", self.params)
        if self.carry is not None and not _name(self.carry):
            raise _wrong("carry", "the name or position of an argument", self.carry)
        if self.optimizer is not None and not isinstance(self.optimizer, Optimizer):
            expected = "an optimiser of allbps.optim, such as optim.SGD(0.1)"
            raise _wrong("optimizer", expected, self.optimizer)
        if self.optimizer is not None and not _takes_five(self.optimizer.move):
            raise _wrong("optimizer", "move(self, p, g, slots, lr, t)", self.optimizer.move)
        if self.max_norm is not None and not (_number(self.max_norm) and self.max_norm > 0):
            raise _wrong("max_norm", "a number above 0", self.max_norm)
        if self.threads is not None and not (_whole(self.threads) and self.threads > 0):
            raise _wrong("threads", "a whole number of at least 1", self.threads)
        if self.threads is not None and self.threads > MOST:
            raise _wrong("threads", f"a whole number of at most {MOST}", self.threads)
        if self.parts is not None and not (_whole(self.parts) and self.parts > 0):
            raise _wrong("parts", "a whole number of at least 1", self.parts)
        if self.convolution not in CONVOLUTIONS:
            raise ArgumentError(
                "unknown convolution=",
                expected="convolution=" + " or ".join(map(repr, CONVOLUTIONS)),
                got=repr(self.convolution),
            )

    def _together(self) -> None:
        """One needs another."""
        if self.max_norm is not None and self.optimizer is None:
            raise ArgumentError(
                "max_norm= needs optimizer=",
                todo="pass optimizer= as well",
            )
        if self.optimizer is None and (self.parts is not None or self.group is not None):
            raise ArgumentError(
                "parts= and group= need optimizer=", todo="pass params= and optimizer= as well"
            )
        if self.optimizer is not None and self.params is None:
            raise ArgumentError("optimizer= needs params=", todo="pass params= as well")
        if self.carry is not None and self.optimizer is None:
            raise ArgumentError(
                "carry= needs optimizer=",
                todo="pass params= and optimizer= as well",
            )

    def chosen(self, traced: Traced) -> tuple[str, ...]:
        """The arguments to differentiate, each once.

        Raises:
            NameUnknownError, ArgumentError: there is none of that name, or at that position.

        """
        wanted = () if self.params is None else self.params
        return tuple(dict.fromkeys(_arguments(traced, wanted)))

    def carried(self, traced: Traced) -> str | None:
        """The argument that every step replaces.

        Raises:
            NameUnknownError, ArgumentError: as ``chosen``; or it is a parameter.

        """
        if self.carry is None:
            return None
        (name,) = _arguments(traced, self.carry)
        if name in self.chosen(traced):
            raise ArgumentError(
                f"{name} is moved by the optimizer and cannot be carried over as well",
                todo="name it in params= or in carry=",
            )
        return name


def own_words(f: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> str:
    """What to do where arguments do not fit since one of ``f`` has the name of an option."""
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):  # no function, or a built-in without a signature
        return ""
    try:
        signature.bind(*args, **named)
    except TypeError:
        own = {field.name for field in fields(Options)} - {"in_place", *named}
        taken = [name for name in list(signature.parameters)[len(args) :] if name in own]
        what = "as a keyword it is an option of compile"
        return f"pass {', '.join(taken)} by position: {what}" if taken else ""
    return ""


def _arguments(traced: Traced, wanted: Params) -> Iterator[str]:
    known = list(traced.parameters)
    for which in [wanted] if isinstance(wanted, (str, int)) else wanted:
        if isinstance(which, str):
            if as_python_reads(which) not in known:
                raise traced.unknown(which, known, "argument")
            yield as_python_reads(which)
        elif -len(known) <= which < len(known):
            yield known[which]
        else:
            raise ArgumentError(f"there is no argument {which}", expected=f"0 to {len(known) - 1}")


def _wrong(name: str, expected: str, got: Any) -> ArgumentError:
    return ArgumentError(f"{name} is of the wrong kind", expected=expected, got=repr(got))


def _takes_five(move: Callable[..., Any]) -> bool:
    try:
        inspect.signature(move).bind("p", "g", "slots", "lr", "t")
    except TypeError:
        return False
    return True


def _whole(x: Any) -> bool:
    return isinstance(x, numbers.Integral) and not isinstance(x, bool)


def _number(x: Any) -> bool:
    return isinstance(x, numbers.Real) and not isinstance(x, bool)


def _name(x: Any) -> bool:
    return isinstance(x, str) or _whole(x)


def _names(x: Any) -> bool:
    return _name(x) or (isinstance(x, (list, tuple)) and all(map(_name, x)))
