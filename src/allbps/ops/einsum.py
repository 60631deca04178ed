"""Einstein summation: products of arrays, summed over the letters that the result lacks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Aval, Bad, Formula, Node, Notation, Op, Rule, Sample, is_weak, lift, promote
from allbps.mathematics import Math, parse, write
from allbps.mathematics.tree import Applied, Big, Kind, Number, Product
from allbps.ops.function import astype
from allbps.ops.shape import reshape

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def sides(subscripts: str) -> tuple[list[str], str]:
    """The letters of each operand, and those of the result.

    >>> sides("ij,jk->ik")
    (['ij', 'jk'], 'ik')
    """
    left, right = subscripts.split("->")
    return left.split(","), right


def lengths(xs: Sequence[Node], terms: Sequence[str]) -> dict[str, int]:
    """Letter -> length of its axes; 1 is broadcast.

    Raises:
        ShapeError: a letter stands for different lengths, or an operand has other axes.

    """
    found: dict[str, int] = {}
    for k, (x, term) in enumerate(zip(xs, terms, strict=True)):
        if len(term) != x.ndim:
            raise ShapeError(
                f"the letters {term!r} do not fit {{{k}}}",
                expected=f"one letter for each axis of {{{k}}}",
                got=f"{{{k}}} is {x.shape}",
            )
        own: dict[str, int] = {}
        for letter, n in zip(term, x.shape, strict=True):
            known = found.setdefault(letter, n)
            if own.setdefault(letter, n) != n or (known != n and 1 not in (known, n)):
                raise ShapeError(
                    f"the axes called {letter!r} have different lengths",
                    expected="one length, or 1, for each letter",
                    got=f"{known} and {n}",
                )
            found[letter] = n if known == 1 else known
    return found


def einsum_shape(*xs: Node, subscripts: str) -> Aval:
    terms, result = sides(subscripts)
    if len(terms) != len(xs):
        raise ArgumentError(
            "einsum needs one group of letters for each operand",
            expected=f"{len(terms)} operands for {subscripts!r}",
            got=str(len(xs)),
        )
    known = lengths(xs, terms)
    if set(result) - set(known) or len(set(result)) != len(result):
        raise ArgumentError(
            "the letters of the result must be letters of the operands, each once",
            got=repr(subscripts),
        )
    return tuple(known[letter] for letter in result), promote(*xs)


def d_einsum(g: Node, y: Node, *xs: Node, index: int, subscripts: str) -> Node:
    """The upstream δ takes the operand's place, and the operand's letters the result's."""
    terms, result = sides(subscripts)
    x, term = xs[index], terms[index]
    operands: list[Any] = [g, *xs[:index], *xs[index + 1 :]]
    groups = [result, *terms[:index], *terms[index + 1 :]]
    unused = (letter for letter in LETTERS if letter not in subscripts)
    target = ""  # a letter of its own for each axis of x
    for letter, n in zip(term, x.shape, strict=True):
        if letter in target:  # a diagonal was read: δ stands on it, between zeros
            tied = next(unused)
            operands.append(np.eye(n, dtype=x.dtype))
            groups.append(letter + tied)
            target += tied
        else:
            target += letter
    # along an axis that was only summed over, every number gets the same δ
    varying = "".join(letter for letter in target if any(letter in group for group in groups))
    made = contracted(*operands, subscripts=",".join(groups) + "->" + varying)
    known = dict(zip(varying, made.shape, strict=True))
    shape = tuple(known.get(letter, 1) for letter in target)
    return made if made.shape == shape else reshape(made, shape=shape)


def contracted(*xs: Any, subscripts: str) -> Node:
    """``einsum`` of operands in the dtype of the result.

    They are taken two at a time, and numbers of a smaller dtype would first be added up in that:
    truth values to a truth value, float32 with fewer digits.
    """
    nodes = [lift(x) for x in xs]
    dtype = promote(*nodes)
    same = [x if is_weak(x) or x.dtype == dtype else astype(x, dtype=dtype) for x in nodes]
    return einsum(*same, subscripts=subscripts)


def einsum_code(operands: Any, attrs: Any) -> str:
    xs = operands["xs"]
    # two and more: by matrix products where they fit
    fast = ", optimize=True" if len(xs) > 1 else ""
    return f"np.einsum({attrs['subscripts']!r}, {', '.join(xs)}{fast})"


def einsum_torch(operands: Any, attrs: Any) -> str:
    return f"torch.einsum({attrs['subscripts']!r}, {', '.join(operands['xs'])})"


def einsum_notation(xs: list[Formula], subscripts: str) -> Math:
    terms, result = sides(subscripts)
    summed = "".join(dict.fromkeys(c for t in terms for c in t if c not in result))
    factors = _factors(xs, terms)
    return Big("Σ", factors, low=parse(", ".join(summed))) if summed else factors


def _factors(xs: list[Formula], terms: list[str]) -> Math:
    """``a(i, k) b(k, j)``."""
    elements: list[Math] = [
        Applied(x.math, parse(", ".join(term))) if term else x.math
        for x, term in zip(xs, terms, strict=True)
    ]
    return reduce(lambda a, b: Product(Kind.NUMBERS, a, b), elements)


def einsum_because(xs: list[Formula], y: Formula, subscripts: str, index: int) -> Math:
    terms, _ = sides(subscripts)
    others = [k for k in range(len(xs)) if k != index]
    factor = (
        _factors([xs[k] for k in others], [terms[k] for k in others]) if others else Number("1")
    )
    return write(
        '"each summand of" {y} "has the factor" {f} "beside" {x}', y=y, f=factor, x=xs[index]
    )


einsum = Op(
    name="einsum",
    complex=True,
    doc="Products of elements, summed over each letter that the result lacks.",
    operands="*xs",
    shape=einsum_shape,
    numpy=einsum_code,
    torch=einsum_torch,
    rules=(Rule(d_einsum, einsum_because),),
    notation=Notation(einsum_notation),
    samples=(
        Sample(((2, 3), (3, 4)), {"subscripts": "ij,jk->ik"}),
        Sample(((2, 3),), {"subscripts": "ij->ji"}),
        Sample(((3, 3),), {"subscripts": "ii->i"}),
        Sample(((3, 3),), {"subscripts": "ii->"}),
        Sample(((2, 3, 3),), {"subscripts": "aii->a"}),
        Sample(((2, 3, 2),), {"subscripts": "iji->"}),
        Sample(((2, 2, 2),), {"subscripts": "iii->i"}),
        Sample(((3, 2, 3, 2),), {"subscripts": "abcd->bd"}),
        Sample(((5,), (4, 5)), {"subscripts": "k,nk->"}),
        Sample(((2, 3), (3,)), {"subscripts": "ij,k->k"}),
        Sample(((2, 3, 4), (1, 4, 2)), {"subscripts": "bij,bjk->bik"}),
        Sample(((1, 3), (2, 3)), {"subscripts": "ij,ij->j"}),
        Sample(((3, 4, 4), (4, 4, 3), (4, 4, 3)), {"subscripts": "ijk,lji,lli->lki"}),
        Sample(((), (3,)), {"subscripts": ",i->i"}),
    ),
    bad=(
        Bad(
            ((2, 3), (4, 5)),
            "the axes called 'j' have different lengths\n"
            "  expected: one length, or 1, for each letter\n"
            "  got:      3 and 4",
            {"subscripts": "ij,jk->ik"},
        ),
        Bad(
            ((2, 3),),
            "the letters 'i' do not fit xs\n"
            "  expected: one letter for each axis of xs\n"
            "  got:      xs is (2, 3)",
            {"subscripts": "i->i"},
        ),
        Bad(
            ((2,),),
            "the letters of the result must be letters of the operands, each once\n"
            "  got:      'i->ij'",
            {"subscripts": "i->ij"},
        ),
    ),
)
