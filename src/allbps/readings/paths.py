"""Inside a δ: what reaches one element of it through softmax, a loss, a norm, a pooling window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allbps.ir import CONST, Node
from allbps.readings.derivation import Step
from allbps.readings.numbers import MOST_DIGITS, Numerals, cells, last_place, read

Place = tuple[int, ...]
Table = list[list[str]]
"""Texts of cells, row by row; the first row and the first column are headings."""


@dataclass(frozen=True)
class Told:
    """One element, written out.

    Attributes:
        formula: what it equals, in numbers; empty where there is nothing to compute.
        remark: what else is said of it.
        table: pieces of it.
        won: places in the result whose δ it gets, where only some do.
    """

    formula: str
    remark: str = ""
    table: Table = field(default_factory=list)
    won: list[int] | None = None


@dataclass(frozen=True)
class Through:
    """One use of a value and the δ that comes back through it.

    Attributes:
        step: the δ, or this use's contribution to it.
        x, y: value of the operand and of the result.
        g: δ of the result.
        others: values of all operands.
        attrs: of the operation.
        names: how x, y and the value of this step are written.
        operands: how all operands are written; empty for numbers that have no name.
    """

    step: Step
    x: Any
    y: Any
    g: Any
    others: list[Any]
    attrs: Mapping[str, Any]
    names: tuple[str, str, str]
    operands: tuple[str, ...]


def through(step: Step) -> Through | None:
    """Where one use gives this δ: its numbers; None for others."""
    term, after = step.term, step.after
    if term is None or after is None:
        return None
    use = term.consumer
    others = [np.asarray(step.value_of(x)) for x in use.inputs]
    x, y, g = others[term.index], np.asarray(step.value_of(use)), np.asarray(step.value_of(after))

    def named(node: Node) -> str:
        return "" if node.op is CONST else step.pen.named(node).math.inline

    operands = tuple(map(named, use.inputs))
    names = operands[term.index], named(use), step.symbol
    return Through(step, x, y, g, others, use.attrs, names, operands)


def enough(
    look: Numerals, arrays: tuple[Any, ...], result: str, compute: Callable[..., Any]
) -> list[list[str]]:
    """The numbers with the fewest digits from which ``compute`` gives the printed result."""
    want, half = read(result), 0.5 * last_place(result)
    texts: list[Any] = []
    for more in range(max(MOST_DIGITS - look.digits, 0) + 1):
        texts = [cells(array, look.finer(more)) for array in arrays]
        off = abs(compute(*(read(text) for text in texts)) - want)
        if off <= half * (1 + 1e-9) + 1e-14 * abs(want) * (half == 0):
            break
    return [[str(text) for text in np.ravel(shown)] for shown in texts]


def factor(text: str) -> str:
    """A number as a factor or a summand: in parentheses where it has a sign."""
    return f"({text})" if text.startswith("−") else text


def products(left: list[str], right: list[str]) -> str:
    """``1·2 + 3·(−4)``."""
    return " + ".join(f"{factor(a)}·{factor(b)}" for a, b in zip(left, right, strict=True))


# -- softmax ---------------------------------------------------------------------------------------
def by_jacobian(via: Through, place: Place, result: str) -> Told:
    """A row of the Jacobian times the δ of the row: δzᵢ = Σₖ (∂sₖ/∂zᵢ) δsₖ."""
    x, y, _ = via.names
    axis = via.attrs["axis"] % via.y.ndim
    row = tuple(slice(None) if k == axis else at for k, at in enumerate(place))
    s, g, i = via.y[row], via.g[row], place[axis]
    jacobian = np.diag(s) - np.outer(s, s)
    look = via.step.pen.look
    left, right = enough(look, (jacobian[i], g), result, lambda a, b: np.sum(a * b))
    said = f"Σₖ (∂{y}ₖ/∂{x}ᵢ) δ{y}ₖ = {products(left, right)}"
    count = range(1, len(s) + 1)
    shown = cells(jacobian, look)
    rows = [[f"i = {k}", *map(str, line)] for k, line in zip(count, shown, strict=True)]
    return Told(said, table=[[f"∂{y}ₖ/∂{x}ᵢ", *(f"k = {k}" for k in count)], *rows])


# -- cross-entropy ---------------------------------------------------------------------------------
def by_collapse(via: Through, place: Place, result: str) -> Told:
    """The loss' slopes −tₖ/pₖ times softmax's, which collapse to p − t."""
    x, y, _ = via.names
    z, i, look = via.x[place[:-1]], place[-1], via.step.pen.look
    shifted = np.exp(z - z.max())
    p = shifted / shifted.sum()
    other = via.others[1]
    is_vector, target = other.shape == via.x.shape, via.operands[1] or "t"
    t = other[place[:-1]] if is_vector else np.eye(len(p))[other[place[:-1]]]
    target = target if is_vector else f"onehot({target})"
    g, total = via.g[place[:-1]], t.sum()
    (pi,), (whole,), (ti,), (gi,) = enough(
        look, (p[i], total, t[i], g), result, lambda p, s, t, g: (p * s - t) * g
    )
    said = (
        f"(p({i + 1}) Σ {target} − {target}({i + 1})) δ{y}"
        f" = ({factor(pi)}·{factor(whole)} − {factor(ti)})·{factor(gi)}"
    )
    with np.errstate(all="ignore"):  # a p of 0 gives ∞, and the table says so
        slopes, own = -t / p, p * ((np.arange(len(p)) == i) - p[i])
        pieces = {
            f"p = softmax({x})": p,
            target: t,
            f"−{target}/p": slopes,
            f"∂p/∂{x}({i + 1})": own,
            "product": slopes * own,
        }
    rows = [[name, *map(str, cells(line, look))] for name, line in pieces.items()]
    return Told(said, table=[["k", *(str(k + 1) for k in range(len(p)))], *rows])


# -- norms -----------------------------------------------------------------------------------------
def by_mean_and_variance(via: Through, place: Place, result: str) -> Told:
    """Three paths: directly, through the mean, and through the variance."""
    _, y, _ = via.names
    axes, look = via.attrs["axes"], via.step.pen.look
    variance = np.var(via.x, axis=axes, keepdims=True)
    s = np.broadcast_to(np.sqrt(variance + via.attrs["eps"]), via.x.shape)[place]
    mean = np.broadcast_to(via.g.mean(axis=axes, keepdims=True), via.x.shape)[place]
    spread = (via.g * via.y).mean(axis=axes, keepdims=True)
    spread = np.broadcast_to(spread, via.x.shape)[place]
    g, own = via.g[place], via.y[place]
    (a,), (b,), (c,), (d,), (e,) = enough(
        look, (g, mean, own, spread, s), result, lambda a, b, c, d, e: (a - b - c * d) / e
    )
    said = (
        f"(δ{y} − mean(δ{y}) − {y}·mean(δ{y} ⊙ {y})) / s"
        f" = ({a} − {factor(b)} − {factor(c)}·{factor(d)}) / {e}"
    )
    shares = cells(np.array([g / s, -mean / s, -own * spread / s]), look)
    ways = ("directly", "through the mean", "through the variance")
    rows = [[way, str(share)] for way, share in zip(ways, shares, strict=True)]
    return Told(said, table=[["path", "its share"], *rows])


# -- max pooling -----------------------------------------------------------------------------------
def by_winners(via: Through, place: Place, result: str) -> Told:
    """The δ of the windows that this element won; where it only tied, that it did."""
    window = {key: pair(via.attrs[key]) for key in ("kernel", "stride", "padding", "dilation")}
    won: list[Place] = []
    tied: list[Place] = []
    for out in np.ndindex(via.y.shape):
        inside = list(_window(out, via.x.shape, window))
        if place in inside and via.x[place] == via.y[out]:
            first = next(at for at in inside if via.x[at] == via.y[out])
            (won if first == place else tied).append(out)
    texts = cells(via.g, via.step.pen.look)
    said = " + ".join(factor(str(texts[out])) for out in won) if len(won) > 1 else ""
    why = [f"the first maximum of window {_at(out)}" for out in won]
    why += [f"a tie in window {_at(out)}, whose δ goes to the first" for out in tied]
    places = [int(np.ravel_multi_index(out, via.y.shape)) for out in won]
    return Told(said, " and ".join(why) or "the maximum of no window", won=places)


def _window(out: Place, size: Place, window: Mapping[str, Place]) -> Iterator[Place]:
    for inner in np.ndindex(*window["kernel"]):
        steps = zip(
            out, inner, window["stride"], window["padding"], window["dilation"], strict=True
        )
        at = tuple(o * s - p + k * d for o, k, s, p, d in steps)
        if all(0 <= k < n for k, n in zip(at, size, strict=True)):
            yield at


def pair(value: Any) -> tuple[int, int]:
    """An option of an image operation for rows and for columns."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _at(place: Place) -> str:
    return f"({', '.join(str(k + 1) for k in place)})"


PATHS: Mapping[tuple[str, int], Callable[[Through, Place, str], Told]] = {
    ("softmax", 0): by_jacobian,
    ("cross_entropy", 0): by_collapse,
    ("soft_cross_entropy", 0): by_collapse,
    ("standardise", 0): by_mean_and_variance,
    ("max_pool2d", 0): by_winners,
}
"""Operation and operand -> how an element of that operand's δ is written out, and a table."""
