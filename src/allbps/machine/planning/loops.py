"""Element-by-element works in one loop: no trip through memory from one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from allbps.machine.planning.plan import UNHELD, Plan, Value, Work
from allbps.machine.planning.scalar import BOOL, INT, REAL, NotScalarTextError, Scalar, scalar_of

LONGEST = 64
"""Steps in one loop: what LLVM needs for a loop grows faster than the loop."""


def scalar_kind(value: Value) -> str:
    """What one element is to a kernel."""
    return {"b": BOOL, "i": INT, "u": INT}.get(value.dtype.kind, REAL)


def operand(value: Value, code: str) -> Scalar:
    """An element of a value under a name."""
    return Scalar(code, scalar_kind(value), simple=True)


def by_element(work: Work) -> bool:
    """Does it work element by element?"""
    if work.kind in ("broadcast_to", "identity"):
        return True
    if work.node is None or work.node.op.name != work.kind or work.steps:
        return False
    if UNHELD in {x.dtype for x in (*work.inputs, *work.outputs)}:
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
        fits = (
            first is not None and length(first) < LONGEST and first[0].outputs[0].shape == out.shape
        )
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
            if sum(length(member.steps) for member in joined) > LONGEST:
                joined, level = [work], level + 1
            group_of.update(dict.fromkeys(joined, joined))
        level_of.update(dict.fromkeys(work.outputs, level))
    return _with_loops(plan, group_of)


def length(steps: Iterable[Work]) -> int:
    """How many operations steps are; a sum of n terms is n − 1 of them."""
    return sum(max(1, len(step.inputs) - 1) for step in steps)


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
