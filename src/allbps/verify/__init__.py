"""Are the gradients right? Independent judges, node by node, and the origin of a NaN."""

from allbps.verify.check import check
from allbps.verify.finding import Finding, Origin, Verdict
from allbps.verify.marks import Mark, State
from allbps.verify.report import Report
from allbps.verify.verify import JUDGES, verify

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
