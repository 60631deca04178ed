"""Nets drawn at random, line by line, as a student writes them."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import allbps.functional as F

Draft = Callable[["Text"], None]
"""Writes some lines that take the current value on."""


@dataclass
class Text:
    """A net as far as it is written.

    Attributes:
        rng: what is drawn from.
        here, shape: the name and the shape of the current value.
        lines: the body of the function.
        arguments: name -> numbers.

    """

    rng: np.random.Generator
    here: str
    shape: tuple[int, ...]
    lines: list[str] = field(default_factory=list)
    arguments: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def argument(self, letter: str, *shape: int, size: float | None = None) -> str:
        """A new argument of normal numbers, by its name."""
        self.count += 1
        name = f"{letter}{self.count}"
        size = float(self.rng.choice([0.3, 1.0, 1.0, 2.5])) if size is None else size
        self.arguments[name] = size * self.rng.normal(size=shape)
        return name

    def line(self, letter: str, expression: str, *shape: int) -> str:
        """A new line; it is the current value where a shape is given."""
        self.count += 1
        name = f"{letter}{self.count}"
        self.lines.append(f"{name} = {expression}")
        if shape:
            self.here, self.shape = name, shape
        return name


# -- steps of (rows, columns) ----------------------------------------------------------------------
def dense(t: Text) -> None:
    n, d = t.shape
    k = int(t.rng.integers(2, 6))
    w, b = t.argument("W", d, k), t.argument("b", k)
    if t.rng.random() < 0.5:
        t.line("Z", f"{t.here} @ {w} + {b}", n, k)
    else:
        u = t.line("U", f"{t.here} @ {w}")
        t.line("Z", f"{u} + {b}", n, k)


CURVES = (
    "np.tanh({x})", "F.relu({x})", "np.maximum({x}, 0)", "F.sigmoid({x})", "1 / (1 + np.exp(-{x}))",
    "F.gelu({x})", "F.silu({x})", "F.softplus({x})", "np.log(1 + {x} ** 2)", "np.sqrt(1 + {x} ** 2)",
    "1 / (1 + {x} ** 2)", "np.sin({x})", "{x} * np.exp(-{x} ** 2)", "{x} ** 2", "np.abs({x})",
    "F.leaky_relu({x}, 0.1)", "F.elu({x})", "{x} ** 3 / 3", "np.arctan({x})", "0.5 * {x}",
)  # fmt: skip


def curve(t: Text) -> None:
    t.line("A", str(t.rng.choice(CURVES)).format(x=t.here), *t.shape)


def residual(t: Text) -> None:
    x, shape = t.here, t.shape
    w = t.argument("W", shape[1], shape[1])
    t.line("H", f"{x} @ {w}", *shape)
    curve(t)
    t.line("R", f"{x} + {t.here}", *shape)


def gate(t: Text) -> None:
    n, d = t.shape
    w, v = t.argument("W", d, d), t.argument("V", d, d)
    g = t.line("G", f"F.sigmoid({t.here} @ {w})")
    c = t.line("C", f"np.tanh({t.here} @ {v})")
    t.line("H", f"{g} * {t.here} + (1 - {g}) * {c}", n, d)


def norm(t: Text) -> None:
    axis = int(t.rng.integers(0, 2))
    gamma, beta = t.argument("gamma", t.shape[1]), t.argument("beta", t.shape[1])
    m = t.line("m", f"np.mean({t.here}, axis={axis}, keepdims=True)")
    c = t.line("c", f"{t.here} - {m}")
    v = t.line("v", f"np.mean({c} ** 2, axis={axis}, keepdims=True)")
    s = t.line("s", f"np.sqrt({v} + 1e-5)")
    x = t.line("xh", f"{c} / {s}")
    t.line("Y", f"{gamma} * {x} + {beta}", *t.shape)


def softmax(t: Text) -> None:
    if t.rng.random() < 0.5:
        t.line("P", f"F.softmax({t.here}, {t.rng.integers(0, 2)})", *t.shape)
        return
    e = t.line("E", f"np.exp({t.here} - np.max({t.here}, axis=1, keepdims=True))")
    s = t.line("S", f"np.sum({e}, axis=1, keepdims=True)")
    t.line("P", f"{e} / {s}", *t.shape)


def attention(t: Text) -> None:
    n, d = t.shape
    k = int(t.rng.integers(2, 5))
    q, key, v = (
        t.line(letter, f"{t.here} @ {t.argument('W' + letter.lower(), d, k)}") for letter in "QKV"
    )
    s = t.line("S", f"{q} @ {key}.T / np.sqrt({k})")
    if t.rng.random() < 0.3:
        s = t.line("S", f"np.where(np.tri({n}) > 0, {s}, -np.inf)")
    p = t.line("P", f"F.softmax({s}, -1)")
    t.line("O", f"{p} @ {v}", n, k)


def lstm(t: Text) -> None:
    n, d = t.shape
    k = int(t.rng.integers(2, 4))
    h, c = t.argument("h", n, k), t.argument("c", n, k)
    z = t.line("z", f"np.concatenate([{t.here}, {h}], axis=1)")
    f, i, o = (
        t.line(letter, f"F.sigmoid({z} @ {t.argument('W', d + k, k)} + {t.argument('b', k)})")
        for letter in "fio"
    )
    g = t.line("g", f"np.tanh({z} @ {t.argument('W', d + k, k)})")
    new = t.line("c", f"{f} * {c} + {i} * {g}")
    t.line("h", f"{o} * np.tanh({new})", n, k)


def recurrence(t: Text) -> None:
    n, d = t.shape
    w, u = t.argument("W", d, d, size=0.5), t.argument("U", d, d)
    h = t.line("h", f"np.tanh({t.here} @ {u})")
    for _ in range(int(t.rng.integers(2, 5))):
        h = t.line("h", f"np.tanh({h} @ {w} + {t.here} @ {u})")
    t.here, t.shape = h, (n, d)


def rows(t: Text) -> None:
    n, d = t.shape
    chosen = [int(k) for k in t.rng.integers(0, n, int(t.rng.integers(2, 6)))]
    t.line("B", f"{t.here}[np.array({chosen})]", len(chosen), d)


def beside(t: Text) -> None:
    n, d = t.shape
    t.line("C", f"np.concatenate([{t.here}, {t.here} ** 2], axis=1)", n, 2 * d)


def scaled(t: Text) -> None:
    w = t.argument("w", t.shape[1])
    t.line(
        "D", f"{t.here} * {w}" if t.rng.random() < 0.6 else f"{t.here} / ({w} ** 2 + 1)", *t.shape
    )


def unit(t: Text) -> None:
    s = t.line("s", f"np.sqrt(np.sum({t.here} ** 2, axis=1, keepdims=True) + 1e-3)")
    t.line("N", f"{t.here} / {s}", *t.shape)


STEPS: tuple[Draft, ...] = (
    dense, dense, dense, curve, curve, curve, residual, gate, norm, softmax, attention, lstm,
    recurrence, rows, beside, scaled, unit,
)  # fmt: skip


# -- beginnings ------------------------------------------------------------------------------------
def table(t: Text) -> None:
    t.shape = tuple(int(k) for k in t.rng.integers(2, 6, 2))
    t.here = t.argument("X", *t.shape)


def words(t: Text) -> None:
    e = t.argument("E", 6, 3)
    chosen = [int(k) for k in t.rng.integers(0, 6, 4)]
    t.line("X", f"{e}[np.array({chosen})]", 4, 3)


def image(t: Text) -> None:
    n, c, o = int(t.rng.integers(1, 4)), int(t.rng.integers(1, 3)), int(t.rng.integers(1, 4))
    x, k = t.argument("I", n, c, 6, 6), t.argument("K", o, c, 3, 3)
    j = t.line("J", f"F.conv2d({x}, {k})")
    b = t.argument("b", o, 1, 1)
    a = t.line("A", str(t.rng.choice(CURVES[:8])).format(x=f"({j} + {b})"))
    pool = str(t.rng.choice(["F.max_pool2d({x}, 2)", "F.avg_pool2d({x}, 2)"]))
    p = t.line("P", pool.format(x=a))
    t.line("h", f"{p}.reshape({n}, {4 * o})", n, 4 * o)


BEGINNINGS: tuple[Draft, ...] = (table, table, table, words, image)


# -- losses ----------------------------------------------------------------------------------------
def fit(t: Text) -> None:
    y = t.argument("y", *t.shape)
    r = t.line("r", f"{t.here} - {y}")
    n = t.shape[0]
    t.line("L", str(t.rng.choice([
        f"0.5 * np.sum({r} ** 2)", f"np.mean({r} ** 2)", f"0.5 * np.sum({r} ** 2) / {n}",
        f"np.sum(np.abs({r}))", f"np.mean(np.log(np.cosh({r})))",
        f"np.mean(np.sum({r} ** 2, axis=1))",
    ])))  # fmt: skip


def classes(t: Text) -> None:
    n, d = t.shape
    y = [int(k) for k in t.rng.integers(0, d, n)]
    if t.rng.random() < 0.5:
        t.line("L", f"F.cross_entropy({t.here}, np.array({y}))")
        return
    m = t.line("m", f"np.max({t.here}, axis=1, keepdims=True)")
    s = t.line("s", f"np.log(np.sum(np.exp({t.here} - {m}), axis=1, keepdims=True))")
    p = t.line("p", f"{t.here} - {m} - {s}")
    t.line("L", f"-np.mean({p}[np.arange({n}), np.array({y})])")


def weighted(t: Text) -> None:
    c = t.argument("c", *t.shape)
    t.line("L", str(t.rng.choice([
        f"np.sum({t.here} * {c})", f"np.mean({t.here} * {c})", f"np.sum({t.here} ** 2 * {c})",
    ])))  # fmt: skip


def penalised(t: Text) -> None:
    fit(t)
    w = str(t.rng.choice(list(t.arguments)))
    t.line("L", f"L{t.count} + 0.1 * np.sum({w} ** 2)")


LOSSES: tuple[Draft, ...] = (fit, fit, classes, classes, weighted, penalised)


# -- the net ---------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Drawn:
    """A net that was drawn: its source, the function, its arguments."""

    source: str
    forward: Callable[..., Any]
    values: dict[str, Any]


def drawn(seed: int) -> Drawn:
    """The net of a seed: a beginning, one to five steps, a loss."""
    rng = np.random.default_rng([2026, seed])
    t = Text(rng, "", ())
    BEGINNINGS[rng.integers(len(BEGINNINGS))](t)
    for _ in range(rng.integers(1, 6)):
        STEPS[rng.integers(len(STEPS))](t)
    LOSSES[rng.integers(len(LOSSES))](t)
    last = t.lines[-1].split(" =")[0]
    body = "\n".join(f"    {line}" for line in (*t.lines, f"return {last}"))
    source = f"def net({', '.join(t.arguments)}):\n{body}\n"
    return Drawn(source, _function(source, f"net{seed}.py"), t.arguments)


def _function(source: str, file: str) -> Callable[..., Any]:
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {"np": np, "F": F}
    exec(compile(source, file, "exec"), scope)
    found: Callable[..., Any] = scope["net"]
    return found
