"""Sums of sums, of products and of loops, each in one go."""

from __future__ import annotations

from dataclasses import replace

from allbps.machine.planning.plan import Plan, Value, Work

SUMS = ("sum", "mean")


def sum_once(plan: Plan) -> Plan:
    """A sum of a sum, the first of which nothing else reads, is one sum over more axes."""
    maker = plan.maker
    removed: set[Work] = set()
    placed: dict[Work, Work] = {}
    for work in plan.works:
        first = maker.get(work.inputs[0]) if work.kind == "sum" else None
        first = placed.get(first, first) if first is not None else None
        if first is None or first.kind != "sum" or plan.only_reader(work.inputs[0]) is not work:
            continue
        axes = summed_axes(first)
        left = [k for k in range(len(first.inputs[0].shape)) if k not in axes]
        if first.attrs["keepdims"]:
            left = list(range(len(first.inputs[0].shape)))
        more = tuple(left[k] for k in summed_axes(work))
        attrs = {"axis": tuple(sorted({*axes, *more})), "keepdims": None}
        removed.add(maker[work.inputs[0]])
        placed[work] = replace(work, inputs=first.inputs, attrs=attrs, steps=())
    return plan.rewritten(removed, placed)


def summed_axes(work: Work) -> tuple[int, ...]:
    """The axes that a sum or mean goes over, as numbers from 0."""
    axis, ndim = work.attrs["axis"], len(work.inputs[0].shape)
    if axis is None:
        return tuple(range(ndim))
    return tuple(k % ndim for k in (axis if isinstance(axis, tuple) else (axis,)))


def sum_in_product(plan: Plan) -> Plan:
    """Σ over leading axes of products is one product that sums over more: δW of a batch of rows.

    Σₙ Aₙ Bₙ, (n, M, K) · (n, K, N), is (M, n·K) · (n·K, N): no (n, M, N) in between.
    """
    maker = plan.maker
    works: dict[Work, list[Work]] = {}
    removed = set()
    for total in plan.works:
        product = maker.get(total.inputs[0]) if total.kind == "sum" else None
        if product is None or product.kind != "matmul" or product.steps or total.steps:
            continue
        if plan.only_reader(total.inputs[0]) is total and _sums_all_leading(total, product):
            removed.add(product)
            works[total] = _longer_product(product, total)
    kept = [w for work in plan.works if work not in removed for w in works.get(work, [work])]
    return replace(plan, works=tuple(kept))


def _sums_all_leading(total: Work, product: Work) -> bool:
    a, b = product.inputs
    leading = len(total.inputs[0].shape) - 2
    same = leading > 0 and a.shape[:-2] == b.shape[:-2] and len(a.shape) == len(b.shape)
    whole = summed_axes(total) == tuple(range(leading)) and len(total.outputs[0].shape) == 2
    return same and whole and min(a.size, b.size) > 0


def _longer_product(product: Work, total: Work) -> list[Work]:
    """Views of both operands as matrices, and their product."""
    a, b = product.inputs
    (M, K), N, leading = a.shape[-2:], b.shape[-1], a.shape[:-2]
    count = len(leading)
    rows_first = Value((M, *leading, K), a.dtype, a.name)
    left = Value((M, a.size // M), a.dtype, a.name)
    right = Value((b.size // N, N), b.dtype, b.name)
    order = (count, *range(count), count + 1)
    return [
        Work("transpose", (a,), (rows_first,), {"axes": order}),
        Work("reshape", (rows_first,), (left,)),
        Work("reshape", (b,), (right,)),
        Work("matmul", (left, right), total.outputs, product.attrs, product.node),
    ]


def sum_while_computing(plan: Plan) -> Plan:
    """A sum takes in the loop before it, if nothing else reads what the loop makes."""
    maker = plan.maker
    removed, placed = [], {}
    for work in plan.works:
        if work.kind not in SUMS or work.inputs[0].dtype.kind != "f":
            continue
        before = maker.get(work.inputs[0])
        if before is None or before.kind != "loop" or len(before.outputs) != 1:
            continue
        if plan.only_reader(work.inputs[0]) is work:
            removed.append(before)
            attrs = {**work.attrs, "axis": summed_axes(work)}
            total = replace(work, attrs=attrs)
            placed[work] = replace(total, inputs=before.inputs, steps=(*before.steps, total))
    return plan.rewritten(removed, placed)
