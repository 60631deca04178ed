"""Mathematics as a tree, the notation it is declared in, and its two printers."""

from allbps.mathematics.binding import Binding
from allbps.mathematics.grammar import filled, parse, write
from allbps.mathematics.tree import Formula, Math

__all__ = ["Binding", "Formula", "Math", "filled", "parse", "write"]
