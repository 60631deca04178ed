"""A formula on one line, ``ReLU(X W) W`` or ``softmax(x yᵀ)``, as a function to derive.

It has a grammar of its own and is never given to Python: ``grammar.lark`` says what may be written,
``meaning`` what each sign does to shapes and numbers, ``shapes`` which shapes fit where none are
given, and ``formula`` puts them together.
"""

from allbps.formula.formula import Formula, read

__all__ = ["Formula", "read"]
