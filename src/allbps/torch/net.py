"""``from_module``: a PyTorch module as a function of arrays that allbps can read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from allbps.names import identifier
from allbps.random import Generator
from allbps.torch.arguments import Arguments, results
from allbps.torch.emit import Written, tensors_of, write
from allbps.torch.export import exported
from allbps.torch.losses import WithLoss
from allbps.torch.refusals import check_module, check_tensor
from allbps.torch.source import Source, typed
from allbps.torch.where import PREFIX, own_name


@dataclass(frozen=True, eq=False)
class Imported:
    """A module, exported and written.

    Attributes:
        module: it.
        program: its exported graph.
        written: the graph as lines.
        tensors: name -> the module's own tensor, for all that the lines read.
        roles: name -> the container that holds it in the source.
        arguments: how it is called.
        rng: where its random numbers come from.

    """

    module: nn.Module
    program: ExportedProgram
    written: Written
    tensors: Mapping[str, torch.Tensor]
    roles: Mapping[str, str]
    arguments: Arguments
    rng: Generator


def imported(
    module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], seed: int | None,
    *, moved: frozenset[str] | None = None,
) -> Imported:  # fmt: skip
    """Export a module and write it.

    Args:
        module: it.
        args: example arguments.
        kwargs: example arguments by keyword.
        seed: of its random numbers; PyTorch's where it is None.
        moved: names of the parameters that move; those that require a gradient where it is None.

    """
    check_module(module)
    for k, leaf in enumerate(torch.utils._pytree.tree_leaves((args, dict(kwargs)))):
        if isinstance(leaf, torch.Tensor):
            check_tensor(leaf, f"example input {k}", "pass x.float().cpu()")
    return interpreted(module, exported(module, args, kwargs), args, kwargs, seed, moved)


def interpreted(
    module: nn.Module, program: ExportedProgram, args: tuple[Any, ...], kwargs: Mapping[str, Any],
    seed: int | None, moved: frozenset[str] | None,
) -> Imported:  # fmt: skip
    """An exported module, written; arguments as of ``imported``."""
    called = first_names(module)
    tensors = tensors_of(program, called)
    roles = _roles(module, program, moved, called)
    if isinstance(module, WithLoss):
        written = write(program, roles, called, module.words(args, kwargs), "loss")
    else:
        written = write(program, roles, called)
    seed = (torch.initial_seed() if seed is None else seed) % 2**63
    arguments = Arguments(args, kwargs, written.inputs)
    given = containers(roles, tensors)
    examples = dict(zip(written.inputs, arguments.flat(args, kwargs), strict=True))
    written = typed(written, {**given, **examples}, Generator(seed))
    return Imported(module, program, written, tensors, roles, arguments, Generator(seed))


def first_names(module: nn.Module) -> Callable[[str], str]:
    """The name that a parameter or buffer goes by: the first of several, without a prefix."""
    known: dict[int, str] = {}
    names: dict[str, str] = {}
    for walk in (module.named_parameters, module.named_buffers):
        for name, tensor in walk(remove_duplicate=False):
            names[name] = known.setdefault(id(tensor), own_name(name))
    return lambda name: names.get(name, own_name(name))


def _roles(
    module: nn.Module, program: ExportedProgram, moved: frozenset[str] | None,
    called: Callable[[str], str],
) -> dict[str, str]:  # fmt: skip
    """Parameter or buffer -> the container that holds it in the source."""
    own = {called(name): p for name, p in module.named_parameters()}
    chosen = {n for n, p in own.items() if p.requires_grad} if moved is None else moved
    roles = {name: "params" if name in chosen else "frozen" for name in own}
    for spec in program.graph_signature.output_specs:
        if spec.kind.name == "BUFFER_MUTATION":
            roles[called(str(spec.target))] = "buffers"
    return roles


def containers(
    roles: Mapping[str, str], tensors: Mapping[str, torch.Tensor]
) -> dict[str, dict[str, Any]]:
    """Container -> name -> array, sharing the tensors' memory."""
    found: dict[str, dict[str, Any]] = {
        name: {} for name in ("params", "frozen", "buffers", "constants")
    }
    for name, tensor in tensors.items():
        found[roles.get(name, "constants")][name] = tensor.detach().numpy()
    return found


class Net:
    """A PyTorch module as a function of NumPy arrays.

    ``bp.explain(net, x)``, ``bp.check(net, x)`` and ``bp.compile(net, x)`` take it as they take any
    function; it supplies the module's parameters itself, and their δ are called by their names
    with ``_`` for the dots.

    Attributes:
        module: the PyTorch module.
        training: was it in training mode when it was exported? The graph is that mode's.
        params: name as in ``state_dict`` -> array, in the module's own memory.
        source: the forward pass in NumPy's style, a line for each operation.

    """

    def __init__(self, found: Imported) -> None:
        own = getattr(found.module, PREFIX, found.module)
        self.module, self.training = own, own.training
        self.__name__ = type(own).__name__
        self.__module__ = type(own).__module__
        self.__doc__ = inspect.cleandoc(vars(type(own)).get("__doc__") or "")
        self._found = found
        self._spec = found.program.call_spec.out_spec
        flat = found.written.results
        returned = f"({', '.join(flat)},)" if len(flat) != 1 else flat[0]
        self._single = len(flat) == 1
        mode = "training" if self.training else "evaluation"
        doc = f"{self.__name__} in {mode} mode."
        source = Source(self.__name__, "", found.written.lines, returned, doc).needed()
        self._states = _containers(source)
        arguments = ", ".join([*found.written.inputs, "*", *self._states])
        self._source = replace(source, arguments=arguments)
        self._function = self._source.built(self._constants(), found.rng)
        self._names = {f"params.{name}": identifier(name) for name in self.params}
        kinds = inspect.Parameter
        self.__signature__ = inspect.Signature(
            [
                *(kinds(name, kinds.POSITIONAL_OR_KEYWORD) for name in found.written.inputs),
                kinds("params", kinds.KEYWORD_ONLY, default=None),
            ]
        )

    @property
    def params(self) -> dict[str, Any]:
        """Name as in ``state_dict`` -> array, in the module's own memory."""
        read = self._found.written.states.items()
        names = [name for text, name in read if text.startswith("params[")]
        return {name: self._found.tensors[name].detach().numpy() for name in names}

    @property
    def source(self) -> str:
        """The forward pass in NumPy's style, a line for each operation."""
        return self._source.text

    def _constants(self) -> dict[str, Any]:
        """What is no parameter: buffers, frozen parameters, tensors made in ``forward``."""
        return {name: t.detach().numpy() for name, t in self._found.tensors.items()}

    def arranged(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Parameter name -> argument; the module's own parameters where none are given."""
        rest = dict(kwargs)
        params = rest.pop("params", None)
        return {**self.named(args, rest), "params": self.params if params is None else params}

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs by name, as arrays."""
        flat = self._found.arguments.flat(args, kwargs)
        return dict(zip(self._found.written.inputs, flat, strict=True))

    def called(self, path: str) -> str:
        """The name of an argument's array: ``conv1_weight`` for ``params["conv1.weight"]``."""
        return self._names.get(path) or identifier(path)

    def __call__(self, *args: Any, params: Any = None, **kwargs: Any) -> Any:
        """What the module returns for arrays or tensors, as arrays in plain containers."""
        flat = self._found.arguments.flat(args, kwargs)
        own = self._constants()
        given = {"params": self.params if params is None else params, "frozen": own, "buffers": own}
        states = {name: given[name] for name in self._states}
        found = self._function(*flat, **states)
        return results(self._spec, [found] if self._single else found)

    def __repr__(self) -> str:
        mode = "training mode" if self.training else "evaluation mode"
        count = sum(p.size for p in self.params.values())
        return f"<{self.__name__} of PyTorch in {mode}, {count:,} parameters>"


def _containers(source: Source) -> list[str]:
    """The containers of arrays that a function reads, beside constants."""
    used = source.names
    return ["params", *(name for name in ("frozen", "buffers") if name in used)]


def from_module(
    module: nn.Module, /, *inputs: Any, seed: int | None = None, **named_inputs: Any
) -> Net:
    """A PyTorch module as a function that allbps explains, checks, compiles and emits.

    ``torch.export`` follows the module's forward pass once, in the mode it is in: convolutions,
    linear layers, norms, attention, pools and losses stay whole.

    Args:
        module: an instance of ``torch.nn.Module``, dense float32 or float64 on the CPU.
        inputs: example arguments of ``forward``; the function is for arguments of their shapes.
        seed: of dropout and what else is drawn; PyTorch's own seed where it is left out.
        named_inputs: example arguments by keyword.

    Raises:
        NoRuleError: operations that cannot be written; all of them are named, with module and line.
        ArgumentError: the module cannot be exported: it decides by values, writes into its
            arguments, or has backward hooks.
        NotDifferentiableError: it has a backward pass of its own that no graph can hold.
        DtypeError: it holds numbers of another kind, or on another device.

    >>> import allbps as bp, torch
    >>> net = bp.torch.from_module(torch.nn.Linear(2, 1), torch.ones(3, 2))
    >>> print(net.source.splitlines()[2].partition("  #")[0])
        linear = F.linear(input, params["weight"], params["bias"])
    >>> net(torch.ones(3, 2)).shape
    (3, 1)

    """
    return Net(imported(module, inputs, named_inputs, seed))
