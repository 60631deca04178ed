"""Which works a function and its δ need, and which of them are one.

- :mod:`.plan`: works, values and the plan; :mod:`.layout` and :mod:`.windows`: how arrays lie;
- :mod:`.substitutes`, :mod:`.norms` and :mod:`.attentions`: BP rules that have a kernel;
- :mod:`.scalar`: an operation's NumPy text as arithmetic on single elements;
- :mod:`.passes`, and what it calls: :mod:`.assembly`, :mod:`.epilogues`, :mod:`.loops` and
  :mod:`.sums`.
"""
