"""How names are written as mathematics: ``Z1`` is Z₁, ``sigma_w`` has a Greek letter, dX is δX."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from allbps.backward import Backward
from allbps.ir import CONST, Node

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("0123456789()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾")


def greek(word: str) -> str:
    """The Greek letter that ``word`` spells, or ``word``.

    >>> greek("sigma"), greek("Delta"), greek("score")
    ('σ', 'Δ', 'score')
    """
    kind = "SMALL" if word.islower() else "CAPITAL"
    spelled = {"lambda_": "lamda", "lambda": "lamda"}.get(word, word)
    try:
        return unicodedata.lookup(f"GREEK {kind} LETTER {spelled.upper()}")
    except KeyError:
        return word


def pretty(name: str) -> str:
    """A name as mathematics: digits at its end become a subscript, spelled Greek a letter.

    >>> pretty("Z1"), pretty("h_2"), pretty("sigma_1"), pretty("logits"), pretty("x_train")
    ('Z₁', 'h₂', 'σ₁', 'logits', 'x_train')
    """
    if accented := _accented(name):
        return accented
    numbered = re.fullmatch(r"(.*[^\W\d_]|.*[^\W_](?=_))_?(\d+)", name)
    stem, digits = numbered.groups() if numbered else (name, "")
    return greek(stem) + digits.translate(SUBSCRIPTS)


ACCENTS = {
    "hat": "\N{COMBINING CIRCUMFLEX ACCENT}", "bar": "\N{COMBINING MACRON}",
    "tilde": "\N{COMBINING TILDE}", "dot": "\N{COMBINING DOT ABOVE}",
}  # fmt: skip


WORDS = {"chat", "that", "what"}
"""Names that are words, and no letter with an accent."""


def _accented(name: str) -> str:
    """``y_hat`` as ŷ; empty for other names.

    >>> _accented("y_hat"), _accented("mu_hat"), _accented("that")
    ('ŷ', 'μ̂', '')
    """
    found = re.fullmatch(r"([^\W_]+)_?(hat|bar|tilde|dot)(?:_?(\d+))?", name)
    letter = greek(found[1]) if found else ""
    if found is None or len(letter) != 1 or name in WORDS:
        return ""
    accented = unicodedata.normalize("NFC", letter + ACCENTS[found[2]])
    return accented + (found[3] or "").translate(SUBSCRIPTS)


def symbols(backward: Backward, chosen: Mapping[str, str]) -> dict[Node, str]:
    """The symbol of every named node, forward and backward; no two values share one.

    Args:
        backward: whose nodes.
        chosen: name -> symbol, where the name itself would not do: ``{"Yp": "Yᵖ"}``.

    """
    graph = backward.traced.graph
    forward = [*(x for x in graph.inputs if x not in graph.users), *graph.nodes]
    short = _without_containers(backward)
    given = {
        node: chosen.get(node.name) or chosen.get(short.get(node.name, ""))
        or pretty(short.get(node.name, node.name))
        for node in forward if node.name
    }  # fmt: skip
    # a variable that is called so has the symbol, not one whose name spells it: α before alpha
    found = {node: symbol for node, symbol in given.items() if symbol == node.name}
    taken = set(found.values())
    for node, symbol in given.items():
        if node not in found:
            found[node] = node.name if symbol in taken else symbol
            taken.add(found[node])
    found |= _constants(forward, taken)
    for primal, delta in backward.deltas.items():
        own = f"δ{found[primal]}"
        found[delta.node] = f"δ({found[primal]})" if own in taken else own  # beside a variable δx
        taken.add(found[delta.node])
    for primal, seed in backward.seeds.items():
        total = backward.deltas[primal].node
        if seed is not total and seed.op is not CONST:
            found[seed] = _another(found[total], "₀", "⁽⁰⁾", taken)
    for delta in backward.deltas.values():
        for k, term in enumerate(delta.terms, 1):
            if len(delta.terms) > 1:
                low, high = str(k).translate(SUBSCRIPTS), f"({k})".translate(SUPERSCRIPTS)
                found[term.node] = _another(found[delta.node], low, high, taken)
    return found


def _without_containers(backward: Backward) -> dict[str, str]:
    """``params_W_in`` -> ``W_in``: what stands in a dict goes by its key, where no other does."""
    traced = backward.traced
    names = [x.name for x in (*traced.graph.inputs, *traced.graph.nodes)]
    keys = {
        name: name.removeprefix(f"{holder}_")
        for holder, tree in traced.parameters.items() if isinstance(tree, dict)
        for name in names if name.startswith(f"{holder}_")
    }  # fmt: skip
    taken = [*names, *keys.values()]
    return {name: key for name, key in keys.items() if key.isidentifier() and taken.count(key) == 1}


LITERAL_SIZE = 16
"""Constant arrays up to this many numbers stand in a formula; larger ones get a letter."""


def _constants(forward: list[Node], taken: set[str]) -> dict[Node, str]:
    """C₁, C₂, … for the large arrays that the user never named."""
    large = [n for n in forward if n.op is CONST and not n.name and n.size > LITERAL_SIZE]
    letter = "C" if "C" not in {symbol.rstrip("₀₁₂₃₄₅₆₇₈₉") for symbol in taken} else "const"
    return {node: letter + str(k).translate(SUBSCRIPTS) for k, node in enumerate(large, 1)}


def _another(symbol: str, low: str, high: str, taken: set[str]) -> str:
    """``symbol`` with a number below; above, where below would be misread."""
    plain = symbol[-1].isalpha() and "_" not in symbol
    plain = plain and not unicodedata.decomposition(symbol[-1]).startswith("<")
    return symbol + low if plain and symbol + low not in taken else symbol + high
