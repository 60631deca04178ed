"""Every exception of allbps: what happened, where, what was expected, what came, what to do."""

from __future__ import annotations

import difflib

from numpy.linalg import LinAlgError


class AllBPsError(Exception):
    """A mistake we can explain.

    The parts are kept apart, so that a program can read them, and joined into one message.

    Args:
        what: the mistake, in one sentence.
        where: the user's line, as ``file.py:12 in net: Z = X @ W``.
        expected: what would have been right.
        got: what came instead.
        todo: what to do about it.

    >>> print(ShapeError("X @ W does not fit", expected="4 rows in W", got="5 rows"))
    X @ W does not fit
      expected: 4 rows in W
      got:      5 rows

    """

    def __init__(
        self, what: str, *, where: str = "", expected: str = "", got: str = "", todo: str = ""
    ) -> None:
        self.what, self.where = what, where
        self.expected, self.got, self.todo = expected, got, todo
        super().__init__(what)

    def __str__(self) -> str:
        parts = [
            ("at:       ", self.where),
            ("expected: ", self.expected),
            ("got:      ", self.got),
            ("fix:      ", self.todo),
        ]
        lines = [f"  {label}{text}" for label, text in parts if text]
        return "\n".join([self.what, *lines])


def within(message: str) -> str:
    r"""A message as a part of another one: its lines after the first are indented.

    >>> print(within("no labels\n  fix: add them"))
    no labels
                fix: add them
    """
    return message.replace("\n", "\n" + " " * 10)


class ShapeError(AllBPsError, ValueError):
    """Shapes that do not fit together."""


class OutOfRangeError(ShapeError, IndexError):
    """An index outside of an array, or with more parts than the array has axes."""


class DtypeError(AllBPsError, TypeError):
    """A kind of number that the operation or its derivative cannot take."""


class ArgumentError(AllBPsError, ValueError):
    """An argument outside what a function accepts."""


class CompilationError(AllBPsError, RuntimeError):
    """A function that could not be compiled though nothing is wrong with it: a fault of allbps."""


class NotScalarError(AllBPsError, ValueError):
    """A function that must return one number returned something else."""


class InPlaceError(AllBPsError, TypeError):
    """A write into an array that is being traced."""


class TraceError(AllBPsError, TypeError):
    """A traced array was turned into something that forgets where it came from."""


class ValuesNeededError(AllBPsError, TypeError):
    """A function that decides by values where arguments have only shapes."""


class PlainValueError(AllBPsError, ValueError):
    """A traced function that does not compute what the function computes on plain arrays."""


class NoRuleError(AllBPsError, NotImplementedError):
    """allbps does not know this function, or has no BP rule for it yet."""


class NotDifferentiableError(AllBPsError, ValueError):
    """The mathematics has no derivative here."""


class NameUnknownError(AllBPsError, KeyError):
    """A name that is not in the graph, the file or the list.

    ``KeyError`` prints the repr of its message; we keep the message readable.
    """

    __str__ = AllBPsError.__str__


class FormulaError(AllBPsError, ValueError):
    """A formula that cannot be read, or whose shapes do not fit."""


class UserFileError(AllBPsError, ValueError):
    """A file named by the user that is missing, unreadable or not what it should be."""


class MissingExtraError(AllBPsError, ImportError):
    """An optional dependency that is not installed."""


class SingularError(AllBPsError, LinAlgError):
    """A matrix for which there is no such inverse or factorisation."""


class WorkerError(AllBPsError, RuntimeError):
    """A worker of a distributed run that is gone, does not answer, or could not go on."""


class NonFiniteError(AllBPsError, FloatingPointError):
    """NaN or infinity where a finite number is needed."""


class DivergedError(NonFiniteError):
    """A training run whose numbers are no longer finite."""


def unknown_name(name: str, known: list[str], kind: str = "", where: str = "") -> NameUnknownError:
    """The error for a name that is not there, with the nearest one that is.

    >>> print(unknown_name("rellu", ["relu", "tanh"], "system"))
    there is no system 'rellu'
      expected: one of relu, tanh
      fix:      did you mean 'relu'?

    """
    near = difflib.get_close_matches(name, known, n=1)
    return NameUnknownError(
        f"there is no {kind} {name!r}" if kind else f"there is no {name!r}",
        where=where,
        expected="one of " + ", ".join(known[:20]) + (" …" if len(known) > 20 else ""),
        todo=f"did you mean {near[0]!r}?" if near else "",
    )
