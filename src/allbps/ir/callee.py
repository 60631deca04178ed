"""Which function a frame is calling now, where it is written as a name or as ``a.b.c``."""

from __future__ import annotations

import builtins
import dis
import sys
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from allbps.ir.site import is_ours

_NAMES = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF")
_PARTS = ("LOAD_ATTR", "LOAD_METHOD")
_SILENT = ("PUSH_NULL", "CACHE", "PRECALL", "KW_NAMES", "COPY")


def frame_outside() -> FrameType:
    """The innermost frame that is not one of ours."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def called_in(frame: FrameType) -> Any:
    """What ``frame`` calls now; None where it calls nothing, or that cannot be told.

    A method is given as the function behind it.
    """
    names = _spelled(frame.f_code, frame.f_lasti)
    for scope in (frame.f_locals, frame.f_globals, vars(builtins)) if names else ():
        if names[0] in scope:
            found = scope[names[0]]
            for part in names[1:]:
                found = getattr(found, part, None)
            return getattr(found, "__func__", found)
    return None


def reads_attribute(frame: FrameType) -> bool:
    """Does ``frame`` stand at ``x.name``?"""
    return dis.opname[frame.f_code.co_code[frame.f_lasti]] in _PARTS


@lru_cache(4096)
def _spelled(code: CodeType, offset: int) -> tuple[str, ...]:
    """``a``, ``b``, ``c`` of the call ``a.b.c(…)`` at that place of the code.

    A call begins in its file where the name of the function does, so the instructions that begin
    there, and end earlier, say what is called.
    """
    steps = list(dis.get_instructions(code))
    now = next((step for step in steps if step.offset == offset), None)
    if now is None or "CALL" not in now.opname or now.positions is None:
        return ()
    whole = now.positions
    spelled: tuple[str, ...] = ()
    for step in steps:
        place = step.positions
        if step.offset >= offset or place is None or place == whole or step.opname in _SILENT:
            continue
        if (place.lineno, place.col_offset) != (whole.lineno, whole.col_offset):
            continue
        if step.opname.startswith(_NAMES) and isinstance(step.argval, str):
            spelled = (step.argval,)
        elif step.opname in _PARTS and spelled:
            spelled = (*spelled, step.argval)
        else:
            spelled = ()  # the result of another call, or an element of something
    return spelled
