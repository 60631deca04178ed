"""Products that are only wanted transposed, as products that are made so at once."""

from __future__ import annotations

from dataclasses import replace

from allbps.machine.planning.plan import Plan, Value, Work
from allbps.machine.planning.terms import TURN, pairs_of, turns


def turn_products(plan: Plan) -> Plan:
    """(A·B)ᵀ, of which nothing reads A·B, is Bᵀ·Aᵀ, where A is itself something transposed.

    A linear layer of PyTorch computes X Wᵀ, so its δW is (Xᵀ δZ)ᵀ: as δZᵀ X it lies as W does.
    """
    works: dict[Work, list[Work]] = {}
    removed = set()
    for turned in plan.works:
        product = plan.maker.get(turned.inputs[0]) if turns(turned) else None
        if product is not None and _can_be_turned(plan, product):
            removed.add(product)
            works[turned] = _turned(product, turned)
    kept = [w for work in plan.works if work not in removed for w in works.get(work, [work])]
    return replace(plan, works=tuple(kept))


def _can_be_turned(plan: Plan, product: Work) -> bool:
    """Is it a plain product of two matrices, or a sum of such, the first lying the other way?"""
    plain = product.kind == "matmul" and not product.steps and len(product.inputs) == 2
    plain = plain or product.kind == "matmul_sum"
    if not plain or any(len(x.shape) != 2 for x in product.inputs):
        return False
    return plan.only_reader(product.outputs[0]) is not None and _lies_turned(plan, product)


def _lies_turned(plan: Plan, product: Work) -> bool:
    """Is the left operand a transposed array, whose rows may have been put together since?"""
    maker = plan.maker.get(product.inputs[0])
    while maker is not None and maker.kind == "reshape":
        maker = plan.maker.get(maker.inputs[0])
    return maker is not None and maker.kind == "transpose"


def _turned(product: Work, turned: Work) -> list[Work]:
    works, operands = list[Work](), list[Value]()
    for pair in pairs_of(product):
        for x in pair[::-1]:
            operands.append(Value(x.shape[::-1], x.dtype, x.name))
            works.append(Work("transpose", (x,), (operands[-1],), {"axes": TURN}))
    made = Work(product.kind, tuple(operands), turned.outputs, product.attrs, product.node)
    return [*works, made]
