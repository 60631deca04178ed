"""The transpose of a formula, without double ones."""

from __future__ import annotations

from allbps.mathematics.tree import Kind, Math, Product, Script


def transpose_of(math: Math) -> Math:
    """``Aᵀ``; of ``Aᵀ`` it is ``A``, and of ``A B`` it is ``Bᵀ Aᵀ``.

    >>> from allbps.mathematics.grammar import parse
    >>> transpose_of(parse("A")).inline, transpose_of(parse("Aᵀ")).inline
    ('Aᵀ', 'A')
    >>> transpose_of(parse("xᵀ δz")).inline
    'δzᵀ x'
    """
    if isinstance(math, Script) and math.marks == ("ᵀ",):
        return math.base
    if isinstance(math, Product) and math.kind is Kind.MATRICES:
        return Product(Kind.MATRICES, transpose_of(math.right), transpose_of(math.left))
    return Script(math, ("ᵀ",))
