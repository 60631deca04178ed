"""Each work as tasks that call kernels.

:mod:`.tasks` says what tasks are, :mod:`.places` where every value lies, :mod:`.emit` which file
writes the tasks of which work. :mod:`.text` and :mod:`.nests` write loops.
"""
