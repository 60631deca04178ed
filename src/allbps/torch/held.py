"""What a compiled step takes for granted of a module: its parts and options stay what they are.

Numbers inside of parameters and buffers may change at any time; this is about which there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import is_
from typing import Any

import torch
from torch import nn

from allbps.torch.attributes import OPTIONS, Written


class Held:
    """Parameters, buffers, submodules, tensors and options of modules, as they are now.

    Args:
        parts: the modules.
        written: (id of a module, attribute) that a forward pass writes before it reads it.

    """

    def __init__(self, parts: Iterable[nn.Module], written: Collection[Written] = ()) -> None:
        self._held: list[tuple[dict[str, Any], tuple[str, ...], list[Any]]] = []
        for part in parts:
            own = vars(part)
            rooms: list[Any] = [part._parameters, part._buffers, part._modules]
            self._held += [(room, tuple(room), list(room.values())) for room in rooms if room]
            # train() and eval() are looked at apart, since both modes are kept
            taken = [n for n, v in own.items() if n != "training" and _is_taken(v)]
            names = [n for n in taken if (id(part), n) not in written]
            if names:
                self._held.append((own, tuple(names), [own[n] for n in names]))

    @property
    def changed(self) -> bool:
        """Is anything another one than it was?"""
        for room, names, before in self._held:
            try:
                now = [room[name] for name in names]
            except KeyError:
                return True
            if not _same(now, before):
                return True
        return False


def _is_taken(value: Any) -> bool:
    return isinstance(value, (*OPTIONS, torch.Tensor))


def _same(now: Sequence[Any], before: Sequence[Any]) -> bool:
    return all(map(is_, now, before)) or all(
        a is b or (type(a) is type(b) and isinstance(a, OPTIONS) and a == b)
        for a, b in zip(now, before, strict=True)
    )
