"""Passes that make one work of several: fewer trips through memory, fewer waits between stages.

Each pass takes a plan and gives a plan. A chain of element-by-element works becomes one loop, a
bias and a ReLU ride on the product before them, a ReLU is done by the pooling after it, and sums
work out what they add up while they add.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .assembly import join_slices
from .norms import clip_in_norm
from .plan import Plan, Value, Work
from .scalar import BOOL, INT, REAL, NotScalarTextError, Scalar, scalar_of

VIEWS = ("reshape", "transpose", "identity")
SUMS = ("sum", "mean")


def passes(plan: Plan) -> Plan:
    """All of them, in order."""
    for step in (
        join_slices,
        clip_in_pooling,
        clip_in_norm,
        add_bias,
        clip_in_product,
        make_loops,
        sum_once,
        sum_in_product,
        sum_while_computing,
        join_loops,
    ):
        plan = step(plan)
    return plan


def rewritten(plan: Plan, removed: Iterable[Work], placed: Mapping[Work, Work]) -> Plan:
    """The plan without some works, and with others in their place."""
    gone = set(removed)
    works = [placed.get(work, work) for work in plan.works if work not in gone]
    return replace(plan, works=tuple(works))


# -- ReLU and max-pool -----------------------------------------------------------------------------
def clip_in_pooling(plan: Plan) -> Plan:
    """max-pool(ReLU(z)) is a max-pool that clips its result, which is a fraction of the size."""
    removed: list[Work] = []
    placed: dict[Work, Work] = {}
    for relu in plan.works:
        if relu.kind == "relu" and relu.outputs[0] not in plan.wanted:
            gone, instead = _clip_in_pooling(plan, relu)
            removed += gone
            placed |= instead
    return rewritten(plan, removed, placed)


def _clip_in_pooling(plan: Plan, relu: Work) -> tuple[list[Work], dict[Work, Work]]:
    """Works that go, and what comes in the place of others; nothing where no pooling can clip."""
    use = plan.users
    readers = use.get(relu.outputs[0], [])
    pools = [work for work in readers if work.kind == "max_pool2d"]
    signs = [work for work in readers if work.kind == "greater"]
    if len(pools) != 1 or len(readers) != 1 + len(signs) or len(signs) > 1:
        return [], {}
    (pool,) = pools
    clipping = {**pool.attrs, "relu": True}
    placed = {pool: replace(pool, inputs=relu.inputs, attrs=clipping)}
    removed = [relu]
    if signs:
        masks = use.get(signs[0].outputs[0], [])
        backs = [w for w in use.get(pool.outputs[0], []) if w.kind == "max_pool_x"]
        if len(masks) != 1 or masks[0].kind != "where" or len(backs) != 1:
            return [], {}
        (mask,), (back,) = masks, backs
        if mask.inputs[1] is not back.outputs[0] or use[back.outputs[0]] != [mask]:
            return [], {}
        clipped = replace(back, outputs=mask.outputs, attrs={**back.attrs, "relu": True})
        placed[mask] = clipped
        removed += [signs[0], back]
    return removed, placed


# -- bias and ReLU behind a product ----------------------------------------------------------------
def add_bias(plan: Plan) -> Plan:
    """A product and the vector added to each of its rows are one work."""
    use = plan.users
    removed, placed = [], {}
    for product in plan.works:
        out = product.outputs[0]
        readers = use.get(out, [])
        if product.kind not in ("matmul", "conv2d") or len(readers) != 1 or out in plan.wanted:
            continue
        (add,) = readers
        if add.kind != "add" or add.inputs[0] is add.inputs[1]:
            continue
        bias = add.inputs[1] if add.inputs[0] is out else add.inputs[0]
        if _is_bias(product, bias) and bias.dtype == out.dtype == add.outputs[0].dtype:
            removed.append(product)
            placed[add] = replace(
                product,
                inputs=(*product.inputs, bias),
                outputs=add.outputs,
                attrs={**product.attrs, "bias": True},
                steps=(product, add),
            )
    return rewritten(plan, removed, placed)


def _is_bias(product: Work, bias: Value) -> bool:
    """One number for each column of a product, or for each channel of a convolution."""
    shape = product.outputs[0].shape
    if bias.uniform is not None or product.outputs[0].size == bias.size == 1:
        return False
    if product.kind == "matmul":
        return len(shape) > 1 and bias.shape in ((shape[-1],), (1,) * (len(shape) - 1) + shape[-1:])
    if len(shape) == 2:
        return bias.shape == ()
    return bias.shape in ((shape[1], 1, 1), (1, shape[1], 1, 1))


def clip_in_product(plan: Plan) -> Plan:
    """A product and the ReLU behind it are one work."""
    use, maker = plan.users, plan.maker
    removed, placed = [], {}
    for relu in plan.works:
        if relu.kind != "relu" or relu.inputs[0].constant is not None:
            continue
        product = maker.get(relu.inputs[0])
        if product is None or product.kind not in ("matmul", "conv2d"):
            continue
        if len(use[relu.inputs[0]]) == 1 and relu.inputs[0] not in plan.wanted:
            removed.append(product)
            steps = (*(product.steps or (product,)), relu)
            attrs = {**product.attrs, "relu": True}
            placed[relu] = replace(product, outputs=relu.outputs, attrs=attrs, steps=steps)
    return rewritten(plan, removed, placed)


# -- loops -----------------------------------------------------------------------------------------
LONGEST = 64
"""Steps in one loop: what LLVM needs for a loop grows faster than the loop."""


def scalar_kind(value: Value) -> str:
    """What one element is to a kernel."""
    return {"b": BOOL, "i": INT}.get(value.dtype.kind, REAL)


def operand(value: Value, code: str) -> Scalar:
    """An element of a value under a name."""
    return Scalar(code, scalar_kind(value), simple=True)


def by_element(work: Work) -> bool:
    """Does it work element by element?"""
    if work.kind in ("broadcast_to", "identity"):
        return True
    if work.node is None or work.node.op.name != work.kind or work.steps:
        return False
    try:
        names = [operand(x, f"x{k}") for k, x in enumerate(work.inputs)]
        found = scalar_of(work.node, names)
    except (NotScalarTextError, SyntaxError):
        return False
    kind = scalar_kind(work.outputs[0])
    return found.kind == kind or (kind == REAL and work.outputs[0].dtype.kind == "f")


def make_loops(plan: Plan) -> Plan:
    """Element-by-element works become loops; one that only a loop of its shape reads joins it."""
    use = plan.users
    group_of: dict[Work, list[Work]] = {}
    for work in plan.works[::-1]:
        if not by_element(work):
            continue
        out = work.outputs[0]
        readers = use.get(out, [])
        groups = [group_of.get(reader) for reader in readers]
        first = groups[0] if groups else None
        alike = first is not None and all(group is first for group in groups)
        inside = alike and out not in plan.wanted
        fits = first is not None and len(first) < LONGEST and first[0].outputs[0].shape == out.shape
        if first is not None and inside and fits:
            group_of[work] = first
            first.append(work)
        else:
            group_of[work] = [work]
    return _with_loops(plan, group_of)


def join_loops(plan: Plan) -> Plan:
    """A loop and one that reads its result in the same shape become one.

    The level of a work is the number of other works on the longest way to it. A way out of a loop
    and back ends on a higher level, so joining neighbours of one level closes no circle. A loop
    that would become too long is a level higher too, which keeps that true.
    """
    level_of: dict[Value, int] = {}
    group_of: dict[Work, list[Work]] = {}
    for work in plan.works:
        near = _loops_before(plan, work, group_of) if work.kind == "loop" else {}
        level = max(
            (level_of[x] + (x not in near) for x in work.inputs if x in level_of), default=0
        )
        if work.kind == "loop":
            groups = {id(group): group for x, group in near.items() if level_of[x] == level}
            joined = [work, *(member for group in groups.values() for member in group)]
            if sum(len(member.steps) for member in joined) > LONGEST:
                joined, level = [work], level + 1
            group_of.update(dict.fromkeys(joined, joined))
        level_of.update(dict.fromkeys(work.outputs, level))
    return _with_loops(plan, group_of)


def _loops_before(
    plan: Plan, loop: Work, group_of: Mapping[Work, list[Work]]
) -> dict[Value, list[Work]]:
    """What a loop reads that loops of its shape make, and the groups that these are in."""
    shape = loop.outputs[0].shape
    makers = {x: plan.maker.get(x) for x in loop.inputs if x.shape == shape}
    return {
        x: group_of[made] for x, made in makers.items() if made is not None and made in group_of
    }


def _with_loops(plan: Plan, group_of: Mapping[Work, list[Work]]) -> Plan:
    """The plan with each group as one loop."""
    members: dict[int, list[Work]] = {}
    for work in plan.works:
        if work in group_of:
            members.setdefault(id(group_of[work]), []).append(work)
    works: list[Work] = []
    for work in plan.works:
        if work not in group_of:
            works.append(work)
            continue
        group = members[id(group_of[work])]
        if group[-1] is work:
            works.append(_loop(plan, group))
    return replace(plan, works=tuple(in_order(plan, works)))


def _loop(plan: Plan, members: list[Work]) -> Work:
    inside, use = set(members), plan.users
    steps = tuple(step for work in members for step in (work.steps or (work,)))
    made = [step.outputs[0] for step in steps]
    own = set(made)
    inputs = dict.fromkeys(x for step in steps for x in step.inputs if x not in own)
    outputs = [
        value
        for value in made
        if value in plan.wanted or any(reader not in inside for reader in use.get(value, []))
    ]
    return Work("loop", tuple(inputs), tuple(outputs), steps=steps)


def in_order(plan: Plan, works: list[Work]) -> list[Work]:
    """The works so ordered that each stands behind what it reads."""
    maker = {value: work for work in works for value in work.outputs}
    done: set[Work] = set()
    order: list[Work] = []
    for root in works:
        stack = [(root, False)]
        while stack:
            work, ready = stack.pop()
            if ready:
                order.append(work)
            elif work not in done:
                done.add(work)
                stack.append((work, True))
                stack.extend((maker[x], False) for x in work.inputs[::-1] if x in maker)
    return order


# -- sums ------------------------------------------------------------------------------------------
def sum_once(plan: Plan) -> Plan:
    """A sum of a sum, the first of which nothing else reads, is one sum over more axes."""
    use, maker = plan.users, plan.maker
    removed: set[Work] = set()
    placed: dict[Work, Work] = {}
    for work in plan.works:
        first = maker.get(work.inputs[0]) if work.kind == "sum" else None
        first = placed.get(first, first) if first is not None else None
        if first is None or first.kind != "sum" or len(use[work.inputs[0]]) > 1:
            continue
        if work.inputs[0] in plan.wanted:
            continue
        axes = summed_axes(first)
        left = [k for k in range(len(first.inputs[0].shape)) if k not in axes]
        if first.attrs["keepdims"]:
            left = list(range(len(first.inputs[0].shape)))
        more = tuple(left[k] for k in summed_axes(work))
        attrs = {"axis": tuple(sorted({*axes, *more})), "keepdims": None}
        removed.add(maker[work.inputs[0]])
        placed[work] = replace(work, inputs=first.inputs, attrs=attrs, steps=())
    return rewritten(plan, removed, placed)


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
    use, maker = plan.users, plan.maker
    works: dict[Work, list[Work]] = {}
    removed = set()
    for total in plan.works:
        product = maker.get(total.inputs[0]) if total.kind == "sum" else None
        if product is None or product.kind != "matmul" or product.steps or total.steps:
            continue
        if use[total.inputs[0]] != [total] or total.inputs[0] in plan.wanted:
            continue
        if _sums_all_leading(total, product):
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
    use, maker = plan.users, plan.maker
    removed, placed = [], {}
    for work in plan.works:
        if work.kind not in SUMS or work.inputs[0].dtype.kind != "f":
            continue
        before = maker.get(work.inputs[0])
        alone = before is not None and len(before.outputs) == 1 and len(use[work.inputs[0]]) == 1
        if before is not None and before.kind == "loop" and alone:
            if work.inputs[0] in plan.wanted:
                continue
            removed.append(before)
            attrs = {**work.attrs, "axis": summed_axes(work)}
            total = replace(work, attrs=attrs)
            placed[work] = replace(total, inputs=before.inputs, steps=(*before.steps, total))
    return rewritten(plan, removed, placed)
