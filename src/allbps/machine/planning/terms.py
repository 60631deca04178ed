"""Products that are added to each other: a weight that is used several times has a δ of terms."""

from __future__ import annotations

from dataclasses import replace

from allbps.machine.planning.plan import Plan, Value, Work

TURN = (1, 0)


def turns(work: Work | None) -> bool:
    """Is this the transpose of a matrix?"""
    return work is not None and work.kind == "transpose" and tuple(work.attrs["axes"]) == TURN


def add_products(plan: Plan) -> Plan:
    """Σₜ Aₜ Bₜ, of which nothing reads a single product, is one work: a product of many terms.

    So no term is written by itself and read again: δW of a recurrent layer, Σₜ Xₜᵀ δZₜ, for one.
    The terms may all be transposed; then the sum is.
    """
    works: dict[Work, list[Work]] = {}
    removed: set[Work] = set()
    for total in plan.works:
        terms = _terms(plan, total) if total.kind == "accumulate" else []
        if terms:
            turned = turns(plan.maker[total.inputs[0]])
            removed.update(terms, (plan.maker[x] for x in total.inputs))
            works[total] = _product(terms, total, turned=turned)
    kept = [w for work in plan.works if work not in removed for w in works.get(work, [work])]
    return replace(plan, works=tuple(kept))


def _terms(plan: Plan, total: Work) -> list[Work]:
    """The products that a sum adds, all or none of them transposed; nothing if it adds more."""
    found = []
    makers = [plan.maker.get(x) for x in total.inputs]
    turned = turns(makers[0])
    if len(set(total.inputs)) < len(total.inputs) or total.outputs[0].dtype.kind != "f":
        return []
    for value, maker in zip(total.inputs, makers, strict=True):
        if maker is None or turns(maker) != turned or plan.only_reader(value) is not total:
            return []
        product = plan.maker.get(maker.inputs[0]) if turned else maker
        if product is None or not _is_plain(product):
            return []
        if turned and plan.only_reader(product.outputs[0]) is not maker:
            return []
        found.append(product)
    return found


def _is_plain(product: Work) -> bool:
    """A product of two matrices of the same kind of number, and nothing behind it."""
    plain = product.kind == "matmul" and not product.steps and len(product.inputs) == 2
    kinds = {x.dtype for x in (*product.inputs, *product.outputs)}
    return plain and len(kinds) == 1 and all(len(x.shape) == 2 and x.size for x in product.inputs)


def _product(terms: list[Work], total: Work, *, turned: bool) -> list[Work]:
    made = total.outputs[0]
    out = Value(made.shape[::-1], made.dtype, made.name) if turned else made
    pairs = tuple(x for term in terms for x in term.inputs)
    product = Work("matmul_sum", pairs, (out,), node=terms[0].node)
    return [product, Work("transpose", (out,), (made,), {"axes": TURN})] if turned else [product]


def pairs_of(product: Work) -> list[tuple[Value, Value]]:
    """The operands of each term."""
    return list(zip(product.inputs[::2], product.inputs[1::2], strict=True))
