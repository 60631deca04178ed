"""The kernel compiler: a Python function over numbers and pointers becomes LLVM code.

It reads the function's syntax tree once, top to bottom, and emits as it goes. Every variable is a
stack slot typed by its first assignment (LLVM's passes turn slots into registers), every constant
expression is worked out here, and everything that is not in the language is refused with the
line that holds it. All shapes of control flow keep Python's meaning, so the same function run by
CPython is the compiler's reference.

From the bottom up: :mod:`.values`; the layers of the emitter, :mod:`.state`,
:mod:`.kinds`, :mod:`.memory`, :mod:`.operators`, :mod:`.expressions`, :mod:`.statements` and
:mod:`.calls`; the words, :mod:`.numbers` and :mod:`.threads`; :mod:`.emitter` and :mod:`.program`.
"""

from allbps.machine.language.errors import KernelError
from allbps.machine.language.frontend.program import Program

__all__ = ["KernelError", "Program"]
