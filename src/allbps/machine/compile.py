"""``compile``: a Python function becomes a compiled step."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.backprop import Delta, backprop, seed_of
from allbps.errors import (
    ArgumentError,
    DtypeError,
    NonFiniteError,
    NotScalarError,
    ShapeError,
    unknown_name,
)
from allbps.ir import Node, constant, values_on_demand
from allbps.optim import Optimizer
from allbps.trace import Traced, trace
from allbps.tree import flatten, leaves, rebuild, tree_map

from .arguments import Limit, Slot
from .codegen import Feed
from .emit import Emitter
from .executable import Executable
from .fused import substitutes
from .fusion import VIEWS, passes
from .plan import make_plan
from .rows import is_lookup
from .stages import Stages, stage_rows
from .tasks import Memory, Place, Program
from .updates import Moving, emit_updates, rates_of, slots_used, table_of_rates

Params = str | int | Sequence[str | int]
POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


class FallbackWarning(UserWarning):
    """Some operations have no kernel and run through NumPy."""


def compile(  # noqa: A001 - numpy, jax and torch users know the word
    f: Callable[..., Any],
    /,
    *examples: Any,
    params: Params | None = None,
    optimizer: Optimizer | None = None,
    max_norm: float | None = None,
    threads: int | None = None,
    **named_examples: Any,
) -> Compiled | Gradients | TrainStep:
    """Compile ``f`` for arguments like ``examples``.

    Without ``params`` the result computes ``f``. With ``params`` it computes ``f`` and the
    gradients of its loss; with an ``optimizer`` as well it keeps the parameters and moves them.

    Args:
        f: a function of arrays and containers of arrays; a loss where ``params`` are given, or a
            tuple whose first part is the loss.
        examples: arguments of the shapes and dtypes to come. For a training step the parameters
            among them are where training starts.
        params: the arguments to differentiate, by name or position.
        optimizer: how parameters move: an optimiser of ``allbps.optim``.
        max_norm: the longest that all gradients together may be; longer ones are shortened, as
            ``torch.nn.utils.clip_grad_norm_`` does.
        threads: how many threads; as many as pay where it is left out. Results do not depend on
            it, to the last bit.
        named_examples: arguments by name.

    Raises:
        NotScalarError: there are ``params``, and ``f`` returns no loss.
        NameUnknownError: ``params`` names no argument.
        ArgumentError: an optimiser without ``params``.

    >>> import numpy as np
    >>> from allbps.optim import SGD
    >>> step = compile(lambda K, x: np.sum((K * x) ** 2), 3.0, 2.0, params="K", optimizer=SGD(0.1))
    >>> float(step(2.0)), round(float(step.params["K"]), 12)
    (36.0, 0.6)

    """
    if max_norm is not None and optimizer is None:
        raise ArgumentError(
            "max_norm shortens gradients for an optimizer, and there is none",
            todo="pass optimizer= as well",
        )
    if optimizer is not None and params is None:
        raise ArgumentError(
            "an optimizer moves parameters, and none are named", todo="pass params= as well"
        )
    with values_on_demand():
        traced = trace(f, *examples, **named_examples)
    signature = _signature(f, traced)
    if params is None:
        return Compiled(_Build(signature, traced, (), None, None, threads))
    chosen = tuple(_parameter_names(traced, params))
    build = _Build(signature, traced, chosen, optimizer, max_norm, threads)
    return Gradients(build) if optimizer is None else TrainStep(build, optimizer)


def _signature(f: Callable[..., Any], traced: Traced) -> inspect.Signature:
    """The function's own signature, without annotations and defaults."""
    try:
        given = list(inspect.signature(f).parameters.values())
    except ValueError:  # a built-in without a signature
        given = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in traced.parameters]
    return inspect.Signature([inspect.Parameter(p.name, p.kind) for p in given])


def _parameter_names(traced: Traced, params: Params) -> Iterator[str]:
    known = list(traced.parameters)
    for which in [params] if isinstance(params, (str, int)) else params:
        if isinstance(which, int):
            if not -len(known) <= which < len(known):
                raise ArgumentError(
                    f"there is no argument {which}", expected=f"0 to {len(known) - 1}"
                )
            yield known[which]
        elif which in known:
            yield which
        else:
            raise unknown_name(which, known)


# -- building --------------------------------------------------------------------------------------
class _Build:
    """A traced function on its way to an executable, and what is known of its arguments."""

    def __init__(
        self,
        signature: inspect.Signature,
        traced: Traced,
        chosen: tuple[str, ...],
        optimizer: Optimizer | None,
        max_norm: float | None,
        threads: int | None,
    ) -> None:
        self.signature, self.max_norm = signature, max_norm
        self.traced, self.chosen, self.optimizer = traced, chosen, optimizer
        self.params = [
            leaf for name in chosen for leaf in leaves(traced.parameters[name])
            if isinstance(leaf, Node)
        ]  # fmt: skip
        deltas = self._deltas() if chosen else {}
        self.grads = [
            deltas[x].node if x in deltas else constant(np.zeros(x.shape, x.dtype))
            for x in self.params
        ]
        names = {delta.node: f"d{x.name}" for x, delta in deltas.items() if not delta.node.name}
        wanted = [*traced.graph.outputs, *self.grads]
        plan = make_plan(traced.graph.inputs, wanted, substitutes(traced.graph, deltas), names)
        self.plan = passes(plan)
        self.program = Program(self._real())
        self.blocks: dict[Memory, NDArray[Any]] = {}
        self.value_of = dict(zip(traced.graph.inputs, self.plan.inputs, strict=True))
        open_values = [self.value_of[x] for x in self.params if optimizer is not None]
        emitter = Emitter(self.program, self.plan, open_values, self.blocks)
        emitter.emit()
        self.places = emitter.places
        self._finish(emitter)
        self.executable = Executable(self.program, self.blocks, self.feeds, self.loss, threads)
        _say_what_falls_back(emitter)

    def _deltas(self) -> dict[Node, Delta]:
        loss = self.traced.graph.outputs[0]
        if loss.shape != () or not loss.is_float:
            raise NotScalarError(
                f"{self.traced.function} returns no loss",
                where=str(loss.site or ""),
                expected="one number, or a tuple whose first part is one",
                got=f"{loss.name} of shape {loss.shape}",
                todo="return the mean or sum",
            )
        for x in self.params:
            if not x.is_float:
                raise DtypeError(
                    f"{x.name} holds {x.dtype} numbers, and derivatives need floating-point ones",
                    expected="float32 or float64",
                    got=str(x.dtype),
                )
        return backprop({loss: seed_of(loss)}, self.params)

    def _real(self) -> np.dtype[Any]:
        """The dtype that kernels compute in: the loss's, or the first real result's."""
        for out in self.traced.graph.outputs:
            if out.dtype in (np.float32, np.float64):
                return out.dtype
        return np.dtype(np.float64)

    def _finish(self, emitter: Emitter) -> None:
        """Results stay until they are read; then the optimiser's tasks."""
        count = len(self.traced.graph.outputs)
        own = {self.value_of[x] for x in self.params if self.optimizer is not None}
        self.results = [_kept(self.places.apart(v, own)) for v in self.plan.outputs[:count]]
        self.inputs = {x: self.places.of(v) for x, v in self.value_of.items()}
        self.feeds: list[Feed] = []
        self.loss: Memory | None = None
        self.deltas: list[Place] = []
        self.slots: dict[Node, tuple[Memory, ...]] = {}
        grads = self.plan.outputs[count:]
        if self.optimizer is None:
            self.deltas = [_kept(self.places.of(value)) for value in grads]
            return
        moving = []
        self.loss = self.results[0].memory
        for x, value in zip(self.params, grads, strict=True):
            place = self.inputs[x]
            if x.dtype != self.program.real:
                raise self._of_two_dtypes(x)
            delta = self.places.as_layout(value, place.layout)
            slots = tuple(
                self.program.memory(f"{x.name}_{slot}", place.layout.size, kept=True)
                for slot in slots_used(self.optimizer)
            )
            self.slots[x] = slots
            moving.append(Moving(x.name, place, delta, slots))
        emit_updates(self.program, self.optimizer, moving, self.loss, self.max_norm)
        self.feeds = self._feeds()

    def _of_two_dtypes(self, x: Node) -> DtypeError:
        """Names the first operation that mixes a parameter's dtype with the loss's."""
        nodes = self.traced.graph.nodes
        real = self.program.real
        mixed = [
            (node, other)
            for node in nodes
            for other in node.inputs
            if node.dtype == other.dtype == real and x.dtype in {y.dtype for y in node.inputs}
        ]
        where, todo = "", f"give {x.name} as {real}"
        if mixed:
            node, other = mixed[0]
            operand = f"{other.name}, an array" if other.name else "a NumPy number"
            where = f"{node.name or node.op.name}: an operand, {operand} of {real}, sets the dtype"
            where += f" ({node.site})" if node.site else ""
            todo = f"make that operand {x.dtype} (a Python float would be), or {todo}"
        return DtypeError(
            f"{x.name} and the loss must be of one dtype to be trained",
            where=where,
            expected=str(real),
            got=str(x.dtype),
            todo=todo,
        )

    def _feeds(self) -> list[Feed]:
        """Arguments that an epoch fetches: all but the parameters."""
        rest = [x for x in self.traced.graph.inputs if x not in set(self.params)]
        return [Feed(self.inputs[x].memory, k) for k, x in enumerate(rest)]

    def limits(self) -> dict[Node, Limit]:
        """Arguments whose numbers kernels trust: classes and rows of a table."""
        views = {w.outputs[0]: w.inputs[0] for w in self.plan.works if w.kind in VIEWS}
        node_of = {value: x for x, value in self.value_of.items()}
        found: dict[Node, Limit] = {}
        for work in self.plan.works:
            if work.kind == "cross_entropy_loss":
                limit = Limit(work.inputs[0].shape[-1], "a class that there is no score for")
            elif is_lookup(work):
                table = work.inputs[0] if work.kind == "getitem" else work.outputs[0]
                limit = Limit(table.shape[0], "a row that the table does not have")
            else:
                continue
            value = work.inputs[1]
            while value in views:
                value = views[value]
            node = node_of[value]
            found[node] = min(limit, found.get(node, limit), key=lambda one: one.count)
        return found


def _kept(place: Place) -> Place:
    place.memory.kept = True
    return place


def _say_what_falls_back(emitter: Emitter) -> None:
    if emitter.by_numpy:
        kinds: dict[str, str] = {}
        for work in emitter.by_numpy:
            for step in work.steps or (work,):
                kinds.setdefault(step.kind, f" (line {work.site.line})" if work.site else "")
        listed = ", ".join(f"{kind}{line}" for kind, line in kinds.items())
        warnings.warn(f"no kernel for {listed}: done through NumPy", FallbackWarning, stacklevel=4)


# -- what compile returns --------------------------------------------------------------------------
class _Callable:
    """What the compiled forms share: arguments in, results out, and looking inside."""

    def __init__(self, build: _Build, skipped: tuple[str, ...] = ()) -> None:
        self._build = build
        self._executable = build.executable
        limits = build.limits()
        self._slots = {
            x: Slot(x, place, limits.get(x), self._executable)
            for x, place in build.inputs.items()
        }  # fmt: skip
        self._trees = {
            name: tree for name, tree in build.traced.parameters.items() if name not in skipped
        }
        self.signature = build.signature.replace(
            parameters=[p for n, p in build.signature.parameters.items() if n in self._trees]
        )
        kinds = {p.kind for p in self.signature.parameters.values()}
        self._all_positional = kinds <= POSITIONAL and len(self.signature.parameters) == len(
            self._trees
        )

    @property
    def threads(self) -> int:
        """How many threads run a step."""
        return self._executable.threads

    def source(self) -> str:
        """The generated source: what is compiled, in the language of the machine's kernels."""
        return self._executable.source.text

    def stages(self) -> Stages:
        """What is done, in order, with estimated operations and numbers moved."""
        itemsize = self._build.program.real.itemsize
        return Stages(tuple(stage_rows(self._executable.regions)), itemsize)

    def profile(self, repeats: int = 20) -> Stages:
        """The stages with the time each takes, and the share of the fastest product's speed.

        Args:
            repeats: medians are over so many runs, on the arguments of the last call.

        """
        seconds = tuple(self._executable.profile(repeats))
        peak = fastest_product(str(self._build.program.real), self.threads)
        return replace(self.stages(), seconds=seconds, peak=peak)

    def _take(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Copy arguments to where the step reads them."""
        for (name, tree), given in zip(
            self._trees.items(), self._in_order(args, kwargs), strict=True
        ):
            if isinstance(tree, Node):
                self._slots[tree].put(name, given)
            else:
                self._take_container(name, tree, given)

    def _in_order(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterable[Any]:
        """One for each parameter of the function, in its order."""
        if not kwargs and len(args) == len(self._trees) and self._all_positional:
            return args
        try:
            bound = self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentError(
                "the arguments do not match the compiled function",
                expected=f"{self._build.traced.function}{self.signature}",
                got=str(error),
            ) from None
        return [bound[name] for name in self._trees]

    def _take_container(self, name: str, tree: Any, value: Any) -> None:
        given, wanted = list(flatten(value, name)), leaves(tree)
        if len(given) != len(wanted):
            raise ArgumentError(
                f"{name} is not arranged as it was when the function was compiled",
                expected=f"{len(wanted)} arrays",
                got=f"{len(given)}",
            )
        for (path, leaf), node in zip(given, wanted, strict=True):
            if isinstance(node, Node):
                self._slots[node].put(path, leaf)
            elif leaf != node:
                raise ArgumentError(
                    f"{path} is fixed in the compiled function",
                    expected=repr(node), got=repr(leaf), todo="compile again for another value",
                )  # fmt: skip

    def _results(self) -> Any:
        arrays = [self._read(place) for place in self._build.results]
        return rebuild(self._build.traced.outputs, iter(arrays))

    def _read(self, place: Place) -> Any:
        return place.layout.view(self._build.blocks[place.memory]).copy()[()]


class Compiled(_Callable):
    """A compiled function: call it as the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns."""
        self._take(args, kwargs)
        self._executable()
        return self._results()


class Gradients(_Callable):
    """A compiled loss with its gradients: ``(result, gradients)`` of a call."""

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """What the function returns, and the gradients of its (first) result.

        One parameter gives its container of gradients, several a dict by name.
        """
        self._take(args, kwargs)
        self._executable()
        grads = iter([self._read(place) for place in self._build.deltas])
        trees = {
            name: _like_nodes(self._build.traced.parameters[name], grads)
            for name in self._build.chosen
        }
        chosen = self._build.chosen
        return self._results(), trees[chosen[0]] if len(chosen) == 1 else trees


def _like_nodes(tree: Any, arrays: Iterator[Any]) -> Any:
    return tree_map(lambda leaf: next(arrays) if isinstance(leaf, Node) else leaf, tree)


class TrainStep(_Callable):
    """A compiled training step: forward, backward and update in one call.

    Attributes:
        optimizer: how parameters move.
        taken: how many steps have been taken.

    """

    def __init__(self, build: _Build, optimizer: Optimizer) -> None:
        super().__init__(build, skipped=build.chosen)
        self.optimizer, self.taken = optimizer, 0
        for x in build.params:
            place = build.inputs[x]
            place.layout.fill(build.blocks[place.memory], np.asarray(build.traced.values[x]))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take a step on the arguments other than the parameters; what the function returned.

        Raises:
            NonFiniteError: the loss is NaN or infinite; the parameters are as before.

        """
        self._take(args, kwargs)
        self._executable.rates[0] = rates_of(self.optimizer, self.taken + 1)
        self._executable()
        loss = self._read(self._build.results[0])
        if not np.isfinite(loss):
            self._refuse(float(loss))
        self.taken += 1
        return self._results()

    @property
    def params(self) -> dict[str, Any]:
        """Copies of the parameters, by argument name."""
        found = iter([self._read(self._build.inputs[x]) for x in self._build.params])
        trees = self._build.traced.parameters
        return {name: _like_nodes(trees[name], found) for name in self._build.chosen}

    @params.setter
    def params(self, new: Mapping[str, Any]) -> None:
        trees = self._build.traced.parameters
        for name in self._build.chosen:
            if name not in new:
                raise unknown_name(name, list(new))
            self._take_container(name, trees[name], new[name])

    def run_epoch(self, *data: Any, order: Any) -> NDArray[Any]:
        """Take a step for each row of ``order``, in native code where every operation has a kernel.

        Args:
            data: for each argument that is no parameter, all its examples.
            order: numbers of examples, (steps, batch); (steps,) for one example a step.

        Returns:
            the losses, (steps,).

        Raises:
            NonFiniteError: a loss is NaN or infinite; the parameters are as before that step.
            ShapeError: the data are no examples of what was compiled.

        """
        rest = [x for x in self._build.traced.graph.inputs if x not in set(self._build.params)]
        batched = np.ndim(order) == 2
        numbers = np.ascontiguousarray(order, np.int64)
        numbers = numbers if batched else numbers[:, None]
        for x in rest:
            if batched and x.shape[:1] != numbers.shape[1:]:
                raise ShapeError(
                    "order has another number of examples in a step than was compiled",
                    expected=f"(steps, {x.shape[0] if x.shape else 1})",
                    got=str(np.shape(order)),
                )
        sets = [self._examples(x, values, batched) for x, values in zip(rest, data, strict=True)]
        count = min((len(values) for values in sets), default=0)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= count):
            raise ArgumentError(
                "order names an example that there is not", expected=f"0 to {count - 1}",
                got=f"{numbers.min()} to {numbers.max()}",
            )  # fmt: skip
        rates = table_of_rates(self.optimizer, self.taken, len(numbers), self._build.program.real)
        if self._executable.counts_steps:
            losses = self._executable.run_many(numbers, sets, rates)
            wrong = len(losses) > 0 and not np.isfinite(losses[-1])
            self.taken += len(losses) - wrong
            if wrong:
                self._refuse(float(losses[-1]))
            return losses
        found = [
            np.ravel(self(*[v[row].reshape(x.shape) for v, x in zip(sets, rest, strict=True)]))[0]
            for row in numbers
        ]
        return np.array(found, self._build.program.real)

    def _examples(self, x: Node, values: Any, batched: bool) -> NDArray[Any]:
        array = np.asarray(values)
        one = x.shape[1:] if batched else x.shape
        if array.shape[1:] != one:
            raise ShapeError(
                f"{x.name}: these are no examples of what was compiled",
                expected=f"(examples{''.join(f', {n}' for n in one)})",
                got=str(array.shape),
            )
        self._slots[x].check(x.name, array)
        dtype = self._build.program.dtype(self._build.inputs[x].memory)
        return np.ascontiguousarray(array, dtype)

    def _refuse(self, loss: float) -> None:
        raise NonFiniteError(
            f"the loss is {loss}",
            where=self._origin(),
            todo="a smaller learning rate, or clipped gradients; the parameters are as before",
        )

    def _origin(self) -> str:
        """The first node of this step that is not finite, and its line."""
        build = self._build
        known: dict[Node, Any] = {x: self._read(place) for x, place in build.inputs.items()}
        with np.errstate(all="ignore"):
            for node in build.traced.graph.nodes:
                if node not in known:
                    known[node] = (
                        node.value if not node.inputs
                        else node.op.run([known[x] for x in node.inputs], node.attrs)
                    )  # fmt: skip
                if node.is_float and not np.isfinite(known[node]).all():
                    return f"{node.name or node.op.name} is the first that is not finite" + (
                        f" ({node.site})" if node.site else ""
                    )
        return ""


@functools.cache
def fastest_product(dtype: str, threads: int) -> float:
    """Operations a second of the fastest matrix product here: what a stage can be held against."""
    n = 512
    matrix = np.ones((n, n), dtype)
    product = compile(lambda a, b: a @ b, matrix, matrix, threads=threads)
    return 2.0 * n**3 / min(product._executable.profile(1)[0] for _ in range(10))
