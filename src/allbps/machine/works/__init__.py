"""Each work as tasks that call kernels.

:mod:`.tasks` says what tasks are, :mod:`.places` where every value lies, :mod:`.emit` which family
takes which work; a family's file has the name of the file of its kernels. :mod:`.text` and
:mod:`.nests` write loops, :mod:`.updates` what an optimiser does.
"""
