"""``FILE.py:FUNCTION``: the user's function and the inputs that its file supplies."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from allbps.errors import AllBPsError, ArgumentError, UserFileError, unknown_name


@dataclass(frozen=True)
class UserFunction:
    """A function from a file, with what to call it on.

    Attributes:
        function: the function itself.
        inputs: parameter name -> value.
        cotangents: output name -> δ, for functions that return no scalar loss.
        symbols: name -> how it is written.
        wrt: the arguments whose δ is wanted; all where None.
    """

    function: Callable[..., Any]
    inputs: Mapping[str, Any]
    cotangents: Mapping[str, Any]
    symbols: Mapping[str, str]
    wrt: tuple[str, ...] | None = None


def load(target: str) -> UserFunction:
    """The function named by ``FILE.py:FUNCTION``, with its inputs.

    ``FILE.py:OBJECT.METHOD`` names the method of an object in the file.

    Inputs come from, in this order: ``FUNCTION_inputs`` in the file, a dict or a function that
    returns one; ``inputs``, likewise; variables of the file that have the parameters' names. A
    parameter with a default needs none. ``FUNCTION_cotangents`` or ``cotangents`` may give δ for
    outputs, ``FUNCTION_symbols`` or ``symbols`` how names are written, ``FUNCTION_wrt`` or ``wrt``
    the names of the arguments whose δ is wanted.

    ``FILE.py:MODULE`` may name a PyTorch module with ``MODULE_inputs``, or a function without
    arguments that returns (module, inputs) or (module, loss, batch). Such a function may also
    return (function, inputs), the inputs as a tuple or a dict.

    Raises:
        UserFileError: the file is missing, or running it fails.
        NameUnknownError: it has no such function.
        ArgumentError: an input is missing.
    """
    path, _, name = target.rpartition(":")
    if not path or not all(part.isidentifier() for part in name.split(".")):
        raise UserFileError(
            "no function is named",
            expected="FILE.py:FUNCTION",
            got=target,
            todo=f"write {target.rstrip(':')}:net if your function is called net",
        )
    module = _module(Path(path))
    function = _function(module, name, path)
    own = name.rpartition(".")[2]
    given, symbols = (_given(module, own, what) or {} for what in ("cotangents", "symbols"))
    wrt = _wrt(module, own)
    made = _made(function, path)
    torch_module = _torch_module(made, own, module, path)
    if torch_module is not None:
        return UserFunction(*torch_module, given, symbols, wrt)
    if made is not function and isinstance(made, tuple) and made and callable(made[0]):
        return UserFunction(*_built(made, own, path), given, symbols, wrt)
    inputs = _inputs(function, own, module, Path(path))
    return UserFunction(function, inputs, given, symbols, wrt)


def _made(found: Callable[..., Any], path: str) -> Any:
    """What a function without arguments returns; anything else as it is."""
    if not inspect.isfunction(found) or inspect.signature(found).parameters:
        return found
    with running(path):
        return found()


def _built(
    made: tuple[Any, ...], name: str, path: str
) -> tuple[Callable[..., Any], Mapping[str, Any]]:
    """The function and its inputs by name, of what a function without arguments returned.

    Raises:
        UserFileError: it returned something else, or inputs that do not fit the function.

    """
    function, *rest = made
    inputs = rest[0] if len(rest) == 1 else None
    if not isinstance(inputs, (tuple, list, dict)):
        got = ", ".join(type(x).__name__ for x in made)
        raise UserFileError(
            f"{name} in {path} returns a function without its inputs",
            expected="(function, inputs), the inputs as a tuple or a dict",
            got=f"({got}{',' * (len(made) == 1)})",
            todo=f"return {getattr(function, '__name__', 'f')}, (x, …)",
        )
    signature = inspect.signature(function)
    try:
        bound = signature.bind(**inputs) if isinstance(inputs, dict) else signature.bind(*inputs)
    except TypeError as error:
        raise UserFileError(
            f"the inputs that {name} in {path} returns do not fit its function: {error}",
            expected=f"inputs for {signature}",
            got=f"{len(inputs)} of them",
        ) from None
    found: dict[str, Any] = {}
    for key, value in bound.arguments.items():
        kind = signature.parameters[key].kind
        if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise UserFileError(
                f"{name} in {path} returns a function whose inputs have no names",
                expected="parameters with names",
                got=f"{signature}",
            )
        found |= value if kind is inspect.Parameter.VAR_KEYWORD else {key: value}
    return function, found


def _torch_module(
    made: Any, name: str, module: ModuleType, path: str
) -> tuple[Callable[..., Any], Mapping[str, Any]] | None:
    """A PyTorch module, or what describes one, as a function and its inputs."""
    if "torch" not in sys.modules:  # the file would have imported it
        return None
    from allbps.torch import fromfile

    with running(path):
        if not fromfile.is_module(made):
            return None
        _, given = _said(module, name, "inputs")
        given = given() if callable(given) else given
    return fromfile.net_of(made, name, path, given)


def function(target: str) -> Callable[..., Any]:
    """The function named by ``FILE.py:FUNCTION`` alone.

    Raises:
        UserFileError, NameUnknownError: as ``load``.
    """
    path, _, name = target.rpartition(":")
    return _function(_module(Path(path)), name, path)


def _function(module: ModuleType, name: str, path: str) -> Callable[..., Any]:
    first, *rest = name.split(".")
    found: Callable[..., Any] | None = vars(module).get(first)
    for attribute in rest:
        if isinstance(found, type) and inspect.isfunction(vars(found).get(attribute)):
            raise _of_a_class(found.__name__, attribute, path)
        found = getattr(found, attribute, None)
    if callable(found):
        return found
    if found is not None:
        raise UserFileError(
            f"{name} in {path} is not a function",
            expected=f"def {name}(…)",
            got=f"{name} = {found!r}"[:80],
        )
    own = [
        key
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    raise unknown_name(name, own or ["(none in the file)"], "function", path)


def _of_a_class(kind: str, method: str, path: str) -> UserFileError:
    return UserFileError(
        f"{kind}.{method} is a method, which needs an object",
        where=path,
        expected="a function, or the method of an object in the file",
        got=f"the method of a class, {kind}.{method}",
        todo=f"add  net = {kind}(…)  to the file and write {path}:net.{method}; its arrays are"
        " constants, so what is to have a δ must be an argument",
    )


def _module(path: Path) -> ModuleType:
    if not path.is_file():
        what = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise UserFileError(what, expected="a Python file", todo="check the path")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserFileError(f"{path} is not a Python file", expected="a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # so that it can import its neighbours
    try:
        with running(path):
            if b"\0" in path.read_bytes():  # some Pythons raise ValueError, some SyntaxError
                raise UserFileError(f"{path} is not valid Python: it contains null bytes")
            spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@contextmanager
def running(path: Path | str) -> Iterator[None]:
    """The user's code runs inside; what it raises is said as their file's error, ours as it is.

    Raises:
        UserFileError: it raised anything else, or ended the process.
    """
    try:
        yield
    except AllBPsError:
        raise
    except (Exception, SystemExit) as error:
        raise failed(path, error) from error


def failed(path: Path | str, error: Exception | SystemExit) -> UserFileError:
    """The user's own code raised: say what and on which of their lines."""
    if isinstance(error, SyntaxError):
        where = f"{path}:{error.lineno}: {(error.text or '').strip()}" if error.lineno else ""
        return UserFileError(f"{path} is not valid Python: {error.msg}", where=where)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if os.path.realpath(f.filename) == os.path.realpath(path)]
    last = own[-1] if own else frames[-1] if frames else None
    return UserFileError(
        f"{path} raised {type(error).__name__}: {error}",
        where=f"{Path(last.filename).name}:{last.lineno} in {last.name}: {last.line}"
        if last
        else "",
    )


def _said(module: ModuleType, function: str, what: str) -> tuple[str, Any]:
    """``FUNCTION_what`` or ``what``, and what the file says under it; None if absent."""
    name = f"{function}_{what}"
    if getattr(module, name, None) is None:
        name = what
    return name, getattr(module, name, None)


def _given(module: ModuleType, function: str, what: str) -> dict[str, Any] | None:
    """``FUNCTION_what`` or ``what``: a dict, or a function that returns one; None if absent."""
    name, found = _said(module, function, what)
    if found is None:
        return None
    found = found() if callable(found) else found
    if not isinstance(found, dict):
        raise UserFileError(
            f"{name} must be or return a dict",
            where=str(module.__file__),
            expected=f"{name} = {{'X': …, 'W1': …}}, or a function that returns one",
            got=type(found).__name__,
        )
    return found


def _wrt(module: ModuleType, function: str) -> tuple[str, ...] | None:
    """The names in ``FUNCTION_wrt`` or ``wrt``; None if absent."""
    name, found = _said(module, function, "wrt")
    if found is None:
        return None
    names = found.split(",") if isinstance(found, str) else found
    if not isinstance(names, (list, tuple)) or not all(isinstance(x, str) for x in names):
        raise UserFileError(
            f"{name} must be a list of names of arguments",
            where=str(module.__file__),
            expected=f"{name} = ['W1', 'b1']",
            got=f"{name} = {found!r}"[:80],
        )
    return tuple(x.strip() for x in names)


def _inputs(
    function: Callable[..., Any], called: str, module: ModuleType, path: Path
) -> dict[str, Any]:
    given = _given(module, called, "inputs")
    parameters = inspect.signature(function).parameters
    if given is not None:
        strangers = [name for name in given if name not in parameters]
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if strangers and not takes_any:
            where = f"the inputs for {called} in {path}"
            raise unknown_name(strangers[0], list(parameters), "parameter", where)
        found = dict(given)
    else:
        found = {name: vars(module)[name] for name in parameters if name in vars(module)}
    missing = [
        name
        for name, parameter in parameters.items()
        if name not in found
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if missing:
        raise ArgumentError(
            f"{path} defines no value for {', '.join(missing)}",
            expected=f"inputs for {called}({', '.join(parameters)})",
            got=f"values for {', '.join(found) or 'none of them'}",
            todo=f"add  inputs = {{{', '.join(f'{m!r}: …' for m in missing)}}}  to the file",
        )
    return found
