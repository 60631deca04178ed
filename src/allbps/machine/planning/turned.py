"""Products that are only wanted transposed, as products that are made so at once."""

from __future__ import annotations

from dataclasses import replace

from allbps.machine.planning.plan import Plan, Value, Work

TURN = (1, 0)


def turn_products(plan: Plan) -> Plan:
    """(A·B)ᵀ, of which nothing reads A·B, is Bᵀ·Aᵀ, where A is itself something transposed.

    A linear layer of PyTorch computes X Wᵀ, so its δW is (Xᵀ δZ)ᵀ: as δZᵀ X it lies as W does.
    """
    works: dict[Work, list[Work]] = {}
    removed = set()
    for turned in plan.works:
        product = plan.maker.get(turned.inputs[0]) if _turns(turned) else None
        if product is not None and _can_be_turned(plan, product):
            removed.add(product)
            works[turned] = _turned(product, turned)
    kept = [w for work in plan.works if work not in removed for w in works.get(work, [work])]
    return replace(plan, works=tuple(kept))


def _turns(work: Work) -> bool:
    return work.kind == "transpose" and tuple(work.attrs["axes"]) == TURN


def _can_be_turned(plan: Plan, product: Work) -> bool:
    """Is it a plain product of two matrices, the first of them lying the other way round?"""
    plain = product.kind == "matmul" and not product.steps and len(product.inputs) == 2
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
    a, b = product.inputs
    left = Value(b.shape[::-1], b.dtype, b.name)
    right = Value(a.shape[::-1], a.dtype, a.name)
    axes = {"axes": TURN}
    return [
        Work("transpose", (b,), (left,), axes),
        Work("transpose", (a,), (right,), axes),
        Work("matmul", (left, right), turned.outputs, product.attrs, product.node),
    ]
