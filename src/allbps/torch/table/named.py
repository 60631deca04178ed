"""Operations that ``allbps.functional`` has under PyTorch's own name: written by their schemas."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import allbps.functional as F
from allbps.torch.table.use import REDUCTIONS, NotWrittenError, Use, Writer

OTHERWISE = {
    "im2col": "unfold", "col2im": "fold", "_cdist_forward": "cdist", "_pdist_forward": "pdist",
    "linalg_matrix_exp": "matrix_exp", "_adaptive_avg_pool3d": "adaptive_avg_pool3d",
    "linalg_solve_triangular": "solve_triangular", "linalg_lu": "lu",
    "linalg_lu_factor": "lu_factor", "linalg_lu_solve": "lu_solve",
    "linalg_householder_product": "householder_product",
    "max_pool2d_with_indices": "max_pool2d", "max_pool3d_with_indices": "max_pool3d",
}  # fmt: skip
"""Operation -> the function, where it is called otherwise."""
ARGUMENTS = {"input2": "other", "weights": "weight"}
"""Argument of an operation -> of the function, where it is called otherwise."""
WITHOUT_MEANING = {"compute_mode", "driver", "generator"}
"""Arguments that choose an algorithm, and None where nothing is chosen."""


@cache
def by_name(target: Any) -> Writer | None:
    """How an operation is written that functional has under its name, with all its arguments.

    None where it has not.
    """
    schema = getattr(target, "_schema", None)
    if schema is None or not schema.name.startswith("aten::"):
        return None
    name = schema.name.removeprefix("aten::")
    name = OTHERWISE.get(name, name)
    if name not in dir(F):
        return None
    signature = inspect.signature(getattr(F, name))
    parameters = signature.parameters
    words = _words([argument.name for argument in schema.arguments], parameters)
    several = len(schema.returns) > 1
    with_places = several and "return_indices" in parameters
    gives_two = with_places or signature.return_annotation in ("Ranked", "Any")
    if words is None or (several and not gives_two):
        return None

    def write(use: Use) -> str:
        given = _given(use, words, parameters)
        return f"F.{name}({', '.join([*given, *['return_indices=True'] * with_places])})"

    return write


def _words(names: list[str], parameters: Mapping[str, Any]) -> dict[str, str] | None:
    """Argument of the operation -> the function's; None where the function lacks one."""
    words: dict[str, str] = {}
    for k, name in enumerate(names):
        known = ARGUMENTS.get(name, name)
        if known not in parameters and k == 0:
            known = next(iter(parameters))
        if known in parameters:
            words[name] = known
        elif name not in WITHOUT_MEANING:
            return None
    required = {
        n for n, p in parameters.items() if p.default is p.empty and p.kind != p.VAR_KEYWORD
    }
    return words if required <= set(words.values()) else None


def _given(use: Use, words: Mapping[str, str], parameters: Mapping[str, Any]) -> list[str]:
    """The arguments that say more than the function's defaults, as they are written."""
    given: list[str] = []
    in_order = True
    for argument in use.node.target._schema.arguments:  # type: ignore[union-attr]
        value = use.values.get(argument.name)
        word = words.get(argument.name)
        if word is None:
            if value is not None:
                raise NotWrittenError(f"{argument.name}={value!r}")
            continue
        parameter = parameters[word]
        if word == "reduction" and isinstance(value, int):
            value = REDUCTIONS[value]
        if _says_nothing(value, parameter.default):
            in_order = False
            continue
        in_order = in_order and parameter.kind == parameter.POSITIONAL_OR_KEYWORD
        text = use.written(value)
        plain = in_order and parameter.default is parameter.empty
        given.append(text if plain else f"{word}={text}")
    return given


def _says_nothing(value: Any, default: Any) -> bool:
    """Is it what the function takes where it is told nothing?"""
    if isinstance(value, (list, tuple)) and not isinstance(default, (list, tuple)):
        return not value if default is None else bool(value) and all(x == default for x in value)
    if isinstance(value, bool) != isinstance(default, bool):
        return False
    return value is default or (isinstance(value, (int, float, str)) and bool(value == default))
