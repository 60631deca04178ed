"""An optimiser's ``move`` as a plan: what a parameter, its δ and what is remembered become.

``move`` is traced once for each shape. What depends on the learning rate and the number of the step
alone, a bias correction for example, is a *rate*: worked out in Python before each step, in double
precision, and read from a table.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import AllBPsError, ArgumentError
from allbps.ir import CONST, INPUT, Node, values_on_demand
from allbps.machine.planning.passes import passes
from allbps.machine.planning.plan import Plan, Value, make_plan
from allbps.machine.planning.substitutes import substitutes
from allbps.optim import Optimizer
from allbps.trace import Traced, trace

RATES = "rates_"
"""How the names of the optimizer's numbers begin in a graph of ``move``."""
Key = tuple[Any, ...]
"""What two rates that are always the same have in common."""


@dataclass(frozen=True, eq=False)
class Move:
    """A plan for one parameter.

    Attributes:
        plan: from everything below to the new values.
        param, delta, clip: values it reads; ``clip`` is what δ is multiplied by, if anything.
        slots: values of what is remembered, by name; only those that change.
        rates: values that are read from the table -> the column; a formula may stand twice.
        new: the new parameter, then the new slots.

    """

    plan: Plan
    param: Value
    delta: Value
    clip: Value | None
    slots: Mapping[str, Value]
    rates: Mapping[Value, int]
    new: tuple[Value, ...]


class Rule:
    """An optimiser as formulas, and the table of rates that they share.

    Args:
        optimizer: whose ``move`` it is.
        clipped: is δ multiplied by a factor first?

    """

    def __init__(self, optimizer: Optimizer, *, clipped: bool = False) -> None:
        self.optimizer, self.clipped = optimizer, clipped
        self._traced: dict[tuple[Any, ...], Traced] = {}
        self._rates: dict[Key, tuple[int, Node]] = {}

    @property
    def columns(self) -> int:
        """How many rates there are."""
        return len(self._rates)

    def move(self, k: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Move:
        """A plan for the k-th parameter, which is of this shape.

        Raises:
            ArgumentError: ``move`` does not make what it should, or looks at numbers.

        """
        rule = self.optimizer.rule_of(k)
        key = (rule.rate_names, id(rule), shape, dtype)
        if key not in self._traced:
            self._traced[key] = self._trace(rule, shape, dtype)
        traced = self._traced[key]
        given, (new, kept) = traced.parameters, traced.outputs
        remembered = given["slots"]
        changed = {name: x for name, x in remembered.items() if kept[name] is not x}
        arrays = [given["p"], given["g"], *([given["clip"]] if self.clipped else [])]
        rates = _rates(traced)
        inputs = [*arrays, *changed.values(), *rates]
        outputs = [new, *(kept[name] for name in changed)]
        plan = passes(make_plan(inputs, outputs, substitutes(traced.graph, {}, dtype), {}))
        values = dict(zip(inputs, plan.inputs, strict=True))
        return Move(
            plan, values[given["p"]], values[given["g"]],
            values[given["clip"]] if self.clipped else None,
            {name: values[x] for name, x in changed.items()},
            {values[node]: self._column(node) for node in rates}, plan.outputs,
        )  # fmt: skip

    def row(self, t: int) -> tuple[float, ...]:
        """The rates of step ``t``, 1 first."""
        return self._formula[0](self.optimizer.rates(t))

    def table(self, taken: int, steps: int, real: np.dtype[Any]) -> NDArray[Any]:
        """The rates of the steps after the first ``taken``: one row a step."""
        if self._formula[1]:
            return np.full((steps, self.columns), self.row(taken + 1), real)
        rows = [self.row(t) for t in range(taken + 1, taken + 1 + steps)]
        return np.array(rows, real).reshape(steps, self.columns)

    @cached_property
    def _formula(self) -> tuple[Callable[[Mapping[str, float]], tuple[float, ...]], bool]:
        """All rates as a function of the optimizer's; are they the same in every step?"""
        nodes = [node for _, node in self._rates.values()]
        known: dict[str, Any] = {"np": np}
        names: dict[Node, str] = {}
        lines = ["def row(rates):"]
        for k, node in enumerate(_in_order(nodes)):
            names[node] = _name(node) or f"x{k}"
            if node.op is CONST:
                known[names[node]] = node.value
            elif node.op is INPUT:
                own = names[node].removeprefix(RATES)
                lines.append(f"    {names[node]} = rates[{own!r}]")
            else:
                operands = [names[x] for x in node.inputs]
                text = node.op.text(node.op.numpy, operands, node.attrs)
                if not _words(text) <= {"np", *operands}:  # a helper or SciPy
                    known[f"run{k}"] = partial(node.op.run, attrs=node.attrs)
                    text = f"run{k}([{', '.join(operands)}])"
                lines.append(f"    {names[node]} = {text}")
        values = "".join(f"float({names[node]}), " for node in nodes)
        exec("\n".join([*lines, f"    return ({values})"]), known)
        plain = type(self.optimizer).rates is Optimizer.rates and not callable(self.optimizer.lr)
        return known["row"], plain and f"{RATES}t" not in names.values()

    def _column(self, node: Node) -> int:
        keys: dict[Node, Key] = {}
        for x in _in_order([node]):
            own = np.asarray(x.value).tolist() if x.op is CONST else _name(x)
            keys[x] = (x.op.name, own, repr(x.attrs), *(keys[y] for y in x.inputs))
        return self._rates.setdefault(keys[node], (len(self._rates), node))[0]

    def _trace(self, rule: Optimizer, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Traced:
        """The graph of ``move`` for parameters of one shape."""
        name = f"{type(rule).__name__}.move"

        def moved(p: Any, g: Any, slots: Any, rates: Any, clip: Any = None) -> Any:
            return rule.formula(p, g if clip is None else g * clip, slots, rates)

        one = np.ones((), dtype)
        arrays = {"p": np.ones(shape, dtype), "g": np.ones(shape, dtype)}
        arrays |= {"clip": one} if self.clipped else {}
        rates = {key: np.full((), 2 if key == "t" else 1, dtype) for key in rule.rate_names}
        slots = {slot: np.ones(own, dtype) for slot, own in _slot_shapes(rule, shape).items()}
        before = dict(vars(rule))
        try:
            with values_on_demand():
                traced = trace(moved, **arrays, slots=slots, rates=rates)
        except AllBPsError as error:  # ``move`` knows its rates by names without the prefix
            error.what, error.got = (text.replace(RATES, "") for text in (error.what, error.got))
            raise
        changed = [
            key for key, x in vars(rule).items() if key not in before or before[key] is not x
        ]
        if changed:
            raise ArgumentError(
                f"{name} changes {changed[0]} of the optimiser, and compiled code runs it once",
                expected="a function of its arguments",
                todo="keep what changes in slots; t counts the steps",
            )
        if any(not _of_rates(guard.node) for guard in traced.guards) or (
            traced.guards and not rule.vouches
        ):
            raise ArgumentError(
                f"{name} looks at a number while it is compiled",
                where=str(traced.guards[0]),
                todo="write np.where(t == 1, a, b) for an if, and NumPy's functions for math's",
            )
        _require_right_arrays(traced, name, rule, shape, dtype)
        return traced


def _slot_shapes(rule: Optimizer, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """What a rule remembers of a parameter of one shape: name -> its shape."""
    found = {slot: rule.slot_shape(slot, shape) for slot in rule.slots}
    return {slot: own for slot, own in found.items() if own is not None}


def _require_right_arrays(
    traced: Traced, name: str, rule: Optimizer, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """Refuse a ``move`` that returns something else than it should.

    Raises:
        ArgumentError: it does.

    """
    pair = traced.outputs
    if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Mapping)):
        raise ArgumentError(
            f"{name} does not return a pair", expected="the new parameter, and a dict of slots"
        )
    wanted = _slot_shapes(rule, shape)
    missing = [slot for slot in wanted if slot not in pair[1]]
    if missing:
        raise ArgumentError(
            f"{name} does not return all of its slots",
            expected=", ".join(wanted), got=", ".join(map(str, pair[1])) or "none",
        )  # fmt: skip
    made = {"the parameter": (pair[0], shape)}
    made |= {slot: (pair[1][slot], own) for slot, own in wanted.items()}
    for what, (x, own) in made.items():
        if not isinstance(x, Node) or x.shape != own or x.dtype != dtype:
            got = f"{x.dtype} {x.shape}" if isinstance(x, Node) else repr(x)
            raise ArgumentError(
                f"{name} returns a different kind of array for {what}",
                expected=f"{dtype} {own}", got=got,
            )  # fmt: skip


def _of_rates(node: Node) -> bool:
    """Is this made of rates and constants alone?"""
    return all(x.op is not INPUT or _name(x).startswith(RATES) for x in _in_order([node]))


def _words(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def _name(node: Node) -> str:
    return str(node.attrs.get("name", "")) if node.op is INPUT else ""


def _in_order(nodes: list[Node]) -> list[Node]:
    """Everything that some nodes are made of, operands first."""
    done: dict[Node, None] = {}
    stack = [(node, False) for node in nodes[::-1]]
    while stack:
        node, ready = stack.pop()
        if ready:
            done[node] = None
        elif node not in done:
            stack += [(node, True), *((x, False) for x in node.inputs[::-1])]
    return list(done)


def _rates(traced: Traced) -> list[Node]:
    """The largest parts of a graph that depend on the learning rate and the step alone."""
    steady: dict[Node, bool] = {}
    alone: dict[Node, bool] = {}
    found: dict[Node, None] = {}
    for node in traced.graph.nodes:
        x = node.inputs
        steady[node] = node.op is CONST or (bool(x) and all(steady[y] for y in x))
        made = any(alone[y] for y in x) and all(alone[y] or steady[y] for y in x)
        made = made or _name(node).startswith(RATES)
        alone[node] = made and node.shape == () and node.dtype.kind in "fb"
        if not alone[node]:
            found.update((y, None) for y in x if alone[y])
    found.update((node, None) for node in traced.graph.outputs if alone[node])
    return list(found)
