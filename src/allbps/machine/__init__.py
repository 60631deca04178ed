"""The machine: a graph compiled for this CPU, from kernels in Python to object code on disk.

From the bottom up, each importing from those before it only:

- :mod:`.language`: what kernels are written in, and its compiler;
- :mod:`.kernels`: the arithmetic, and the threads' part of it in :mod:`.kernels.team`;
- :mod:`.planning`: which works a function and its δ need, joined where that saves memory traffic;
- :mod:`.works`: each work as tasks that call kernels;
- :mod:`.execution`: tasks in order, as source, in memory, run by threads;
- :mod:`.compile`, and beside it what users call, choose and print.
"""
