"""Training steps measured beside other frameworks' on equal weights and equal data.

- :mod:`.work`: the rows, what is trained;
- :mod:`.peer`: who takes part; the peers themselves are in ``by_*.py``, which alone import them;
- :mod:`.agree`: do all of them compute the same? asked before anything is timed;
- :mod:`.rounds`: interleaved timing in this process;
- :mod:`.trial`: compile time and peak memory, each in a process of its own;
- :mod:`.report` and :mod:`.plot`: what is said about it.
"""
