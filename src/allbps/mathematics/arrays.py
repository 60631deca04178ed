"""Arrays as printed numbers: on one line, and in LaTeX."""

from __future__ import annotations

from typing import Any

import numpy as np


def slices(value: Any) -> list[tuple[str, Any]]:
    """An array as labelled matrices; a matrix or vector is one without a label.

    >>> [(label, part.tolist()) for label, part in slices(np.arange(4).reshape(2, 1, 2))]
    [('[0]', [[0, 1]]), ('[1]', [[2, 3]])]
    """
    array = np.asarray(value)
    if array.ndim <= 2:
        return [("", np.atleast_2d(array))]
    places = np.ndindex(array.shape[:-2])
    return [(f"[{', '.join(map(str, place))}]", array[place]) for place in places]


def in_line(texts: Any) -> str:
    """An array of numerals on one line.

    >>> in_line(np.array([["1", "2"], ["3", "4"]]))
    '[1 2; 3 4]'
    """
    matrices = [
        "[" + "; ".join(" ".join(row) for row in part.tolist()) + "]" for _, part in slices(texts)
    ]
    return " ".join(matrices)


def array_latex(texts: Any, environment: str = "bmatrix") -> str:
    r"""A matrix, or labelled matrices side by side.

    >>> array_latex(np.array([["1.0", "0"], ["−0.5", "2.0"]]))
    '\\begin{bmatrix} 1.0 & 0 \\\\ -0.5 & 2.0 \\end{bmatrix}'
    """
    return r"\quad ".join(matrices_latex(texts, environment))


def matrices_latex(texts: Any, environment: str = "bmatrix") -> list[str]:
    """The same, each matrix for itself."""
    return [_matrix(label, part, environment) for label, part in slices(texts)]


def _matrix(label: str, texts: Any, environment: str) -> str:
    from allbps.mathematics.letters import numeral

    rows = r" \\ ".join(" & ".join(map(numeral, one)) for one in texts)
    matrix = rf"\begin{{{environment}}} {rows} \end{{{environment}}}"
    return rf"\overset{{{label}}}{{{matrix}}}" if label else matrix
