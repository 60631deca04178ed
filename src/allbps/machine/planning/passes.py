"""Passes that make one work of several: fewer trips through memory, fewer waits between stages.

Each pass takes a plan and gives a plan. A chain of element-by-element works becomes one loop, a
bias and a ReLU ride on the product before them, a ReLU is done by the pooling after it, and sums
work out what they add up while they add, products too.
"""

from __future__ import annotations

from allbps.machine.planning.assembly import join_slices
from allbps.machine.planning.epilogues import (
    add_bias,
    clip_in_norm,
    clip_in_pooling,
    clip_in_product,
    mask_in_product,
)
from allbps.machine.planning.loops import join_loops, make_loops
from allbps.machine.planning.plan import Plan
from allbps.machine.planning.sums import sum_in_product, sum_once, sum_while_computing
from allbps.machine.planning.terms import add_products


def passes(plan: Plan) -> Plan:
    """All of them, in order."""
    for step in (
        join_slices,
        clip_in_pooling,
        clip_in_norm,
        add_bias,
        clip_in_product,
        mask_in_product,
        add_products,
        make_loops,
        sum_once,
        sum_in_product,
        sum_while_computing,
        join_loops,
    ):
        plan = step(plan)
    return plan
