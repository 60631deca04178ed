"""The peak of one core: fused multiply-adds on vector registers, nothing else."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from allbps.machine.language.native import Loaded, object_code, symbol
from allbps.machine.language.target import Target

CHAINS = 12
"""Sums that do not wait for each other: more than latency times units, fewer than registers."""
TURNS = 50_000


def peak_loop(target: Target, *, single: bool) -> tuple[Callable[[], None], float]:
    """A function that multiplies and adds in registers, and its operations a call."""
    lanes = target.lanes(4 if single else 8)
    loaded = Loaded(object_code(_text(lanes, single=single), target, optimised=True))
    call = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(loaded.address("peak"))
    numbers = np.zeros(CHAINS * lanes, np.float32 if single else np.float64)

    def run() -> None:
        assert loaded  # keep the code in memory as long as this function
        call(TURNS, numbers.ctypes.data)

    return run, 2.0 * TURNS * CHAINS * lanes


def _text(lanes: int, *, single: bool) -> str:
    """LLVM text: every chain is x·x + itself, once a turn."""
    vector = f"<{lanes} x {'float' if single else 'double'}>"
    fma = f"@llvm.fmuladd.v{lanes}f{32 if single else 64}"
    chains = range(CHAINS)
    phis = [f"%a{k} = phi {vector} [zeroinitializer, %entry], [%b{k}, %loop]" for k in chains]
    adds = [
        f"%b{k} = call {vector} {fma}({vector} %x, {vector} %x, {vector} %a{k})" for k in chains
    ]
    stores = [
        line
        for k in chains
        for line in (
            f"%p{k} = getelementptr {vector}, ptr %p, i64 {k}",
            f"store {vector} %b{k}, ptr %p{k}, align 4",
        )
    ]
    return "\n".join([
        f"declare {vector} {fma}({vector}, {vector}, {vector})",
        f"define void @{symbol('peak')}(i64 %n, ptr %p) {{",
        "entry:", f"%x = load {vector}, ptr %p, align 4", "br label %loop",
        "loop:", "%i = phi i64 [0, %entry], [%j, %loop]", *phis, *adds,
        "%j = add i64 %i, 1", "%more = icmp slt i64 %j, %n",
        "br i1 %more, label %loop, label %out",
        "out:", *stores, "ret void", "}",
    ])  # fmt: skip
