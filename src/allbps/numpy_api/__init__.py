"""What NumPy's functions mean on traced arrays, composed from operations; by family.

A NumPy function that *is* one operation is named in that operation's declaration
(``implements=``); here live the ones that are put together from several, or that need their
arguments read first (``axis=None``, ``keepdims``).
"""

from importlib import import_module
from pkgutil import iter_modules

for _family in iter_modules(__path__):
    import_module(f"{__name__}.{_family.name}")
