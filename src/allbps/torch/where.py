"""Where a node of an exported graph comes from: the user's line, and the module it stands in."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.fx import Node
from torch.fx.proxy import TracerBase

from allbps.ir import Site
from allbps.ir.site import Part

_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_HERE = str(Path(__file__).resolve().parent.parent) + os.sep
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')


def is_users(file: str) -> bool:
    """Is this file neither PyTorch's, nor ours, nor made up by a tracer?"""
    return not file.startswith(("<", _TORCH, _HERE))


def _is_kept(frame: traceback.FrameSummary) -> bool:
    return frame.name == "forward" or is_users(frame.filename)


@contextmanager
def all_users_lines() -> Iterator[None]:
    """Inside, a node knows every line of the user's that it comes from.

    PyTorch keeps those of ``forward`` alone: not what that calls, and nothing of a loss function.
    """

    def kept(self: Any, stack: traceback.StackSummary) -> traceback.StackSummary:
        ours = [k for k, frame in enumerate(stack) if frame.filename.startswith(_HERE)]
        chosen: list[traceback.FrameSummary] = []
        # the innermost lines between two of ours, or behind the last: what called us is no part
        for start, end in reversed(list(zip([-1, *ours], [*ours, len(stack)], strict=True))[1:]):
            chosen = [f for f in stack[start + 1 : end] if _is_kept(f)]
            if any(is_users(f.filename) for f in chosen):
                break
        return traceback.StackSummary.from_list(chosen)

    with mock.patch.object(TracerBase, "_filter_traceback_frames", kept):
        yield


def site_of(node: Node) -> Site | None:
    """The innermost line of the user's code that made a node; of PyTorch's where there is none."""
    within = modules_of(node)
    found = [
        Site(m["file"], int(m["line"]), m["function"], within)
        for m in _FRAME.finditer(str(node.meta.get("stack_trace") or ""))
        if not m["file"].startswith(("<", _HERE))
    ]
    own = [site for site in found if is_users(site.file)]
    return own[-1] if own else found[-1] if found else None


def path_of(node: Node) -> str:
    """The path of the module that a node stands in, ``layer1.0.conv1``; empty for the outermost."""
    stack = node.meta.get("nn_module_stack") or {}
    return own_name(str(next(reversed(stack.values()))[0])) if stack else ""


def modules_of(node: Node) -> tuple[Part, ...]:
    """The modules that a node stands in, by their paths, from the outermost one's children on."""
    found = []
    for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
        if name := own_name(str(path)):
            call = int(str(key).rpartition("@")[2]) if "@" in str(key) else 0
            found.append(Part(f"{name}, call {call + 1}" if call else name, call))
    return tuple(found)


PREFIX = "module_of_the_step"
"""What a module is called inside the module that is made of it and its loss."""


def own_name(name: str) -> str:
    """The name inside the user's module: without the prefix of a step."""
    return "" if name == PREFIX else name.removeprefix(f"{PREFIX}.")


def class_of(node: Node) -> str:
    """The class of that module, with its own module's name."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(next(reversed(stack.values()))[1]) if stack else ""


def said(node: Node) -> str:
    """Module path and line, for a message."""
    site, path = site_of(node), path_of(node)
    parts = [path, str(site) if site else ""]
    return ", ".join(part for part in parts if part)


def raised_at(error: BaseException) -> str:
    """The innermost line of the user's code that an exception came through."""
    chain: list[BaseException] = []
    here: BaseException | None = error
    while here is not None and here not in chain:
        chain.append(here)
        here = here.__cause__ or here.__context__
    for one in reversed(chain):
        frames = [f for f in traceback.extract_tb(one.__traceback__) if is_users(f.filename)]
        starts = [k for k, f in enumerate(frames) if f.name == "forward"]
        inside = frames[starts[0] :] if starts else frames[1:]
        if inside:
            last = inside[-1]
            return str(Site(last.filename, last.lineno or 0, last.name))
    told = [m for one in chain for m in _FRAME.finditer(str(one)) if is_users(m["file"])]
    return str(Site(told[-1]["file"], int(told[-1]["line"]), told[-1]["function"])) if told else ""


def calling_line() -> str:
    """The innermost line of the user's code that is running now."""
    frames = [f for f in traceback.extract_stack() if is_users(f.filename)]
    if not frames:
        return ""
    last = frames[-1]
    return str(Site(last.filename, last.lineno or 0, last.name))
