"""What the CPU can do: its vector width, its registers, and the GEMM tile that fills them."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

import llvmlite.binding as llvm

from allbps.errors import ArgumentError
from allbps.machine.language.caches import sizes

#: Widest tile by number of vector columns, for 32 and for 16 vector registers. A tile of r rows
#: and v vectors keeps r*v sums and v vectors of B in registers, and needs at least 8 sums in
#: flight to hide the latency of a fused multiply-add.
TILE_ROWS = {32: {1: 12, 2: 12, 3: 8, 4: 6}, 16: {1: 8, 2: 6}}


@dataclass(frozen=True)
class Target:
    """A CPU to compile for.

    Args:
        cpu: LLVM's name of it.
        features: LLVM's feature string, "+avx2,-avx512f,...".
        vector_bytes: bytes in a vector register that we use: 64, 32 or 16.
        registers: vector registers: 32 or 16.
        masks: whether loads and stores of part of a vector are cheap.
        caches: bytes of the first and of the second data cache of a core.

    """

    cpu: str
    features: str
    vector_bytes: int
    registers: int
    masks: bool
    caches: tuple[int, int]

    def lanes(self, itemsize: int) -> int:
        """Numbers of that many bytes in one vector."""
        return self.vector_bytes // itemsize

    @property
    def free_masks(self) -> bool:
        """Whether a masked vector costs no more than a whole one, and no vector register."""
        return self.masks and self.registers == 32

    @property
    def packs(self) -> bool:
        """Whether products copy panels of B side by side as they first read them.

        Rows of B lie far apart, and where a panel is one or two lines wide neither prefetching nor
        the sets of the first cache get on with that. The wide panels of 512-bit vectors stream
        from the second cache as they lie.
        """
        return not self.free_masks

    @property
    def panel(self) -> int:
        """Vectors in the widest panel of B."""
        return max(self.tile_rows)

    def depth(self, itemsize: int) -> int:
        """Rows of B multiplied at a time.

        A packed panel of them is half of the first cache; one that is not, an eighth of the second.
        """
        first, second = self.caches
        room = first // 2 if self.packs else second // 8
        return max(64, room // (self.panel * self.lanes(itemsize) * itemsize))

    def block_rows(self, itemsize: int) -> int:
        """Rows of A multiplied at a time: with that depth, a quarter of the second cache."""
        return max(24, self.caches[1] // 4 // (self.depth(itemsize) * itemsize))

    @property
    def tile_rows(self) -> dict[int, int]:
        """Rows of the tile that is 1, 2, ... vectors wide."""
        return TILE_ROWS[self.registers]

    @property
    def triple(self) -> str:
        """LLVM's name of the kind of machine."""
        return str(llvm.get_default_triple())

    @property
    def key(self) -> str:
        """Everything that changes the code we generate, in one string."""
        own = self.vector_bytes, self.registers, self.masks, *self.caches
        return "|".join([self.cpu, self.features, *map(str, own)])

    def machine(self) -> llvm.TargetMachine:
        """LLVM's own description of this CPU, for its passes and its code generator."""
        initialise_llvm()
        # sections may be placed more than 2 GB apart in a crowded process: 32-bit offsets overflow
        return llvm.Target.from_default_triple().create_target_machine(
            cpu=self.cpu, features=self.features, opt=3, reloc="static", codemodel="large", jit=True
        )


@functools.cache
def initialise_llvm() -> None:
    """Register the native code generator, once."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


WIDTH = "ALLBPS_VECTOR_BYTES"
"""The environment variable that holds a process to narrower vectors."""


@functools.cache
def host() -> Target:
    """What to compile for: the CPU we run on, held to the width that the environment names.

    Raises:
        ArgumentError: it names none, or a wider one than the CPU has.

    """
    asked = os.environ.get(WIDTH, "")
    if not asked:
        return reported()
    widths = [str(w) for w in (64, 32, 16) if w <= reported().vector_bytes]
    if asked not in widths:
        raise ArgumentError(
            f"{WIDTH} is not a width of vectors of this CPU",
            expected=" or ".join(widths),
            got=asked,
        )
    return narrowed(int(asked))


@functools.cache
def reported() -> Target:
    """The CPU we run on, from its own report."""
    initialise_llvm()
    has = llvm.get_host_cpu_features()
    cpu, features = llvm.get_host_cpu_name(), has.flatten()
    if has.get("avx512f") and has.get("avx512vl"):
        return Target(cpu, features, 64, registers=32, masks=True, caches=sizes())
    if has.get("avx2") and has.get("fma"):
        return Target(cpu, features, 32, registers=16, masks=True, caches=sizes())
    if has.get("neon"):
        return Target(cpu, features, 16, registers=32, masks=False, caches=sizes())
    return Target(cpu, features, 16, registers=16, masks=False, caches=sizes())


def narrowed(vector_bytes: int) -> Target:
    """The CPU we run on, held to narrower vectors: 32 as AVX2, 16 as NEON.

    A test can so run, on one CPU, the tiles and tails of the others.
    """
    here = reported()
    if vector_bytes > here.vector_bytes:
        raise ValueError(f"this CPU has vectors of {here.vector_bytes} bytes, not {vector_bytes}")
    if vector_bytes == here.vector_bytes:
        return here
    off = ",".join(f"-{name}" for name in llvm.get_host_cpu_features() if name.startswith("avx512"))
    features = f"{here.features},{off}" if off else here.features
    if vector_bytes == 32:
        return Target(here.cpu, features, 32, registers=16, masks=True, caches=here.caches)
    # NEON has 32 registers of 16 bytes; so has AVX-512VL, whose features therefore stay on.
    registers = 32 if here.registers == 32 else 16
    return Target(here.cpu, here.features, 16, registers, masks=False, caches=here.caches)
