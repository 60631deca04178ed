"""A bias, a skip connection or a ReLU as the end of the work before it, or of the pooling after."""

from __future__ import annotations

from dataclasses import replace

from allbps.machine.planning.plan import Plan, Value, Work


def _sign(plan: Plan, mask: Work) -> Work | None:
    """The work y > 0 of δ through a ReLU, where(y > 0, δ, 0); None if ``mask`` is anything else."""
    sign = plan.maker.get(mask.inputs[0]) if mask.kind == "where" else None
    if sign is None or sign.kind != "greater":
        return None
    return sign if sign.inputs[1].uniform == mask.inputs[2].uniform == 0.0 else None


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
    return plan.rewritten(removed, placed)


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
        mask = plan.only_reader(signs[0].outputs[0])
        backs = [w for w in use.get(pool.outputs[0], []) if w.kind == "max_pool_x"]
        if mask is None or _sign(plan, mask) is not signs[0] or len(backs) != 1:
            return [], {}
        (back,) = backs
        if mask.inputs[1] is not back.outputs[0] or plan.only_reader(back.outputs[0]) is not mask:
            return [], {}
        clipped = replace(back, outputs=mask.outputs, attrs={**back.attrs, "relu": True})
        placed[mask] = clipped
        removed += [signs[0], back]
    return removed, placed


# -- ReLU and a skip connection behind a batch norm ------------------------------------------------
def clip_in_norm(plan: Plan) -> Plan:
    """ReLU(norm(x)) and ReLU(norm(x) + skip) are one work each."""
    if not any(work.kind == "batch_norm" for work in plan.works):
        return plan
    for relu in plan.works:
        if relu.kind == "relu":
            plan = _clip(plan, relu)
    return plan


def _clip(plan: Plan, relu: Work) -> Plan:
    use, maker = plan.users, plan.maker
    before = maker.get(relu.inputs[0])
    add = before if before is not None and before.kind == "add" else None
    ends = add.inputs if add is not None else relu.inputs
    if add is not None and add.inputs[0] is add.inputs[1]:
        return plan
    if add is not None and plan.only_reader(add.outputs[0]) is not relu:
        return plan
    for value in ends:
        norm = maker.get(value)
        if norm is None or norm.kind != "batch_norm" or norm.attrs.get("relu"):
            continue
        backs = [work for work in use[value] if work.kind == "batch_norm_x"]
        if len(use[value]) == 1 + len(backs) and value not in plan.wanted:
            skip = [x for x in ends if x is not value]
            if all(x.shape == value.shape and x.uniform is None for x in skip):
                return _clipped(plan, norm, add, relu, backs, skip)
    return plan


def _clipped(
    plan: Plan, norm: Work, add: Work | None, relu: Work, backs: list[Work], skip: list[Value]
) -> Plan:
    attrs = {**norm.attrs, "relu": True, "skip": bool(skip)}
    joined = replace(
        norm, inputs=(*norm.inputs, *skip), outputs=(*relu.outputs, *norm.outputs[1:]), attrs=attrs
    )
    placed = {relu: joined}
    removed = {norm, *([add] if add is not None else [])}
    for back in backs:
        g, inputs, attrs = back.inputs[0], list(back.inputs), dict(back.attrs)
        inputs[1] = relu.outputs[0]
        mask = plan.maker.get(g) if plan.only_reader(g) is back else None
        sign = _sign(plan, mask) if mask is not None else None
        if mask is not None and sign is not None and sign.inputs[0] is relu.outputs[0]:
            inputs[0], attrs["relu"] = mask.inputs[1], True
            removed.add(mask)
            if plan.only_reader(sign.outputs[0]) is mask:
                removed.add(sign)
        placed[back] = replace(back, inputs=tuple(inputs), attrs=attrs)
    return plan.rewritten(removed, placed)


# -- bias and ReLU behind a product ----------------------------------------------------------------
def add_bias(plan: Plan) -> Plan:
    """A product and the vector added to each of its rows are one work."""
    removed, placed = [], {}
    for product in plan.works:
        out = product.outputs[0]
        add = plan.only_reader(out) if product.kind in ("matmul", "conv2d") else None
        if add is None or add.kind != "add" or add.inputs[0] is add.inputs[1] or add in placed:
            continue  # of two products that are added up one is the bias of the other
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
    return plan.rewritten(removed, placed)


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
    removed, placed = [], {}
    for relu in plan.works:
        product = plan.maker.get(relu.inputs[0]) if relu.kind == "relu" else None
        if product is None or product.kind not in ("matmul", "conv2d"):
            continue
        if plan.only_reader(relu.inputs[0]) is relu:
            removed.append(product)
            steps = (*(product.steps or (product,)), relu)
            attrs = {**product.attrs, "relu": True}
            placed[relu] = replace(product, outputs=relu.outputs, attrs=attrs, steps=steps)
    return plan.rewritten(removed, placed)


def mask_in_product(plan: Plan) -> Plan:
    """A δ that is a product, and the ReLU it comes back through, are one work.

    The mask, where(y > 0, δ, 0), is laid on each piece as soon as it is made.
    """
    removed: list[Work] = []
    placed: dict[Work, Work] = {}
    for mask in plan.works:
        sign = _sign(plan, mask)
        product = plan.maker.get(mask.inputs[1]) if sign is not None else None
        if sign is None or product is None or not _can_be_masked(plan, product, sign, mask):
            continue
        alone = plan.only_reader(sign.outputs[0]) is mask
        removed += [product, sign] if alone else [product]
        placed[mask] = replace(
            product,
            inputs=(*product.inputs, sign.inputs[0]),
            outputs=mask.outputs,
            attrs={**product.attrs, "mask": True},
            steps=(product, sign, mask),
        )
    return plan.rewritten(removed, placed)


def _can_be_masked(plan: Plan, product: Work, sign: Work, mask: Work) -> bool:
    made = product.outputs[0]
    plain = not product.steps and (
        product.kind == "conv2d_x"
        or (product.kind == "matmul" and len(product.inputs[1].shape) == 2)
    )
    alike = sign.inputs[0].shape == made.shape and sign.inputs[0].dtype == made.dtype
    alone = plan.only_reader(made) is mask
    return plain and alike and alone and mask.outputs[0].dtype == made.dtype
