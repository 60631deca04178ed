"""Tasks in order, as source, in memory, and run by a team of threads.

:mod:`.regions` orders them, :mod:`.codegen` writes one kernel of them, :mod:`.executable` gives
them memory, :mod:`.runtime` runs them.
"""
