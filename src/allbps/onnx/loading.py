"""``load``: an ONNX model as a function of arrays that allbps can read."""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import scipy.special
from onnx import numpy_helper

import allbps.functional as F
import allbps.numpy_api  # noqa: F401  (what NumPy's functions mean on traced arrays)
from allbps.errors import ArgumentError, NoRuleError, UserFileError
from allbps.names import identifier
from allbps.onnx.incoming import parts
from allbps.onnx.incoming.lines import Unknown, check_kind, expression

OLDEST = 13
"""Before this opset axes, splits and softmax meant something else."""
_numbers = count(1)


class Net:
    """An ONNX model as a function of NumPy arrays.

    ``bp.explain(net, x)``, ``bp.check(net, x)`` and ``bp.compile(net, x)`` take it as they take any
    function; it supplies the model's weights itself, and their δ are called by their names.

    Attributes:
        params: name of an initialiser -> array, for those of floating-point numbers.
        inputs: names of its arguments, as in the source.
        source: the model in NumPy's style, a line for each node.

    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self._names: dict[str, str] = {}
        self.__name__ = self._own(graph.name or "net")
        arrays = {x.name: numpy_helper.to_array(x) for x in graph.initializer}
        offered = {x.name for x in graph.input}
        self.params = {
            name: a
            for name, a in arrays.items()
            if a.dtype.kind == "f" and (a.ndim or name in offered)  # a lone number is a constant
        }
        self._constants = {name: a for name, a in arrays.items() if name not in self.params}
        given = [x.name for x in graph.input if x.name not in arrays]
        texts = {name: f'params["{name}"]' for name in self.params}
        texts |= {name: f'constants["{name}"]' for name in self._constants}
        texts |= {name: self._own(name) for name in given}
        self.inputs = tuple(texts[name] for name in given)
        self.source = self._written(graph, texts)
        self._called = {f"params.{name}": identifier(name) for name in self.params}
        kinds = inspect.Parameter
        self.__signature__ = inspect.Signature([
            *(kinds(name, kinds.POSITIONAL_OR_KEYWORD) for name in self.inputs),
            kinds("params", kinds.KEYWORD_ONLY, default=None),
        ])  # fmt: skip
        self._function = self._built()

    def _own(self, name: str) -> str:
        """A Python name for a name of the model, unlike all others."""
        wanted = identifier(name) or "x"
        taken = {*self._names, "np", "F", "special", "parts", "params", "constants"}
        own = next(w for k in count(1) if (w := wanted if k == 1 else f"{wanted}_{k}") not in taken)
        self._names[own] = name
        return own

    def _written(self, graph: onnx.GraphProto, texts: dict[str, str]) -> str:
        lines: list[str] = []
        problems = [*_kinds(graph)]
        for node in graph.node:
            if node.domain not in ("", "ai.onnx"):
                problems.append((_named(node), f"it is of the domain {node.domain}"))
                text = "None"
            else:
                try:
                    text = expression(node, [texts.get(x, "") for x in node.input], self._kept)
                except Unknown as reason:
                    problems.append((_named(node), str(reason)))
                    text = "None"
            made = [self._own(y or "_") for y in node.output]
            texts.update(zip(node.output, made, strict=True))
            several = len(made) > 1 and node.op_type in ("Split", "TopK")
            lines.append(f"    {', '.join(made) if several else made[0]} = {text}")
        if problems:
            raise _cannot_be_read(problems)
        returned = ", ".join(texts[y.name] for y in graph.output)
        head = f"def {self.__name__}({', '.join([*self.inputs, '*', 'params'])}):"
        return "\n".join([head, *lines, f"    return {returned}"]) + "\n"

    def _kept(self, array: Any) -> str:
        name = f"constant{len(self._constants)}"
        self._constants[name] = array
        return f'constants["{name}"]'

    def _built(self) -> Callable[..., Any]:
        file = f"<{self.__name__} {next(_numbers)} from ONNX>"
        linecache.cache[file] = (len(self.source), None, self.source.splitlines(True), file)
        scope: dict[str, Any] = {
            "np": np, "F": F, "special": scipy.special, "parts": parts,
            "constants": self._constants,
        }  # fmt: skip
        exec(compile(self.source, file, "exec"), scope)
        made: Callable[..., Any] = scope[self.__name__]
        return made

    def arranged(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Parameter name -> argument; the model's own weights where none are given."""
        given = inspect.signature(self)
        try:
            found = dict(given.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise ArgumentError(
                f"the arguments do not match {self.__name__}",
                expected=f"{self.__name__}({', '.join(self.inputs)})", got=str(error),
            ) from None  # fmt: skip
        if found.get("params") is None:
            found["params"] = self.params
        return found

    def called(self, path: str) -> str:
        """The name of an argument's array: ``fc1_weight`` for ``params["fc1.weight"]``."""
        return self._called.get(path) or identifier(path)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the model computes: one result, or a tuple of several."""
        return self._function(**self.arranged(args, kwargs))

    def __repr__(self) -> str:
        size = sum(a.size for a in self.params.values())
        return f"<{self.__name__} from ONNX, {size:,} parameters>"


def load(model: onnx.ModelProto | Path | str) -> Net:
    """An ONNX model as a function that allbps explains, checks, compiles and emits.

    Initialisers of floating-point numbers become its parameters, whose δ are derived; lone numbers
    that are not offered as inputs, and all other constants, stay constants.

    Args:
        model: a model, or the path of its file.

    Raises:
        NoRuleError: operators that allbps does not know; all are named, with their nodes.
        ArgumentError: the model is of an opset that is too old.
        UserFileError: the file is missing, or is no ONNX model.

    >>> import numpy as np, allbps as bp
    >>> def f(x, w): return np.tanh(x @ w)
    >>> net = bp.onnx.load(bp.onnx.export(f, np.ones(2), np.eye(2), backward=False, stored=["w"]))
    >>> print(net.source.splitlines()[1])
        t1 = x @ params["w"]

    """
    found = model if isinstance(model, onnx.ModelProto) else _read(Path(model))
    version = next((o.version for o in found.opset_import if o.domain in ("", "ai.onnx")), OLDEST)
    if version < OLDEST:
        raise ArgumentError(
            f"the model is of opset {version}",
            expected=f"opset {OLDEST} or newer",
            got=f"opset {version}, by {found.producer_name or 'an unnamed producer'}",
            todo="export it again, or onnx.version_converter.convert_version(model, 21)",
        )
    return Net(found)


def _read(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise UserFileError(f"there is no file {path}", todo="check the path")
    try:
        found = onnx.load(path)
        onnx.checker.check_model(found)
    except Exception as error:  # protobuf and onnx raise many kinds
        raise UserFileError(
            f"{path} is not a valid ONNX model",
            expected="a file written by an ONNX exporter",
            got=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
        ) from error
    return found


def _named(node: onnx.NodeProto) -> tuple[str, str]:
    """(operator, node): its name, or what it makes."""
    return node.op_type, node.name or f"→ {node.output[0]}"


def _kinds(graph: onnx.GraphProto) -> Iterator[tuple[tuple[str, str], str]]:
    """Inputs and initialisers whose numbers allbps does not compute with."""
    found = [(x.name, x.type.tensor_type.elem_type) for x in graph.input]
    for name, kind in [*found, *((x.name, x.data_type) for x in graph.initializer)]:
        try:
            check_kind(kind)
        except Unknown as reason:
            yield (name, "tensor"), str(reason)


def _cannot_be_read(problems: list[tuple[tuple[str, str], str]]) -> NoRuleError:
    kinds = list(dict.fromkeys(kind for (kind, _), _ in problems))
    lines = [f"{kind} {name}: {why}" for (kind, name), why in problems]
    return NoRuleError(
        f"{', '.join(kinds)} cannot be read from ONNX",
        expected="operators and numbers that allbps knows (docs/onnx.md)",
        got="\n            ".join(lines),
    )
