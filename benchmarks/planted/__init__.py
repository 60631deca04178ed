"""Nets with hand-written backward passes, and mistakes planted in them by hand.

Nothing here uses the checker's own table of mistakes: every wrong δ is written out in NumPy.
"""
