"""The machine: a graph compiled for this CPU, from kernels in Python to object code on disk.

From the bottom up:

- :mod:`.target`: the CPU, its vectors and its register tile;
- :mod:`.microkernel`: the one building block, a batch-reduce GEMM, as LLVM vector code;
- :mod:`.words` and :mod:`.frontend`: the language of kernels and its compiler;
- :mod:`.kernels`: the arithmetic, and the threads' part of it in :mod:`.kernels.team`;
- :mod:`.native`, :mod:`.build` and :mod:`.cache`: object code made, loaded and kept on disk;
- :mod:`.runtime`: steps run by a team of threads;
- :mod:`.plan`, :mod:`.fused` and :mod:`.fusion`: which works a function and its δ need, joined;
- :mod:`.layout` and :mod:`.places`: where every array lies;
- :mod:`.loops`, :mod:`.products`, :mod:`.contractions`, :mod:`.axes`, :mod:`.moves`,
  :mod:`.images`, :mod:`.taps`, :mod:`.grouped`, :mod:`.norms`, :mod:`.heads`, :mod:`.rows`,
  :mod:`.slices`, :mod:`.picks`, :mod:`.updates` and :mod:`.emit`: each work as tasks that call
  kernels;
- :mod:`.regions`, :mod:`.codegen` and :mod:`.executable`: tasks in order, as source, in memory;
- :mod:`.compile` and :mod:`.stages`: what users call and print.
"""
