"""Are the gradients right? Independent judges, node by node, and the origin of a NaN."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allbps.verify.checking import check
    from allbps.verify.finding import Finding, Origin, Verdict
    from allbps.verify.judging import JUDGES, verify
    from allbps.verify.marks import Mark, State
    from allbps.verify.report import Report

__all__ = [
    "JUDGES",
    "Finding",
    "Mark",
    "Origin",
    "Report",
    "State",
    "Verdict",
    "check",
    "verify",
]

_FILES = {
    "JUDGES": "judging",
    "Finding": "finding",
    "Mark": "marks",
    "Origin": "finding",
    "Report": "report",
    "State": "marks",
    "Verdict": "finding",
    "check": "checking",
    "verify": "judging",
}
"""Where the names live; a compiled function asks one judge, and need not wait for the others."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
    return value
