"""Mistakes that people make in hand-derived backward passes, each declared once.

A mistake says what went wrong, in a sentence for a student, and computes the δ that would have come
of it at a given step; whoever handed in what follows from that probably did it.
"""

from allbps.verify.mistakes import (  # noqa: F401  (each declares its mistakes)
    activation,
    caches,
    masks,
    norm,
    partial,
    paths,
    rewritten,
    running,
    scale,
    slices,
    softmax,
    turns,
    window,
)
from allbps.verify.mistakes.declare import MISTAKES, Mistake, Site, Slip, mistake
from allbps.verify.mistakes.explanation import Explanation, Question
from allbps.verify.mistakes.naming import explanations

__all__ = [
    "MISTAKES",
    "Explanation",
    "Mistake",
    "Question",
    "Site",
    "Slip",
    "explanations",
    "mistake",
]
