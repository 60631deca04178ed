"""Verification: every δ of a backward pass before independent judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from allbps.backprop import Delta
from allbps.backward import Backward
from allbps.errors import ArgumentError, MissingExtraError
from allbps.verify import differences, exact, expansion, torch_judge
from allbps.verify.edges import edges_of
from allbps.verify.evidence import Case, bound_of
from allbps.verify.finding import Finding, Subject, Verdict
from allbps.verify.origin import origin_of
from allbps.verify.plain import PlainRun
from allbps.verify.report import Report
from allbps.verify.silence import Silence

JUDGES: dict[str, Callable[[Case], Iterator[Finding]]] = {
    "torch": torch_judge.judge,
    "differences": differences.judge,
    "exact": exact.judge,
    "expansion": expansion.judge,
}
"""Name -> judge, in the order they are heard."""


WHOLE = ("torch", "expansion")
"""Judges that compare whole arrays, and not a sample."""


def verify(
    backward: Backward,
    values: Mapping[str, Any],
    judges: Sequence[str] | None = None,
    seed: int = 0,
    plain: PlainRun | None = None,
) -> Report:
    """Compare every δ that an emitted program computed with independent judges.

    Args:
        backward: the backward pass.
        values: what ``emit(backward).run(...)`` gave: every value and δ by name.
        judges: their names; all that can speak where None.
        seed: of the directions and elements that are tried.
        plain: what the function itself gave on plain arrays, where it was run.

    Returns:
        a report, true when all agree.

    Raises:
        ArgumentError: there is no such judge.
        MissingExtraError: PyTorch was asked for by name and is not installed.

    >>> import numpy as np
    >>> from allbps.backward import backward
    >>> from allbps.readings.source import emit
    >>> from allbps.trace import trace
    >>> b = backward(trace(lambda x: np.sum(np.sin(x)), np.ones(3)))
    >>> report = verify(b, emit(b).run({"x": np.ones(3)}), judges=["differences"])
    >>> bool(report), report.judges["differences"]["checked"]
    (True, 3)

    """
    case = Case(backward, values, seed)
    subjects = tuple(_subject(delta) for delta in case.deltas)
    function = backward.traced.function
    origin = origin_of(backward, values)
    if origin is not None:
        return Report(function, subjects, origin=origin, plain=plain)
    findings: list[Finding] = []
    silent: dict[str, str] = {}
    for name, judge in _chosen(judges):
        try:
            findings.extend(judge(case))
        except Silence as silence:
            silent[name] = str(silence)
        except MissingExtraError as missing:
            if judges is not None:
                raise
            silent[name] = missing.what
    notes = tuple(_notes(case, findings))
    return Report(function, subjects, tuple(findings), silent, notes, plain=plain)


def _chosen(
    names: Iterable[str] | None,
) -> list[tuple[str, Callable[[Case], Iterator[Finding]]]]:
    if names is None:
        return list(JUDGES.items())
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ArgumentError(
            "judges is of the wrong kind", expected=f"some of {list(JUDGES)}", got=repr(names)
        )
    for name in names:
        if name not in JUDGES:
            raise ArgumentError(
                f"unknown judge {name!r}", expected=" or ".join(JUDGES), got=repr(name)
            )
    return [(name, JUDGES[name]) for name in names]


def _subject(delta: Delta) -> Subject:
    return Subject(delta.primal.name, str(delta.primal.site or ""), edges_of(delta))


def _notes(case: Case, findings: Sequence[Finding]) -> Iterator[str]:
    sizes = {delta.primal.name: delta.primal.size for delta in case.deltas}
    sampled = [
        f.node
        for f in findings
        if f.judge == "differences" and f.compared and f.compared + f.excluded < sizes[f.node]
    ]
    if sampled:
        yield (
            "finite differences took random directions through all elements, and some elements"
            f" one by one, of {', '.join(sampled[:8])}{' …' if len(sampled) > 8 else ''}"
        )
    if any(f.verdict is Verdict.NOISY for f in findings):
        yield f"where a δ is noisy: {case.advice}"
    for finding in findings:
        left_out = sizes[finding.node] - finding.compared - finding.excluded
        if finding.judge in WHOLE and finding.compared and left_out:
            yield (
                f"{finding.judge} has no finite number for {left_out} of {sizes[finding.node]}"
                f" elements of δ{finding.node}; it says nothing about them"
            )
    coarse = {delta.primal.dtype for delta in case.deltas if delta.primal.dtype.itemsize < 8}
    for dtype in sorted(coarse, key=str):
        yield (
            f"δ in {dtype} can be confirmed only to half of its digits, {bound_of(dtype):.0e};"
            " pass float64 for more"
        )
