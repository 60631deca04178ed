"""What there is to derive: the reader's file, a formula, a system of the lecture."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from allbps import userfile
from allbps.errors import ArgumentError
from allbps.formula import read
from allbps.formula.formula import shapes_from
from allbps.lecture import system
from allbps.lecture.draw import is_instructive
from allbps.lecture.system import Example, System
from allbps.serve.numbers import changed, drawn
from allbps.serve.wanted import Wanted


@dataclass(frozen=True)
class Subject:
    """A system with the reader's numbers.

    Attributes:
        system: its text and examples.
        remark: what the reader should know about these numbers; empty for nothing.
    """

    system: System
    remark: str = ""


def subject(wanted: Wanted, target: str) -> Subject:
    """What a request is about.

    Raises:
        AllBPsError: it does not exist, or cannot take these numbers.
    """
    if wanted.source == "formula":
        return _of_formula(wanted)
    if wanted.source == "file":
        if not target:
            raise ArgumentError("no file is being served", todo="allbps serve FILE.py:FUNCTION")
        return _of_file(wanted, target)
    return _of_lecture(wanted)


def running(wanted: Wanted, target: str) -> AbstractContextManager[None]:
    """Around everything that runs the reader's own code, whose errors are then said as theirs."""
    return userfile.running(target.rpartition(":")[0]) if wanted.source == "file" else nullcontext()


def own_files(target: str) -> list[str]:
    """The file that is served and those beside it that it has imported."""
    if not target:
        return []
    path = Path(target.rpartition(":")[0]).resolve()
    loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    beside = {f for f in loaded if f and Path(f).is_relative_to(path.parent)}
    return sorted({str(path)} | {f for f in beside if "site-packages" not in f})


def _of_file(wanted: Wanted, target: str) -> Subject:
    user = userfile.load(target)
    example = Example(
        user.function, user.inputs, user.wrt, cotangents=user.cotangents, symbols=user.symbols
    )
    return Subject(_alone(changed(drawn(example, wanted.seed), wanted), target.rpartition(":")[2]))


def _of_formula(wanted: Wanted) -> Subject:
    given = shapes_from(wanted.shapes)
    given |= {name: shape for name, shape in wanted.sizes.items() if not name.startswith("δ")}
    formula = read(wanted.formula, given)
    spread = {name: _spread(shape) for name, shape in formula.shapes.items()}
    example = drawn(Example(formula.function(), spread), wanted.seed or 0)
    fitting = {
        name: numbers for name, numbers in wanted.numbers.items()
        if name not in formula.shapes or numbers.shape == formula.shapes[name]
    }  # fmt: skip
    kept = replace(wanted, numbers=fitting, sizes={})
    return Subject(_alone(changed(example, kept), wanted.formula.strip()))


def _spread(shape: tuple[int, ...]) -> Any:
    """A range from which small whole numbers are drawn."""
    return np.resize([-2.0, 3.0], shape) if shape else 1.0


def _alone(example: Example, title: str) -> System:
    return System(name="own", title=title, sections=(example,))


def _of_lecture(wanted: Wanted) -> Subject:
    original = system(wanted.source)
    by_example: Mapping[int, Example] = {
        id(example): _of_example(example, wanted, f"{k}/")
        for k, example in enumerate(original.examples)
    }
    sections = tuple(by_example.get(id(section), section) for section in original.sections)
    if wanted.sizes:  # the text and its tables are about the lecture's shapes
        sections = tuple(by_example.values())
    remark = ""
    if wanted.numbers or wanted.sizes:
        first = next(iter(by_example.values()))
        if not _as_told(first):
            remark = (
                "The text was written for the lecture's numbers; with yours, some of it may not"
                " hold. The derivations do."
            )
    return Subject(replace(original, sections=sections), remark)


def _as_told(example: Example) -> bool:
    worked = example.on(example.inputs, example.cotangents)
    return is_instructive(worked, example.fixed) and example.holds(worked)


def _of_example(example: Example, wanted: Wanted, prefix: str) -> Example:
    if wanted.seed is not None:
        worked = example.work(wanted.seed)
        values, called = worked.values, worked.backward.traced.deltas
        inputs = {name: values.get(name, x) for name, x in example.inputs.items()}
        cotangents = {name: values[called[name]] for name in example.cotangents}
        example = replace(example, inputs=inputs, cotangents=cotangents)
    return changed(example, wanted, prefix)
