"""Numbers that are nothing but rounding: terms that cancel leave 10⁻¹⁷ where mathematics has 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.ir import CONST, INPUT, Node
from allbps.noise import is_short, noise_of


@dataclass(frozen=True)
class Swept:
    """What a reader is shown.

    Attributes:
        values: every number by name, 0 where it was only rounding.
        dust: the names of those.
    """

    values: Mapping[str, Any]
    dust: frozenset[str]


def swept(backward: Backward, values: Mapping[str, Any]) -> Swept:
    """The numbers with 0 for what is within rounding of 0 in every element, and not 0 as it is.

    Large nets are left as they are: nobody reads their numbers one by one.
    """
    nodes = [x for x in backward.graph.nodes if x.name in values and _may_be_dust(x)]
    suspects = [x for x in nodes if _is_tiny(values[x.name])]
    if not suspects or not is_short(backward.graph.nodes):
        return Swept(values, frozenset())
    given = {x: values[x.name] for x in backward.graph.inputs}
    noise = noise_of(suspects, given, np.random.default_rng(0))
    dust = {x.name for x in suspects if np.all(np.abs(values[x.name]) <= noise[x])}
    cleared = {name: np.zeros_like(values[name])[()] for name in dust}
    return Swept({**values, **cleared}, frozenset(dust))


def _may_be_dust(node: Node) -> bool:
    return node.is_float and not node.is_complex and node.op not in (INPUT, CONST)


def _is_tiny(value: Any) -> bool:
    """Is it small beside 1 everywhere, and finite, and something?"""
    largest = float(np.max(np.abs(value), initial=0.0))
    eps = float(np.finfo(np.asarray(value).dtype).eps)
    return bool(0.0 < largest < eps**0.5)
