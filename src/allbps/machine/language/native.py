"""From LLVM text to callable code: optimise, make an object file, load it."""

from __future__ import annotations

import ctypes
import functools
import sys

import llvmlite.binding as llvm

from allbps.machine.language.target import Target, initialise_llvm


def parse(text: str, target: Target) -> llvm.ModuleRef:
    """LLVM's own form of LLVM text, checked."""
    machine = target.machine()
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    return module


def optimise(text: str, target: Target) -> llvm.ModuleRef:
    """Parse LLVM text and run LLVM's standard -O3 pipeline for ``target`` over it."""
    machine, module = target.machine(), parse(text, target)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = False  # it undoes the order that a kernel's loops were given
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def object_code(text: str, target: Target, *, optimised: bool = False) -> bytes:
    """The object file of LLVM text, compiled for ``target``; ``optimised`` text is taken as is."""
    module = parse(text, target) if optimised else optimise(text, target)
    return bytes(target.machine().emit_object(module))


def symbol(kernel: str) -> str:
    """The name of a kernel in object code, apart from those that the C library has."""
    return f"allbps_{kernel}"


class Loaded:
    """Object code in memory, ready to be called.

    Only llvmlite and ctypes are needed here, so that a step read from the disk cache starts fast.
    """

    def __init__(self, *objects: bytes) -> None:
        initialise_llvm()
        _provide_system_calls()
        machine = llvm.Target.from_default_triple().create_target_machine(
            codemodel="large", reloc="static", jit=True
        )
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        for code in objects:
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where the kernel ``name`` starts."""
        found = int(self._engine.get_function_address(symbol(name)))
        if not found:
            raise KeyError(name)
        return found


@functools.cache
def _provide_system_calls() -> None:
    """Give generated code names for the operating system's "let others run" and its clock."""
    if sys.platform == "win32":
        calls = {"system_yield": ctypes.WinDLL("kernel32").SwitchToThread}
    else:
        system = ctypes.CDLL(None)
        calls = {"system_yield": system.sched_yield, "system_clock": system.clock_gettime}
    for name, call in calls.items():
        llvm.add_symbol(name, ctypes.cast(call, ctypes.c_void_p).value)
