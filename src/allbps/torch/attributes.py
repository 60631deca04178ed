"""What a forward pass writes into its modules beside parameters and buffers.

A graph has no such writes. What is written before it is read (an activation that is kept to be
looked at, the weight that a hook works out) is none of its business, and is put back. What is read
first is state: the next call would begin with it, and a graph would not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from allbps.errors import ArgumentError
from allbps.ir import Site
from allbps.torch.where import is_users, own_name

OPTIONS = (bool, int, float, complex, str, bytes, type(None), tuple)
"""Kinds of attributes that ``forward`` may decide by: rates, temperatures, modes."""
DEPTH = 3
"""How deep containers are looked into."""

Written = tuple[int, str]
"""The id of a module, and the name of an attribute that its forward pass writes."""
Key = tuple[int, str]
"""A module, by its place in the list of all, and the name of an attribute."""


def attributes(part: nn.Module) -> dict[str, Any]:
    """A module's attributes but for those that every module has."""
    return {name: value for name, value in vars(part).items() if name not in _EVERY}


_EVERY = set(vars(nn.Module()))
_HOOKS = sorted(name for name in _EVERY if "_hooks" in name)
"""What modules hold hooks in: a library may put some there in its first forward pass."""


class Writes:
    """Which attributes of a module's parts have been written since this was made.

    Args:
        module: the outermost module.

    Attributes:
        written: which they are, once a forward pass has been put back.

    """

    def __init__(self, module: nn.Module) -> None:
        self._parts = list(module.named_modules())
        self._number = {id(part): k for k, (_, part) in enumerate(self._parts)}
        self._before = {
            (k, name): (value, _contents(value, DEPTH))
            for k, (_, part) in enumerate(self._parts)
            for name, value in attributes(part).items()
        }
        self._hooks = [{name: dict(vars(part)[name]) for name in _HOOKS} for _, part in self._parts]
        self._read: dict[Key, Site] = {}
        self.written: set[Written] = set()

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Inside, forward passes may run; afterwards all attributes are what they were.

        Raises:
            ArgumentError: an attribute was written that had been read, or a buffer replaced.

        """
        original: Callable[..., Any] = nn.Module.__getattribute__

        def noting(part: nn.Module, name: str) -> Any:
            value = original(part, name)
            if name not in _EVERY:
                self._note(part, name, value)
            return value

        assign: Callable[..., Any] = nn.Module.__setattr__

        def assigning(part: nn.Module, name: str, value: Any) -> None:
            self._refuse_replaced(part, name, value)
            assign(part, name, value)

        nn.Module.__getattribute__ = noting  # type: ignore[method-assign, assignment]
        nn.Module.__setattr__ = assigning  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            nn.Module.__getattribute__ = original  # type: ignore[method-assign]
            nn.Module.__setattr__ = assign  # type: ignore[method-assign]
            written = self._restore()
        for k, name in written:
            part = self._parts[k][1]
            if (k, name) in self._read and not _is_torchs(part):
                raise self._state((k, name))
            self.written.add((id(part), name))

    def _note(self, part: nn.Module, name: str, value: Any) -> None:
        k = self._number.get(id(part))
        if k is None or (k, name) in self._read or (k, name) not in self._before:
            return
        if value is self._before[k, name][0]:  # as it was before the call
            self._read[k, name] = _line()

    def _refuse_replaced(self, part: nn.Module, name: str, value: Any) -> None:
        """Refuse another tensor in a buffer's place: a graph knows only what is written into it."""
        k = self._number.get(id(part))
        before = vars(part).get("_buffers", {}).get(name)
        if k is None or before is None or value is before:
            return
        path = ".".join(filter(None, (own_name(self._parts[k][0]), name)))
        raise ArgumentError(
            f"forward of {type(part).__name__} puts another tensor in the place of the buffer"
            f" {path}, which torch.export forgets",
            where=str(_line()),
            expected="a buffer that is written into",
            got=f"self.{name} = …",
            todo=f"self.{name}.copy_(…), or operations in place such as self.{name}.mul_(0.9)",
        )

    def _restore(self) -> list[Key]:
        written = []
        for k, (_, part) in enumerate(self._parts):
            own = vars(part)
            for name in [n for n in attributes(part) if (k, n) not in self._before]:
                del own[name]
            for name, hooks in self._hooks[k].items():
                if own[name] != hooks:
                    own[name].clear()
                    own[name].update(hooks)
        for (k, name), (value, contents) in self._before.items():
            own = vars(self._parts[k][1])
            now = own.get(name, _EVERY)
            if now is value and contents is None:
                continue
            if not _alike(now, value) or not _same(_contents(now, DEPTH), contents):
                written.append((k, name))
            own[name] = value
            _refill(value, contents)
        return written

    def _state(self, key: Key) -> ArgumentError:
        path, part = self._parts[key[0]]
        name = ".".join(filter(None, (own_name(path), key[1])))
        return ArgumentError(
            f"forward of {type(part).__name__} reads {name} and writes it: state that the next call"
            " begins with, and that no graph has",
            where=str(self._read[key]),
            expected="state in buffers",
            got=type(self._before[key][0]).__name__,
            todo=f'self.register_buffer("{key[1]}", torch.tensor(…)), and write into that',
        )


def _is_torchs(part: nn.Module) -> bool:
    """Is the class PyTorch's own? ``torch.export`` knows what those write."""
    return type(part).__module__.startswith("torch.")


def _alike(now: Any, before: Any) -> bool:
    """Is it the same object, a container of the same kind, or an equal option?"""
    if now is before:
        return True
    if type(now) is not type(before):
        return False
    return isinstance(now, (dict, list, set)) or (isinstance(now, OPTIONS) and now == before)


def _line() -> Site:
    """The user's line that is running."""
    frame = sys._getframe(2)
    inner: Any = frame
    while inner is not None and not is_users(inner.f_code.co_filename):
        inner = inner.f_back
    inner = inner or frame
    return Site(inner.f_code.co_filename, inner.f_lineno, inner.f_code.co_name)


def _contents(value: Any, depth: int) -> Any:
    """What a container holds, and what the containers in it hold; None of anything else."""
    if depth and isinstance(value, dict):
        return [(k, v, _contents(v, depth - 1)) for k, v in value.items()]
    if depth and isinstance(value, (list, set)):
        return [(None, v, _contents(v, depth - 1)) for v in value]
    return None


def _same(now: Any, before: Any) -> bool:
    if now is None or before is None:
        return now is before
    return len(now) == len(before) and all(
        (a is d or a == d) and b is e and _same(c, f)
        for (a, b, c), (d, e, f) in zip(now, before, strict=True)
    )


def _refill(value: Any, contents: Any) -> None:
    """Put back what a container held."""
    if contents is None:
        return
    value.clear()
    for key, inner, below in contents:
        if isinstance(value, dict):
            value[key] = inner
        elif isinstance(value, set):
            value.add(inner)
        else:
            value.append(inner)
        _refill(inner, below)
