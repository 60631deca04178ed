"""The language of kernels and its compiler: Python functions to object code, kept on disk.

From the bottom up:

- :mod:`.target`: the CPU, its vectors and its register tile;
- :mod:`.microkernel`: the one building block, a batch-reduce GEMM, as LLVM vector code;
- :mod:`.words` and :mod:`.frontend`: what a kernel may say, and what becomes of it;
- :mod:`.native`, :mod:`.build` and :mod:`.cache`: object code loaded, made and kept.
"""
